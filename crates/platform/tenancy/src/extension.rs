//! Tenancy as a part of a server.

use crate::admission::Rules;
use crate::bootstrap::{self, Administrator, Manifest, Registries};
use crate::clock::unix_seconds;
use crate::directory::{DEFAULT_NAMESPACE_PREFIX, Directory};
use crate::identity_informer::IdentityInformer;
use crate::key_activity::KeyActivity;
use crate::namespaces::Namespaces;
use crate::quota::QuotaStatus;
use crate::{AccessKeys, KeyScopes, ProjectRules, namespace_cleanup, orphaned_keys, virtual_resources};
use apiserver_auth::{Authenticator, Authorizer, IdentityMapper};
use apiserver_endpoints::{VirtualCollection, VirtualResource};
use apiserver_meta::error::GroupResource;
use apiserver_meta::{Descriptor, Resource, VirtualDescriptor};
use apiserver_registry::{Admission, Registry};
use apiserver_server::{AdmissionParts, Deployment, Extension, StartError, Started};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_management::GROUP;
use vci_management::computed::{SELF, TEAM_ACCESS_KEYS, USER_ACCESS_KEYS, VIRTUAL_CLUSTER_ACCESS_KEY};
use vci_management::plural;

/// The configuration of tenancy.
#[derive(Clone, Debug)]
pub struct Config {
    /// Files of objects to create when they are missing.
    pub bootstrap: Vec<PathBuf>,
    /// The longest lifetime of access keys that are made from now on; `None`: no limit.
    pub access_key_max_ttl: Option<Duration>,
    /// The namespace of project P is this followed by P.
    pub namespace_prefix: String,
}

impl Config {
    /// The configuration of a server without any flags.
    pub fn standard() -> Self {
        Self { bootstrap: Vec::new(), access_key_max_ttl: None, namespace_prefix: DEFAULT_NAMESPACE_PREFIX.into() }
    }
}

/// Users, teams, access keys, projects, owners and quotas of one server.
#[derive(Debug)]
pub struct Tenancy {
    config: Config,
    directory: Arc<Directory>,
    /// Taken when they are created.
    manifests: Mutex<Vec<Manifest>>,
    feed: OnceLock<IdentityInformer>,
    activity: OnceLock<KeyActivity>,
    kubeconfig: OnceLock<PathBuf>,
}

impl Tenancy {
    /// Reads and checks the files that the configuration names: objects of these kinds. Nothing is written.
    ///
    /// # Errors
    /// A file that cannot be read, or an object in it that is refused.
    pub fn new(config: Config, resources: &[Arc<dyn Resource>]) -> Result<Self, StartError> {
        let mut manifests = Vec::new();
        for file in &config.bootstrap {
            manifests.extend(bootstrap::read_manifests(file, resources)?);
        }
        Ok(Self {
            directory: Arc::new(Directory::new(&config.namespace_prefix)),
            config,
            manifests: Mutex::new(manifests),
            feed: OnceLock::new(),
            activity: OnceLock::new(),
            kubeconfig: OnceLock::new(),
        })
    }

    /// The administrator's kubeconfig, if this server has made one that can be used as it is. Known once the server is ready.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.get().map(PathBuf::as_path)
    }
}

