//! Bytes and revisions: what the registry needs of a store, and nothing more.
//!
//! A [`Store`] is an ordered map from keys to bytes with one revision sequence for the whole of it, as in
//! etcd: every write is one revision, history can be read and watched until it is compacted. Types, JSON,
//! resources and selectors are refused here; so are locks, leases and transactions over several keys, but for one: a write
//! may depend on other keys ([`Guard`]).
//!
//! ```
//! use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
//! use apiserver_store::{Expect, Key, Store as _, WriteError};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = EmbeddedStore::open(folder.path().join("store.redb"), &EmbeddedConfig::standard())?;
//! let key = Key::new("example.com/widgets/default/hinge");
//! let revision = store.put(&key, "1".into(), Expect::Absent).await?;
//! store.put(&key, "2".into(), Expect::Revision(revision)).await?;
//! // A write that expects something else changes nothing.
//! assert!(matches!(store.put(&key, "3".into(), Expect::Revision(revision)).await, Err(WriteError::Conflict(_))));
//! assert_eq!(store.get(&key).await?.map(|entry| entry.value), Some("2".into()));
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
#[cfg(any(test, feature = "conformance"))]
pub mod flaky;

/// A position in the store's one sequence of writes. An empty store is at revision 1 or later already: 0 never
/// occurs, because Kubernetes gives `resourceVersion: "0"` a meaning of its own.
pub type Revision = u64;

/// A key: `group/resource/[namespace/]name`, never empty, without a leading slash. The store adds its own prefix.
/// Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// A key from text; whoever builds it has checked its parts (no empty, `.` or `..` segment, no `/` in a name).
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Maps that are keyed by [`Key`] can be asked with a piece of text.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its bytes.
    pub value: Bytes,
    /// The revision that wrote these bytes (etcd's mod_revision).
    pub revision: Revision,
    /// How they lie in the store.
    pub form: Form,
}

/// The prefix of encrypted values in a store, which Kubernetes reserves: no object in JSON or protobuf begins with it.
pub const ENCRYPTED: &str = "k8s:enc:";

impl Entry {
    /// With what a value is encrypted that nobody has decrypted, up to the key's name: `k8s:enc:aesgcm:v1:key1`. `None`: it is
    /// not encrypted.
    pub fn encrypted_with(&self) -> Option<&str> {
        let prefix = self.value.strip_prefix(ENCRYPTED.as_bytes())?;
        // Provider, version, name of the key.
        let end = prefix.iter().enumerate().filter(|(_, byte)| **byte == b':').nth(2).map(|(at, _)| ENCRYPTED.len() + at);
        let text = end.and_then(|end| std::str::from_utf8(self.value.get(..end)?).ok());
        Some(text.unwrap_or(ENCRYPTED))
    }
}

/// How a value lies in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As it would be written today.
    #[default]
    Current,
    /// In an older form, such as one encrypted with a key that is going out of use: to be written anew at the next
    /// occasion, even if nothing changes.
    Stale,
    /// In a form that cannot be read, for this reason. The bytes are not to be taken for a value.
    Unreadable(&'static str),
}

/// The precondition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No value under the key.
    Absent,
    /// The value that this revision wrote.
    Revision(Revision),
}

/// A request of [`Store::range`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeRequest {
    /// Keys that begin with this text, byte by byte (callers end it with `/`).
    pub prefix: String,
    /// Of these, only keys at or behind this one; empty: from the first.
    pub start: String,
    /// The state at this revision; `None`: the current one, linearizable.
    pub at: Option<Revision>,
    /// At most this many entries; 0 is no limit.
    pub limit: usize,
    /// About how many bytes an entry has, for a store that has to read it in parts; 0: not known.
    pub entry_size: usize,
}

/// The result of [`Store::range`], in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether there are more behind the limit.
    pub more: bool,
    /// How many there are behind the limit, where the store knows without reading them; `Some(0)` when there are none.
    pub remaining: Option<u64>,
    /// The revision that was read: `at`, or the store's current one.
    pub revision: Revision,
}

/// One change, as a watch tells it. What was there before is not told: it would have to be read for every write, and whoever
/// follows a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key that changed.
    pub key: Key,
    /// The revision of the change.
    pub revision: Revision,
    /// The new bytes; `None`: deleted.
    pub value: Option<Bytes>,
    /// How they lie in the store.
    pub form: Form,
}

/// A message of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchMessage {
    /// Changes in order of revision; all changes of one revision come in one message.
    Events(Vec<Event>),
    /// Nothing at or below this revision is missing from what was told.
    Progress(Revision),
}

