//! The start of a server, in two steps. First everything is wired, on a store that may be opened later, and the server listens. Then
//! the store is opened, the caches load, and the extensions create their first objects.

use super::authorizers::Authorizers;
use super::callers::Callers;
use super::connection_runtime::ConnectionRuntime;
use super::deferred_store::DeferredStore;
use super::routes::{self, Served, Stores};
use super::{Prepared, Ready, certificate};
use crate::admission::Permissions;
use crate::audit::{AuditLog, Confidential};
use crate::config::{Config, Shutdown};
use crate::extension::{AdmissionParts, Extension, Extensions, Started};
use crate::host_cluster::Host;
use crate::listen::{Listening, ShutdownSignals};
use crate::loopback::{Loopback, LoopbackToken};
use crate::metrics::{self, Admissions, FailedHandshakes, InstrumentedStore};
use crate::otlp::Traces;
use crate::{StartError, private_file};
use apiserver_endpoints::{Lifecycle, Phase, RequestInfoResolver};
use apiserver_meta::{Descriptor, Resource};
use apiserver_registry::{Admission, CacheConfig, Registries, Registry, SharedStore};
use apiserver_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that listens: what it takes to stop it.
pub(super) struct Server {
    pub(super) serving: JoinHandle<std::io::Result<()>>,
    pub(super) signals: ShutdownSignals,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) registries: Vec<Arc<Registry>>,
    pub(super) extensions: Extensions,
    pub(super) audit: Option<Arc<AuditLog>>,
    pub(super) traces: Option<Arc<Traces>>,
    pub(super) shutdown: Shutdown,
    pub(super) drain_timeout: Duration,
    _listens: DropGuard,
    _connections: ConnectionRuntime,
}

/// The rest of the start, once the store is open.
pub(super) struct StartupState {
    config: Config,
    url: String,
    ca_certificate: String,
    loopback: Loopback,
    store: Arc<DeferredStore>,
    registries: Vec<Arc<Registry>>,
    extensions: Extensions,
    lifecycle: Arc<Lifecycle>,
}

impl Prepared {
    /// Wires everything and listens. Background tasks end with `stop`.
    pub(super) fn listen(mut self, stop: &CancellationToken) -> Result<(Server, StartupState), StartError> {
        private_file::make_dir(&self.config.data_dir)?;
        let (tls, ca_certificate) = certificate::serving_config(&mut self, stop)?;
        let Self { config, resources, extensions, trusted, audit, host_cluster, tracing, listener, address, .. } = self;
        let identities = extensions.identities()?;
        let confidential = Confidential::new(&resources, extensions.iter().flat_map(Extension::confidential).collect());
        let audit = audit.map(|plan| AuditLog::open(plan, confidential)).transpose()?;
        let traces = tracing.map(|plan| Traces::start(&plan, &config.version)).transpose()?;
        let given = Arc::new(DeferredStore::default());
        let (store, calls) =
            InstrumentedStore::around(Arc::<DeferredStore>::clone(&given), resources.iter().map(|resource| resource.descriptor()));
        let bypass = extensions.iter().find_map(Extension::bypass);
        let host = host_cluster.map(|cluster| Host::new(cluster, &config.trust, &identities, bypass));
        let admissions = Arc::new(Admissions::default());
        let authorizers = Authorizers::new(&extensions, host.as_ref());
        let rules =
            Rules::new(&extensions, host.as_ref(), Arc::new(Permissions::new(authorizers.of_questions())), &resources, &store, stop);
        let registries = start_registries(&rules, &admissions, stop);
        for extension in extensions.iter() {
            extension.follow(&registries, stop)?;
        }
        let loopback = LoopbackToken::new()?;
        let mut callers = Callers::known(trusted, host.as_ref(), &extensions, &identities, authorizers.of_requests(), &registries, stop);
        callers.authenticators.insert(0, loopback.authenticator());
        let lifecycle = Arc::new(Lifecycle::new(Phase::Starting));
        let stores = Stores { given: Arc::clone(&given), used: store };
        let handshakes = Arc::new(FailedHandshakes::default());
        let mut counters: Vec<Arc<dyn metrics::Source>> = vec![calls, admissions, Arc::<FailedHandshakes>::clone(&handshakes)];
        counters.extend(host.iter().flat_map(metrics::review_sources));
        let proxies: Vec<_> = extensions.iter().flat_map(|extension| extension.proxies(&registries)).collect();
        let requests = RequestInfoResolver::new(&config.path_prefix, proxies.clone());
        let served = Served { extensions: &extensions, registries: registries.clone(), proxies, callers, stores };
        let router = routes::router(&config, served, Arc::clone(&lifecycle), audit.as_ref(), counters);
        let router = match &traces {
            Some(traces) => traces.around(router),
            None => router,
        };
        let signals = ShutdownSignals::default();
        let loopback = loopback.client(router.clone())?;
        let listening = Listening {
            tls,
            router,
            requests,
            bounds: config.connections.clone(),
            signals: signals.clone(),
            failed_handshakes: handshakes,
            handlers: Handle::current(),
            kinds: registries.iter().map(|registry| registry.descriptor()).collect(),
        };
        let connections = ConnectionRuntime::start()?;
        let server = Server {
            serving: connections.spawn(listening.serve(listener)),
            _connections: connections,
            _listens: signals.connections.clone().drop_guard(),
            signals,
            lifecycle: Arc::clone(&lifecycle),
            registries: registries.clone(),
            extensions: extensions.clone(),
            audit,
            traces,
            shutdown: config.shutdown.clone(),
            drain_timeout: config.connections.drain_timeout,
        };
        let url = Config::local_url(address);
        Ok((server, StartupState { config, url, ca_certificate, loopback, store: given, registries, extensions, lifecycle }))
    }
}

