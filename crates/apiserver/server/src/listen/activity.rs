//! Whether a connection is in use, and how the answers on it end.

use super::drain::Rest;
use super::send_deadline::SendDeadline;
use apiserver_registry::WhenWoken;
use axum::body::{Body, Bytes, HttpBody};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Version;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Bytes of a response that are handed to h2 at once: it buffers what it is given, however small the client's window.
const FRAME: usize = 64 * 1024;
/// Responses over HTTP/2 of more bytes than this keep their last byte back until the client has made room for the rest.
const SMALL: usize = 16 * 1024;

/// The activity of a connection.
#[derive(Debug)]
pub(super) struct Activity {
    load: watch::Sender<Load>,
    unread: AtomicBool,
    authenticated: AtomicBool,
    /// What was written waits for the client to take it.
    blocked: AtomicBool,
}

#[derive(Debug)]
struct Load {
    requests: usize,
    /// Since when there are so many.
    since: Instant,
    /// Over HTTP/1.1: until when the response under way is to be sent.
    deadline: Option<Arc<SendDeadline>>,
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// No request was under way for long.
    Idle,
    /// The client does not read the response.
    Overdue,
}

impl Default for Activity {
    fn default() -> Self {
        let load = Load { requests: 0, since: Instant::now(), deadline: None };
        Self {
            load: watch::Sender::new(load),
            unread: AtomicBool::new(false),
            authenticated: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
        }
    }
}

impl Activity {
    /// A request begins; over HTTP/1.1 with the deadline of its response.
    pub(super) fn begin(self: &Arc<Self>, deadline: Option<Arc<SendDeadline>>) -> Busy {
        self.load.send_modify(|load| *load = Load { requests: load.requests + 1, since: Instant::now(), deadline });
        Busy(Arc::clone(self))
    }

    /// Wraps the body of a request. When it is dropped before its end, `rest` reads on; without `rest`, that it was left unread is
    /// recorded.
    pub(super) fn watch_body(self: &Arc<Self>, body: Incoming, rest: Option<Rest>) -> Body {
        Body::new(Received { body: Some(body), activity: Arc::clone(self), rest })
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn left_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// A request on this connection came from a known user.
    pub(super) fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    /// Whether a request on this connection ever came from a known user.
    pub(super) fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    /// Something was written, or could not be as long as the client takes nothing.
    pub(super) fn wrote(&self, is_taken: bool) {
        if !is_taken {
            self.blocked.store(true, Ordering::Relaxed);
        }
    }

    /// Everything is written. Returns whether it had to wait.
    pub(super) fn flushed(&self) -> bool {
        self.blocked.swap(false, Ordering::Relaxed)
    }

    fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Since when no request is under way; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let load = self.load.borrow();
        (load.requests == 0).then_some(load.since)
    }

    /// Waits until there was no request for this long, or until the response under way is overdue.
    pub(super) async fn unwanted(&self, idle_timeout: Duration) -> Unwanted {
        let mut load = self.load.subscribe();
        loop {
            let (idle, deadline) = {
                let load = load.borrow_and_update();
                ((load.requests == 0).then_some(load.since), load.deadline.clone())
            };
            let unwanted = async {
                match (idle, deadline) {
                    (Some(since), _) => {
                        tokio::time::sleep_until(since + idle_timeout).await;
                        Unwanted::Idle
                    }
                    (None, Some(deadline)) => {
                        deadline.overdue().await;
                        Unwanted::Overdue
                    }
                    (None, None) => std::future::pending().await,
                }
            };
            tokio::select! {
                why = unwanted => return why,
                // The sender lives as long as `self`: waiting on it cannot fail.
                _ = load.changed() => {}
            }
        }
    }
}

/// A request is under way while this lives.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.load.send_modify(|load| *load = Load { requests: load.requests - 1, since: Instant::now(), deadline: None });
    }
}

impl Busy {
    /// Whether a body on this connection was given up before its end.
    pub(super) fn left_unread(&self) -> bool {
        self.0.left_unread()
    }

