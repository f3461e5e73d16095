//! In which order a server starts and stops.
//!
//! First everything that can be refused without touching anything ([`Prepared::new`]), then, with the store at hand, the
//! rest: certificates, caches, directory, first objects, and only then requests. To stop: not ready, no new connections,
//! watches end, requests end, caches end.

use crate::admission::Rules;
use crate::bootstrap::{self, Administrator, Manifest, Registries};
use crate::clock::unix_seconds;
use crate::config::{Config, ServingCertificate, StoreUse};
use crate::directory_feed::DirectoryFeed;
use crate::health::{CachesFilled, NotStopping, StoreReachable, StoreWritable};
use crate::key_activity::KeyActivity;
use crate::quota::QuotaStatus;
use crate::signals::Signals;
use crate::tls::{self, Serving};
use crate::trust::Trusted;
use crate::{StartError, access_changes, answers, compaction, leftovers, listen, pki, private_file};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vci_auth::directory::Directory;
use vci_auth::{AccessKeys, AlwaysAllowedPaths, Authenticator, Authorizer, KeyScopes, Masters, ProjectRules};
use vci_meta::{Resource, Scope};
use vci_registry::{CacheConfig, Registry};
use vci_store::Store;

/// The folder of the self-made certificates, in the data directory.
const PKI: &str = "pki";
/// How often a self-made certificate is looked at; it is made anew weeks before it expires.
const RENEWAL_PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

/// A server whose configuration was found to be good, and which has its port.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    resources: Vec<Arc<dyn Resource>>,
    manifests: Vec<Manifest>,
    /// Read from files; a self-made one is made later, because making it writes files.
    serving: Option<Arc<Serving>>,
    trusted: Trusted,
    listener: TcpListener,
    address: SocketAddr,
}

/// A server that answers.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its URL, for clients on this machine.
    pub url: String,
    /// The administrator's kubeconfig, if this server has made one.
    pub kubeconfig: Option<PathBuf>,
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every request had its end, or its time.
    Drained,
    /// Asked a second time, it left at once.
    AtOnce,
}

impl Prepared {
    /// Reads and checks what the configuration names, and takes the port. Nothing is written. `resources` are the
    /// kinds to be served, in the order of discovery.
    ///
    /// # Errors
    /// What the operator has to mend.
    pub fn new(config: Config, resources: Vec<Arc<dyn Resource>>) -> Result<Self, StartError> {
        let serving = match &config.serving_certificate {
            ServingCertificate::SelfMade => None,
            ServingCertificate::Files { certificate, key } => Some(Serving::from_files(certificate, key)?),
        };
        let trusted = Trusted::read(&config.trust)?;
        let mut manifests = Vec::new();
        for file in &config.bootstrap {
            manifests.extend(bootstrap::read_manifests(file, &resources)?);
        }
        let wanted = SocketAddr::new(config.bind_address, config.secure_port);
        let refused = |source| StartError::Listen { address: wanted, source };
        let listener = listen::bind(wanted).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { config, resources, manifests, serving, trusted, listener, address })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the signals say otherwise. `announce` is called once, when the server answers.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run(
        self,
        store: Arc<dyn Store>,
        mut signals: Signals,
        announce: impl FnOnce(&Ready) + Send,
    ) -> Result<Stopped, StartError> {
        let caches_end = CancellationToken::new();
        let _end_caches = caches_end.clone().drop_guard();
        let (bounds, address) = (self.config.connections.clone(), self.address);
        let started = tokio::select! {
            started = self.start(store, &caches_end) => started?,
            () = signals.next() => return Ok(Stopped::Drained),
        };
        let Started { listener, tls, router, registries, activity, stopping, ready } = started;
        let listener_stop = CancellationToken::new();
        let serving = tokio::spawn(listen::serve(listener, tls, router, bounds, listener_stop.clone()));
        announce(&ready);
        tracing::info!(%address, "serving");
        signals.next().await;
        tracing::info!("stopping: waiting for requests to end");
        stopping.cancel();
        listener_stop.cancel();
        let drained = async {
            let ended = serving.await;
            activity.finish().await;
            // Writes whose clients went away are carried to their end as well.
            futures::future::join_all(registries.iter().map(|registry| registry.drain())).await;
            ended.map(|()| Stopped::Drained).map_err(|error| StartError::Internal(error.to_string()))
        };
        tokio::select! {
            stopped = drained => stopped,
            () = signals.next() => Ok(Stopped::AtOnce),
        }
    }

