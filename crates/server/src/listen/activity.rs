//! Whether a connection is in use, and how the answers on it end.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What goes on on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    requests: watch::Sender<usize>,
    unread: AtomicBool,
}

impl Default for Activity {
    fn default() -> Self {
        Self { requests: watch::Sender::new(0), unread: AtomicBool::new(false) }
    }
}

impl Activity {
    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.send_modify(|count| *count += 1);
        Busy(Arc::clone(self))
    }

    /// The same body; whether it was read to its end is remembered.
    pub(super) fn watch_body(self: &Arc<Self>, body: Incoming) -> Body {
        Body::new(Received { body, activity: Arc::clone(self) })
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn left_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Waits until there was no request for this long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut requests = self.requests.subscribe();
        loop {
            // The sender lives as long as `self`: waiting on it cannot fail.
            let _ = requests.wait_for(|count| *count == 0).await;
            if tokio::time::timeout(limit, requests.wait_for(|count| *count != 0)).await.is_err() {
                return;
            }
        }
    }
}

/// A request is under way while this lives.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.send_modify(|count| *count -= 1);
    }
}

impl Busy {
    /// Whether a body on this connection was given up before its end.
    pub(super) fn left_unread(&self) -> bool {
        self.0.left_unread()
    }

    /// The same body, after which the request is over.
    pub(super) fn until_end_of(self, body: Body, ending: Ending) -> Body {
        Body::new(Tracked { body, ending, _busy: self })
    }
}

/// How an answer ends when the server stops.
pub(super) enum Ending {
    /// By itself, and it is waited for.
    Waited(#[expect(dead_code, reason = "who waits counts these")] TaskTrackerToken),
    /// Early, as if there were no more, when this has come to its end.
    Told(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Ending {
    /// Some time after `stop`, but within `grace`: clients whose watches end all at once all come back at once.
    pub(super) fn told(stop: CancellationToken, grace: Duration) -> Self {
        Self::Told(Box::pin(async move {
            stop.cancelled_owned().await;
            if !grace.is_zero() {
                tokio::time::sleep(next_share(grace)).await;
            }
        }))
    }
}

/// Parts of a time that are spread evenly over it, however many are asked for: multiples of the golden ratio do not meet.
fn next_share(time: Duration) -> Duration {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    const GOLDEN: u32 = 0x9E37_79B9;
    let share = ASKED.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
    time.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// Whether the answer to this would go on for ever.
pub(super) fn is_watch(uri: &http::Uri) -> bool {
    let asked = uri.query().unwrap_or("").split('&').any(|pair| match pair.split_once('=') {
        Some(("watch", value)) => !matches!(value, "" | "0" | "false" | "f" | "F" | "False" | "FALSE"),
        _ => false,
    });
    asked || is_watch_path(uri.path())
}

/// The old form `/apis/GROUP/VERSION/watch/...`, perhaps below a prefix.
fn is_watch_path(path: &str) -> bool {
    let mut segments = path.split('/').skip_while(|segment| !matches!(*segment, "api" | "apis"));
    let version = if segments.next() == Some("apis") { 1 } else { 0 };
    segments.nth(version + 1) == Some("watch")
}

/// The body of a request.
struct Received {
    body: Incoming,
    activity: Arc<Activity>,
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.activity.unread.store(true, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
struct Tracked {
    body: Body,
    ending: Ending,
    _busy: Busy,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Ending::Told(end) = &mut self.ending
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio_util::task::TaskTracker;

    #[test]
    fn watches_are_known_by_their_path_or_query() {
        for (uri, want) in [
            ("/apis/g/v1/things", false),
            ("/apis/g/v1/things?watch=true", true),
            ("/apis/g/v1/things?limit=5&watch=1", true),
            ("/apis/g/v1/things?watch=false", false),
            ("/apis/g/v1/things?watch=0", false),
            ("/apis/g/v1/things?watch", false),
            ("/apis/g/v1/things?labelSelector=watch%3Dtrue", false),
            ("/apis/g/v1/watch/things", true),
            ("/prefix/apis/g/v1/watch/namespaces/a/things", true),
            ("/api/v1/watch/namespaces", true),
            ("/apis/g/v1/namespaces/a/things/watch", false),
            ("/watch", false),
        ] {
            assert_eq!(is_watch(&uri.parse().unwrap()), want, "{uri}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_while_no_answer_is_under_way() {
        let activity = Arc::new(Activity::default());
        let limit = Duration::from_secs(90);
        let busy = activity.begin();
        assert!(tokio::time::timeout(limit * 3, activity.idle_for(limit)).await.is_err(), "a request is under way");
        let body = busy.until_end_of(Body::from("x"), Ending::Waited(TaskTracker::new().token()));
        assert!(tokio::time::timeout(limit * 3, activity.idle_for(limit)).await.is_err(), "its answer is not read");
        drop(body);
        assert!(tokio::time::timeout(limit * 2, activity.idle_for(limit)).await.is_ok());
    }

    fn endless(ending: Ending) -> Body {
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        Arc::new(Activity::default()).begin().until_end_of(endless, ending)
    }

    #[tokio::test]
    async fn a_watch_ends_cleanly_when_the_server_stops() {
        let stop = CancellationToken::new();
        let body = endless(Ending::told(stop.clone(), Duration::ZERO));
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
                let body = endless(Ending::told(stop.clone(), grace));
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
        let body = endless(Ending::Waited(requests.token()));
        assert_eq!(requests.len(), 1);
        drop(body);
        assert!(requests.is_empty());
    }
}
