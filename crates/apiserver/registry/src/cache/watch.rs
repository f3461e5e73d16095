//! One watch: the state, then what happened since, then what happens, without a gap or a double.
//!
//! A watch begins by itself: it reads a snapshot, goes on through the history, and only then joins the hub, in the same
//! moment in which it has read the newest event. A watcher that is too slow for its queue leaves the hub and goes
//! through the history again; so a slow one holds nobody up, and only one that falls behind the whole history cannot go
//! on. What waits in a watch are references to a few objects and events, which others have as well.

use super::event::{Event, STRIDE, frame};
use super::filter::Filter;
use super::freshness::Freshness;
use super::history::Position;
use super::hub::{Delivery, Receiver, WatcherId};
use super::snapshot::Snapshot;
use super::visibility_change::VisibilityChange;
use super::{Cache, Watch};
use crate::backoff::jitter;
use crate::frame::{EventKind, Frame};
use crate::keys::Path;
use apiserver_meta::options::{ListOptions, ResourceVersion};
use apiserver_meta::{ApiError, ObjectFilter, RequestContext};
use apiserver_store::Revision;
use futures::StreamExt;
use futures::stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Room for frames that a watch keeps while it has none.
const KEPT: usize = 4;
/// How long before its end a watch gets its last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// When a bookmark is tried again that found events in its way, or a cache that is behind what the client knows.
const BOOKMARK_RETRY: Duration = Duration::from_millis(500);

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// With the state, at this freshness, as events.
    State(ResourceVersion),
    /// Behind the state, at this freshness, without sending it.
    Now(ResourceVersion),
    /// Behind a revision.
    After(Revision),
}

/// The next step of a watch. Each step makes the one after it.
#[derive(Debug)]
enum Phase {
    Begin(Start),
    /// Sends the objects of a snapshot from this path on.
    Rows {
        snapshot: Arc<Snapshot>,
        next: Path,
    },
    /// Sends the history from here on.
    Past(Position),
    /// Waits for events.
    Live(Box<Membership>),
    Ended,
}

/// A membership of the hub, until it is dropped.
#[derive(Debug)]
struct Membership {
    cache: Arc<Cache>,
    filter: Arc<Filter>,
    id: WatcherId,
    queue: Receiver<Delivery>,
    /// Behind the last event taken from the queue.
    position: Position,
    timer: Pin<Box<Sleep>>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.cache.state().feed().hub.remove(self.id, &self.filter.extent);
    }
}

/// One watch.
struct Watcher {
    cache: Arc<Cache>,
    filter: Arc<Filter>,
    phase: Phase,
    /// Frames that were made and not yet asked for.
    pending: VecDeque<Frame>,
    /// To be sent before anything else happens.
    visibility_changes: VecDeque<VisibilityChange>,
    /// The revision that the watch began behind, and the greatest up to which it has sent.
    since: Revision,
    sent: Revision,
    /// Whether the initial events end with a bookmark.
    marks_initial_end: bool,
    /// When the next bookmark is due; `None` without bookmarks.
    bookmark_at: Option<Instant>,
    deadline: Instant,
}

impl Cache {
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
        Ok(open(self, Filter::new(self.descriptor(), namespace, options, view), options))
    }
}

/// Makes the stream of a watch. Nothing is read before it is polled, so a response can begin at once.
fn open(cache: &Arc<Cache>, filter: Filter, options: &ListOptions) -> Watch {
    let now = Instant::now();
    let config = cache.config();
    let lasts = options.timeout_seconds.map_or_else(|| config.min_watch.mul_f64(1.0 + jitter()), Duration::from_secs);
    let deadline = now.checked_add(lasts).unwrap_or_else(|| now + config.min_watch);
    let start = start(options);
    let mut watcher = Watcher {
        cache: Arc::clone(cache),
        filter: Arc::new(filter),
        phase: Phase::Begin(start),
        pending: VecDeque::new(),
        visibility_changes: VecDeque::new(),
        since: 0,
        sent: 0,
        marks_initial_end: options.bookmarks && matches!(start, Start::State(_)),
        bookmark_at: options.bookmarks.then_some(now),
        deadline,
    };
    watcher.schedule_bookmark();
    stream::unfold(Box::new(watcher), |mut watcher| async move { watcher.next().await.map(|frame| (frame, watcher)) }).boxed()
}