    async fn start(self, store: Arc<dyn Store>, stop: &CancellationToken) -> Result<Started, StartError> {
        let Self { config, resources, manifests, serving, trusted, listener, address } = self;
        private_file::make_dir(&config.data_dir)?;
        let directory = Arc::new(Directory::new(config.project_namespace_prefix.as_str()));
        let authorizers = authorizers(&directory);
        let all = start_registries(&config.project_namespace_prefix, &resources, &store, &directory, &authorizers, stop)?;
        let feed = DirectoryFeed::start(&directory, &all, stop);
        let access_changes = access_changes::follow(&directory, &all, stop);
        // Made while the caches fill.
        let (serving, ca_certificate) = match serving {
            Some(serving) => (serving, String::new()),
            None => self_made(&config)?,
        };
        tokio::spawn(keep_certificate(Arc::clone(&serving), config.clone(), stop.clone()));
        if config.store_use == StoreUse::Shared {
            tokio::spawn(compaction::run(Arc::clone(&store), compaction::KEEP, stop.clone()));
        }
        for registry in &all {
            registry.cache().ready().await;
        }
        feed.filled().await;

        let registries = Registries { all, feed };
        let url = Config::local_url(address);
        let administrator = Administrator {
            kubeconfig: &config.data_dir.join("admin.kubeconfig"),
            server: &url,
            ca_certificate: &ca_certificate,
            namespace_prefix: &config.project_namespace_prefix,
            store_use: config.store_use,
        };
        let kubeconfig = bootstrap::first_objects(&registries, &directory, manifests, administrator, unix_seconds()).await?;
        let stopping = CancellationToken::new();
        let tls = serving.server_config()?;
        let keys = Arc::clone(registries.find("ownedaccesskeys")?);
        let (projects, instances) = (registries.find("projects")?, registries.find("virtualclusterinstances")?);
        let quotas = QuotaStatus::new(Arc::clone(projects), Arc::clone(instances), config.project_namespace_prefix.as_str());
        tokio::spawn(quotas.run(stop.clone()));
        let registries = registries.all;
        tokio::spawn(vci_registry::collector::collect(registries.clone(), stop.clone()));
        tokio::spawn(leftovers::clear(registries.clone(), config.project_namespace_prefix.clone(), stop.clone()));
        let activity = KeyActivity::new(Arc::clone(&directory), keys);
        tokio::spawn(activity.clone().run(stop.clone()));
        let mut authenticators = trusted.authenticators(&directory);
        authenticators.push(Arc::new(AccessKeys::new(Arc::clone(&directory))));
        tokio::spawn(trusted.follow(stop.clone()));
        let callers = Callers { directory, authenticators, authorizers, access_changes };
        let router = router(&config, registries.clone(), callers, store, stopping.clone());
        Ok(Started { listener, tls, router, registries, activity, stopping, ready: Ready { url, kubeconfig } })
    }
}

struct Started {
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: axum::Router,
    registries: Vec<Arc<Registry>>,
    activity: KeyActivity,
    stopping: CancellationToken,
    ready: Ready,
}

/// Starts the kinds of the whole cluster first: what lives in namespaces asks the projects.
pub(crate) fn start_registries(
    namespace_prefix: &str,
    resources: &[Arc<dyn Resource>],
    store: &Arc<dyn Store>,
    directory: &Arc<Directory>,
    authorizers: &[Arc<dyn Authorizer>],
    stop: &CancellationToken,
) -> Result<Vec<Arc<Registry>>, StartError> {
    let rules = Rules::new(Arc::clone(directory), authorizers.to_vec(), Arc::clone(store), resources, namespace_prefix);
    let start = |resource: &Arc<dyn Resource>, admission| {
        Registry::start(Arc::clone(resource), Arc::clone(store), admission, CacheConfig::standard(), stop.clone())
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
    Ok(started.into_iter().flatten().collect())
}

/// Who decides what callers may do, in this order.
pub(crate) fn authorizers(directory: &Arc<Directory>) -> Vec<Arc<dyn Authorizer>> {
    vec![
        Arc::new(AlwaysAllowedPaths),
        Arc::new(KeyScopes::new(Arc::clone(directory))),
        Arc::new(Masters),
        Arc::new(ProjectRules::new(Arc::clone(directory))),
    ]
}

fn self_made(config: &Config) -> Result<(Arc<Serving>, String), StartError> {
    let made = make_certificate(config)?;
    let serving = Serving::new(made.certificate.as_bytes(), made.key.as_bytes());
    let refused = |why| StartError::Certificate { path: config.data_dir.join(PKI), why };
    Ok((serving.map_err(refused)?, made.ca_certificate))
}

fn make_certificate(config: &Config) -> Result<pki::SelfMade, StartError> {
    pki::self_made(&config.data_dir.join(PKI), &pki::serving_names(config.bind_address), unix_seconds())
}

/// Shows renewed certificates: those that somebody else writes, or its own before they expire.
async fn keep_certificate(serving: Arc<Serving>, config: Config, stop: CancellationToken) {
    if let ServingCertificate::Files { certificate, key } = config.serving_certificate {
        return tls::follow_files(serving, certificate, key, stop).await;
    }
    while stop.run_until_cancelled(tokio::time::sleep(RENEWAL_PERIOD)).await.is_some() {
        let config = config.clone();
        let made = tokio::task::spawn_blocking(move || make_certificate(&config)).await;
        let shown = match made {
            Ok(Ok(made)) => serving.replace(made.certificate.as_bytes(), made.key.as_bytes()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = shown {
            tracing::warn!(why, "serving certificate is not renewed");
        }
    }
}

/// Who callers are and what they may do.
struct Callers {
    directory: Arc<Directory>,
    authenticators: Vec<Arc<dyn Authenticator>>,
    authorizers: Vec<Arc<dyn Authorizer>>,
    access_changes: watch::Receiver<u64>,
}

fn router(
    config: &Config,
    registries: Vec<Arc<Registry>>,
    callers: Callers,
    store: Arc<dyn Store>,
    stopping: CancellationToken,
) -> axum::Router {
    let Callers { directory, authenticators, authorizers, access_changes } = callers;
    vci_endpoints::router(vci_endpoints::Config {
        computed: answers::all(&registries, &directory, &config.project_namespace_prefix),
        authenticators,
        authorizers,
        access_changes: Some(access_changes),
        identities: Some(Arc::clone(&directory)),
        namespaces: Some(directory),
        checks: vec![
            Arc::new(StoreReachable(Arc::clone(&store))),
            Arc::new(StoreWritable(store)),
            Arc::new(CachesFilled(registries.clone())),
            Arc::new(NotStopping(stopping)),
        ],
        registries,
        prefix: config.path_prefix.clone(),
        limits: config.limits.clone(),
        version: config.version.clone(),
    })
}
