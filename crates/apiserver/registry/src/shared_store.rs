//! A store as several collections share it.

use crate::revision_reader::RevisionReader;
use apiserver_store::Store;
use std::sync::Arc;

/// A store, and what its collections share beside it: one question for its revision at a time serves the readers of all of
/// them. Clones share it; a registry that is given a store alone has one of its own.
#[derive(Clone, Debug)]
pub struct SharedStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) revision_reader: Arc<RevisionReader>,
}

impl From<Arc<dyn Store>> for SharedStore {
    fn from(store: Arc<dyn Store>) -> Self {
        Self { revision_reader: Arc::new(RevisionReader::new(Arc::clone(&store))), store }
    }
}

impl<S: Store> From<Arc<S>> for SharedStore {
    fn from(store: Arc<S>) -> Self {
        Self::from(store as Arc<dyn Store>)
    }
}
