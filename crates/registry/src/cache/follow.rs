//! Fills the cache and keeps it current: a paged range, then the store's watch from that revision, for as long as
//! the cache lives.

use super::snapshot::Path;
use super::state::{Change, Content, State};
use crate::{Item, collection_prefix};
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use vci_meta::Resource;
use vci_store::{Entry, Event, RangeRequest, Revision, Store, StoreError, WatchMessage, WatchStream};

/// How many entries are read at once.
const PAGE: usize = 500;
/// After how many changes readers see a part of a long message.
const BATCH: usize = 128;
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Follows one collection of a store.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) source: Source,
    pub(super) state: Arc<State>,
    /// Whether the store's watch is open.
    pub(super) following: AtomicBool,
    /// How many entries were met that cannot be read.
    pub(super) corrupt: AtomicU64,
    /// How often the whole collection was loaded.
    pub(super) loads: AtomicU64,
    /// How often the store said how far it is without a change.
    pub(super) progress: AtomicU64,
    /// Somebody found that the cache is not what the store has.
    pub(super) distrusted: Notify,
}

/// Where objects come from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) resource: Arc<dyn Resource>,
    pub(super) store: Arc<dyn Store>,
    /// What the keys of the collection begin with.
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
}

impl Follower {
    /// Never ends.
    pub(super) async fn run(&self) {
        let mut pause = PAUSE.0;
        loop {
            let error = match self.load().await {
                Ok(revision) => {
                    pause = PAUSE.0;
                    self.follow_from(revision).await
                }
                Err(error) => {
                    pause = (pause * 2).min(PAUSE.1);
                    error
                }
            };
            tracing::warn!(collection = self.source.prefix, %error, "the cache lost the store, it loads again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Follows the store for as long as its history is whole.
    async fn follow_from(&self, mut revision: Revision) -> StoreError {
        let mut pause = PAUSE.0;
        loop {
            let error = match self.open(revision).await {
                Ok(stream) => self.follow(stream, revision).await,
                Err(error) => error,
            };
            self.following.store(false, Ordering::Relaxed);
            match error {
                // The store may come back with its history whole.
                StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Unknown(_) => {}
                StoreError::Compacted { .. } | StoreError::Future { .. } | StoreError::TooLarge { .. } | StoreError::Corrupt(_) => {
                    return error;
                }
            }
            tracing::warn!(collection = self.source.prefix, %error, "the store's watch broke, it is opened again");
            let known = self.state.snapshot().map_or(revision, |snapshot| snapshot.revision);
            pause = if known > revision { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            revision = known;
            tokio::time::sleep(pause).await;
        }
    }

    /// Opens the store's watch behind a revision.
    async fn open(&self, revision: Revision) -> Result<WatchStream, StoreError> {
        // A store that was put back to an older state has none of what is cached, and its watch would be silent.
        let current = self.source.store.revision().await?;
        if current < revision {
            return Err(StoreError::Future { requested: revision, current });
        }
        self.source.store.watch(&self.source.prefix, revision).await
    }

    /// Reads the whole collection at one revision, page by page.
    async fn load(&self) -> Result<Revision, StoreError> {
        let mut request = RangeRequest { prefix: self.source.prefix.clone(), limit: PAGE, ..RangeRequest::default() };
        let mut found = Vec::new();
        loop {
            let page = self.source.store.range(&request).await?;
            request.at = Some(page.revision);
            let Some(last) = page.entries.last().map(|entry| entry.key.as_str()) else { break };
            request.start = format!("{last}\0");
            found.extend(page.entries.iter().filter_map(|entry| self.read(entry)));
            if !page.more {
                break;
            }
        }
        let revision = request.at.unwrap_or_default();
        let count = found.len();
        self.state.load(found, revision);
        self.loads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(collection = self.source.prefix, revision, count, "the cache is loaded");
        Ok(revision)
    }

    /// Applies what the store tells until it tells an error, or something that cannot be.
    async fn follow(&self, mut stream: WatchStream, mut told: Revision) -> StoreError {
        self.following.store(true, Ordering::Relaxed);
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = self.distrusted.notified() => {
                    self.state.purge();
                    return StoreError::Corrupt("the cache is not what the store has".into());
                }
            };
            match message {
                Some(Ok(WatchMessage::Events(events))) => {
                    told = events.last().map_or(told, |event| told.max(event.revision));
                    self.apply(events).await;
                }
                Some(Ok(WatchMessage::Progress(revision))) if revision < told => {
                    return StoreError::Corrupt(format!("the store tells progress {revision} after {told}"));
                }
                Some(Ok(WatchMessage::Progress(revision))) => {
                    told = revision;
                    self.progress.fetch_add(1, Ordering::Relaxed);
                    self.state.progress(revision);
                }
                Some(Err(error)) => return error,
                None => return StoreError::Unavailable("the watch ended".into()),
            }
        }
    }

    /// Decodes and applies a message, a long one in parts; a revision is never cut in two.
    async fn apply(&self, events: Vec<Event>) {
        let mut batch = Vec::with_capacity(events.len().min(BATCH + 1));
        let mut last = 0;
        for event in events {
            if batch.len() >= BATCH && event.revision != last {
                self.state.apply(std::mem::take(&mut batch));
                tokio::task::yield_now().await;
            }
            last = event.revision;
            batch.extend(self.change(event));
        }
        self.state.apply(batch);
    }

    fn change(&self, event: Event) -> Option<Change> {
        let revision = event.revision;
        let Some(value) = event.value else {
            let path = Path::from(event.key.as_str().strip_prefix(&self.source.prefix)?);
            return Some(Change { revision, path, content: Content::Nothing });
        };
        let (path, revision, content) = self.read(&Entry { key: event.key, value, revision, form: event.form })?;
        Some(Change { revision, path, content })
    }

    /// What an entry is to readers; `None` when it is none of the collection's.
    fn read(&self, entry: &Entry) -> Option<(Path, Revision, Content)> {
        let path = Path::from(self.source.path(entry)?);
        let content = match Item::from_entry(&*self.source.resource, entry) {
            Ok(item) => Content::Object(Arc::new(item)),
            Err(error) => {
                self.corrupt.fetch_add(1, Ordering::Relaxed);
                tracing::error!(key = %entry.key, revision = entry.revision, %error, "a stored object cannot be read");
                Content::Corrupt
            }
        };
        Some((path, entry.revision, content))
    }
}
