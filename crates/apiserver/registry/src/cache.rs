//! Reads: the watch cache.
//!
//! One cache per resource, filled by a range and kept current by the store's watch. Readers share snapshots of a
//! persistent map and copy bytes; nothing here decodes an object twice or re-encodes one. Reads without a
//! resourceVersion are linearizable: they see at least the store's revision at the time they began. Where that
//! cannot be had from the cache, the store is read; a stale answer is never given instead.
//!
//! The parts: `follow` fills, `replay` brings the history from before the start, `state` is where a change becomes visible, `history` keeps the events of the last
//! minutes, `hub` finds the watchers of an event, `freshness` decides how long a read waits; `list` and `watch` are
//! the verbs, `check` asks now and then whether all of this is still what the store has.

use crate::store_error::from_store;
use crate::{Item, List, storage_key};
use apiserver_meta::options::{GetOptions, ListOptions};
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, ObjectKey, RequestContext, Resource};
use apiserver_store::{Revision, Store, StoreError};
use consistency::Checks;
pub use consistency::ConsistencyChecks;
use counters::Counters;
pub use counters::{ListStats, ReadStats, WAIT_BOUNDS};
use filter::Filter;
use follow::{Follower, Source};
use freshness::{Freshness, ProgressAsker, RevisionReader};
use futures::stream::BoxStream;
use history::Bounds;
use snapshot::{Snapshot, path_of};
use state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

mod consistency;
mod continue_token;
mod counters;
mod event;
mod filter;
mod follow;
mod freshness;
mod history;
mod hub;
mod list;
mod replay;
mod snapshot;
mod snapshots;
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
    /// How long a read waits for the cache to reach a revision, and the start for the store to tell its history.
    pub freshness_timeout: Duration,
    /// Shortest time of a watch that names none; the longest is twice that.
    pub min_watch: Duration,
    /// Shortest time between two comparisons with the store; the longest is half as much again.
    pub check_period: Duration,
}

impl CacheConfig {
    /// What a server uses.
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

/// A watch: ends when its time is over, when the cache stops, or after a [`crate::Frame::Error`], which it also gets
/// when it was read so slowly that the history does not know what it missed.
pub type Watch = BoxStream<'static, crate::Frame>;

/// What a cache can be asked by metrics and health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Objects held.
    pub objects: usize,
    /// The revision that readers see.
    pub revision: Revision,
    /// Watches that wait for events.
    pub watchers: usize,
    /// How often a watch was too slow for its queue.
    pub overruns: u64,
    /// How often an entry was met that cannot be read.
    pub corrupt: u64,
    /// How often the cache was compared with the store.
    pub checks: ConsistencyChecks,
    /// How many events are kept at most.
    pub capacity: usize,
    /// Changes that the store told, each of which was told on to whoever watches it.
    pub events: u64,
    /// How often the store said how far it is without a change.
    pub progress: u64,
    /// How often the whole collection was loaded.
    pub loads: u64,
    /// Objects told as the beginning of watches.
    pub initial_events: u64,
    /// Watches that ended because they were read too slowly.
    pub terminated: u64,
    /// How reads came by a fresh state.
    pub reads: ReadStats,
    /// What lists cost.
    pub lists: ListStats,
}

/// The watch cache of one resource.
#[derive(Debug)]
pub struct Cache {
    config: CacheConfig,
    follower: Follower,
    revision_reader: RevisionReader,
    asker: ProgressAsker,
    checks: Checks,
    counters: Counters,
}

