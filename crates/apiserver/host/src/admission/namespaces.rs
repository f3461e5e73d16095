//! The host cluster's namespaces: nothing is created in one that is not there or is about to go (`NamespaceLifecycle`).
//!
//! Deleting this server's objects with their namespace is the cluster's business: its controller asks here for it.

use crate::HostCluster;
use crate::admission::facts::Namespaces;
use crate::admission::request::shown_name;
use apiserver_meta::error::GroupResource;
use apiserver_meta::{ApiError, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAMESPACES: GroupResource<'_> = GroupResource { group: "", resource: "namespaces" };

/// The namespaces, followed; one that is not known yet is asked for.
#[derive(Clone)]
pub(super) struct ClusterNamespaces {
    client: Client,
    known: Store<Namespace>,
}

impl ClusterNamespaces {
    /// Follows them until `stop`.
    pub(super) fn follow(cluster: &HostCluster, stop: &CancellationToken) -> Self {
        let (known, writer) = reflector::store();
        let client = cluster.client().clone();
        let events = watcher(Api::<Namespace>::all(client.clone()), watcher::Config::default()).default_backoff();
        let following = reflector::reflector(writer, events.modify(shrink)).for_each(async |event| {
            if let Err(error) = event {
                tracing::warn!(%error, "the host cluster's namespaces cannot be followed");
            }
        });
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        Self { client, known }
    }

    /// A namespace; one that was made a moment ago too.
    async fn find(&self, name: &str) -> Result<Arc<Namespace>, ApiError> {
        if let Some(known) = self.known.get(&ObjectRef::new(name)) {
            return Ok(known);
        }
        match Api::<Namespace>::all(self.client.clone()).get_opt(name).await {
            Ok(Some(found)) => Ok(Arc::new(found)),
            Ok(None) => Err(ApiError::not_found(NAMESPACES, name)),
            Err(error) => Err(ApiError::internal("the host cluster does not tell of the namespace").with_source(error)),
        }
    }
}

impl std::fmt::Debug for ClusterNamespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterNamespaces").finish_non_exhaustive()
    }
}

/// Who set what in a namespace is of no use here, and most of it.
fn shrink(namespace: &mut Namespace) {
    namespace.metadata.managed_fields = None;
}

#[async_trait]
impl Namespaces for ClusterNamespaces {
    async fn namespace(&self, name: &str) -> Result<Arc<Value>, ApiError> {
        let found = self.find(name).await?;
        let value = serde_json::to_value(&*found).map_err(|error| ApiError::internal("namespace").with_source(error))?;
        Ok(Arc::new(value))
    }
}

/// Refuses to create objects in namespaces that are not there, or are about to go.
#[derive(Debug)]
pub(super) struct NamespaceLifecycle(pub(super) ClusterNamespaces);

#[async_trait]
impl Admission for NamespaceLifecycle {
    /// Before anybody else is asked.
    async fn mutate(&self, _ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        let namespace = &request.key.namespace;
        if request.verb != Verb::Create || namespace.is_empty() {
            return Ok(());
        }
        let found = self.0.find(namespace).await?;
        let terminating = found.metadata.deletion_timestamp.is_some()
            || found.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Terminating"));
        if terminating {
            let name = shown_name(request, Some(object));
            return Err(ApiError::namespace_terminating(request.descriptor.group_resource(), &name, namespace));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