/// A version that is unset or `0` begins with the state, unless the watch says that it wants none.
fn start(options: &ListOptions) -> Start {
    let version = options.resource_version;
    match (version, options.initial_events) {
        (_, Some(true)) | (ResourceVersion::Unset | ResourceVersion::Any, None) => Start::State(version),
        (ResourceVersion::Unset | ResourceVersion::Any, Some(false)) => Start::Now(version),
        (ResourceVersion::At(revision), None | Some(false)) => Start::After(revision),
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(frame);
            }
            // A watch may wait for hours with the room of its initial events.
            self.pending.shrink_to(KEPT);
            if Instant::now() >= self.deadline {
                self.phase = Phase::Ended;
            }
            if matches!(self.phase, Phase::Ended) {
                return None;
            }
            if let Some(change) = self.visibility_changes.pop_front() {
                self.push_visibility_change(change);
                continue;
            }
            let step = match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Begin(start) => self.begin(start).await,
                Phase::Rows { snapshot, next } => self.rows(snapshot, &next).await,
                Phase::Past(position) => self.past(position).await,
                Phase::Live(membership) => Ok(self.live(membership).await),
                Phase::Ended => Ok(Phase::Ended),
            };
            self.phase = step.unwrap_or_else(|error| self.fail(error.status()));
        }
    }

    async fn begin(&mut self, start: Start) -> Result<Phase, ApiError> {
        match start {
            Start::After(revision) => {
                // That the revision exists is enough: what the cache still has to hear of up to it, the client knows.
                self.cache.at_least(revision, self.deadline.into()).await?;
                if tokio::time::timeout_at(self.deadline, self.cache.state().covers_soon(revision)).await.is_err() {
                    return Ok(Phase::Ended);
                }
                self.filter.observe(&self.cache.loaded()?.objects);
                self.resume(revision)
            }
            Start::Now(version) => {
                let snapshot = self.state(version).await?;
                self.resume(snapshot.revision)
            }
            Start::State(version) => {
                let snapshot = self.state(version).await?;
                self.cache.refuse_corrupt(&snapshot, &self.filter, "watch")?;
                self.sent = snapshot.revision;
                let next = Path::from(self.filter.prefix());
                Ok(Phase::Rows { snapshot, next })
            }
        }
    }

    /// The state that the watch begins with.
    async fn state(&self, version: ResourceVersion) -> Result<Arc<Snapshot>, ApiError> {
        let snapshot = match self.cache.fresh(version, self.deadline.into(), "watch").await? {
            Freshness::Cached(snapshot) => snapshot,
            Freshness::AskStore => Arc::new(self.cache.snapshot_of_store(&self.filter).await?),
        };
        self.filter.observe(&snapshot.objects);
        Ok(snapshot)
    }

    /// Goes on behind a revision.
    fn resume(&mut self, revision: Revision) -> Result<Phase, ApiError> {
        let feed = self.cache.state().feed();
        if !feed.history.covers(revision) {
            return Err(too_old(revision, feed.history.floor()));
        }
        self.since = revision;
        self.sent = self.sent.max(revision);
        Ok(Phase::Past(feed.history.behind(revision)))
    }

    /// Sends some objects of the snapshot, and behind the last one the end of the initial events.
    async fn rows(&mut self, snapshot: Arc<Snapshot>, next: &str) -> Result<Phase, ApiError> {
        let mut rows = snapshot.objects.candidates(&self.filter, next);
        for (path, item) in rows.by_ref().take(STRIDE) {
            if self.filter.spans(path) && self.filter.shows(item) {
                self.pending.push_back(frame(EventKind::Added, item));
            }
        }
        let next = rows.next().map(|(path, _)| Arc::clone(path));
        drop(rows);
        self.cache.counters.initial_events.fetch_add(self.pending.len() as u64, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if let Some(next) = next {
            return Ok(Phase::Rows { snapshot, next });
        }
        if self.marks_initial_end {
            self.pending.push_back(Frame::Bookmark { revision: snapshot.revision, initial_events_end: true });
        }
        self.resume(snapshot.revision)
    }

    /// Sends some of the history; at its end joins the hub before anything else can happen.
    async fn past(&mut self, position: Position) -> Result<Phase, ApiError> {
        tokio::task::yield_now().await;
        let cache = Arc::clone(&self.cache);
        let mut feed = cache.state().feed();
        if feed.stopped {
            return Ok(Phase::Ended);
        }
        let Some(events) = feed.history.from(position) else {
            self.cache.counters.terminated.fetch_add(1, Ordering::Relaxed);
            return Err(too_old(self.sent, feed.history.floor()));
        };
        let (mut looked_at, mut found) = (0, Vec::new());
        for event in events.take(STRIDE) {
            looked_at += 1;
            if event.revision > self.since && self.filter.spans(&event.path) {
                found.push(Arc::clone(event));
            }
        }
        if looked_at > 0 {
            drop(feed);
            for event in found {
                if let Some(kind) = self.filter.classify(&event) {
                    self.push(&event, kind);
                }
            }
            return Ok(Phase::Past(position + looked_at));
        }
        let (id, queue) = feed.hub.add(Arc::clone(&self.filter), self.cache.config().watcher_queue);
        // The caller's scopes may have changed since the state was sent.
        let changes = self.filter.refresh_all();
        let (objects, revision) = (feed.newest.objects.clone(), feed.newest.revision);
        drop(feed);
        self.visibility_changes.extend(changes.into_iter().map(|change| VisibilityChange::new(change, objects.clone(), revision)));
        let timer = Box::pin(tokio::time::sleep_until(self.wakes_at()));
        let filter = Arc::clone(&self.filter);
        Ok(Phase::Live(Box::new(Membership { cache, filter, id, queue, position, timer })))
    }

    async fn live(&mut self, mut membership: Box<Membership>) -> Phase {
        // A visibility change that was sent meanwhile may have made a bookmark due.
        let wakes_at = self.wakes_at();
        if membership.timer.deadline() != wakes_at {
            membership.timer.as_mut().reset(wakes_at);
        }
        tokio::select! {
            biased;
            delivery = membership.queue.recv() => match delivery {
                Some(Delivery::Event { event, kind, position }) => {
                    membership.position = position + 1;
                    self.push(&event, kind);
                }
                Some(Delivery::ScopeChange(change)) => self.visibility_changes.push_back(*change),
                Some(Delivery::Failed(status)) => return self.fail(apiserver_meta::Status::clone(&status)),
                // Overrun, or the cache has stopped: the history knows.
                None => return Phase::Past(membership.position),
            },
            () = membership.timer.as_mut() => self.bookmark(&membership),
        }
        Phase::Live(membership)
    }

    fn push(&mut self, event: &Event, kind: EventKind) {
        if event.revision <= self.since {
            return;
        }
        self.sent = self.sent.max(event.revision);
        self.pending.extend(event.frame(kind));
    }

    /// Sends some of a visibility change. A bookmark behind it brings the client back to where it was.
    fn push_visibility_change(&mut self, mut change: VisibilityChange) {
        self.pending.extend(change.frames(&self.filter, self.sent));
        if !change.is_sent() {
            self.visibility_changes.push_front(change);
        } else if self.bookmark_at.is_some() {
            self.bookmark_at = Some(Instant::now());
        }
    }

    /// Sends a bookmark, unless something is still on its way.
    fn bookmark(&mut self, membership: &Membership) {
        let now = Instant::now();
        if self.bookmark_at.is_none_or(|at| now < at) {
            return;
        }
        // Read before the queue is looked at: everything at or below it was put there before.
        let published = self.cache.state().snapshot().map_or(0, |snapshot| snapshot.revision);
        if membership.queue.is_empty() && published >= self.sent {
            self.sent = published;
            self.pending.push_back(Frame::Bookmark { revision: published, initial_events_end: false });
            self.schedule_bookmark();
        } else {
            self.bookmark_at = Some(now + BOOKMARK_RETRY);
        }
    }

    /// The next bookmark comes after about a period, and a little before the end.
    fn schedule_bookmark(&mut self) {
        if self.bookmark_at.is_none() {
            return;
        }
        let now = Instant::now();
        let regular = now + self.cache.config().bookmark_period.mul_f64(1.0 + jitter() / 4.0);
        let last = self.deadline.checked_sub(LAST_BOOKMARK).filter(|last| *last > now);
        self.bookmark_at = Some(last.map_or(regular, |last| last.min(regular)));
    }

    fn wakes_at(&self) -> Instant {
        self.bookmark_at.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// Sends the error, and nothing after it.
    fn fail(&mut self, status: apiserver_meta::Status) -> Phase {
        self.pending.push_back(Frame::Error(Arc::new(status)));
        Phase::Ended
    }
}

/// 410 with the words that clients' reflectors know.
fn too_old(revision: Revision, oldest: Revision) -> ApiError {
    ApiError::expired(format!("too old resource version: {revision} ({oldest})"))
}