impl Cache {
    /// Starts the task that fills the cache and keeps it current, until `stop` is cancelled.
    pub fn start(resource: Arc<dyn Resource>, store: Arc<dyn Store>, config: CacheConfig, stop: CancellationToken) -> Arc<Self> {
        let bounds = Bounds { age: config.history, events: config.history_events, bytes: config.history_bytes };
        let follower = Follower {
            source: Source::new(resource, Arc::clone(&store)),
            state: Arc::new(State::new(bounds)),
            following: AtomicBool::new(false),
            corrupt: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            depth: config.replay,
            patience: config.freshness_timeout,
            distrusted: Notify::new(),
        };
        let revision_reader = RevisionReader::new(store);
        let (asker, checks, counters) = (ProgressAsker::default(), Checks::default(), Counters::default());
        let cache = Arc::new(Self { config, follower, revision_reader, asker, checks, counters });
        let running = Arc::clone(&cache);
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = running.follower.run() => {}
                () = running.asker.run(&*running.source().store) => {}
                () = running.tidy() => {}
                () = running.keep_checking() => {}
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

    /// One object. `NotFound` when there is none; `Forbidden` with the view's denial when the view does not show it.
    ///
    /// # Errors
    /// Also 429 before the first load, 504 when a revision is not reached in time, and what the store fails with.
    pub async fn get(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        options: &GetOptions,
        view: &ObjectFilter,
    ) -> Result<Arc<Item>, ApiError> {
        self.show(key, self.find(ctx, key, options).await?, view)
    }

    /// One object, whoever may see it; `None` when there is none.
    ///
    /// # Errors
    /// 429 before the first load, 504 when a revision is not reached in time, and what the store fails with.
    pub async fn find(&self, ctx: &RequestContext, key: &ObjectKey, options: &GetOptions) -> Result<Option<Arc<Item>>, ApiError> {
        let Freshness::Cached(snapshot) = self.fresh(options.resource_version, ctx.deadline, "get").await? else {
            return self.item_of_store(key).await;
        };
        let path = path_of(self.descriptor(), key);
        if snapshot.corrupt.contains(path.as_str()) {
            return Err(self.unreadable(&path, "get"));
        }
        Ok(snapshot.objects.get(path.as_str()).cloned())
    }

    /// The objects of a namespace, or of all when it is empty, that selectors and view let through.
    ///
    /// # Errors
    /// As [`Cache::get`]; 400 for a bad continue token, 410 for a revision that is forgotten, with a token to go on
    /// at the newest where the list was going on.
    pub async fn list(&self, ctx: &RequestContext, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Result<List, ApiError> {
        self.list_page(ctx, namespace, options, view).await
    }

    /// The changes of a namespace, or of all when it is empty, that selectors and view let through.
    ///
    /// Answers at once: waiting for a revision, and failing to reach or to know it, happens inside of the stream.
    ///
    /// # Errors
    /// 429 before the first load.
    #[allow(clippy::unused_async, reason = "a verb like the others")]
    pub async fn watch(
        self: &Arc<Self>,
        _ctx: &RequestContext,
        namespace: &str,
        options: &ListOptions,
        view: &ObjectFilter,
    ) -> Result<Watch, ApiError> {
        self.loaded()?;
        Ok(watch::open(self, Filter::new(self.descriptor(), namespace, options, view), options))
    }

    /// What the cache has under a key at this moment, perhaps stale: a write's first guess.
    pub fn cached_existing(&self, key: &ObjectKey) -> Option<Arc<Item>> {
        self.state().snapshot()?.objects.get(path_of(self.descriptor(), key).as_str()).cloned()
    }

    /// All objects at hand, perhaps stale, in order; empty before the first load.
    pub fn items(&self) -> Vec<Arc<Item>> {
        self.state().snapshot().map(|snapshot| snapshot.objects.values().cloned().collect()).unwrap_or_default()
    }

    /// Asks the views of all watches again what their callers reach in each namespace, and tells each watch what
    /// appears (ADDED) and disappears (DELETED). To be called when something beside the objects decides about that
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
            checks: self.checks.counts(),
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

    async fn item_of_store(&self, key: &ObjectKey) -> Result<Option<Arc<Item>>, ApiError> {
        let source = self.source();
        let entry = source.store.get(&storage_key(self.descriptor(), key)).await;
        let item = entry.and_then(|entry| entry.map(|entry| Item::from_entry(&*source.resource, &entry)).transpose());
        item.map(|item| item.map(Arc::new)).map_err(|error| from_store(error, self.descriptor(), "get"))
    }

    /// What a view shows of one object.
    fn show(&self, key: &ObjectKey, item: Option<Arc<Item>>, view: &ObjectFilter) -> Result<Arc<Item>, ApiError> {
        let what = self.descriptor().group_resource();
        match (item, view) {
            (Some(item), view) if view.allows(&key.namespace, &item.facts) => Ok(item),
            (Some(_), ObjectFilter::Access(grant)) => Err(ApiError::forbidden(what, &key.name, grant.denial())),
            (_, view) => Err(match view.denial_of_absent(&key.namespace) {
                Some(denial) => ApiError::forbidden(what, &key.name, denial),
                None => ApiError::not_found(what, &key.name),
            }),
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

    /// Forgets what is too old, and keeps the revision that bookmarks tell fresh; never ends.
    async fn tidy(&self) {
        let mut tick = tokio::time::interval(self.config.bookmark_period.clamp(Duration::from_millis(10), Duration::from_secs(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.state().kept.forget(self.config.history);
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

/// A random number from 0 to below 1, so that watches do not end or get their bookmarks all at once.
pub(crate) fn jitter() -> f64 {
    // Without random numbers everything works, only less evenly.
    getrandom::u32().map_or(0.5, |random| f64::from(random) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
pub(crate) mod tests;
