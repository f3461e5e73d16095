//! In which order a server starts and stops.
//!
//! First everything that can be refused without touching anything ([`Prepared::new`]). Then it listens, and answers what it
//! knows without its store, for a cluster that finds nobody listening takes the whole API for lost; everything else is told
//! to come back. With the store at hand come the rest: caches, the extensions' first objects, and only then all requests.
//! To stop: see [`stop`].

mod authorizers;
mod callers;
mod certificate;
mod connection_runtime;
mod deferred_store;
mod routes;
mod start;
mod stop;

pub(crate) use deferred_store::DeferredStore;

use crate::audit::AuditPlan;
use crate::config::{Config, ServingCertificate};
use crate::extension::{Extension, Extensions};
use crate::otlp::TracingPlan;
use crate::signals::Signals;
use crate::tls::{Named, Serving};
use crate::trust::Trusted;
use crate::{StartError, listen};
use apiserver_host::HostCluster;
use apiserver_meta::Resource;
use apiserver_store::Store;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A server whose configuration was found to be good, and which has its port.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    resources: Vec<Arc<dyn Resource>>,
    extensions: Extensions,
    /// Read from files; a self-made one is made later, because making it writes files.
    serving: Option<Arc<Serving>>,
    named: Vec<Named>,
    trusted: Trusted,
    audit: Option<AuditPlan>,
    host_cluster: Option<HostCluster>,
    tracing: Option<TracingPlan>,
    listener: TcpListener,
    address: SocketAddr,
}

/// A server that answers.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its URL, for clients on this machine.
    pub url: String,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every request had its end, or its time.
    Drained,
    /// Asked a second time, it left at once.
    AtOnce,
}

/// A server that serves any API: kinds, what a product adds to them, and how it is to run.
#[derive(Debug)]
pub struct ApiServer {
    config: Config,
    resources: Vec<Arc<dyn Resource>>,
    extensions: Extensions,
}

impl ApiServer {
    /// A server that runs like this. It serves nothing until it is told to.
    pub fn builder(config: Config) -> Self {
        Self { config, resources: Vec::new(), extensions: Extensions::default() }
    }

    /// Serves these kinds as well, in the order of discovery.
    #[must_use]
    pub fn resources(mut self, resources: impl IntoIterator<Item = Arc<dyn Resource>>) -> Self {
        self.resources.extend(resources);
        self
    }

    /// With what a product adds.
    #[must_use]
    pub fn extension(mut self, extension: Arc<dyn Extension>) -> Self {
        self.extensions.0.push(extension);
        self
    }

    /// Reads and checks what the configuration names, and takes the port. Nothing is written.
    ///
    /// # Errors
    /// What the operator has to mend.
    pub async fn prepare(self) -> Result<Prepared, StartError> {
        let Self { config, resources, extensions } = self;
        let serving = match &config.serving_certificate {
            ServingCertificate::SelfMade => None,
            ServingCertificate::Files { certificate, key } => Some(Serving::from_files(certificate, key)?),
        };
        let named = config.sni_certificates.iter().map(Named::read).collect::<Result<_, _>>()?;
        let trusted = Trusted::read(&config.trust)?;
        let audit = config.audit.as_ref().map(AuditPlan::read).transpose()?;
        let tracing = config.tracing.as_deref().map(TracingPlan::read).transpose()?;
        let host_cluster = match &config.host_cluster {
            Some(source) => Some(HostCluster::new(source).await?),
            None => None,
        };
        let wanted = SocketAddr::new(config.bind_address, config.secure_port);
        let refused = |source| StartError::Listen { address: wanted, source };
        let listener = listen::bind(wanted).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Prepared { config, resources, extensions, serving, named, trusted, audit, host_cluster, tracing, listener, address })
    }
}

impl Prepared {
    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the signals say otherwise. It listens at once, and says that it is not ready, while `store` is being
    /// opened: whatever is known without it is answered. `announce` is called once, when everything is answered.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run<E: From<StartError>>(
        self,
        store: impl Future<Output = Result<Arc<dyn Store>, E>> + Send,
        mut signals: Signals,
        announce: impl FnOnce(&Ready) + Send,
    ) -> Result<Stopped, E> {
        let (address, caches_end) = (self.address, CancellationToken::new());
        let _end_caches = caches_end.clone().drop_guard();
        let (server, startup) = self.listen(&caches_end)?;
        let filled = async { Ok::<_, E>(startup.finish_start(store.await?, &caches_end).await?) };
        tokio::select! {
            ready = filled => {
                announce(&ready?);
                tracing::info!(%address, "serving");
                signals.next().await;
            }
            () = signals.next() => {}
        }
        Ok(server.stop(signals).await?)
    }
}
