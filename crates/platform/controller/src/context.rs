//! What every pass of a controller shares.

use crate::backoff::Backoff;
use crate::config::Config;
use crate::events::Events;
use crate::helm::{HelmRunner, Kubeconfig};
use crate::metrics::Metrics;
use jiff::Timestamp;
use std::sync::Arc;
use vci_virtualcluster::Connector;

/// The parts of a controller.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) clients: Clients,
    pub(crate) connector: Connector,
    pub(crate) helm: Arc<dyn HelmRunner>,
    /// How helm reaches the host cluster.
    pub(crate) host_kubeconfig: Kubeconfig,
    pub(crate) events: Events,
    pub(crate) backoff: Backoff,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: fn() -> Timestamp,
}

/// The two APIs that a controller works with.
#[derive(Clone)]
pub struct Clients {
    /// That of management.loft.sh: where instances are.
    pub management: kube::Client,
    /// That of the host cluster: where their virtual clusters are made.
    pub host: kube::Client,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}