/// An error of the store. Texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The revision is older than the kept history, which begins at this one.
    #[error("revision is compacted, history begins at {oldest}")]
    Compacted {
        /// The oldest revision that can still be read.
        oldest: Revision,
    },
    /// The revision is newer than anything written.
    #[error("revision {requested} is in the future, current is {current}")]
    Future {
        /// The requested revision.
        requested: Revision,
        /// The newest revision.
        current: Revision,
    },
    /// The value is larger than the store takes.
    #[error("value of {size} bytes is too large")]
    TooLarge {
        /// Bytes.
        size: usize,
    },
    /// The store cannot be reached. For a write: it was not carried out.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
    /// The store has no room left. A write was not carried out.
    #[error("the store has no room left: {0}")]
    Full(String),
    /// The store did not answer in time, or the connection broke while it was working. A write may have been carried out.
    #[error("outcome is unknown: {0}")]
    Unknown(String),
    /// The store's own data is damaged, or it says something that makes no sense.
    #[error("store is damaged: {0}")]
    Corrupt(String),
}

/// Why a write was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The expectation does not hold; this is what is there, read in the same transaction.
    #[error("expectation failed")]
    Conflict(Option<Entry>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Another key that a write depends on, in the same transaction: what the write was decided by has not changed since.
///
/// A guard that many writers of one group hold exclusively makes them take turns, without a lock that somebody could
/// forget to give back: who reads the guard, decides by all that was written up to its revision, and writes with the
/// guard, knows that no other writer of the group came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The key. Not the key that is written.
    pub key: Key,
    /// The precondition on it.
    pub expect: Expect,
    /// Whether the write changes it.
    pub mode: GuardMode,
}

/// The effect of a write on its [`Guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardMode {
    /// Nothing: any number of writers may depend on it.
    Shared,
    /// It is written anew, with no bytes: of those who have seen the same guard one succeeds.
    Exclusive,
}

/// Why a guarded write was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum GuardedError {
    /// A guard is no longer as it was expected to be, and the key may be: what was decided must be decided again.
    #[error("guard has moved")]
    GuardFailed,
    /// The write's own expectation does not hold, or the store failed. A conflict is told before a guard that has moved.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for GuardedError {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

/// A watch: ends after an error.
pub type WatchStream = BoxStream<'static, Result<WatchMessage, StoreError>>;

/// How far [`WatchMessage::Progress`] can be trusted for consistent reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressSupport {
    /// [`Store::request_progress`] makes every open watch tell its progress, correctly.
    Reliable,
    /// Progress comes rarely or may run ahead of events (etcd before 3.4.31 and 3.5.13): read the store instead.
    Unreliable,
}

/// An ordered map of bytes with one revision sequence.
///
/// Every method is safe to call concurrently. Dropping the future of a write does not undo it and may leave
/// its outcome unknown to the caller.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The current value, linearizable.
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// The values under a prefix, at one revision.
    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError>;

    /// Writes a value if the expectation holds; returns the revision of the write once it is durable.
    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError>;

    /// Writes a value if its expectation and those of all guards hold, which is decided, and becomes durable, in one step:
    /// there is never the value without the guards written anew, nor these without it. Returns the revision of the write.
    ///
    /// A guard that is written anew has the revision of the write or one right behind it: who has seen everything up to
    /// a guard's revision has seen the write that it was written with. Watches may tell the two in separate messages.
    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError>;

    /// Deletes the value that `expect` wrote; returns the revision of the deletion once it is durable. When there
    /// is no value, the answer is [`WriteError::Conflict`] with nothing in it.
    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError>;

    /// Tells every change under a prefix with a revision greater than `after`, without gaps or doubles.
    /// A connection that breaks is made again inside; the stream ends only with an error that this cannot
    /// mend ([`StoreError::Compacted`] above all; it may come from this call or as the first thing on the stream).
    /// An `after` that is still in the future is no error: the watch is silent until something newer is written.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError>;

    /// The newest revision, linearizable: no write that was acknowledged before this call has a greater one.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// The oldest revision at which the state can still be read, and behind which a watch can still tell every change:
    /// 1 until something is compacted.
    async fn oldest_revision(&self) -> Result<Revision, StoreError>;

    /// Asks that open watches tell their progress soon, at or above the revision the store has now.
    async fn request_progress(&self) -> Result<(), StoreError>;

    /// Whether that progress can be trusted.
    fn progress_support(&self) -> ProgressSupport;

    /// Whether writes can be carried out now as far as the store is concerned: it has room, and what it writes stays.
    async fn writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Bytes that the store takes on its disk, history and free space in it included; `None` where that is not known.
    async fn size(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Forgets history before `revision`; the state at `revision` and all changes after it stay readable.
    /// [`StoreError::Future`] when nothing so new exists; forgetting what is forgotten already is no error.
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;
}
