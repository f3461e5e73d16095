//! A store that is opened while the server already listens.
//!
//! Caches, registries and routes are built on it at once. Their first call waits until the store is open. Callers bound the wait
//! by deadlines of their own.

use apiserver_store::{
    Entry, Expect, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchStream,
    WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::SetOnce;

/// A store, once it is open.
#[derive(Debug, Default)]
pub(crate) struct DeferredStore(SetOnce<Arc<dyn Store>>);

impl DeferredStore {
    /// From now on it is this one. A second one is not taken.
    pub(super) fn open(&self, store: Arc<dyn Store>) {
        let _ = self.0.set(store);
    }

    /// Whether a call is answered, and does not wait.
    pub(crate) fn is_open(&self) -> bool {
        self.0.initialized()
    }

    async fn store(&self) -> &Arc<dyn Store> {
        self.0.wait().await
    }
}

#[async_trait]
impl Store for DeferredStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.store().await.get(key).await
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        self.store().await.range(request).await
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        self.store().await.put(key, value, expect).await
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        self.store().await.put_guarded(key, value, expect, guards).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.store().await.delete(key, expect).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        self.store().await.watch(prefix, after).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.store().await.revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.store().await.oldest_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.store().await.request_progress().await
    }

    fn progress_support(&self) -> ProgressSupport {
        self.0.get().map_or(ProgressSupport::Unreliable, |store| store.progress_support())
    }

    /// Nothing is wrong with a store that is not open yet.
    async fn writable(&self) -> Result<(), StoreError> {
        match self.0.get() {
            Some(store) => store.writable().await,
            None => Ok(()),
        }
    }

    async fn size(&self) -> Result<Option<u64>, StoreError> {
        self.store().await.size().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.store().await.compact(revision).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};

    #[tokio::test]
    async fn calls_wait_until_it_is_open() {
        let late = Arc::new(DeferredStore::default());
        let key = Key::new("a/b");
        let early = tokio::spawn({
            let (late, key) = (Arc::clone(&late), key.clone());
            async move { late.put(&key, Bytes::from_static(b"x"), Expect::Absent).await }
        });
        assert!(!late.is_open() && late.writable().await.is_ok());
        let folder = tempfile::tempdir().unwrap();
        late.open(Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).unwrap()));
        let written = early.await.unwrap().unwrap();
        assert_eq!(late.get(&key).await.unwrap().map(|entry| entry.revision), Some(written));
        assert_eq!((late.is_open(), late.progress_support()), (true, ProgressSupport::Reliable));
    }
}
