//! The access rules that an object carries (its owner and `spec.access`), and the caller whom they are about.
//!
//! [`ObjectAccess`] is small: it is kept beside an object's bytes as its [`Facts`], so that lists and watches leave out what a
//! caller may not see without decoding anything. Refused: which roles exist and what they allow; that is for the authorizers.

use apiserver_meta::{Facts, Object, Principal, RequestContext, Resource};
use std::fmt;

/// Who is asking, in the words of the API's own objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The name of the User object; `None` when a team's key or a foreign identity is asking.
    pub user: Option<String>,
    /// The names of the Team objects that the caller belongs to.
    pub teams: Vec<String>,
    /// The name of the access key that the request came with: the caller's own, or that of whoever acts for them.
    pub access_key: Option<String>,
    /// The virtual cluster that is asking for itself, with a key of its own. Such a caller is no user and in no team.
    pub virtual_cluster: Option<VirtualClusterIdentity>,
}

static NOBODY: Caller = Caller { user: None, teams: Vec::new(), access_key: None, virtual_cluster: None };

/// The prefix of the user name of a virtual cluster. Namespace and name of its instance follow, separated by a colon.
pub const VIRTUAL_CLUSTER_PREFIX: &str = "loft:vcluster:";

/// A virtual cluster as a caller: its instance. It is written as the user name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualClusterIdentity {
    /// The namespace of the instance.
    pub namespace: String,
    /// The name of the instance.
    pub name: String,
}

impl VirtualClusterIdentity {
    /// Reads such a user name; `None` for any other one.
    pub fn parse(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix(VIRTUAL_CLUSTER_PREFIX)?.split_once(':')?;
        let is_whole = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
        is_whole.then(|| Self { namespace: namespace.into(), name: name.into() })
    }
}

impl fmt::Display for VirtualClusterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VIRTUAL_CLUSTER_PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl Caller {
    /// The caller behind a principal; one without user and teams when the API's objects do not know the principal.
    pub fn of(principal: &Principal) -> &Self {
        principal.get().unwrap_or(&NOBODY)
    }

    /// The caller of a request.
    pub fn from_context(ctx: &RequestContext) -> &Self {
        Self::of(&ctx.principal)
    }
}

/// Says whose an object is. Never meant by `*`: whoever was granted everything could otherwise take the object from its
/// owner, who granted it.
pub const VERB_MAKE_OWNER: &str = "makeowner";

/// One rule of `spec.access`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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

/// The owner that an object names, `spec.owner`: the user and the team, of which an empty one is none.
pub fn owner_of(object: &Object) -> (&str, &str) {
    (object.str_at(&["spec", "owner", "user"]), object.str_at(&["spec", "owner", "team"]))
}

/// What an object says about who may do what with it. An object without such rules says nothing and grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectAccess {
    /// `spec.owner.user`; empty: none.
    pub owner_user: String,
    /// `spec.owner.team`; empty: none.
    pub owner_team: String,
    /// `spec.access`.
    pub rules: Vec<AccessRule>,
    /// The name of the object, of the kinds that projects allow by name: host clusters.
    pub name: Option<Box<str>>,
}

static NO_ACCESS: ObjectAccess = ObjectAccess { owner_user: String::new(), owner_team: String::new(), rules: Vec::new(), name: None };

impl ObjectAccess {
    /// The access rules among an object's facts.
    pub fn of(facts: &Facts) -> &Self {
        facts.get().unwrap_or(&NO_ACCESS)
    }

    /// The access rules of an object of this kind.
    pub fn read(resource: &dyn Resource, object: &Object) -> Self {
        Self::of(&resource.facts(object)).clone()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_cluster_is_named_by_its_instance() {
        let identity = VirtualClusterIdentity { namespace: "p-blue".into(), name: "one".into() };
        assert_eq!(identity.to_string(), "loft:vcluster:p-blue:one");
        assert_eq!(VirtualClusterIdentity::parse("loft:vcluster:p-blue:one"), Some(identity));
        for other in
            ["", "ann", "loft:vcluster:", "loft:vcluster:a", "loft:vcluster::a", "loft:vcluster:a:", "loft:vcluster:a:b:c", "vcluster:a:b"]
        {
            assert_eq!(VirtualClusterIdentity::parse(other), None, "{other}");
        }
    }
}
