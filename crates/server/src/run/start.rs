//! How a server starts: everything is wired, on a store that may come later, and it listens; then the store comes, the caches
//! fill, and the first objects are made.

use super::callers::{Callers, authorizers};
use super::connection_runtime::ConnectionRuntime;
use super::late_store::LateStore;
use super::routes::{self, Stores};
use super::{Prepared, Ready, certificate};
use crate::admission::Rules;
use crate::audit::AuditLog;
use crate::bootstrap::{self, Administrator, Manifest, Registries};
use crate::clock::unix_seconds;
use crate::config::{Config, Shutdown};
use crate::directory_feed::DirectoryFeed;
use crate::host_cluster::Host;
use crate::key_activity::KeyActivity;
use crate::listen::{Ends, Listening};
use crate::metrics::{self, Admissions, FailedHandshakes, Measured};
use crate::otlp::Traces;
use crate::quota::QuotaStatus;
use crate::{StartError, leftovers, orphaned_keys, private_file};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use vci_auth::directory::Directory;
use vci_endpoints::{Lifecycle, Phase};
use vci_meta::{Resource, Scope};
use vci_registry::{CacheConfig, Registry};
use vci_store::Store;

/// A server that listens: what it takes to stop it.
pub(super) struct Server {
    pub(super) serving: JoinHandle<std::io::Result<()>>,
    pub(super) ends: Ends,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) registries: Vec<Arc<Registry>>,
    pub(super) activity: KeyActivity,
    pub(super) audit: Option<Arc<AuditLog>>,
    pub(super) traces: Option<Arc<Traces>>,
    pub(super) shutdown: Shutdown,
    pub(super) drain_timeout: Duration,
    _listens: DropGuard,
    _connections: ConnectionRuntime,
}

/// What it still lacks.
pub(super) struct Filling {
    config: Config,
    url: String,
    ca_certificate: String,
    manifests: Vec<Manifest>,
    store: Arc<LateStore>,
    registries: Registries,
    directory: Arc<Directory>,
    activity: KeyActivity,
    lifecycle: Arc<Lifecycle>,
}

impl Prepared {
    /// Wires everything and listens. What runs in the background ends with `stop`.
    pub(super) fn listen(mut self, stop: &CancellationToken) -> Result<(Server, Filling), StartError> {
        private_file::make_dir(&self.config.data_dir)?;
        let (tls, ca_certificate) = certificate::show(&mut self, stop)?;
        let Self { config, resources, manifests, trusted, audit, host_cluster, tracing, listener, address, .. } = self;
        let audit = audit.map(|plan| AuditLog::open(plan, &resources)).transpose()?;
        let traces = tracing.map(|plan| Traces::start(&plan, &config.version)).transpose()?;

        let given = Arc::new(LateStore::default());
        let (store, calls) = Measured::around(Arc::<LateStore>::clone(&given), resources.iter().map(|resource| resource.descriptor()));
        let directory = Arc::new(Directory::new(config.project_namespace_prefix.as_str()));
        let host = host_cluster.map(|cluster| Host::new(cluster, &config.trust, &directory));
        let permissions = authorizers(&directory, host.iter().map(Host::bypass));
        let rules =
            Rules::new(Arc::clone(&directory), permissions, Arc::clone(&store), &resources, config.project_namespace_prefix.as_str());
        let rules = rules.with_longest_key_life(config.access_key_max_ttl);
        let rules = rules.and_then(host.iter().flat_map(|host| vci_cluster::admission::chain(&host.cluster, stop)));
        let admissions = Arc::new(Admissions::default());
        let all = start_registries(&rules, &resources, &store, &admissions, stop)?;
        let feed = DirectoryFeed::start(&directory, &all, stop);
        let registries = Registries { all, feed };
        let callers = Callers::known(trusted, host.as_ref(), &directory, &registries.all, stop);
        let activity = KeyActivity::new(Arc::clone(&directory), Arc::clone(registries.find("ownedaccesskeys")?));

        let lifecycle = Arc::new(Lifecycle::new(Phase::Starting));
        let stores = Stores { given: Arc::clone(&given), used: store };
        let handshakes = Arc::new(FailedHandshakes::default());
        let mut counters: Vec<Arc<dyn metrics::Source>> = vec![calls, admissions, Arc::<FailedHandshakes>::clone(&handshakes)];
        counters.extend(host.iter().flat_map(metrics::review_sources));
        let router = routes::router(&config, registries.all.clone(), callers, stores, Arc::clone(&lifecycle), audit.as_ref(), counters);
        let router = match &traces {
            Some(traces) => traces.around(router),
            None => router,
        };
        let ends = Ends::default();
        let listening = Listening {
            tls,
            router,
            path_prefix: config.path_prefix.clone(),
            bounds: config.connections.clone(),
            ends: ends.clone(),
            failed_handshakes: handshakes,
            handlers: Handle::current(),
        };
        let connections = ConnectionRuntime::start()?;
        let server = Server {
            serving: connections.spawn(listening.serve(listener)),
            _connections: connections,
            _listens: ends.connections.clone().drop_guard(),
            ends,
            lifecycle: Arc::clone(&lifecycle),
            registries: registries.all.clone(),
            activity: activity.clone(),
            audit,
            traces,
            shutdown: config.shutdown.clone(),
            drain_timeout: config.connections.drain_timeout,
        };
        let url = Config::local_url(address);
        Ok((server, Filling { config, url, ca_certificate, manifests, store: given, registries, directory, activity, lifecycle }))
    }
}

