//! Objects as the store has them at this moment, for rules that may not go by a picture that is a moment old.

use apiserver_meta::{ApiError, Descriptor, Facts, Object, ObjectKey, Resource, Scope};
use apiserver_registry::{collection_prefix, from_store, storage_key};
use apiserver_store::{RangeRequest, Store, StoreError};
use std::sync::Arc;
use vci_management::access::ObjectAccess;

/// The store, and the kinds in it.
#[derive(Debug)]
pub(crate) struct Stored {
    store: Arc<dyn Store>,
    resources: Vec<Arc<dyn Resource>>,
}

/// Some of what a namespace holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The plural of the kind.
    pub(crate) plural: &'static str,
    /// The names, as many as were asked for.
    pub(crate) names: Vec<String>,
    /// Whether there are others.
    pub(crate) more: bool,
}

impl Stored {
    /// Reads objects of these kinds.
    pub(crate) fn new(store: Arc<dyn Store>, resources: Vec<Arc<dyn Resource>>) -> Self {
        Self { store, resources }
    }

    /// The kind of this plural.
    pub(crate) fn resource(&self, plural: &str) -> Option<&Arc<dyn Resource>> {
        self.resources.iter().find(|resource| resource.descriptor().plural == plural)
    }

    /// The owner and the access rules of a cluster-scoped object. A missing object grants nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn access(&self, resource: &dyn Resource, name: &str) -> Result<ObjectAccess, ApiError> {
        let object = self.object(resource.descriptor(), &ObjectKey::new("", name)).await?;
        Ok(object.map(|object| ObjectAccess::read(resource, &object)).unwrap_or_default())
    }

    /// The facts about an object; `None` when there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn facts(&self, resource: &dyn Resource, key: &ObjectKey) -> Result<Option<Facts>, ApiError> {
        Ok(self.object(resource.descriptor(), key).await?.map(|object| resource.facts(&object)))
    }

    async fn object(&self, descriptor: &Descriptor, key: &ObjectKey) -> Result<Option<Object>, ApiError> {
        let failed = |error| from_store(error, descriptor, "get");
        let Some(entry) = self.store.get(&storage_key(descriptor, key)).await.map_err(failed)? else { return Ok(None) };
        let object = serde_json::from_slice(&entry.value).map(Object);
        object.map(Some).map_err(|error| failed(StoreError::Corrupt(format!("{}: {error}", entry.key))))
    }

    /// The UID of an object; `None` when there is none of this kind and name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn uid(&self, plural: &str, key: &ObjectKey) -> Result<Option<String>, ApiError> {
        let Some(resource) = self.resource(plural) else { return Ok(None) };
        let object = self.object(resource.descriptor(), key).await?;
        Ok(object.map(|object| object.uid().to_owned()))
    }

    /// Up to `limit` objects of the first kind that has any in this namespace; those that are being deleted count.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn held_by(&self, namespace: &str, limit: usize) -> Result<Option<Held>, ApiError> {
        for descriptor in self.namespaced() {
            let prefix = collection_prefix(descriptor, namespace);
            let request = RangeRequest { prefix: prefix.clone(), limit, ..RangeRequest::default() };
            let range = self.store.range(&request).await.map_err(|error| from_store(error, descriptor, "list"))?;
            if !range.entries.is_empty() {
                let name = |key: &str| key.strip_prefix(&prefix).unwrap_or(key).to_owned();
                let names = range.entries.iter().map(|entry| name(entry.key.as_str())).collect();
                return Ok(Some(Held { plural: descriptor.plural, names, more: range.more }));
            }
        }
        Ok(None)
    }

    fn namespaced(&self) -> impl Iterator<Item = &'static Descriptor> {
        self.resources.iter().map(|resource| resource.descriptor()).filter(|descriptor| descriptor.scope == Scope::Namespaced)
    }
}
