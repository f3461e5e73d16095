//! Reads: the watch cache.
//!
//! One cache per resource, filled by a range and kept current by the store's watch. Readers share snapshots of a
//! persistent map and copy bytes; nothing here decodes an object twice or re-encodes one. Reads without a
//! resourceVersion are linearizable: they see at least the store's revision at the time they began. Where that
//! cannot be had from the cache, the store is read; a stale answer is never given instead.
//!
//! The parts: `load` fills and `follow` keeps current, `replay` brings the history from before the start, `state` is where a change becomes visible, `history` keeps the events of the last
//! minutes, `hub` finds the watchers of an event, `objects` and its `index` find what selectors ask for, `freshness` decides how long a read waits; `get`, `list` and `watch` are
//! the verbs, `consistency` compares all of this with the store now and then.

use crate::item::Item;
use crate::keys::path_of;
use crate::revision_reader::RevisionReader;
use crate::shared_store::SharedStore;
use crate::store_error::from_store;
use apiserver_meta::{ApiError, Descriptor, ObjectKey, Resource};
use apiserver_store::StoreError;
pub use counters::{CacheStats, ConsistencyChecks, ListStats, ReadStats, WAIT_BOUNDS};
use counters::{ConsistencyCounters, Counters};
use filter::Filter;
use follow::Follower;
use history::Bounds;
use progress::ProgressRequester;
pub use rows::Rows;
use snapshot::Snapshot;
use source::Source;
use state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
pub use watch::Watch;

mod condition;
mod consistency;
mod continue_token;
mod counters;
mod event;
mod filter;
mod follow;
mod freshness;
mod get;
mod history;
mod hub;
mod index;
mod list;
mod load;
mod objects;
mod past;
mod progress;
mod replay;
mod rows;
mod sharing;
mod snapshot;
mod snapshots;
mod source;
mod state;
mod visibility_change;
mod watch;

/// How a cache behaves.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// For how long events are kept, so that a watch can resume and a list can go on.
    pub history: Duration,
    /// At most so many events are kept.
    pub history_events: usize,
    /// At most about so many bytes are kept by events.
    pub history_bytes: usize,
    /// Of how many revisions before the newest one the changes are taken from the store at the start, so that a watch resumes
    /// that was begun before.
    pub replay: u64,
    /// How often a watch that allows bookmarks gets one.
    pub bookmark_period: Duration,
    /// How many events may wait for one watcher before it has to catch up from the history.
    pub watcher_queue: usize,
    /// How long a read waits for the cache to reach a revision, and how long the store may be silent while it sends the history
    /// from before the start.
    pub freshness_timeout: Duration,
    /// Shortest time of a watch that names none; the longest is twice that.
    pub min_watch: Duration,
    /// Shortest time between two comparisons with the store; the longest is half as much again.
    pub check_period: Duration,
}

impl CacheConfig {
    /// The configuration of a server.
    pub fn standard() -> Self {
        Self {
            history: Duration::from_secs(300),
            history_events: 100_000,
            // About 8,000 changes of objects of 1.5 KB. Whoever missed more than that lists again, which costs less than
            // to keep everything at hand.
            history_bytes: 16 << 20,
            // More than that in five minutes is 55 writes a second. It takes a server a fraction of a second to go through them.
            replay: 16_384,
            bookmark_period: Duration::from_secs(60),
            watcher_queue: 1000,
            freshness_timeout: Duration::from_secs(3),
            min_watch: Duration::from_secs(1800),
            check_period: Duration::from_secs(300),
        }
    }
}

/// The watch cache of one resource.
#[derive(Debug)]
pub struct Cache {
    config: CacheConfig,
    follower: Follower,
    revision_reader: Arc<RevisionReader>,
    progress: ProgressRequester,
    consistency: ConsistencyCounters,
    counters: Counters,
}

