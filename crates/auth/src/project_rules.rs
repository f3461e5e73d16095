//! Who may do what in a project, and with the objects that say who is who.
//!
//! Roles come from the project's members, the rest from the objects themselves: where a role gives a part of a
//! namespace only, the answer is a [`View`] and the registry shows what the objects grant. The reach of a view is asked
//! of the directory as it is at that moment, so that a watch follows changes of members. Refused: asking whether an
//! object exists; a 403 hides a 404.

use crate::directory::{Directory, Role};
use crate::{Attributes, Authorizer, Decision, Target, denial};
use async_trait::async_trait;
use std::sync::Arc;
use vci_meta::access::{Grant, NamespaceReach, Reach};
use vci_meta::{Caller, View};

/// The API group whose objects say who is who.
const GROUP: &str = "management.loft.sh";

/// Decides by the roles in projects and by the cluster role that may do everything.
#[derive(Debug)]
pub struct ProjectRules {
    directory: Arc<Directory>,
}

impl ProjectRules {
    /// Reads roles from this directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }
}

#[async_trait]
impl Authorizer for ProjectRules {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let caller = &attributes.identity.caller;
        if self.directory.is_admin(caller) {
            return Decision::Allow(View::All);
        }
        let known_here = caller.user.is_some() || !caller.teams.is_empty();
        let Target::Resource { group, resource, subresource, namespace, name, .. } = &attributes.target else { return no_opinion() };
        if !known_here {
            return no_opinion();
        }
        match (group.as_str(), resource.as_str()) {
            ("", "namespaces") => self.namespaces(&attributes.verb, subresource, name, caller),
            (GROUP, "projects") => self.projects(attributes, name, caller),
            (GROUP, "users") => read_if(&attributes.verb, caller.user.as_ref() == Some(name)),
            (GROUP, "teams") => read_if(&attributes.verb, caller.teams.contains(name)),
            (GROUP, "ownedaccesskeys") => no_opinion(),
            (GROUP, _) if namespace.is_empty() => self.everywhere(attributes),
            (GROUP, _) => self.in_namespace(attributes, namespace),
            _ => no_opinion(),
        }
    }
}

impl ProjectRules {
    /// A list shows what [`Directory::namespaces`] says, so anybody may ask for it; one namespace is for its members.
    fn namespaces(&self, verb: &str, subresource: &str, name: &str, caller: &Caller) -> Decision {
        let member = self.directory.role(name, caller).is_some();
        let allowed = subresource.is_empty() && (verb == "list" && name.is_empty() || verb == "get" && member);
        if allowed { Decision::Allow(View::All) } else { no_opinion() }
    }

    /// Members may read their project. A list shows the projects that grant it.
    fn projects(&self, attributes: &Attributes, name: &str, caller: &Caller) -> Decision {
        match attributes.verb.as_str() {
            "list" | "watch" if name.is_empty() => self.granted(attributes),
            verb => read_if(verb, self.directory.role_in_project(name, caller).is_some()),
        }
    }

    /// All namespaces at once: reads only, and in each namespace what the role there gives.
    fn everywhere(&self, attributes: &Attributes) -> Decision {
        if matches!(attributes.verb.as_str(), "list" | "watch") { self.granted(attributes) } else { no_opinion() }
    }

    fn in_namespace(&self, attributes: &Attributes, namespace: &str) -> Decision {
        match (self.directory.role(namespace, &attributes.identity.caller), attributes.verb.as_str()) {
            (Some(Role::Admin), _) | (Some(Role::User), "create") => Decision::Allow(View::All),
            (Some(Role::Viewer), "create") | (None, _) => no_opinion(),
            (Some(Role::User | Role::Viewer), _) => self.granted(attributes),
        }
    }

    fn granted(&self, attributes: &Attributes) -> Decision {
        let Target::Resource { subresource, .. } = &attributes.target else { return no_opinion() };
        let caller = Arc::clone(&attributes.identity.caller);
        let verb = match attributes.verb.as_str() {
            "list" | "watch" => "get",
            "deletecollection" => "delete",
            verb => verb,
        };
        Decision::Allow(View::Granted(Arc::new(Grant {
            verb: verb.to_owned(),
            subresource: subresource.clone(),
            denial: denial(attributes),
            namespaces: self.reach(Arc::clone(&caller)),
            caller,
        })))
    }

    fn reach(&self, caller: Arc<Caller>) -> NamespaceReach {
        let directory = Arc::clone(&self.directory);
        NamespaceReach(Arc::new(move |namespace| match directory.role(namespace, &caller) {
            // Objects of the whole cluster belong to no project: they themselves say who sees them.
            None if namespace.is_empty() => Reach::Granted,
            None => Reach::Nothing,
            Some(Role::Admin) => Reach::All,
            Some(Role::User | Role::Viewer) => Reach::Granted,
        }))
    }
}

fn read_if(verb: &str, related: bool) -> Decision {
    if verb == "get" && related { Decision::Allow(View::All) } else { no_opinion() }
}

fn no_opinion() -> Decision {
    Decision::NoOpinion(String::new())
}

#[cfg(test)]
mod tests;
