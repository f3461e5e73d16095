//! Authorization by project roles, owners and access rules: for the objects in a project, and for projects, users, teams, keys and
//! templates.
//!
//! Roles come from a project's members. Owners and access rules come from the objects themselves. Where a role gives only a part of a
//! namespace, the answer is an [`ObjectFilter`], and the registry shows the objects that grant access to the caller. The filter asks
//! the directory each time, so that an open watch follows changes of members.
//!
//! - The rules never ask whether an object exists: a caller without access gets 403 for existing and for missing objects.
//! - A virtual cluster that calls with its own key reads its own instance, and nothing else.
//! - Only administrators write a status. Project admins, owners and users whom an access rule names may not, because quotas count by
//!   the status, and controllers and proxies trust it.

use crate::directory::{Directory, Role};
use apiserver_auth::{Attributes, Authorizer, Decision, Target, denial};
use apiserver_meta::{AccessFilter, Facts, NamespaceScope, ObjectFilter};
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::access::{Caller, ObjectAccess, VirtualClusterIdentity};
use vci_management::plural;

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
        let caller = Caller::of(&attributes.identity.principal);
        if self.directory.is_admin(caller) {
            return Decision::Allow(ObjectFilter::All);
        }
        if let Some(own) = &caller.virtual_cluster {
            return own_instance(own, attributes);
        }
        let known_here = caller.user.is_some() || !caller.teams.is_empty();
        let Target::Resource { group, resource, subresource, namespace, name, .. } = &attributes.target else { return no_opinion() };
        if !known_here || group == GROUP && subresource == "status" && !is_read(&attributes.verb) {
            return no_opinion();
        }
        let asked = Asked { attributes, caller, verb: &attributes.verb, subresource, name };
        match (group.as_str(), resource.as_str()) {
            ("", "namespaces") => self.namespaces(asked),
            (GROUP, plural::PROJECTS) => self.projects(asked),
            (GROUP, plural::USERS) => read_if(asked, caller.user.as_ref() == Some(name)),
            // The keys of a team are not for all who are in it: with one, a member would stay who they were.
            (GROUP, plural::TEAMS) if subresource == "accesskeys" => {
                if asked.reads() {
                    self.granted(asked)
                } else {
                    no_opinion()
                }
            }
            (GROUP, plural::TEAMS) => read_if(asked, caller.teams.contains(name)),
            (GROUP, plural::ACCESS_KEYS) => self.keys(asked),
            (GROUP, plural::TEMPLATES) => self.templates(asked),
            (GROUP, plural::CLUSTERS) => self.clusters(asked),
            (GROUP, plural::INSTANCES | plural::PROJECT_SECRETS) if namespace.is_empty() => self.everywhere(asked),
            (GROUP, _) if !namespace.is_empty() => self.in_namespace(asked, namespace),
            _ => no_opinion(),
        }
    }
}

/// The attributes of a request that the rules go by.
#[derive(Clone, Copy)]
struct Asked<'a> {
    attributes: &'a Attributes,
    caller: &'a Caller,
    verb: &'a str,
    subresource: &'a str,
    name: &'a str,
}

impl Asked<'_> {
    fn reads(self) -> bool {
        is_read(self.verb)
    }

    fn reads_many(self) -> bool {
        matches!(self.verb, "list" | "watch")
    }
}

impl ProjectRules {
    /// A list shows what [`Directory::namespaces`] says, so anybody may ask for it; one namespace is for its members.
    fn namespaces(&self, asked: Asked<'_>) -> Decision {
        let member = || self.directory.role(asked.name, asked.caller).is_some();
        let allowed = asked.subresource.is_empty() && (asked.verb == "list" && asked.name.is_empty() || asked.verb == "get" && member());
        if allowed { Decision::Allow(ObjectFilter::All) } else { no_opinion() }
    }

    /// Members read their project and what is told about it; its admins change it. Beside that the project says itself
    /// who may do what with it. The answer is whole and not a view, so that a project that is not there cannot be told from one
    /// that is not the caller's. To change all of them is no request, but readers are shown more of those that they may change.
    fn projects(&self, asked: Asked<'_>) -> Decision {
        let Asked { caller, verb, subresource, name, .. } = asked;
        let changes_many = name.is_empty() && matches!(verb, "update" | "patch");
        if (asked.reads_many() || changes_many) && subresource.is_empty() {
            return self.granted(asked);
        }
        let told = matches!(subresource, "" | "status" | "clusters" | "members" | "templates");
        let by_role = match self.directory.role_in_project(name, caller) {
            Some(Role::Admin) => verb == "get" && told || subresource.is_empty() && matches!(verb, "update" | "patch"),
            Some(Role::User | Role::Viewer) => verb == "get" && told,
            None => false,
        };
        let about_one = !name.is_empty() && !matches!(verb, "create" | "deletecollection");
        let granted = || about_one && self.directory.project_grants(name, caller, verb, subresource);
        if by_role || granted() { Decision::Allow(ObjectFilter::All) } else { no_opinion() }
    }