    /// Wraps the body of a response. At its end the request has ended.
    pub(super) fn until_end_of(self, body: Body, ending: Ending, deadline: Arc<SendDeadline>, version: Version) -> Body {
        let split = (version == Version::HTTP_2).then(Bytes::new);
        Body::new(Tracked { body, ending, deadline, split, busy: self })
    }
}

/// How an answer ends when the server stops.
pub(super) enum Ending {
    /// By itself, and it is waited for.
    Tracked(#[expect(dead_code, reason = "who waits counts these")] TaskTrackerToken),
    /// Early, as if there were no more, when this has come to its end.
    Cancelled(WhenWoken<BoxFuture<'static, ()>>),
}

impl Ending {
    /// Some time after `stop`, but within `grace`: clients whose watches end all at once all come back at once.
    pub(super) fn cancelled(stop: CancellationToken, grace: Duration) -> Self {
        Self::Cancelled(WhenWoken::new(Box::pin(async move {
            stop.cancelled_owned().await;
            if !grace.is_zero() {
                tokio::time::sleep(next_share(grace)).await;
            }
        })))
    }
}

/// Parts of a time that are spread evenly over it, however many are asked for: multiples of the golden ratio do not meet.
fn next_share(time: Duration) -> Duration {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    const GOLDEN: u32 = 0x9E37_79B9;
    let share = ASKED.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
    time.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// The body of a request. Taken out only when it is dropped.
struct Received {
    body: Option<Incoming>,
    activity: Arc<Activity>,
    /// Reads on when the body is dropped; `None`: the connection is closed then.
    rest: Option<Rest>,
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        match &self.rest {
            Some(rest) => rest.drain(body),
            None => self.activity.unread.store(true, Ordering::Relaxed),
        }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// The body of an answer.
struct Tracked {
    body: Body,
    ending: Ending,
    deadline: Arc<SendDeadline>,
    /// Over HTTP/2: what is left of a frame that is too large for one.
    split: Option<Bytes>,
    busy: Busy,
}

impl Tracked {
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(rest) = &mut self.split
            && !rest.is_empty()
        {
            let is_last = self.body.is_end_stream();
            return Poll::Ready(Some(Ok(Frame::data(first_of(rest, is_last)))));
        }
        if let Ending::Cancelled(end) = &mut self.ending
            && end.poll_unpin(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_last = self.body.is_end_stream();
        let Some(rest) = &mut self.split else { return Poll::Ready(frame) };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => {
                    *rest = data;
                    Frame::data(first_of(rest, is_last))
                }
                Err(trailers) => trailers,
            })
        }))
    }
}

