//! The controller: as a command of its own, and in the process of a server.

mod command;
mod flags;
mod in_server;

pub(crate) use command::{Controller, run};
pub(crate) use flags::Flags;
pub(crate) use in_server::InServer;

use apiserver_host::{HostCluster, Source};
use std::sync::Arc;
use vci_controller::helm::{Helm, Kubeconfig, Limits};
use vci_controller::{Metrics, kubeconfig};
use vci_virtualcluster::Route;

/// What a controller needs of the host cluster and of this machine.
#[derive(Clone, Debug)]
struct Host {
    cluster: HostCluster,
    kubeconfig: Kubeconfig,
    helm: Arc<Helm>,
    config: vci_controller::Config,
    metrics: Arc<Metrics>,
}

impl Host {
    /// Reads and looks; nothing is changed.
    async fn new(source: &Source, flags: &Flags, project_namespace_prefix: &str) -> Result<Self, String> {
        let (kubeconfig, route) = match source {
            Source::InCluster => (kubeconfig::in_cluster()?, Route::Service),
            Source::File(path) => (kubeconfig::of_file(path)?, Route::PortForward),
        };
        let cluster = HostCluster::new(source).await.map_err(|error| error.to_string())?;
        let config = flags.config(project_namespace_prefix, route);
        let limits = Limits { concurrent: usize::from(config.concurrent_syncs), ..Limits::default() };
        let helm = Helm::new(config.helm.clone(), limits).await.map_err(|error| error.to_string())?;
        let metrics = Arc::new(Metrics::new(config.concurrent_syncs));
        Ok(Self { cluster, kubeconfig, helm: Arc::new(helm), config, metrics })
    }

    /// The parts of a controller that works with this API of management.loft.sh.
    fn parts(self, management: kube::Client) -> vci_controller::Parts {
        let Self { cluster, kubeconfig, helm, config, metrics } = self;
        let host = cluster.client().clone();
        vci_controller::Parts {
            connector: vci_virtualcluster::Connector::new(host.clone(), config.route),
            clients: vci_controller::Clients { management, host },
            host_kubeconfig: kubeconfig,
            helm,
            metrics,
            identity: identity(),
            config,
        }
    }
}

/// A name that no other process has.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "vci-controller".into());
    format!("{host}_{}", std::process::id())
}
