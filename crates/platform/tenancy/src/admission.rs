//! Rules about writes that need to know more than one object, or who is asking: one file each.
//!
//! This file says which kinds each rule is about, and in which order they are asked. Refused: rules about one object alone,
//! which are the kind's own; whether somebody may call at all, which is authorization.

mod cluster_refs;
mod deletion;
mod granting_fields;
mod identities;
mod key_grants;
mod key_holders;
mod key_lifetimes;
mod key_secrets;
mod namespaces;
mod owned_objects;
#[cfg(test)]
mod owner_references_tests;
mod ownership;
mod project_contents;
mod secret_refs;
mod stored;
pub(crate) mod templates;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use namespaces::NAMESPACES;

use crate::directory::Directory;
use crate::project::Projects;
use crate::quota::ProjectQuotas;
use apiserver_meta::{Descriptor, Scope};
use apiserver_registry::{Admission, Registries};
use apiserver_server::AdmissionParts;
use apiserver_server::admission::Permissions;
use cluster_refs::ClusterRefs;
use deletion::DeletionMarks;
use identities::Identities;
use key_grants::KeyAdmission;
use key_holders::KeyHolders;
use key_lifetimes::KeyLifetimes;
use key_secrets::KeySecrets;
use namespaces::ProjectNamespaces;
use owned_objects::OwnedObjects;
use ownership::Ownership;
use project_contents::ProjectContents;
use secret_refs::SecretRefs;
use std::sync::Arc;
use std::time::Duration;
use stored::Stored;
use templates::Templates;
use vci_management::plural;

/// The sources that the rules read.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    stored: Arc<Stored>,
    registries: &'a Registries,
    longest_key_life: Option<Duration>,
}

impl<'a> Rules<'a> {
    /// Rules that read roles from this directory.
    pub(crate) fn new(directory: Arc<Directory>, parts: &'a AdmissionParts) -> Self {
        Self {
            directory,
            permissions: Arc::clone(&parts.permissions),
            stored: Arc::new(Stored::new(Arc::clone(&parts.store), parts.resources.clone())),
            registries: &parts.registries,
            longest_key_life: None,
        }
    }

    /// Limits the lifetime of access keys to this.
    pub(crate) fn with_longest_key_life(self, longest: Option<Duration>) -> Self {
        Self { longest_key_life: longest, ..self }
    }

    /// The admission rules of a kind, in order.
    pub(crate) fn of(&self, kind: &Descriptor) -> Vec<Arc<dyn Admission>> {
        match (kind.scope, kind.plural) {
            (Scope::Namespaced, plural) => self.of_namespaces(plural),
            (Scope::Cluster, plural::ACCESS_KEYS) => self.of_keys(),
            (Scope::Cluster, plural::PROJECTS) => {
                let prefix = self.directory.namespace_prefix().clone();
                let contents = ProjectContents::new(Arc::clone(&self.stored), Arc::clone(&self.permissions), prefix);
                vec![self.ownership(), Arc::new(DeletionMarks), Arc::new(contents)]
            }
            (Scope::Cluster, plural::TEAMS | plural::USERS) => {
                let owned = OwnedObjects::new(self.registries.clone());
                vec![Arc::new(Identities::new(Arc::clone(&self.permissions))), self.ownership(), Arc::new(owned)]
            }
            (Scope::Cluster, plural::TEMPLATES) => vec![self.ownership(), self.secret_refs()],
            (Scope::Cluster, _) => vec![self.ownership()],
        }
    }

    /// Whether the caller may is asked before anything is said of the holder.
    fn of_keys(&self) -> Vec<Arc<dyn Admission>> {
        let (may, holders) = (KeyAdmission::new(Arc::clone(&self.directory)), KeyHolders::new(Arc::clone(&self.stored)));
        let mut rules: Vec<Arc<dyn Admission>> = vec![Arc::new(KeySecrets), Arc::new(may), Arc::new(holders)];
        rules.extend(self.longest_key_life.map(|longest| Arc::new(KeyLifetimes::new(longest)) as _));
        rules
    }

    fn of_namespaces(&self, plural: &str) -> Vec<Arc<dyn Admission>> {
        let projects = Projects::new(self.registries.clone(), self.directory.namespace_prefix().clone());
        let mut rules: Vec<Arc<dyn Admission>> = vec![Arc::new(ProjectNamespaces::new(projects.clone()))];
        if plural == plural::INSTANCES {
            let permissions = || Arc::clone(&self.permissions);
            rules.push(Arc::new(Templates::new(projects.clone(), permissions())));
            rules.push(Arc::new(ClusterRefs::new(projects.clone(), Arc::clone(&self.directory), permissions())));
            rules.push(self.secret_refs());
        }
        rules.extend([self.ownership(), Arc::new(DeletionMarks) as _, Arc::new(ProjectQuotas::new(projects)) as _]);
        rules
    }

    fn secret_refs(&self) -> Arc<dyn Admission> {
        let (stored, permissions) = (Arc::clone(&self.stored), Arc::clone(&self.permissions));
        Arc::new(SecretRefs::new(stored, permissions, self.directory.namespace_prefix().clone()))
    }

    fn ownership(&self) -> Arc<dyn Admission> {
        Arc::new(Ownership::new(Arc::clone(&self.directory), Arc::clone(&self.permissions), Arc::clone(&self.stored)))
    }
}
