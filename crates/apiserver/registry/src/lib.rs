//! The REST verbs over a [`apiserver_store::Store`], the watch cache they read from, and admission.
//!
//! [`Registry`] is what a resource is to the rest of the server: Kubernetes' verbs on objects of one kind.
//! Reads ([`cache`]) copy stored bytes; writes ([`mod@write`]) decode, apply the rules that hold for every kind
//! and the kind's own, and compare-and-swap. Refused: HTTP, media types, who is calling beyond what rules and
//! views need.
//!
//! ```
//! use apiserver_meta::options::WriteOptions;
//! use apiserver_meta::{Object, Principal, RequestContext, User, testing};
//! use apiserver_registry::{CacheConfig, Registry};
//! # use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
//! # use std::{sync::Arc, time::{Duration, Instant}};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let store = Arc::new(EmbeddedStore::open(folder.path().join("store.redb"), &EmbeddedConfig::standard())?);
//! # let context = RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + Duration::from_secs(60), "".into());
//! # let stop = tokio_util::sync::CancellationToken::new();
//! let books = Registry::start(testing::books(), store, Vec::new(), CacheConfig::standard(), stop.clone());
//! books.cache().ready().await;
//! let book = serde_json::json!({"apiVersion": "library.example.com/v1", "kind": "Book", "metadata": {"name": "emma"}, "spec": {}});
//! let book = Object::from_value(book).expect("an object");
//! let written = books.create(&context, "shelf", book, &WriteOptions { field_manager: "me".into(), ..WriteOptions::default() }).await?;
//! assert!(String::from_utf8_lossy(&written.bytes).contains("resourceVersion"));
//! # stop.cancel();
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

use apiserver_meta::{Facts, ObjectKey};
use apiserver_store::Revision;
use bytes::Bytes;
use std::sync::Arc;

pub mod cache;
pub mod garbage_collector;
pub mod heavy;
mod index;
pub mod informer;
pub mod loopback;
#[cfg(feature = "suite")]
pub mod suite;
pub mod work_queue;
pub mod write;

pub use index::Registries;

/// A stored object as readers get it: its bytes, and beside them the little that selectors and filters need.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// Namespace and name.
    pub key: ObjectKey,
    /// The revision that wrote it; for the object of a DELETED event, the revision of the deletion.
    pub revision: Revision,
    /// The JSON that a client gets: resourceVersion spliced in, no trailing newline.
    pub bytes: Bytes,
    /// Its labels, sorted by key.
    pub labels: Box<[(String, String)]>,
    /// The values of the descriptor's selectable fields, in its order.
    pub fields: Box<[String]>,
    /// The UIDs that its owner references name; nearly always none.
    pub owners: Box<[OwnerUid]>,
    /// Facts by which access filters decide.
    pub facts: Facts,
}

/// What an owner reference says, as far as it is kept beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerUid {
    /// The owner's UID; the graph of the garbage collector shares it.
    pub uid: Arc<str>,
    /// `blockOwnerDeletion`: a deletion of the owner in the foreground waits for the object.
    pub blocks: bool,
}

/// The answer to a list.
#[derive(Clone, Debug)]
pub struct List {
    /// The objects, in the order of namespace and name.
    pub items: Vec<Arc<Item>>,
    /// The revision that was read; the same on every page.
    pub revision: Revision,
    /// Where the next page begins; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, where that is known (no selectors, nothing filtered out).
    pub remaining: Option<u64>,
}

/// What happened to an object, as a watch tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One thing that a watch tells.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A change.
    Event {
        /// What happened, as seen through the watch's selectors and view.
        kind: EventKind,
        /// The object after it (before it, with the revision of the event, for [`EventKind::Deleted`]), shared by all
        /// watchers.
        item: Arc<Item>,
    },
    /// Nothing at or below `revision` is missing.
    Bookmark {
        /// Up to where.
        revision: Revision,
        /// Whether it ends the initial events of a streaming list.
        initial_events_end: bool,
    },
    /// The watch cannot go on; nothing follows.
    Error(Arc<apiserver_meta::Status>),
}

mod backoff;
mod item;
mod keys;
mod store_error;

pub use cache::{Cache, CacheConfig, CacheStats, ConsistencyChecks, ListStats, ReadStats, WAIT_BOUNDS, Watch};
pub use keys::{collection_prefix, storage_key};
pub use store_error::from_store;
pub use write::{Admission, AdmissionRequest, Consistency, Deleted, Guards, Patch, PatchKind, Registry, WriteFailure, Written};