impl Filling {
    /// With the store at hand, does the rest, after which the server answers everything.
    pub(super) async fn fill(self, store: Arc<dyn Store>, stop: &CancellationToken) -> Result<Ready, StartError> {
        let Self { config, url, ca_certificate, manifests, store: late, registries, directory, activity, lifecycle } = self;
        late.open(store);
        for registry in &registries.all {
            registry.cache().ready().await;
        }
        registries.feed.filled().await;
        let administrator = Administrator {
            kubeconfig: &config.data_dir.join("admin.kubeconfig"),
            server: &url,
            ca_certificate: &ca_certificate,
            namespace_prefix: &config.project_namespace_prefix,
            store_use: config.store_use,
        };
        let kubeconfig = bootstrap::first_objects(&registries, &directory, manifests, administrator, unix_seconds()).await?;

        let (projects, instances) = (registries.find("projects")?, registries.find("virtualclusterinstances")?);
        let quotas = QuotaStatus::new(Arc::clone(projects), Arc::clone(instances), config.project_namespace_prefix.as_str());
        tokio::spawn(quotas.run(stop.clone()));
        if config.host_cluster.is_none() {
            // A cluster has a garbage collector of its own.
            tokio::spawn(vci_registry::collector::collect(registries.all.clone(), stop.clone()));
        }
        tokio::spawn(orphaned_keys::delete(Arc::clone(&directory), registries.clone(), stop.clone()));
        tokio::spawn(leftovers::clear(registries.all, config.project_namespace_prefix, stop.clone()));
        tokio::spawn(activity.run(stop.clone()));
        lifecycle.enter(Phase::Serving);
        Ok(Ready { url, kubeconfig })
    }
}

/// Starts the kinds of the whole cluster first: what lives in namespaces asks the projects.
pub(crate) fn start_registries(
    rules: &Rules,
    resources: &[Arc<dyn Resource>],
    store: &Arc<dyn Store>,
    admissions: &Arc<Admissions>,
    stop: &CancellationToken,
) -> Result<Vec<Arc<Registry>>, StartError> {
    let start = |resource: &Arc<dyn Resource>, admission| {
        Registry::start(Arc::clone(resource), Arc::clone(store), admissions.around(admission), CacheConfig::standard(), stop.clone())
    };
    let of_cluster = |resource: &Arc<dyn Resource>| {
        let descriptor = resource.descriptor();
        (descriptor.scope == Scope::Cluster).then(|| start(resource, rules.of_cluster(descriptor.plural)))
    };
    let mut started: Vec<Option<Arc<Registry>>> = resources.iter().map(of_cluster).collect();
    let projects = started.iter().flatten().find(|registry| registry.descriptor().plural == "projects").cloned();
    let projects = projects.ok_or_else(|| StartError::Internal("projects are not served".into()))?;
    let admission = rules.of_namespaces(projects);
    for (slot, resource) in started.iter_mut().zip(resources) {
        slot.get_or_insert_with(|| start(resource, admission.clone()));
    }
    let started: Vec<_> = started.into_iter().flatten().collect();
    rules.started(&started);
    Ok(started)
}
