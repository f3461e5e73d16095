//! One watch: the state, then what happened since, then what happens, without a gap or a double.
//!
//! A watch begins by itself: it reads a snapshot, goes on through the history, and only then joins the hub, in the same
//! moment in which it has read the newest event. A watcher that is too slow for its queue leaves the hub and goes
//! through the history again; so a slow one holds nobody up, and only one that falls behind the whole history cannot go
//! on. What waits in a watch are references to a few objects and events, which others have as well.

use super::Cache;
use super::event::{Event, STRIDE, frame};
use super::filter::Filter;
use super::freshness::Freshness;
use super::history::Position;
use super::hub::{Delivery, Receiver, WatcherId};
use super::snapshot::Snapshot;
use super::visibility_change::VisibilityChange;
use crate::backoff::jitter;
use crate::frame::{EventKind, Frame};
use crate::keys::Path;
use crate::when_woken::WhenWoken;
use apiserver_meta::options::{ListOptions, ResourceVersion};
use apiserver_meta::{ApiError, ObjectFilter, RequestContext};
use apiserver_store::Revision;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How long before its end a watch gets its last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// When a bookmark is tried again that found a cache that is behind what the client knows.
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

/// What a watch does now.
#[derive(Debug)]
enum Phase {
    /// What may have to wait for the cache or for the store.
    Step(Step),
    /// Waits for events.
    Live(Membership),
    Ended,
}

/// A step of a watch that is not live. Each makes the phase after it.
#[derive(Debug)]
enum Step {
    Begin(Start),
    /// Sends the objects of a snapshot from this path on.
    Rows {
        snapshot: Arc<Snapshot>,
        next: Path,
    },
    /// Sends the history from here on.
    Past(Position),
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
    /// When the timer wakes.
    wakes_at: Instant,
    has_fired: bool,
    timer: WhenWoken<Pin<Box<Sleep>>>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.cache.state().feed().hub.remove(self.id, &self.filter.extent);
    }
}

/// A watch: ends when its time is over, when the cache stops, or after a [`Frame::Error`], which it also gets
/// when it was read so slowly that the history does not know what it missed.
pub struct Watch(Progress);

/// Where a watch is. What a live one does is no future: it would be made anew for each event.
enum Progress {
    Here(Box<Watcher>),
    /// A step goes on, and gives the watcher back.
    Stepping(BoxFuture<'static, Box<Watcher>>),
    Over,
}

impl Stream for Watch {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            match &mut self.0 {
                Progress::Here(watcher) => {
                    if let Some(frame) = ready!(watcher.poll_frame(cx)) {
                        return Poll::Ready(Some(frame));
                    }
                }
                Progress::Stepping(step) => {
                    self.0 = Progress::Here(ready!(step.as_mut().poll(cx)));
                    continue;
                }
                Progress::Over => return Poll::Ready(None),
            }
            if let Progress::Here(watcher) = std::mem::replace(&mut self.0, Progress::Over)
                && let Some(step) = watcher.step()
            {
                self.0 = Progress::Stepping(step);
            }
        }
    }
}

/// The state of a watch.
struct Watcher {
    cache: Arc<Cache>,
    filter: Arc<Filter>,
    /// See [`RequestContext::connection`].
    connection: u64,
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
        ctx: &RequestContext,
        namespace: &str,
        options: &ListOptions,
        view: &ObjectFilter,
    ) -> Result<Watch, ApiError> {
        self.loaded()?;
        Ok(open(self, Filter::new(self.descriptor(), namespace, options, view), ctx.connection, options))
    }
}

