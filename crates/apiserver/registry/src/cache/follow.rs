//! Fills the cache and keeps it current: a paged range, then the store's watch from that revision, for as long as
//! the cache lives. The first time, what the store has of the history comes with it.

use super::replay::Replayed;
use super::state::{Change, Content, State};
use crate::item::Item;
use crate::keys::Path;
use crate::keys::collection_prefix;
use apiserver_meta::Resource;
use apiserver_store::{Entry, Event, RangeRequest, Revision, Store, StoreError, WatchMessage, WatchStream};
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

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
    /// How many entries were found that cannot be read.
    pub(super) corrupt: AtomicU64,
    /// How often the whole collection was loaded.
    pub(super) loads: AtomicU64,
    /// How often the store said how far it is without a change.
    pub(super) progress: AtomicU64,
    /// How many revisions of history are replayed at the start at most.
    pub(super) depth: u64,
    /// How long the store may take to send that history.
    pub(super) patience: Duration,
    /// Notified when a comparison has found that the cache is not what the store has.
    pub(super) mismatch: Notify,
}

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
    fn read(&self, entry: &Entry) -> Option<Change> {
        let path = Path::from(self.path(entry)?);
        let content = match Item::from_entry(&*self.resource, entry) {
            Ok(item) => Content::Object(Arc::new(item)),
            Err(error) => Content::Corrupt(error),
        };
        Some(Change { revision: entry.revision, path, content })
    }
}

impl Follower {
    /// Never ends.
    pub(super) async fn run(&self) {
        let mut pause = PAUSE.0;
        loop {
            let error = match self.load().await {
                Ok((revision, stream)) => {
                    pause = PAUSE.0;
                    self.follow_from(revision, stream).await
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

    /// Follows the store for as long as its history is whole; at first by a stream that is open already, if there is one.
    async fn follow_from(&self, mut revision: Revision, mut stream: Option<WatchStream>) -> StoreError {
        let mut pause = PAUSE.0;
        loop {
            let opened = match stream.take() {
                Some(stream) => Ok(stream),
                None => self.open(revision).await,
            };
            let error = match opened {
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

    /// Fills the cache. Returns the revision that it is at, and what goes on behind it where that is open already.
    async fn load(&self) -> Result<(Revision, Option<WatchStream>), StoreError> {
        // Later on there are watches, which end: then nobody resumes from before.
        let is_first = self.loads.load(Ordering::Relaxed) == 0;
        let stream = match if is_first { self.past().await? } else { None } {
            Some(Replayed { state, stream }) => {
                self.state.begin_with(state);
                Some(stream)
            }
            None => {
                self.load_present().await?;
                None
            }
        };
        self.loads.fetch_add(1, Ordering::Relaxed);
        let (revision, count, history) = self.state.extent();
        tracing::info!(collection = self.source.prefix, revision, count, history, "the cache is loaded");
        Ok((revision, stream))
    }

    /// The state with its history, where it is to be had.
    async fn past(&self) -> Result<Option<Replayed>, StoreError> {
        // Waits for a store that is still being opened.
        let newest = self.source.store.revision().await?;
        Ok(self.replay(newest).await.unwrap_or_else(|error| {
            tracing::info!(collection = self.source.prefix, %error, "watches from before the start cannot be resumed");
            None
        }))
    }

    /// Reads the whole collection as it is now.
    async fn load_present(&self) -> Result<(), StoreError> {
        let (entries, revision) = self.entries(None).await?;
        entries.iter().for_each(|change| self.note(change));
        self.state.load(entries, revision);
        Ok(())
    }

    /// Reads the whole collection at one revision, page by page.
    pub(super) async fn entries(&self, at: Option<Revision>) -> Result<(Vec<Change>, Revision), StoreError> {
        let mut request = RangeRequest { prefix: self.source.prefix.clone(), limit: PAGE, at, ..RangeRequest::default() };
        let mut found = Vec::new();
        loop {
            let page = self.source.store.range(&request).await?;
            request.at = Some(page.revision);
            let Some(last) = page.entries.last().map(|entry| entry.key.as_str()) else { break };
            request.start = format!("{last}\0");
            found.extend(page.entries.iter().filter_map(|entry| self.source.read(entry)));
            if !page.more {
                break;
            }
        }
        Ok((found, request.at.unwrap_or_default()))
    }

    /// Applies the messages of the store until one is an error, or contradicts those before it.
    async fn follow(&self, mut stream: WatchStream, mut reached: Revision) -> StoreError {
        self.following.store(true, Ordering::Relaxed);
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = self.mismatch.notified() => {
                    self.state.purge();
                    return StoreError::Corrupt("the cache is not what the store has".into());
                }
            };
            match message {
                Some(Ok(WatchMessage::Events(events))) => {
                    reached = events.last().map_or(reached, |event| reached.max(event.revision));
                    let changes = events.into_iter().filter_map(|event| self.source.change(event));
                    in_batches(changes.inspect(|change| self.note(change)), |batch| self.state.apply(batch)).await;
                }
                Some(Ok(WatchMessage::Progress(revision))) if revision < reached => {
                    return StoreError::Corrupt(format!("the store tells progress {revision} after {reached}"));
                }
                Some(Ok(WatchMessage::Progress(revision))) => {
                    reached = revision;
                    self.progress.fetch_add(1, Ordering::Relaxed);
                    self.state.progress(revision);
                }
                Some(Err(error)) => return error,
                None => return StoreError::Unavailable("the watch ended".into()),
            }
        }
    }

    /// Counts and logs an entry that cannot be read.
    fn note(&self, change: &Change) {
        if let Content::Corrupt(error) = &change.content {
            self.corrupt.fetch_add(1, Ordering::Relaxed);
            let key = format_args!("{}{}", self.source.prefix, change.path);
            tracing::error!(%key, revision = change.revision, %error, "a stored object cannot be read");
        }
    }
}

/// Applies the changes of a message, a long one in parts; a revision is never cut in two.
pub(super) async fn in_batches(changes: impl Iterator<Item = Change>, apply: impl Fn(Vec<Change>)) {
    let mut batch: Vec<Change> = Vec::new();
    for change in changes {
        if batch.len() >= BATCH && batch.last().is_some_and(|last| last.revision != change.revision) {
            apply(std::mem::take(&mut batch));
            tokio::task::yield_now().await;
        }
        batch.push(change);
    }
    apply(batch);
}
