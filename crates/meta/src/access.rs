//! What an object itself says about who may do what with it, and who is asking.
//!
//! The facts are small and kept beside an object's bytes, so that lists and watches can leave out what a
//! caller may not see without decoding anything. Which roles exist and what they allow is not said here:
//! that is the authorizers' business.

use std::sync::Arc;

/// Who is asking, in the words of the API's own objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the User object; `None` when a team's key or a foreign identity is asking.
    pub user: Option<String>,
    /// The names of the Team objects that the caller belongs to.
    pub teams: Vec<String>,
    /// The name of the access key that the request came with: the caller's own, or that of whoever acts for them.
    pub access_key: Option<String>,
}

/// Says whose an object is. Never meant by `*`: whoever was granted everything could otherwise take the object from its
/// owner, who granted it.
pub const VERB_MAKE_OWNER: &str = "makeowner";

/// One rule of `spec.access`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRule {
    /// The verbs granted; `*` is all but [`VERB_MAKE_OWNER`].
    pub verbs: Vec<String>,
    /// The subresources granted beside the object itself; `*` is all.
    pub subresources: Vec<String>,
    /// To whom, by User name; `*` is every user.
    pub users: Vec<String>,
    /// To whom, by Team name; `*` is every team.
    pub teams: Vec<String>,
}

/// What an object says about who may do what with it. An object without such rules says nothing and grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectAccess {
    /// `spec.owner.user`; empty: none.
    pub owner_user: String,
    /// `spec.owner.team`; empty: none.
    pub owner_team: String,
    /// `spec.access`.
    pub rules: Vec<AccessRule>,
}

impl ObjectAccess {
    /// Whether the caller owns the object, alone or through a team.
    pub fn owned_by(&self, caller: &Caller) -> bool {
        let user = !self.owner_user.is_empty() && caller.user.as_deref() == Some(self.owner_user.as_str());
        user || (!self.owner_team.is_empty() && caller.teams.contains(&self.owner_team))
    }

    /// Whether the object grants the verb (on the subresource, if one is named) to the caller: owners
    /// everything, others what a rule names.
    pub fn grants(&self, caller: &Caller, verb: &str, subresource: &str) -> bool {
        let names = |list: &[String], name: &str| list.iter().any(|n| n == name || n == "*");
        self.owned_by(caller)
            || self.rules.iter().any(|rule| {
                let who = caller.user.as_deref().is_some_and(|user| names(&rule.users, user))
                    || caller.teams.iter().any(|team| names(&rule.teams, team));
                let what = if verb == VERB_MAKE_OWNER { rule.verbs.iter().any(|v| v == verb) } else { names(&rule.verbs, verb) };
                who && what && (subresource.is_empty() || names(&rule.subresources, subresource))
            })
    }
}

/// Which objects of a collection a request reaches: the authorizer's answer, carried to where objects are known.
#[derive(Clone, Debug, Default)]
pub enum View {
    /// Every object.
    #[default]
    All,
    /// Those that grant the verb to the caller, in some namespaces; the whole of others.
    Granted(Arc<Grant>),
}

/// The condition of [`View::Granted`].
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who is asking.
    pub caller: Arc<Caller>,
    /// The verb to be granted, for example `get`. A list or watch shows what `get` is granted on.
    pub verb: String,
    /// The subresource, or empty.
    pub subresource: String,
    /// What a 403 says of an object that does not grant it, for example `User "u" cannot get resource "r" in ...`.
    pub denial: String,
    /// What holds for a namespace before an object is looked at; asked again for each namespace, so that one
    /// view serves a list over all of them.
    pub namespaces: NamespaceReach,
}

/// A function from a namespace to what the caller reaches in it.
#[derive(Clone)]
pub struct NamespaceReach(pub Arc<dyn Fn(&str) -> Reach + Send + Sync>);

impl std::fmt::Debug for NamespaceReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NamespaceReach")
    }
}

/// What a caller reaches in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every object.
    All,
    /// The objects that grant the verb.
    Granted,
    /// Nothing.
    Nothing,
}

impl View {
    /// What is said of an object that is not there, where it must not be told from one that the caller may not see: outside of
    /// namespaces, whose objects belong to many who know nothing of each other, and in namespaces that the caller does not reach.
    /// Whoever reaches a namespace is told what is missing in it.
    pub fn denial_of_absent(&self, namespace: &str) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Granted(grant) => {
                let hidden = match (grant.namespaces.0)(namespace) {
                    Reach::All => false,
                    Reach::Granted => namespace.is_empty(),
                    Reach::Nothing => true,
                };
                hidden.then_some(grant.denial.as_str())
            }
        }
    }

    /// Whether the view shows an object in `namespace` that says `access` of itself.
    pub fn shows(&self, namespace: &str, access: &ObjectAccess) -> bool {
        match self {
            Self::All => true,
            Self::Granted(grant) => match (grant.namespaces.0)(namespace) {
                Reach::All => true,
                Reach::Granted => access.grants(&grant.caller, &grant.verb, &grant.subresource),
                Reach::Nothing => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_to_those_who_reach_the_namespace() {
        let view = |reach| {
            let namespaces = NamespaceReach(Arc::new(move |_: &str| reach));
            let denial = "no".to_owned();
            View::Granted(Arc::new(Grant { caller: Arc::default(), verb: "get".into(), subresource: String::new(), denial, namespaces }))
        };
        for (view, whole_cluster, namespace) in [
            (View::All, None, None),
            (view(Reach::All), None, None),
            (view(Reach::Granted), Some("no"), None),
            (view(Reach::Nothing), Some("no"), Some("no")),
        ] {
            assert_eq!((view.denial_of_absent(""), view.denial_of_absent("a")), (whole_cluster, namespace), "{view:?}");
        }
    }
}
