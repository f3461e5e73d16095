//! Rules about writes that need to know more than one object, or who is asking: one file each.
//!
//! This file says which kinds each rule is about, and in which order they are asked. Refused: rules about one object alone,
//! which are the kind's own; whether somebody may call at all, which is authorization.

mod deletion;
mod identities;
mod key_secrets;
mod namespaces;
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
use key_secrets::KeySecrets;
use namespaces::ProjectNamespaces;
use owner_references::OwnerReferences;
use ownership::Ownership;
use permissions::Permissions;
use project_contents::ProjectContents;
use std::sync::Arc;
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
        Self { directory, permissions, stored, resources: resources.to_vec(), prefix: prefix.into(), last: Vec::new() }
    }

    /// The same, and after them these: what is refused before costs nobody else anything. They are not asked about access
    /// keys, whose secrets are for nobody to see.
    pub(crate) fn and_then(self, last: impl IntoIterator<Item = Arc<dyn Admission>>) -> Self {
        Self { last: last.into_iter().collect(), ..self }
    }

    /// What is asked about a kind of the whole cluster.
    pub(crate) fn of_cluster(&self, plural: &str) -> Vec<Arc<dyn Admission>> {
        let mut rules: Vec<Arc<dyn Admission>> = match plural {
            "ownedaccesskeys" => vec![Arc::new(KeySecrets), Arc::new(KeyAdmission::new(Arc::clone(&self.directory)))],
            "projects" => {
                let contents = ProjectContents::new(Arc::clone(&self.stored), self.prefix.as_str());
                vec![self.ownership(), Arc::new(DeletionMarks), Arc::new(contents)]
            }
            "teams" | "users" => vec![Arc::new(Identities::new(Arc::clone(&self.permissions))), self.ownership()],
            _ => vec![self.ownership()],
        };
        rules.push(self.owner_references());
        if plural != "ownedaccesskeys" {
            rules.extend(self.last.iter().cloned());
        }
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
        Arc::new(OwnerReferences::new(Arc::clone(&self.permissions), self.resources.clone()))
    }

    fn ownership(&self) -> Arc<dyn Admission> {
        Arc::new(Ownership::new(Arc::clone(&self.directory), Arc::clone(&self.permissions), Arc::clone(&self.stored)))
    }
}