    /// A user may create keys, and may read, change and delete the keys that the user owns. Admission decides which keys may be
    /// created. Only the server writes the status, which holds the digest of the secret.
    fn keys(&self, asked: Asked<'_>) -> Decision {
        match asked.verb {
            _ if !asked.subresource.is_empty() && asked.verb != "get" => no_opinion(),
            "create" if self.directory.holds_keys(asked.caller) => Decision::Allow(ObjectFilter::All),
            "create" => no_opinion(),
            _ => self.granted(asked),
        }
    }

    /// A template's owner and access rules decide. Members see the templates that their project allows at `projects/P/templates`.
    fn templates(&self, asked: Asked<'_>) -> Decision {
        if asked.verb == "create" { no_opinion() } else { self.granted(asked) }
    }

    /// Members read the host clusters that their projects allow. Beside that a cluster's owner and access rules decide.
    fn clusters(&self, asked: Asked<'_>) -> Decision {
        match asked.verb {
            "create" => no_opinion(),
            _ if asked.reads() => Decision::Allow(ObjectFilter::Access(Arc::new(ReadableClusters(self.granted_objects(asked))))),
            _ => self.granted(asked),
        }
    }

    /// All namespaces at once: what is done with objects that are there, in each namespace as far as the role there gives it.
    /// Only reads are served so, but whoever reads may want to be told what else they may do.
    fn everywhere(&self, asked: Asked<'_>) -> Decision {
        let new_or_many = matches!(asked.verb, "create" | "deletecollection");
        if new_or_many || asked.subresource == "restricted" { no_opinion() } else { self.granted(asked) }
    }

    /// `restricted` is what RBAC calls the creation without a template: a right in the project and no part of an object. Any
    /// other creation below an object is something done with that object.
    fn in_namespace(&self, asked: Asked<'_>, namespace: &str) -> Decision {
        match (self.directory.role(namespace, asked.caller), asked.verb, asked.subresource) {
            (Some(Role::Admin), _, _) | (Some(Role::User), "create", "") => Decision::Allow(ObjectFilter::All),
            (Some(Role::Viewer), "create", "") | (_, _, "restricted") | (None, _, _) => no_opinion(),
            (Some(Role::User | Role::Viewer), _, _) => self.granted(asked),
        }
    }

    fn granted(&self, asked: Asked<'_>) -> Decision {
        Decision::Allow(ObjectFilter::Access(Arc::new(self.granted_objects(asked))))
    }

    fn granted_objects(&self, asked: Asked<'_>) -> GrantedObjects {
        let verb = match asked.verb {
            "list" | "watch" => "get",
            "deletecollection" => "delete",
            verb => verb,
        };
        GrantedObjects {
            directory: Arc::clone(&self.directory),
            caller: asked.caller.clone(),
            verb: verb.to_owned(),
            subresource: asked.subresource.to_owned(),
            denial: denial(asked.attributes),
        }
    }
}

/// The objects that a role shows, or that grant a verb to the caller themselves. A list or watch shows those on which `get` is
/// granted.
#[derive(Debug)]
struct GrantedObjects {
    directory: Arc<Directory>,
    caller: Caller,
    verb: String,
    subresource: String,
    denial: String,
}

impl AccessFilter for GrantedObjects {
    fn scope(&self, namespace: &str) -> NamespaceScope {
        match self.directory.role(namespace, &self.caller) {
            // Objects of the whole cluster belong to no project: they themselves say who sees them.
            None if namespace.is_empty() => NamespaceScope::Filtered,
            None => NamespaceScope::Nothing,
            Some(Role::Admin) => NamespaceScope::All,
            Some(Role::User | Role::Viewer) => NamespaceScope::Filtered,
        }
    }

    fn allows(&self, facts: &Facts) -> bool {
        ObjectAccess::of(facts).grants(&self.caller, &self.verb, &self.subresource)
    }

    fn denial(&self) -> &str {
        &self.denial
    }
}

/// The host clusters that grant `get` to the caller themselves, and those that a project of the caller allows.
#[derive(Debug)]
struct ReadableClusters(GrantedObjects);

impl AccessFilter for ReadableClusters {
    fn scope(&self, namespace: &str) -> NamespaceScope {
        self.0.scope(namespace)
    }

    fn allows(&self, facts: &Facts) -> bool {
        let name = ObjectAccess::of(facts).name.as_deref();
        self.0.allows(facts) || name.is_some_and(|name| self.0.directory.allows_cluster(&self.0.caller, name))
    }

    fn denial(&self) -> &str {
        self.0.denial()
    }
}

/// A virtual cluster reads its own instance, and nothing else.
fn own_instance(own: &VirtualClusterIdentity, attributes: &Attributes) -> Decision {
    let Target::Resource { group, resource, subresource, namespace, name, .. } = &attributes.target else { return no_opinion() };
    let is_instance = group == GROUP && resource == plural::INSTANCES && matches!(subresource.as_str(), "" | "status");
    let is_own = *namespace == own.namespace && *name == own.name;
    if is_instance && is_own && is_read(&attributes.verb) { Decision::Allow(ObjectFilter::All) } else { no_opinion() }
}

/// Those whom an object speaks of read it, also as a list or a watch of that one alone.
fn read_if(asked: Asked<'_>, related: bool) -> Decision {
    if asked.reads() && related { Decision::Allow(ObjectFilter::All) } else { no_opinion() }
}

fn is_read(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

fn no_opinion() -> Decision {
    Decision::NoOpinion(String::new())
}

#[cfg(test)]
mod tests;
