//! Access keys that may do less than their holders.

use crate::directory::{Directory, KeyScope};
use crate::{Attributes, Authorizer, Decision, Target};
use async_trait::async_trait;
use std::sync::Arc;

/// Denies what lies outside the scope of the access key that a request came with; has no opinion on the rest. Stands
/// before every authorizer that allows, [`crate::AlwaysAllowedPaths`] excepted.
#[derive(Debug)]
pub struct KeyScopes {
    directory: Arc<Directory>,
}

impl KeyScopes {
    /// Reads scopes from this directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }
}

#[async_trait]
impl Authorizer for KeyScopes {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        match self.directory.scope(&attributes.identity) {
            Some(scope) if !self.covers(&scope, &attributes.target) => {
                Decision::Deny("the scope of the access key does not cover this".into())
            }
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

impl KeyScopes {
    fn covers(&self, scope: &KeyScope, target: &Target) -> bool {
        let Target::Resource { group, resource, namespace, name, .. } = target else { return false };
        let project = match (group.as_str(), resource.as_str()) {
            ("", "namespaces") => self.directory.project_of(name),
            (_, "projects") => Some(name.clone()).filter(|name| !name.is_empty()),
            _ => self.directory.project_of(namespace),
        };
        let Some(project) = project else { return false };
        let is = |allowed: &str, name: &str| allowed == "*" || allowed == name;
        scope.projects.iter().any(|allowed| is(allowed, &project))
            || scope.instances.iter().any(|(in_project, instance)| {
                is(in_project, &project)
                    && (instance == "*" || resource == "virtualclusterinstances" && !name.is_empty() && instance == name)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Holder, KeyRecord, ProjectRecord, UserRecord};

    #[tokio::test]
    async fn a_scope_narrows_to_the_projects_and_instances_it_names() {
        let directory = Arc::new(Directory::default());
        directory.put_user(UserRecord { name: "ann".into(), ..UserRecord::default() });
        for name in ["a", "b", "c"] {
            directory.put_project(ProjectRecord { name: name.into(), ..ProjectRecord::default() });
        }
        let scope = KeyScope { projects: vec!["a".into()], instances: vec![("b".into(), "x".into())] };
        let digest = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"s"));
        let holder = Holder::User("ann".into());
        let key = KeyRecord { name: "k".into(), digest, holder, disabled: false, expires: None, scope: Some(scope) };
        directory.put_key(key.clone());
        let scopes = KeyScopes::new(directory.clone());
        let identity = directory.identify("s", 0).unwrap_or_else(|| panic!("the key is good"));

        let vci = "virtualclusterinstances";
        let management = "management.loft.sh";
        // group, resource, namespace, name, whether the scope covers it
        let cases = [
            (management, vci, "loft-p-a", "x", true),
            (management, vci, "loft-p-a", "", true),
            (management, vci, "loft-p-b", "x", true),
            (management, vci, "loft-p-b", "y", false),
            (management, vci, "loft-p-b", "", false),
            (management, vci, "loft-p-c", "x", false),
            (management, vci, "", "", false),
            (management, "projects", "", "a", true),
            (management, "projects", "", "c", false),
            (management, "projects", "", "", false),
            (management, "users", "", "ann", false),
            ("", "namespaces", "loft-p-a", "loft-p-a", true),
            ("", "namespaces", "", "", false),
        ];
        for (group, resource, namespace, name, want) in cases {
            let [group, resource, namespace, name] = [group, resource, namespace, name].map(str::to_owned);
            let target = Target::Resource { group, version: "v1".into(), resource, subresource: String::new(), namespace, name };
            let attributes = Attributes { identity: identity.clone(), verb: "get".into(), target };
            let covered = matches!(scopes.authorize(&attributes).await, Decision::NoOpinion(_));
            assert_eq!(covered, want, "{:?}", attributes.target);
            directory.put_key(KeyRecord { scope: None, ..key.clone() });
            assert!(matches!(scopes.authorize(&attributes).await, Decision::NoOpinion(_)), "a key without scope is not narrowed");
            directory.remove_key("k");
            assert!(matches!(scopes.authorize(&attributes).await, Decision::Deny(_)), "a key that is gone opens nothing");
            directory.put_key(key.clone());
        }
    }
}