impl Cache {
    /// Starts the task that fills the cache and keeps it current, until `stop` is cancelled.
    pub fn start(resource: Arc<dyn Resource>, store: impl Into<SharedStore>, config: CacheConfig, stop: CancellationToken) -> Arc<Self> {
        let SharedStore { store, revision_reader } = store.into();
        let bounds = Bounds { age: config.history, events: config.history_events, bytes: config.history_bytes };
        let follower = Follower {
            source: Arc::new(Source::new(resource, store)),
            state: Arc::new(State::new(bounds)),
            following: AtomicBool::new(false),
            corrupt: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            depth: config.replay,
            patience: config.freshness_timeout,
            mismatch: Notify::new(),
        };
        let (progress, consistency, counters) = (ProgressRequester::default(), ConsistencyCounters::default(), Counters::default());
        let cache = Arc::new(Self { config, follower, revision_reader, progress, consistency, counters });
        let running = Arc::clone(&cache);
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = running.follower.run() => {}
                () = running.progress.run(&*running.source().store) => {}
                () = running.tidy() => {}
                () = running.keep_comparing() => {}
            }
            running.follower.following.store(false, Ordering::Relaxed);
            running.state().stop();
        });
        cache
    }

    /// Whether the first load is done and the cache follows the store.
    pub fn is_ready(&self) -> bool {
        self.follower.following.load(Ordering::Relaxed) && self.state().snapshot().is_some()
    }

    /// Waits for the first load.
    pub async fn ready(&self) {
        // The sender lives as long as the cache does.
        let _ = self.state().subscribe().wait_for(Option::is_some).await;
    }

    /// The cached object under a key, perhaps stale: what a write starts from before the store has confirmed it.
    pub fn cached_existing(&self, key: &ObjectKey) -> Option<Arc<Item>> {
        self.state().snapshot()?.objects.get(&path_of(self.descriptor(), key)).cloned()
    }

    /// All objects at hand, perhaps stale, in order; empty before the first load.
    pub fn items(&self) -> Vec<Arc<Item>> {
        self.state().snapshot().map(|snapshot| snapshot.objects.values().cloned().collect()).unwrap_or_default()
    }

    /// Reads the scopes of all watches' callers anew, in each namespace, and sends each watch the objects that appear (ADDED) and
    /// disappear (DELETED). To be called when something beside the objects decides about that
    /// and has changed, such as the members of a team. Views are also asked at every event, under a lock: the functions
    /// in them answer from memory and call no cache's watch, stats or this.
    pub fn reevaluate(&self) {
        self.state().reevaluate();
    }

    /// How the cache is doing.
    pub fn stats(&self) -> CacheStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let feed = self.state().feed();
        CacheStats {
            objects: feed.newest.objects.len(),
            revision: feed.newest.revision,
            watchers: feed.hub.len(),
            overruns: feed.hub.overruns(),
            corrupt: count(&self.follower.corrupt),
            checks: self.consistency.counts(),
            capacity: self.config.history_events,
            events: feed.hub.events(),
            progress: count(&self.follower.progress),
            loads: count(&self.follower.loads),
            initial_events: count(&self.counters.initial_events),
            terminated: count(&self.counters.terminated),
            reads: self.counters.reads(),
            lists: self.counters.lists(),
        }
    }

    /// Fails when the filter's extent holds something that cannot be read.
    fn refuse_corrupt(&self, snapshot: &Snapshot, filter: &Filter, operation: &str) -> Result<(), ApiError> {
        match snapshot.corrupt.iter().find(|path| filter.spans(path)) {
            Some(path) => Err(self.unreadable(path, operation)),
            None => Ok(()),
        }
    }

    fn unreadable(&self, path: &str, operation: &str) -> ApiError {
        from_store(StoreError::Corrupt(format!("{}{path}", self.source().prefix)), self.descriptor(), operation)
    }

    /// Forgets what is too old, and keeps the revision of bookmarks fresh; never ends.
    async fn tidy(&self) {
        let mut tick = tokio::time::interval(self.config.bookmark_period.clamp(Duration::from_millis(10), Duration::from_secs(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.state().snapshots.forget(self.config.history);
            self.state().progress(0);
            if self.state().feed().hub.len() > 0 {
                let asked = tokio::time::timeout(self.config.freshness_timeout, self.source().store.request_progress()).await;
                tracing::trace!(?asked, "asked for progress");
            }
        }
    }

    fn state(&self) -> &State {
        &self.follower.state
    }

    fn source(&self) -> &Source {
        &self.follower.source
    }

    fn config(&self) -> &CacheConfig {
        &self.config
    }

    fn descriptor(&self) -> &'static Descriptor {
        self.source().resource.descriptor()
    }
}

#[cfg(test)]
pub(crate) mod tests;
