//! Values that lie encrypted in a store, in Kubernetes' format: a file of `EncryptionConfiguration` says which resources' values
//! are written with which key, and with which keys they may have been written before.
//!
//! [`Encrypted`] is a store around a store. Whoever uses it sees plain values; [`Entry::form`] says of each whether it would be
//! written so today, so that a write that changes nothing brings it up to date, and whether it could be read at all: one value
//! that cannot be decrypted does not hide the others. Keys of the store, and values without bytes, stay as they are.
//!
//! Refused: key services (`kms`), for which a key would have to be fetched before the first read.
//!
//! ```
//! use apiserver_store::{Expect, Key, Store};
//! use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
//! use apiserver_store_encryption::{Encrypted, Rules};
//! use std::sync::Arc;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("encryption.yaml");
//! # let provider = "{aesgcm: {keys: [{name: one, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}}";
//! # let rule = format!("{{resources: [widgets.example.com], providers: [{provider}]}}");
//! # std::fs::write(&file, format!("{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{rule}]}}"))?;
//! let plain: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder.path().join("store.redb"), &EmbeddedConfig::standard())?);
//! let encrypted = Encrypted::new(Arc::clone(&plain), "/registry/", Rules::read(&file)?);
//! let key = Key::new("example.com/widgets/default/hinge");
//! encrypted.put(&key, "secret".into(), Expect::Absent).await?;
//! assert_eq!(encrypted.get(&key).await?.expect("it is there").value, "secret");
//! assert!(plain.get(&key).await?.expect("it is there").value.starts_with(b"k8s:enc:aesgcm:v1:one:"));
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod cipher;
mod config;
mod reload;
mod rules;

pub use config::ConfigError;
pub use reload::{RELOAD_PERIOD, follow_file};
pub use rules::Rules;

use apiserver_store::{
    Entry, Event, Expect, Form, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError,
    WatchMessage, WatchStream, WriteError,
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;

/// A store whose values lie encrypted in another one.
#[derive(Debug)]
pub struct Encrypted {
    inner: Arc<dyn Store>,
    sight: Arc<Sight>,
}

/// The encryption of values, which the store and its watches share.
#[derive(Debug)]
struct Sight {
    rules: ArcSwap<Rules>,
    root: String,
}

impl Encrypted {
    /// Wraps a store. `root` is what its keys begin with on their way to etcd, such as `/registry/`: Kubernetes' ciphers bind a
    /// value to the whole of that path, so a store whose root changes cannot read what it has.
    pub fn new(inner: Arc<dyn Store>, root: impl Into<String>, rules: Rules) -> Self {
        Self { inner, sight: Arc::new(Sight { rules: ArcSwap::from_pointee(rules), root: root.into() }) }
    }

    /// Uses other rules from now on.
    pub fn replace(&self, rules: Rules) {
        self.sight.rules.store(Arc::new(rules));
    }
}

impl Sight {
    fn encrypt(&self, key: &Key, value: &Bytes) -> Result<Bytes, StoreError> {
        let random = |error| StoreError::Unavailable(format!("no random numbers to encrypt with: {error}"));
        self.rules.load().encrypt(key, &self.location(key), value).map_err(random)
    }

    fn entry(&self, mut entry: Entry) -> Entry {
        (entry.value, entry.form) = self.value(&entry.key, entry.value);
        entry
    }

    fn event(&self, mut event: Event) -> Event {
        if let Some(stored) = event.value {
            let (value, form) = self.value(&event.key, stored);
            (event.value, event.form) = (Some(value), form);
        }
        event
    }

    fn value(&self, key: &Key, stored: Bytes) -> (Bytes, Form) {
        self.rules.load().decrypt(key, &self.location(key), stored)
    }

    fn location(&self, key: &Key) -> String {
        format!("{}{key}", self.root)
    }

    fn error(&self, error: WriteError, size: usize) -> WriteError {
        match error {
            WriteError::Conflict(found) => WriteError::Conflict(found.map(|entry| self.entry(entry))),
            // What the caller wrote, not what became of it.
            WriteError::Store(StoreError::TooLarge { .. }) => StoreError::TooLarge { size }.into(),
            WriteError::Store(error) => error.into(),
        }
    }
}

#[async_trait]
impl Store for Encrypted {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        Ok(self.inner.get(key).await?.map(|entry| self.sight.entry(entry)))
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let mut response = self.inner.range(request).await?;
        response.entries = response.entries.into_iter().map(|entry| self.sight.entry(entry)).collect();
        Ok(response)
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let encrypted = self.sight.encrypt(key, &value)?;
        self.inner.put(key, encrypted, expect).await.map_err(|error| self.sight.error(error, value.len()))
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        let encrypted = self.sight.encrypt(key, &value)?;
        self.inner.put_guarded(key, encrypted, expect, guards).await.map_err(|error| match error {
            GuardedError::Write(error) => self.sight.error(error, value.len()).into(),
            GuardedError::GuardFailed => GuardedError::GuardFailed,
        })
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.inner.delete(key, expect).await.map_err(|error| self.sight.error(error, 0))
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        let sight = Arc::clone(&self.sight);
        let plain = move |message| match message {
            Ok(WatchMessage::Events(events)) => Ok(WatchMessage::Events(events.into_iter().map(|event| sight.event(event)).collect())),
            other => other,
        };
        Ok(self.inner.watch(prefix, after).await?.map(plain).boxed())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.inner.revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.inner.oldest_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.inner.request_progress().await
    }

    fn progress_support(&self) -> ProgressSupport {
        self.inner.progress_support()
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.inner.writable().await
    }

    async fn size(&self) -> Result<Option<u64>, StoreError> {
        self.inner.size().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.inner.compact(revision).await
    }
}

#[cfg(test)]
mod tests;
