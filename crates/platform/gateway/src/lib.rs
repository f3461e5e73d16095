//! The way into virtual clusters: `/kubernetes/project/P/virtualcluster/N/...` is the Kubernetes API of instance N of project P.
//!
//! A caller who may `use` the instance is known inside by their own name and by the roles that the template and the instance give them
//! ([`vci_management::virtualclusterinstance::roles`]). The gateway speaks with the certificate of the virtual cluster's administrator,
//! on behalf of that caller, and never without saying so. Authentication, permission, bounds, audit, metrics, and the end of requests
//! whose caller may no longer have them are the library's ([`apiserver_endpoints::Proxy`]).
//!
//! Refused: what is in requests and answers. They pass as they are.
#![warn(missing_docs)]

mod activity;
mod errors;
mod foreign;
mod held_stream;
mod impersonation;
mod instance;
mod kubeconfig;
mod path;
mod proxy;
mod sleep;
#[cfg(test)]
mod tests;
mod upstream;

use activity::Activity;
use apiserver_endpoints::{Proxy, VirtualResource};
pub use apiserver_host::ConnectError as HostError;
use apiserver_host::{HostCluster, Source};
use apiserver_meta::VirtualDescriptor;
use apiserver_registry::Registry;
use apiserver_server::{Extension, StartError, Started};
use async_trait::async_trait;
use kubeconfig::{KubeConfigs, OwnUrl};
use proxy::{Host, VirtualClusterProxy};
use std::sync::{Arc, OnceLock};
use vci_management::plural;
use vci_management::virtualclusterinstance::kubeconfig::INSTANCE_KUBECONFIG;
use vci_virtualcluster::{Connector, Route};

/// The configuration of the gateway.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of project P is this followed by P.
    pub namespace_prefix: String,
    /// The host cluster of the virtual clusters; without one they cannot be reached. From inside of it they are reached by their
    /// Services, by a kubeconfig through its port-forward API.
    pub host_cluster: Option<Source>,
}

/// The gateway of one server.
#[derive(Debug)]
pub struct Gateway {
    namespace_prefix: String,
    connector: Option<Connector>,
    activity: OnceLock<Arc<Activity>>,
    own_url: OwnUrl,
}

impl Gateway {
    /// One that is configured like this. Nothing is connected to yet.
    ///
    /// # Errors
    /// The host cluster's configuration cannot be used.
    pub async fn new(config: Config) -> Result<Self, HostError> {
        let Config { namespace_prefix, host_cluster } = config;
        let connector = match host_cluster {
            Some(source) => {
                let route = match source {
                    Source::InCluster => Route::Service,
                    Source::File(_) => Route::PortForward,
                };
                Some(Connector::new(HostCluster::new(&source).await?.client().clone(), route))
            }
            None => None,
        };
        Ok(Self { namespace_prefix, connector, activity: OnceLock::new(), own_url: OwnUrl::default() })
    }

    /// One whose virtual clusters are reached like this.
    #[cfg(test)]
    pub(crate) fn with_connector(namespace_prefix: &str, connector: Option<Connector>) -> Self {
        Self { namespace_prefix: namespace_prefix.to_owned(), connector, activity: OnceLock::new(), own_url: OwnUrl::default() }
    }

    fn activity(&self, instances: &Arc<Registry>) -> Arc<Activity> {
        Arc::clone(self.activity.get_or_init(|| Activity::new(Arc::clone(instances))))
    }
}

#[async_trait]
impl Extension for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn proxies(&self, registries: &[Arc<Registry>]) -> Vec<Arc<dyn Proxy>> {
        let Some(instances) = registries.iter().find(|registry| registry.descriptor().plural == plural::INSTANCES) else {
            return Vec::new();
        };
        vec![Arc::new(VirtualClusterProxy {
            instances: Arc::clone(instances),
            namespace_prefix: self.namespace_prefix.clone(),
            activity: self.activity(instances),
            host: self.connector.as_ref().map(Host::new),
        })]
    }

    fn virtual_resources(&self, registries: &[Arc<Registry>]) -> Vec<Arc<dyn VirtualResource>> {
        let clusters = registries.iter().find(|registry| registry.descriptor().plural == plural::CLUSTERS);
        vec![Arc::new(KubeConfigs {
            connector: self.connector.clone(),
            clusters: clusters.cloned(),
            namespace_prefix: self.namespace_prefix.clone(),
            own_url: Arc::clone(&self.own_url),
        })]
    }

    /// A kubeconfig may hold a private key.
    fn confidential(&self) -> Vec<&'static VirtualDescriptor> {
        vec![&INSTANCE_KUBECONFIG]
    }

    async fn post_start(&self, started: &Started<'_>) -> Result<(), StartError> {
        // A server starts once.
        let _ = self.own_url.set((started.url.to_owned(), started.ca_certificate.to_owned()));
        if let Some(activity) = self.activity.get() {
            let (activity, stop) = (Arc::clone(activity), started.stop.clone());
            tokio::spawn(async move { stop.run_until_cancelled(activity.follow_streams()).await });
        }
        Ok(())
    }
}
