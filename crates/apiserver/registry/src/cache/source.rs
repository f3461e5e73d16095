//! Where the objects of a cache come from: a collection of a store, and how its entries are read.

use super::state::{Change, Content};
use crate::item::Item;
use crate::keys::{Path, collection_prefix};
use apiserver_meta::Resource;
use apiserver_store::{Entry, Event, Store};
use std::sync::Arc;

/// Where objects come from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) resource: Arc<dyn Resource>,
    pub(super) store: Arc<dyn Store>,
    /// The prefix of the collection's keys.
    pub(super) prefix: String,
}

impl Source {
    pub(super) fn new(resource: Arc<dyn Resource>, store: Arc<dyn Store>) -> Self {
        let prefix = collection_prefix(resource.descriptor(), "");
        Self { resource, store, prefix }
    }

    /// The path of a key; `None` when the key is none of the collection's.
    pub(super) fn path<'a>(&self, entry: &'a Entry) -> Option<&'a str> {
        entry.key.as_str().strip_prefix(&self.prefix)
    }

    /// The change that an event is to readers; `None` when it is none of the collection's.
    pub(super) fn change(&self, event: Event) -> Option<Change> {
        let revision = event.revision;
        let Some(value) = event.value else {
            let path = Path::from(event.key.as_str().strip_prefix(&self.prefix)?);
            return Some(Change { revision, path, content: Content::Nothing });
        };
        self.read(&Entry { key: event.key, value, revision, form: event.form })
    }

    /// The change that an entry is to readers; `None` when it is none of the collection's.
    pub(super) fn read(&self, entry: &Entry) -> Option<Change> {
        let path = Path::from(self.path(entry)?);
        let content = match Item::from_entry(&*self.resource, entry) {
            Ok(item) => Content::Object(Arc::new(item)),
            Err(error) => Content::Corrupt(error),
        };
        Some(Change { revision: entry.revision, path, content })
    }
}
