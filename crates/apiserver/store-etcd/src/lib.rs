//! The store on etcd.
//!
//! A key of the store is a key of etcd below the configured prefix, a revision is etcd's. Every write is one transaction on one
//! key, and on guards where there are any, that compares mod_revisions and reads the current value where a comparison fails.
//! Leases, locks and etcd's own users are refused. History is forgotten when the caller says so, or by a [`Compactor`] in turn with
//! other servers.
//!
//! ```
//! use apiserver_store_etcd::{ConnectError, EtcdConfig, EtcdStore, Timeouts};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), ConnectError> {
//! let config = EtcdConfig {
//!     endpoints: vec!["http://127.0.0.1:2379".into()],
//!     prefix: "/registry".into(),
//!     tls: None,
//!     timeouts: Timeouts::default(),
//! };
//! // Checks the configuration. `EtcdStore::connect` asks etcd as well.
//! let store = EtcdStore::new(&config).await?;
//! assert_eq!(store.root(), "/registry/");
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod channel;
mod cluster;
mod compaction;
mod config;
mod fault;
mod http2;
mod keys;
mod read;
mod revision;
mod transport;
mod version;
mod watch;
mod write;

pub use compaction::Compactor;
pub use config::{ClientFiles, ConnectError, EtcdConfig, Timeouts, TlsFiles};

use apiserver_store::{
    Entry, Expect, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchStream,
    WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::ResponseHeader;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch as signal;

use crate::cluster::Cluster;
use crate::keys::Keys;

/// How long [`EtcdStore::probe`] waits: a readiness check that takes longer counts as failed anyway.
const PROBE: Duration = Duration::from_secs(2);

/// A store on etcd. Clones share the connections.
#[derive(Clone)]
pub struct EtcdStore {
    shared: Arc<Shared>,
}

/// The state that calls and watches share.
struct Shared {
    cluster: Cluster,
    keys: Keys,
    /// The newest revision that any answer has told.
    seen: AtomicU64,
    /// The revision up to which progress is wanted of every watch; each send is one request.
    wanted: signal::Sender<Revision>,
}

impl EtcdStore {
    /// Reaches etcd: asks every member for its version and takes one answer for success. Returns within the connect timeout.
    ///
    /// # Errors
    /// [`ConnectError::Config`] for a configuration that cannot work; [`ConnectError::Unreachable`] when no member answers, which
    /// may be tried again.
    pub async fn connect(config: &EtcdConfig) -> Result<Self, ConnectError> {
        let store = Self::new(config).await?;
        store.reach().await?;
        Ok(store)
    }

    /// A store on an etcd that was not asked for anything yet. Whether the configuration can work is found here, whether
    /// somebody answers by [`EtcdStore::reach`], which has to be called before anything else.
    ///
    /// # Errors
    /// [`ConnectError::Config`].
    pub async fn new(config: &EtcdConfig) -> Result<Self, ConnectError> {
        let keys = Keys::new(&config.prefix)?;
        let cluster = Cluster::new(config, &keys).await?;
        let shared = Shared { cluster, keys, seen: AtomicU64::new(0), wanted: signal::Sender::new(0) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Asks every member for its version and takes one answer for success. Returns within the connect timeout.
    ///
    /// # Errors
    /// [`ConnectError::Unreachable`] when no member answers, which may be tried again; [`ConnectError::Config`] when those that do
    /// do not belong together.
    pub async fn reach(&self) -> Result<(), ConnectError> {
        self.shared.cluster.introduce().await
    }

    /// The prefix of its keys in etcd, such as `/registry/`.
    pub fn root(&self) -> &str {
        self.shared.keys.root()
    }

    /// Whether etcd can serve now: one linearizable read, within two seconds.
    ///
    /// # Errors
    /// Why not, for an operator.
    pub async fn probe(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(PROBE, self.shared.revision()).await {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err(StoreError::Unavailable(format!("etcd does not answer within {PROBE:?}"))),
        }
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("keys", &self.shared.keys).finish_non_exhaustive()
    }
}

impl Shared {
    /// Takes note of an answer's revision.
    fn note(&self, header: Option<&ResponseHeader>) -> Result<Revision, StoreError> {
        let header = header.ok_or_else(|| StoreError::Corrupt("etcd's answer has no header".into()))?;
        self.note_revision(header.revision())
    }

    fn note_revision(&self, raw: i64) -> Result<Revision, StoreError> {
        let revision = keys::revision(raw)?;
        self.seen.fetch_max(revision, Ordering::Relaxed);
        Ok(revision)
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.shared.get(key).await
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        self.shared.range(request).await
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        self.shared.put(key, &value, expect).await
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        self.shared.put_guarded(key, &value, expect, guards).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.shared.delete(key, expect).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        Ok(watch::start(Arc::clone(&self.shared), prefix, after))
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.shared.revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.shared.oldest_revision().await
    }

    /// Every watch asks its member until that tells progress at or above the newest revision this store has seen, so
    /// [`Store::revision`] before it makes the progress as new as that.
    async fn request_progress(&self) -> Result<(), StoreError> {
        let seen = self.shared.seen.load(Ordering::Relaxed);
        self.shared.wanted.send_modify(|wanted| *wanted = seen.max(*wanted));
        Ok(())
    }

    fn progress_support(&self) -> ProgressSupport {
        self.shared.cluster.progress_support()
    }

    /// An etcd with an alarm answers reads and refuses every write.
    async fn writable(&self) -> Result<(), StoreError> {
        self.shared.cluster.alarm().await
    }

    /// That of the member that is asked at the moment.
    async fn size(&self) -> Result<Option<u64>, StoreError> {
        self.shared.cluster.size().await.map(Some)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.shared.compact(revision).await
    }
}