/// Makes the stream of a watch. Nothing is read before it is polled, so a response can begin at once.
fn open(cache: &Arc<Cache>, filter: Filter, connection: u64, options: &ListOptions) -> Watch {
    let now = Instant::now();
    let config = cache.config();
    let lasts = options.timeout_seconds.map_or_else(|| config.min_watch.mul_f64(1.0 + jitter()), Duration::from_secs);
    let deadline = now.checked_add(lasts).unwrap_or_else(|| now + config.min_watch);
    let start = start(options);
    let mut watcher = Watcher {
        cache: Arc::clone(cache),
        filter: Arc::new(filter),
        connection,
        phase: Phase::Step(Step::Begin(start)),
        pending: VecDeque::new(),
        visibility_changes: VecDeque::new(),
        since: 0,
        sent: 0,
        marks_initial_end: options.bookmarks && matches!(start, Start::State(_)),
        bookmark_at: options.bookmarks.then_some(now),
        deadline,
    };
    watcher.schedule_bookmark();
    Watch(Progress::Here(Box::new(watcher)))
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
    /// The next frame; `None` when there is a step to be made, or nothing more will come.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Poll::Ready(Some(frame));
            }
            if let Some(change) = self.visibility_changes.pop_front() {
                self.push_visibility_change(change);
                continue;
            }
            match &self.phase {
                Phase::Live(_) => match ready!(self.poll_live(cx)) {
                    Some(frame) => return Poll::Ready(Some(frame)),
                    None => continue,
                },
                Phase::Step(_) if Instant::now() >= self.deadline => self.phase = Phase::Ended,
                Phase::Step(_) | Phase::Ended => return Poll::Ready(None),
            }
        }
    }

    /// The step that is to be made, if there is one.
    fn step(mut self: Box<Self>) -> Option<BoxFuture<'static, Box<Self>>> {
        let Phase::Step(step) = std::mem::replace(&mut self.phase, Phase::Ended) else { return None };
        let stepping = async move {
            let phase = match step {
                Step::Begin(start) => self.begin(start).await,
                Step::Rows { snapshot, next } => self.rows(snapshot, &next).await,
                Step::Past(position) => self.past(position).await,
            };
            self.phase = phase.unwrap_or_else(|error| self.fail(error.status()));
            self
        };
        Some(Box::pin(stepping))
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
                Ok(Phase::Step(Step::Rows { snapshot, next }))
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
        Ok(Phase::Step(Step::Past(feed.history.behind(revision))))
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
            return Ok(Phase::Step(Step::Rows { snapshot, next }));
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
                let frame = self.filter.classify(&event).and_then(|kind| self.shown(&event, kind));
                self.pending.extend(frame);
            }
            return Ok(Phase::Step(Step::Past(position + looked_at)));
        }
        let (id, queue) = feed.hub.add(Arc::clone(&self.filter), self.connection, self.cache.config().watcher_queue);
        // The caller's scopes may have changed since the state was sent.
        let changes = self.filter.refresh_all();
        let (objects, revision) = (feed.newest.objects.clone(), feed.newest.revision);
        drop(feed);
        self.visibility_changes.extend(changes.into_iter().map(|change| VisibilityChange::new(change, objects.clone(), revision)));
        // It may wait for hours: not with the room of its initial events.
        self.pending.shrink_to_fit();
        let wakes_at = self.wakes_at();
        let timer = WhenWoken::new(Box::pin(tokio::time::sleep_until(wakes_at)));
        Ok(Phase::Live(Membership { cache, filter: Arc::clone(&self.filter), id, queue, position, wakes_at, has_fired: false, timer }))
    }

    /// Waits for an event, and for a bookmark to be due or the time to be over. `None`: something else is to be looked at first.
    fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let wakes_at = self.wakes_at();
        let Phase::Live(membership) = &mut self.phase else { return Poll::Ready(None) };
        if membership.wakes_at != wakes_at {
            membership.wakes_at = wakes_at;
            membership.timer.change().as_mut().reset(wakes_at);
        }
        // First, and until it is set anew: the time may be over between many events, also when a bookmark was due before.
        membership.has_fired |= membership.timer.poll_unpin(cx).is_ready();
        if membership.has_fired && Instant::now() >= self.deadline {
            self.phase = Phase::Ended;
            return Poll::Ready(None);
        }
        match membership.queue.poll_recv(cx) {
            Poll::Ready(Some(Delivery::Event { event, kind, position })) => {
                membership.position = position + 1;
                return Poll::Ready(self.shown(&event, kind));
            }
            Poll::Ready(Some(Delivery::ScopeChange(change))) => self.visibility_changes.push_back(*change),
            Poll::Ready(Some(Delivery::Failed(status))) => self.phase = self.fail(apiserver_meta::Status::clone(&status)),
            // Overrun, or the cache has stopped: the history knows.
            Poll::Ready(None) => self.phase = Phase::Step(Step::Past(membership.position)),
            Poll::Pending if membership.has_fired => return Poll::Ready(self.timer_fired()),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(None)
    }

    /// A bookmark may be due.
    fn timer_fired(&mut self) -> Option<Frame> {
        let Phase::Live(membership) = &mut self.phase else { return None };
        // Set anew, whatever comes of this.
        let now = Instant::now();
        (membership.has_fired, membership.wakes_at) = (false, now);
        if self.bookmark_at.is_none_or(|at| now < at) {
            return None;
        }
        // Read before the queue is looked at: everything at or below it was put there before, or found no room and closed it.
        let published = self.cache.state().snapshot().map_or(0, |snapshot| snapshot.revision);
        if !membership.queue.is_up_to_date() {
            return None;
        }
        if published < self.sent {
            self.bookmark_at = Some(now + BOOKMARK_RETRY);
            return None;
        }
        self.sent = published;
        self.schedule_bookmark();
        Some(Frame::Bookmark { revision: published, initial_events_end: false })
    }

    /// The frame of an event that was not sent before.
    fn shown(&mut self, event: &Event, kind: EventKind) -> Option<Frame> {
        if event.revision <= self.since {
            return None;
        }
        self.sent = self.sent.max(event.revision);
        event.frame(kind)
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
