//! Fills the cache and keeps it current: a paged range, then the store's watch from that revision, for as long as
//! the cache lives. The first time, what the store has of the history comes with it.

use super::source::Source;
use super::state::{Change, Content, State};
use apiserver_store::{Revision, StoreError, WatchMessage, WatchStream};
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// After how many changes readers see a part of a long message.
const BATCH: usize = 128;
/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Follows one collection of a store.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) source: Arc<Source>,
    pub(super) state: Arc<State>,
    /// Whether the store's watch is open.
    pub(super) following: AtomicBool,
    /// How many entries were found that cannot be read.
    pub(super) corrupt: AtomicU64,
    /// How often the whole collection was loaded.
    pub(super) loads: AtomicU64,
    /// How often the store said how far it is without a change.
    pub(super) progress: AtomicU64,
    /// How many revisions of history are taken over at the start at most.
    pub(super) depth: u64,
    /// How long the store may be silent while it sends that history.
    pub(super) patience: Duration,
    /// Notified when a comparison has found that the cache is not what the store has.
    pub(super) mismatch: Notify,
}

impl Follower {
    /// Never ends.
    pub(super) async fn run(&self) {
        let mut pause = PAUSE.0;
        loop {
            let error = match self.load().await {
                Ok(revision) => {
                    pause = PAUSE.0;
                    tokio::select! {
                        error = self.follow_from(revision) => error,
                        never = self.join_past() => match never {},
                    }
                }
                Err(error) => {
                    pause = (pause * 2).min(PAUSE.1);
                    error
                }
            };
            // There is a time now of which nobody knows what happened.
            self.state.settle_past();
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

    /// Fills the cache, and returns the revision that it is at.
    async fn load(&self) -> Result<Revision, StoreError> {
        let loaded = self.source.load().await?;
        loaded.unreadable.iter().for_each(|change| self.note(change));
        let (revision, count) = (loaded.snapshot.revision, loaded.snapshot.objects.len());
        self.state.load(loaded);
        self.loads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(collection = self.source.prefix, revision, count, "the cache is loaded");
        Ok(revision)
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