impl StartupState {
    /// Opens the store and finishes the start. After it every request is served.
    pub(super) async fn finish_start(self, store: Arc<dyn Store>, stop: &CancellationToken) -> Result<Ready, StartError> {
        let Self { config, url, ca_certificate, loopback, store: late, registries, extensions, lifecycle } = self;
        late.open(store);
        for registry in &registries {
            registry.cache().ready().await;
        }
        let started = Started {
            registries: &registries,
            url: &url,
            ca_certificate: &ca_certificate,
            loopback: &loopback,
            data_dir: &config.data_dir,
            store_use: config.store_use,
            stop,
        };
        for extension in extensions.iter() {
            extension.post_start(&started).await?;
        }
        if config.host_cluster.is_none() {
            // A cluster has a garbage collector of its own.
            tokio::spawn(apiserver_registry::garbage_collector::collect(registries, stop.clone()));
        }
        lifecycle.enter(Phase::Serving);
        Ok(Ready { url })
    }
}

/// The admission of every kind.
struct Rules<'a> {
    extensions: &'a Extensions,
    parts: AdmissionParts,
    of_host: Vec<Arc<dyn Admission>>,
}

impl<'a> Rules<'a> {
    fn new(
        extensions: &'a Extensions,
        host: Option<&Host>,
        permissions: Arc<Permissions>,
        resources: &[Arc<dyn Resource>],
        store: &Arc<dyn Store>,
        stop: &CancellationToken,
    ) -> Self {
        let of_host = host.map(|host| apiserver_host::admission::chain(&host.cluster, stop).into_iter().collect()).unwrap_or_default();
        let (store, resources) = (Arc::clone(store), resources.to_vec());
        let parts = AdmissionParts { store, resources, permissions, registries: Registries::default() };
        Self { extensions, parts, of_host }
    }

    /// Returns the plugins for a kind. Those of this server come first: a request that they refuse costs the host cluster nothing.
    fn of(&self, kind: &Descriptor) -> Vec<Arc<dyn Admission>> {
        let mut rules = self.parts.owner_references();
        rules.extend(self.extensions.iter().flat_map(|extension| extension.admission(kind, &self.parts)));
        if self.extensions.shows_to_host(kind) {
            rules.extend(self.of_host.iter().cloned());
        }
        rules
    }
}

fn start_registries(rules: &Rules<'_>, admissions: &Arc<Admissions>, stop: &CancellationToken) -> Vec<Arc<Registry>> {
    let AdmissionParts { store, resources, registries, .. } = &rules.parts;
    let store = SharedStore::from(Arc::clone(store));
    let start = |resource: &Arc<dyn Resource>| {
        let admission = admissions.around(rules.of(resource.descriptor()));
        Registry::start(Arc::clone(resource), store.clone(), admission, CacheConfig::standard(), stop.clone())
    };
    let started: Vec<_> = resources.iter().map(start).collect();
    registries.fill(&started);
    started
}