/// Takes off what is handed to h2 at once. h2 takes a piece when the client's window has room for a single byte of it, and
/// hyper lets go of a stream when h2 has its last piece. So pieces are bounded, and the last byte of a response that is not
/// small is a piece of its own, which h2 takes only when the window has room for everything before it: until then the stream
/// has its deadline, and its permit.
fn first_of(rest: &mut Bytes, is_last: bool) -> Bytes {
    let length = rest.len();
    let kept_back = usize::from(is_last && length > SMALL);
    rest.split_to(FRAME.min(length - kept_back))
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // hyper would take pieces until it holds 1 MiB of them. When all is written it asks again.
        if self.split.is_none() && self.busy.0.is_blocked() {
            return Poll::Pending;
        }
        self.deadline.asked();
        let polled = self.poll_whole(cx);
        if polled.is_ready() {
            self.deadline.gave();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.split.as_ref().is_none_or(Bytes::is_empty) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.split.as_ref().map_or(0, Bytes::len) {
            0 => self.body.size_hint(),
            // Asked for only before the first frame.
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio_util::task::TaskTracker;

    const LIMIT: Duration = Duration::from_secs(90);

    async fn unwanted_within(activity: &Activity, time: Duration) -> Option<Unwanted> {
        tokio::time::timeout(time, activity.unwanted(LIMIT)).await.ok()
    }

    fn no_hurry() -> Arc<SendDeadline> {
        Arc::new(SendDeadline::whole(LIMIT * 1000))
    }

    fn waited() -> Ending {
        Ending::Tracked(TaskTracker::new().token())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_while_no_answer_is_under_way() {
        let activity = Arc::new(Activity::default());
        let busy = activity.begin(None);
        assert_eq!(unwanted_within(&activity, LIMIT * 3).await, None, "a request is under way");
        let body = busy.until_end_of(Body::from("x"), waited(), no_hurry(), Version::HTTP_11);
        assert_eq!(unwanted_within(&activity, LIMIT * 3).await, None, "its answer is not read");
        drop(body);
        assert_eq!(unwanted_within(&activity, LIMIT * 2).await, Some(Unwanted::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_response_is_not_read_is_closed() {
        let activity = Arc::new(Activity::default());
        let _busy = activity.begin(Some(Arc::new(SendDeadline::whole(LIMIT))));
        assert_eq!(unwanted_within(&activity, LIMIT * 3).await, Some(Unwanted::Overdue));
    }

    /// The lengths of the frames of a body of this length.
    async fn frames(length: usize, version: Version) -> Vec<usize> {
        let busy = Arc::new(Activity::default()).begin(None);
        let mut body = busy.until_end_of(Body::from(vec![0; length]), waited(), no_hurry(), version);
        let mut lengths = Vec::new();
        while !body.is_end_stream() {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
            lengths.push(frame.into_data().unwrap().len());
        }
        lengths
    }

    #[tokio::test]
    async fn a_stream_is_over_only_when_its_client_has_room_for_the_whole_response() {
        assert_eq!(frames(SMALL, Version::HTTP_2).await, [SMALL]);
        assert_eq!(frames(SMALL + 1, Version::HTTP_2).await, [SMALL, 1]);
        assert_eq!(frames(2 * FRAME + 1, Version::HTTP_2).await, [FRAME, FRAME, 1]);
        assert_eq!(frames(2 * FRAME + SMALL, Version::HTTP_2).await, [FRAME, FRAME, SMALL]);
        assert_eq!(frames(2 * FRAME + 1, Version::HTTP_11).await, [2 * FRAME + 1]);
    }

    fn endless(ending: Ending) -> Body {
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        Arc::new(Activity::default()).begin(None).until_end_of(endless, ending, no_hurry(), Version::HTTP_11)
    }

    #[tokio::test]
    async fn a_watch_ends_cleanly_when_the_server_stops() {
        let stop = CancellationToken::new();
        let body = endless(Ending::cancelled(stop.clone(), Duration::ZERO));
        let read = tokio::spawn(axum::body::to_bytes(body, 1024));
        stop.cancel();
        assert_eq!(read.await.unwrap().unwrap(), Bytes::new());
    }

    #[tokio::test(start_paused = true)]
    async fn many_watches_end_one_after_the_other() {
        let (stop, grace) = (CancellationToken::new(), Duration::from_secs(60));
        let begun = tokio::time::Instant::now();
        let ends: Vec<_> = (0..600)
            .map(|_| {
                let body = endless(Ending::cancelled(stop.clone(), grace));
                tokio::spawn(async move { axum::body::to_bytes(body, 1).await.map(|_| begun.elapsed()) })
            })
            .collect();
        stop.cancel();
        let mut by_ten_seconds = [0; 6];
        for end in ends {
            by_ten_seconds[(end.await.unwrap().unwrap().as_secs() / 10).min(5) as usize] += 1;
        }
        assert!(by_ten_seconds.iter().all(|ends| (90..=110).contains(ends)), "{by_ten_seconds:?}");
    }

    #[tokio::test]
    async fn a_request_is_counted_until_its_answer_is_read() {
        let requests = TaskTracker::new();
        let body = endless(Ending::Tracked(requests.token()));
        assert_eq!(requests.len(), 1);
        drop(body);
        assert!(requests.is_empty());
    }
}
