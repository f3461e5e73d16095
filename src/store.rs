//! Opens the store that the command line asks for.

use crate::Refused;
use crate::cli::{EncryptionConfig, Reload, StoreConfig};
use apiserver_server::embedded_store;
use apiserver_store::Store;
use apiserver_store_encryption::{Encrypted, RELOAD_PERIOD, Rules, follow_file};
use apiserver_store_etcd::{ClientFiles, Compactor, ConnectError, EtcdConfig, EtcdStore, Timeouts, TlsFiles};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is said that etcd does not answer.
const REMINDER: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// What the keys of the embedded store would begin with in an etcd, if nobody said otherwise: encrypted values are bound to
/// that, so one that is moved there can be read.
const EMBEDDED_ROOT: &str = "/registry/";

/// A group and the plural name of a kind.
type Kind = (&'static str, &'static str);

/// A store that can be opened: what was said about it was found to be good.
pub(crate) struct StoreOptions {
    backend: Backend,
    encryption: Option<(EncryptionConfig, Rules)>,
    kinds: Vec<Kind>,
}

enum Backend {
    Embedded(PathBuf),
    Etcd { store: EtcdStore, compaction_interval: Duration },
}

impl StoreOptions {
    /// Checks what can be checked without touching anything. What is stored of these kinds may be encrypted.
    ///
    /// # Errors
    /// What the operator has to mend.
    pub(crate) async fn new(config: StoreConfig, encryption: Option<EncryptionConfig>, kinds: Vec<Kind>) -> Result<Self, Refused> {
        let rules = encryption.as_ref().map(|encryption| Rules::read(&encryption.file)).transpose()?;
        let backend = match config {
            StoreConfig::Embedded(dir) => Backend::Embedded(dir),
            StoreConfig::Etcd { servers, prefix, ca, identity, compaction_interval } => {
                let client = identity.map(|(cert, key)| ClientFiles { cert, key });
                let tls = ca.map(|ca| TlsFiles { ca, client });
                let config = EtcdConfig { endpoints: servers, prefix, tls, timeouts: Timeouts::default() };
                Backend::Etcd { store: EtcdStore::new(&config).await?, compaction_interval }
            }
        };
        Ok(Self { backend, encryption: encryption.zip(rules), kinds })
    }

    /// Opens it, waiting for as long as it takes. `tell` is told what it waits for.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub(crate) async fn open(self, tell: impl Fn(&str)) -> Result<Arc<dyn Store>, Refused> {
        let (store, root): (Arc<dyn Store>, _) = match self.backend {
            Backend::Embedded(dir) => (embedded_store(dir).await?, EMBEDDED_ROOT.to_owned()),
            Backend::Etcd { store, compaction_interval } => {
                reach(&store, tell).await?;
                if !compaction_interval.is_zero() {
                    tokio::spawn(Compactor::new(store.clone()).run(compaction_interval));
                }
                let root = store.root().to_owned();
                (Arc::new(store), root)
            }
        };
        match self.encryption {
            Some((config, rules)) => Ok(encrypted(store, root, &config, rules, &self.kinds)),
            None => Ok(store),
        }
    }
}

fn encrypted(store: Arc<dyn Store>, root: String, config: &EncryptionConfig, rules: Rules, kinds: &[Kind]) -> Arc<dyn Store> {
    for (group, plural) in kinds {
        match rules.written(group, plural) {
            Some(with) => tracing::info!("{plural}.{group} are stored encrypted with {with}"),
            None => tracing::info!("{plural}.{group} are stored in plain text"),
        }
    }
    let store = Arc::new(Encrypted::new(store, root, rules));
    if config.reload == Reload::Automatic {
        tokio::spawn(follow_file(Arc::clone(&store), config.file.clone(), RELOAD_PERIOD));
    }
    store
}

/// An etcd is often started at the same time, or comes back later: a server that gave up would be missed by those whom it
/// can answer without a store.
async fn reach(store: &EtcdStore, tell: impl Fn(&str)) -> Result<(), Refused> {
    let mut told: Option<Instant> = None;
    loop {
        let error = match store.reach().await {
            Ok(()) => return Ok(()),
            Err(error @ ConnectError::Config(_)) => return Err(error.into()),
            Err(error) => error,
        };
        if told.is_none_or(|told| told.elapsed() >= REMINDER) {
            told = Some(Instant::now());
            tell(&error.to_string());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
