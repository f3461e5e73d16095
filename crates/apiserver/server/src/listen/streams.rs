//! The streams of an HTTP/2 connection: hyper makes a future of each, and leaves it to others to run it.
//!
//! Most streams are tasks of their own. Watches are run by the task of their connection: they wait nearly always, and what they do
//! then is short. An event that goes to several watches of a connection so wakes one task instead of one for each, and their frames
//! are all there when the connection is asked to write. Refused: to run every stream there. kube-apiserver sends the requests of all
//! its users over one connection, and one thread would answer them.
//!
//! Each stream runs only as long as its answer may take ([`SendDeadline`]).

use super::send_deadline::SendDeadline;
use apiserver_registry::WhenWoken;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hyper::rt::Executor;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// How many watches of a connection have their turn before the connection has its own: what they send is about two TLS records by then.
const TURN: usize = 16;

/// Where a stream is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a task of its own.
    OwnTask,
    /// In the task of its connection.
    WithConnection,
}

/// What runs the streams of one HTTP/2 connection.
#[derive(Clone, Default)]
pub(super) struct StreamExecutor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Of the request that was just begun: hyper hands over its stream in the same breath.
    next: Mutex<Option<(Place, Arc<SendDeadline>)>>,
    /// Streams that the connection has still to begin with.
    begun: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl StreamExecutor {
    /// The stream that is handed over next is that of this answer.
    pub(super) fn begin(&self, place: Place, deadline: Arc<SendDeadline>) {
        *lock(&self.0.next) = Some((place, deadline));
    }

    /// The connection, with the streams that run in its task.
    pub(super) fn with<C: Future + Unpin>(&self, connection: C) -> WithStreams<C> {
        WithStreams {
            connection: WhenWoken::new(connection),
            executor: self.clone(),
            running: WhenWoken::new(Running::default()),
            turn: Arc::default(),
            is_waiting: false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        match lock(&self.0.next).take() {
            // What an upgraded connection goes on with.
            None => drop(tokio::spawn(stream)),
            Some((Place::OwnTask, deadline)) => drop(tokio::spawn(within(deadline, stream))),
            Some((Place::WithConnection, deadline)) => lock(&self.0.begun).push(Box::pin(within(deadline, stream))),
        }
    }
}

/// A stream, for as long as its answer may take.
async fn within(deadline: Arc<SendDeadline>, stream: impl Future<Output = ()>) {
    let overdue = pin!(deadline.overdue());
    tokio::select! {
        biased;
        () = stream => {}
        () = WhenWoken::new(overdue) => tracing::debug!("an answer was not read in time"),
    }
}

/// A connection and the streams that run in its task.
///
/// Polled, it polls the streams that were woken, and then the connection, which so finds everything that they send.
///
/// An event wakes one watch after the other. So streams that were woken wait until it is the connection's turn once more: by then the
/// others that got the same event were woken too. What the connection for its part puts off until it is polled again, as
/// [`super::gather`] does, it then does at once: else the frames of thousands of connections would wait in memory.
pub(super) struct WithStreams<C> {
    connection: WhenWoken<C>,
    executor: StreamExecutor,
    running: WhenWoken<Running>,
    turn: Arc<AtomicUsize>,
    /// The streams that were woken wait for others.
    is_waiting: bool,
}

impl<C> WithStreams<C> {
    /// The connection, to be told something.
    pub(super) fn connection(&mut self) -> &mut C {
        self.connection.change()
    }
}

impl<C: Future + Unpin> Future for WithStreams<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = &mut *self;
        let is_their_turn = std::mem::take(&mut this.is_waiting);
        if is_their_turn {
            this.turn.store(0, Ordering::Relaxed);
            // Again while it is due: h2 wakes a stream that it has just given room.
            while this.running.is_due() && this.turn.load(Ordering::Relaxed) < TURN {
                let _ = this.running.poll_unpin(cx);
            }
        } else if this.running.is_due() {
            this.is_waiting = true;
            cx.waker().wake_by_ref();
        }
        let mut ended = this.connection.poll_unpin(cx);
        if ended.is_pending() && is_their_turn {
            ended = this.connection.poll_unpin(cx);
        }
        let begun = std::mem::take(&mut *lock(&this.executor.0.begun));
        if !begun.is_empty() {
            let begun = begun.into_iter().map(|stream| InTurn { stream, turn: Arc::clone(&this.turn) });
            this.running.change().0.extend(begun);
            cx.waker().wake_by_ref();
        }
        ended
    }
}

