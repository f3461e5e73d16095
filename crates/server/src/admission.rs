//! Rules about writes that need to know more than one object, or who is asking: one file each.
//!
//! This file says which kinds each rule is about, and in which order they are asked. Refused: rules about one object alone,
//! which are the kind's own; whether somebody may call at all, which is authorization.

mod deletion;
mod granting_fields;
mod identities;
mod key_holders;
mod key_lifetimes;
mod key_secrets;
mod namespaces;
mod owned_objects;
mod owner_references;
mod ownership;
mod permissions;
mod project_contents;
mod stored;
pub(crate) mod templates;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use namespaces::NAMESPACES;

use crate::key_admission::KeyAdmission;
use crate::project::Projects;
use crate::quota::ProjectQuotas;
use deletion::DeletionMarks;
use identities::Identities;
use key_holders::KeyHolders;
use key_lifetimes::KeyLifetimes;
use key_secrets::KeySecrets;
use namespaces::ProjectNamespaces;
use owned_objects::{Kinds, OwnedObjects};
use owner_references::OwnerReferences;
use ownership::Ownership;
use permissions::Permissions;
use project_contents::ProjectContents;
use std::sync::Arc;
use std::time::Duration;
use stored::Stored;
use templates::Templates;
use vci_auth::Authorizer;
use vci_auth::directory::Directory;
use vci_meta::Resource;
use vci_registry::{Admission, Registry};
use vci_store::Store;

/// What rules go by.
#[derive(Debug)]
pub(crate) struct Rules {
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    stored: Arc<Stored>,
    resources: Vec<Arc<dyn Resource>>,
    prefix: String,
    longest_key_life: Option<Duration>,
    kinds: Kinds,
    last: Vec<Arc<dyn Admission>>,
}

impl Rules {
    /// `authorizers` are those of requests; the namespace of project P is `prefix` followed by P.
    pub(crate) fn new(
        directory: Arc<Directory>,
        authorizers: Vec<Arc<dyn Authorizer>>,
        store: Arc<dyn Store>,
        resources: &[Arc<dyn Resource>],
        prefix: impl Into<String>,
    ) -> Self {
        let stored = Arc::new(Stored::new(store, resources.to_vec()));
        let permissions = Arc::new(Permissions::new(authorizers));
        Self {
            directory,
            permissions,
            stored,
            resources: resources.to_vec(),
            prefix: prefix.into(),
            longest_key_life: None,
            kinds: Kinds::default(),
            last: Vec::new(),
        }
    }

    /// The same, and access keys last no longer than this.
    pub(crate) fn with_longest_key_life(self, longest: Option<Duration>) -> Self {
        Self { longest_key_life: longest, ..self }
    }

    /// From now on these are the kinds that rules about more than one of them look at.
    pub(crate) fn started(&self, registries: &[Arc<Registry>]) {
        // A second start of the same rules changes nothing.
        let _ = self.kinds.set(registries.iter().map(Arc::downgrade).collect());
    }

    /// The same, and after them these: what is refused before costs nobody else anything. They are not asked about access
    /// keys, whose secrets are for nobody to see.
    pub(crate) fn and_then(self, last: impl IntoIterator<Item = Arc<dyn Admission>>) -> Self {
        Self { last: last.into_iter().collect(), ..self }
    }

    /// What is asked about a kind of the whole cluster.
    pub(crate) fn of_cluster(&self, plural: &str) -> Vec<Arc<dyn Admission>> {
        let mut rules: Vec<Arc<dyn Admission>> = match plural {
            "ownedaccesskeys" => self.of_keys(),
            "projects" => {
                let contents = ProjectContents::new(Arc::clone(&self.stored), Arc::clone(&self.permissions), self.prefix.as_str());
                vec![self.ownership(), Arc::new(DeletionMarks), Arc::new(contents)]
            }
            "teams" | "users" => {
                let owned = OwnedObjects::new(Arc::clone(&self.kinds));
                vec![Arc::new(Identities::new(Arc::clone(&self.permissions))), self.ownership(), Arc::new(owned)]
            }
            _ => vec![self.ownership()],
        };
        rules.push(self.owner_references());
        if plural != "ownedaccesskeys" {
            rules.extend(self.last.iter().cloned());
        }
        rules
    }

    /// Whether the caller may is asked before anything is said of the holder.
    fn of_keys(&self) -> Vec<Arc<dyn Admission>> {
        let (may, holders) = (KeyAdmission::new(Arc::clone(&self.directory)), KeyHolders::new(Arc::clone(&self.stored)));
        let mut rules: Vec<Arc<dyn Admission>> = vec![Arc::new(KeySecrets), Arc::new(may), Arc::new(holders)];
        rules.extend(self.longest_key_life.map(|longest| Arc::new(KeyLifetimes::new(longest)) as _));
        rules
    }

    /// What is asked about kinds that live in the namespaces of these projects.
    pub(crate) fn of_namespaces(&self, projects: Arc<Registry>) -> Vec<Arc<dyn Admission>> {
        let projects = Projects::new(projects, &self.prefix);
        let mut rules: Vec<Arc<dyn Admission>> = vec![
            Arc::new(ProjectNamespaces::new(projects.clone())),
            Arc::new(Templates::new(projects.clone(), Arc::clone(&self.permissions))),
            self.ownership(),
            self.owner_references(),
            Arc::new(DeletionMarks),
            Arc::new(ProjectQuotas::new(projects)),
        ];
        rules.extend(self.last.iter().cloned());
        rules
    }

    fn owner_references(&self) -> Arc<dyn Admission> {
        Arc::new(OwnerReferences::new(Arc::clone(&self.permissions), self.resources.clone(), Arc::clone(&self.kinds)))
    }

    fn ownership(&self) -> Arc<dyn Admission> {
        Arc::new(Ownership::new(Arc::clone(&self.directory), Arc::clone(&self.permissions), Arc::clone(&self.stored)))
    }
}
