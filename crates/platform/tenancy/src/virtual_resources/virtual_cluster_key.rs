//! The access key of a virtual cluster: `GET virtualclusterinstances/NAME/accesskey`.
//!
//! Each answer holds a fresh key. Of earlier ones only the hashes are stored, so that they cannot be shown again, and whoever reads the
//! store learns no key. They stay good, because one of them is in the virtual cluster. There are at most [`MOST`] for a virtual cluster: to
//! make room, those that nobody has used go first, then those whose last use is longest ago.
//!
//! A key that is not used for [`IDLE`] ends, and all keys end with the instance ([`crate::virtual_cluster_keys`]). What it opens is said by
//! [`crate::ProjectRules`]: the virtual cluster reads its own instance.

use crate::clock::unix_seconds;
use crate::directory::{Directory, Holder};
use crate::identity_informer::IdentityInformer;
use crate::server_writes::server_writes;
use apiserver_endpoints::{VirtualRequest, VirtualResource};
use apiserver_meta::options::{DeleteOptions, Propagation};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Schema, VirtualDescriptor};
use apiserver_registry::loopback;
use apiserver_registry::{Registry, WriteFailure};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use vci_management::access::VirtualClusterIdentity;
use vci_management::computed::{VIRTUAL_CLUSTER_ACCESS_KEY, virtual_cluster_access_key_schema};
use vci_management::ownedaccesskey::LABEL_VIRTUAL_CLUSTER;
use vci_management::plural;
use vci_management::virtualclusterinstance::VirtualClusterInstance;

/// How many keys a virtual cluster has at most.
const MOST: usize = 16;
/// How long a key stays good that is not used.
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the keys.
#[derive(Debug)]
pub(crate) struct VirtualClusterKeys {
    directory: Arc<Directory>,
    keys: Option<Arc<Registry>>,
    /// Tells when the directory knows of a key; `None` where nothing is followed.
    feed: Option<IdentityInformer>,
    idle: Duration,
}

impl VirtualClusterKeys {
    /// Keys that end when they are not used for this long at most, where an operator says so.
    pub(crate) fn new(
        registries: &[Arc<Registry>],
        directory: Arc<Directory>,
        feed: Option<IdentityInformer>,
        longest: Option<Duration>,
    ) -> Self {
        let keys = registries.iter().find(|registry| registry.descriptor().plural == plural::ACCESS_KEYS).cloned();
        Self { directory, keys, feed, idle: longest.map_or(IDLE, |longest| longest.min(IDLE)) }
    }

    /// Deletes keys until there is room for another one.
    async fn make_room(&self, keys: &Arc<Registry>, identity: &VirtualClusterIdentity) -> Result<(), ApiError> {
        for name in self.directory.least_used_keys(&Holder::VirtualCluster(identity.clone()), MOST - 1, unix_seconds()) {
            let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            match keys.delete(&loopback::context(TIMEOUT), &ObjectKey::new("", name), &options, &ObjectFilter::All).await {
                Ok(_) | Err(WriteFailure::Missing(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    /// The secret of a key that is made now.
    async fn make(&self, keys: &Arc<Registry>, identity: &VirtualClusterIdentity, uid: &str) -> Result<String, ApiError> {
        let project = self.directory.namespace_prefix().project_of(&identity.namespace).unwrap_or_default();
        let name = identity.name.as_str();
        let key = json!({
            "apiVersion": keys.descriptor().api_version(),
            "kind": keys.descriptor().kind,
            "metadata": { "generateName": "vcluster-", "labels": { LABEL_VIRTUAL_CLUSTER: uid } },
            "spec": {
                "displayName": "Access key of a virtual cluster",
                "subject": identity.to_string(),
                "type": "Other",
                "ttl": self.idle.as_secs(),
                "ttlAfterLastActivity": true,
                "scope": { "roles": [{ "role": "vcluster", "projects": [project], "virtualClusters": [name] }] },
            },
        });
        // It is a JSON object as it stands here.
        let key = Object::from_value(key).unwrap_or_default();
        let written = keys.create(&loopback::context(TIMEOUT), "", key, &server_writes()).await?;
        let shown: Value = serde_json::from_slice(&written.bytes).unwrap_or_default();
        let revision = shown["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
        if let (Some(feed), Some(revision)) = (&self.feed, revision) {
            feed.reached(plural::ACCESS_KEYS, revision).await;
        }
        shown["spec"]["key"].as_str().map(str::to_owned).ok_or_else(|| ApiError::internal("the access key has no secret"))
    }
}

#[async_trait]
impl VirtualResource for VirtualClusterKeys {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &VIRTUAL_CLUSTER_ACCESS_KEY
    }

    fn schema(&self) -> &Schema {
        virtual_cluster_access_key_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let keys = self.keys.as_ref().ok_or_else(|| ApiError::internal("access keys are not served"))?;
        let VirtualClusterInstance { metadata, .. } = asked.parent()?;
        let identity = VirtualClusterIdentity { namespace: asked.key.namespace, name: asked.key.name };
        self.make_room(keys, &identity).await?;
        Ok(json!({ "accessKey": self.make(keys, &identity, &metadata.uid).await? }))
    }
}