/// Streams as one future, which polls those that were woken.
#[derive(Default)]
struct Running(FuturesUnordered<InTurn>);

impl Future for Running {
    type Output = std::convert::Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Poll::Ready(Some(())) = self.0.poll_next_unpin(cx) {}
        Poll::Pending
    }
}

/// A stream that leaves its turn to others once enough have had theirs.
struct InTurn {
    stream: BoxFuture<'static, ()>,
    turn: Arc<AtomicUsize>,
}

impl Future for InTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.turn.fetch_add(1, Ordering::Relaxed) >= TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // As in a task of its own, a panic ends this stream and no other.
        let polled = AssertUnwindSafe(&mut self.stream).catch_unwind().poll_unpin(cx);
        polled.map(|ended| ended.unwrap_or_else(|_| tracing::error!("the stream of a watch panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use tokio::time::Duration;

    fn no_hurry() -> Arc<SendDeadline> {
        Arc::new(SendDeadline::frames(Duration::from_secs(60)))
    }

    /// A stream that counts how often it is polled.
    fn counting(polls: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + 'static {
        let polls = Arc::clone(polls);
        poll_fn(move |_| {
            polls.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        })
    }

    #[tokio::test]
    async fn watches_are_run_by_their_connection_and_end_with_it() {
        let executor = StreamExecutor::default();
        let mut streams = executor.with(pending::<()>());
        let held = Arc::new(());
        let stream = Arc::clone(&held);
        executor.begin(Place::WithConnection, no_hurry());
        executor.execute(async move {
            pending::<()>().await;
            drop(stream);
        });
        assert!(futures::poll!(&mut streams).is_pending());
        assert_eq!((streams.running.change().0.len(), Arc::strong_count(&held)), (1, 2));
        drop(streams);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn others_have_their_turn_between_very_many_watches() {
        let executor = StreamExecutor::default();
        let (mut streams, polls) = (executor.with(pending::<()>()), Arc::default());
        for _ in 0..3 * TURN {
            executor.begin(Place::WithConnection, no_hurry());
            executor.execute(counting(&polls));
        }
        let mut seen = Vec::new();
        for _ in 0..5 {
            // Streams that were woken wait for a turn.
            let _ = futures::poll!(&mut streams);
            let _ = futures::poll!(&mut streams);
            seen.push(polls.load(Ordering::Relaxed));
        }
        assert_eq!(seen, [1, 2, 3, 3, 3].map(|turns| turns * TURN), "each once");
    }

    #[tokio::test]
    async fn a_panic_ends_one_stream() {
        let executor = StreamExecutor::default();
        let (mut streams, polls) = (executor.with(pending::<()>()), Arc::default());
        executor.begin(Place::WithConnection, no_hurry());
        executor.execute(async { panic!("a fault") });
        executor.begin(Place::WithConnection, no_hurry());
        executor.execute(counting(&polls));
        for _ in 0..3 {
            assert!(futures::poll!(&mut streams).is_pending());
        }
        assert_eq!((streams.running.change().0.len(), polls.load(Ordering::Relaxed)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_given_up_when_its_frame_is_not_taken() {
        let executor = StreamExecutor::default();
        let (mut streams, deadline) = (executor.with(pending::<()>()), no_hurry());
        executor.begin(Place::WithConnection, Arc::clone(&deadline));
        executor.execute(pending());
        deadline.gave();
        let mut over = poll_fn(|cx| {
            let _ = streams.poll_unpin(cx);
            if streams.running.change().0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        assert!(tokio::time::timeout(Duration::from_secs(59), &mut over).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(2), &mut over).await.is_ok());
    }
}
