//! One HTTP/2 connection to a member.
//!
//! h2 itself is used, and not tonic's channel over hyper: there a call passes three tasks on its way out and two on its way
//! back, and each of them may have to wake a thread. Here the caller writes into the connection's buffers and is woken when the
//! answer is read. Connecting again, and deciding which call may be repeated, is refused: that is for the caller.

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use http::Request;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Below grpc-go's and etcd's patience (a ping each 5 s), and soon enough to notice a member that is gone without a word.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// Flow-control window of one stream. That of the connection is the maximum of HTTP/2, so that a stream that is not read (a slow
/// watch) cannot block the others.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = i32::MAX as u32;
/// Bytes of an answer's headers; etcd's errors are a line each.
const MAX_HEADERS: u32 = 16 << 10;

/// A connection, until all who use it have let go of it. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
    state: Arc<State>,
}

struct State {
    /// New calls are to be made on another connection.
    is_retired: AtomicBool,
    /// The calls under way.
    calls: AtomicUsize,
    /// Ends the task that reads and writes.
    _task: DropGuard,
}

/// A call under way: its connection is kept, and kept alive.
pub(crate) struct CallGuard(Arc<State>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The two halves of a call.
pub(crate) struct Call {
    pub(crate) request: SendStream<Bytes>,
    pub(crate) response: ResponseFuture,
    pub(crate) guard: CallGuard,
}

/// The task that reads and writes. It ends with its runtime, if not before.
struct Task(Weak<State>);

impl Task {
    fn calls(&self) -> usize {
        self.0.upgrade().map_or(0, |state| state.calls.load(Ordering::Relaxed))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.upgrade().inspect(|state| state.is_retired.store(true, Ordering::Relaxed));
    }
}

impl Connection {
    /// Begins HTTP/2 on a socket. The task that reads and writes it is one of the present runtime.
    pub(crate) async fn begin<T>(socket: T) -> Result<Self, h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        builder.max_header_list_size(MAX_HEADERS).enable_push(false);
        let (requests, mut connection) = builder.handshake(socket).await?;
        let (pings, unused) = (connection.ping_pong(), CancellationToken::new());
        let state = State { is_retired: AtomicBool::new(false), calls: AtomicUsize::new(0), _task: unused.clone().drop_guard() };
        let state = Arc::new(state);
        let task = Task(Arc::downgrade(&state));
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "the connection to etcd ended");
                },
                () = silence(pings, || task.calls()) => tracing::debug!("etcd does not answer pings"),
                () = unused.cancelled() => {}
            }
        });
        Ok(Self { requests, state })
    }

    /// Whether a new call may be made on it, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        !self.state.is_retired.load(Ordering::Relaxed)
    }

    /// Begins a call.
    ///
    /// # Errors
    /// Nothing was sent, and nothing will be on this connection any more.
    pub(crate) async fn call(&self, head: Request<()>) -> Result<Call, h2::Error> {
        let mut requests = self.requests.clone();
        let sent = match poll_fn(|context| requests.poll_ready(context)).await {
            Ok(()) => requests.send_request(head, false),
            Err(error) => Err(error),
        };
        let (response, request) = sent.inspect_err(|_| self.state.is_retired.store(true, Ordering::Relaxed))?;
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call { request, response, guard: CallGuard(Arc::clone(&self.state)) })
    }
}

/// Ends when the other side does not answer a ping. While nothing is under way none is sent: etcd takes that for too many.
async fn silence(pings: Option<PingPong>, calls: impl Fn() -> usize) {
    // There is one pair for a connection, and nobody has taken it before.
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(PING_EVERY).await;
        if calls() > 0 && !matches!(timeout(PING_PATIENCE, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
