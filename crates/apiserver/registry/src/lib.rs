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

mod admission;
mod backoff;
pub mod cache;
mod frame;
pub mod garbage_collector;
pub mod informer;
mod item;
mod keys;
mod list;
pub mod loopback;
pub mod offload;
mod registries;
mod registry;
mod revision_reader;
mod shared_store;
mod store_error;
#[cfg(feature = "suite")]
pub mod suite;
mod when_woken;
pub mod work_queue;
pub mod write;

pub use admission::{Admission, AdmissionRequest, Consistency, Guards, Memo};
pub use cache::{Cache, CacheConfig, CacheStats, ConsistencyChecks, ListStats, ReadStats, Rows, WAIT_BOUNDS, Watch};
pub use frame::{EventKind, Frame};
pub use item::{Item, OwnerUid};
pub use keys::{collection_prefix, storage_key};
pub use list::{List, ListRows};
pub use registries::Registries;
pub use registry::Registry;
pub use shared_store::SharedStore;
pub use store_error::from_store;
pub use when_woken::WhenWoken;
pub use write::{Deleted, Mask, Patch, PatchKind, WriteFailure, Written};