#[async_trait]
impl Extension for Tenancy {
    fn name(&self) -> &'static str {
        "tenancy"
    }

    fn identities(&self) -> Option<Arc<dyn IdentityMapper>> {
        Some(Arc::<Directory>::clone(&self.directory))
    }

    fn authenticators(&self) -> Vec<Arc<dyn Authenticator>> {
        vec![Arc::new(AccessKeys::new(Arc::clone(&self.directory)))]
    }

    fn restrictions(&self) -> Vec<Arc<dyn Authorizer>> {
        vec![Arc::new(KeyScopes::new(Arc::clone(&self.directory)))]
    }

    fn authorizers(&self) -> Vec<Arc<dyn Authorizer>> {
        vec![Arc::new(ProjectRules::new(Arc::clone(&self.directory)))]
    }

    fn bypass(&self) -> Option<GroupResource<'static>> {
        Some(GroupResource { group: GROUP, resource: plural::PROJECTS })
    }

    fn admission(&self, kind: &Descriptor, parts: &AdmissionParts) -> Vec<Arc<dyn Admission>> {
        let rules = Rules::new(Arc::clone(&self.directory), parts);
        rules.with_longest_key_life(self.config.access_key_max_ttl).of(kind)
    }

    /// Access keys and the secrets of projects are not shown to the host cluster's webhooks and policies.
    fn shows_to_host(&self, kind: &Descriptor) -> bool {
        ![plural::ACCESS_KEYS, plural::PROJECT_SECRETS].contains(&kind.plural)
    }

    fn confidential(&self) -> Vec<&'static VirtualDescriptor> {
        vec![&SELF, &USER_ACCESS_KEYS, &TEAM_ACCESS_KEYS, &VIRTUAL_CLUSTER_ACCESS_KEY]
    }

    fn follow(&self, registries: &[Arc<Registry>], stop: &CancellationToken) -> Result<(), StartError> {
        let feed = IdentityInformer::start(&self.directory, registries, stop);
        let registries = Registries { all: registries.to_vec(), feed: feed.clone() };
        let activity = KeyActivity::new(Arc::clone(&self.directory), Arc::clone(registries.find(plural::ACCESS_KEYS)?));
        // A server starts once.
        let _ = (self.feed.set(feed), self.activity.set(activity));
        Ok(())
    }

    fn virtual_resources(&self, registries: &[Arc<Registry>]) -> Vec<Arc<dyn VirtualResource>> {
        virtual_resources::all(registries, &self.directory, self.feed.get().cloned(), self.config.access_key_max_ttl)
    }

    /// A host cluster has namespaces of its own.
    fn virtual_collections(&self, deployment: Deployment) -> Vec<Arc<dyn VirtualCollection>> {
        match deployment {
            Deployment::StandAlone => vec![Arc::new(Namespaces::new(Arc::clone(&self.directory)))],
            Deployment::Aggregated => Vec::new(),
        }
    }

    async fn post_start(&self, started: &Started<'_>) -> Result<(), StartError> {
        let (Some(feed), Some(activity)) = (self.feed.get(), self.activity.get()) else {
            return Err(StartError::Internal("users and keys are not followed".into()));
        };
        feed.filled().await;
        let registries = Registries { all: started.registries.to_vec(), feed: feed.clone() };
        let administrator = Administrator {
            kubeconfig: &started.data_dir.join("admin.kubeconfig"),
            server: started.url,
            ca_certificate: started.ca_certificate,
            store_use: started.store_use,
        };
        let manifests = std::mem::take(&mut *self.manifests.lock().unwrap_or_else(PoisonError::into_inner));
        let made = bootstrap::first_objects(&registries, &self.directory, manifests, administrator, unix_seconds()).await?;
        if let Some(path) = made {
            let _ = self.kubeconfig.set(path);
        }
        let (projects, instances) = (registries.find(plural::PROJECTS)?, registries.find(plural::INSTANCES)?);
        let prefix = self.directory.namespace_prefix();
        let quotas = QuotaStatus::new(Arc::clone(projects), Arc::clone(instances), prefix.clone());
        tokio::spawn(quotas.run(started.stop.clone()));
        tokio::spawn(orphaned_keys::delete(Arc::clone(&self.directory), registries.clone(), started.stop.clone()));
        tokio::spawn(namespace_cleanup::clear(registries.all, prefix.clone(), started.stop.clone()));
        tokio::spawn(activity.clone().run(started.stop.clone()));
        Ok(())
    }

    async fn pre_stop(&self) {
        if let Some(activity) = self.activity.get() {
            activity.finish().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_holds_secrets_is_not_shown_to_the_host_cluster() {
        let tenancy = Tenancy::new(Config::standard(), &[]).unwrap();
        for kind in vci_management::resources() {
            assert_eq!(tenancy.shows_to_host(kind.descriptor()), !kind.holds_secrets(), "{}", kind.descriptor().kind);
        }
    }

    /// Virtual resources whose schema has a field that is called like a secret, and those that tell of access keys.
    #[test]
    fn what_holds_secrets_is_confidential() {
        let tenancy = Tenancy::new(Config::standard(), &[]).unwrap();
        let confidential: Vec<_> = tenancy.confidential().iter().map(|kind| kind.kind).collect();
        for kind in tenancy.virtual_resources(&[]) {
            let schema = format!("{:?}", kind.schema());
            if ["keyHash", "accessKey", "token", "secret"].iter().any(|name| schema.contains(&format!("{name:?}"))) {
                assert!(confidential.contains(&kind.descriptor().kind), "{}", kind.descriptor().kind);
            }
        }
        assert_eq!(tenancy.confidential().len(), 4);
    }
}
