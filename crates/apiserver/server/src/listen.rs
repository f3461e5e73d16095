//! From accepted sockets to requests.
//!
//! Handshakes run each in a task of its own, so that a slow client holds up nobody. A connection that lies idle is
//! closed, one that is busy is not cut: at the end its requests are given time, and only watches are ended.
//!
//! Connections have a tokio runtime of their own, with its own threads: accepting, TLS, HTTP framing, and what is handled
//! in microseconds (health, one object, a small write). Every other request is handled on the runtime of the rest of the program
//! and its response comes back here. A handler that computes for long, wherever it may be, then holds up other handlers, but neither
//! health checks nor new connections: in one runtime the thread that waits for sockets is also one that runs handlers, and
//! while it does, nobody hears the sockets. A hop to the other runtime wakes two threads, which costs as much as what is brief.

mod activity;
mod brief;
mod connection_limit;
mod drain;
mod gather;
mod linger;
mod send_deadline;
mod streams;
#[cfg(test)]
mod tests;

use crate::config::Connections;
use crate::metrics::FailedHandshakes;
use crate::tls;
use activity::{Activity, Ending, Unwanted};
use apiserver_auth::Identity;
use apiserver_endpoints::{PeerCertificates, RequestInfoResolver, Upgrades};
use apiserver_meta::Descriptor;
use apiserver_meta::context::USER_ANONYMOUS;
use apiserver_registry::WhenWoken;
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use connection_limit::{ConnectionLimit, Slot};
use drain::Rest;
use futures::future::BoxFuture;
use gather::Gather;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use linger::Linger;
use send_deadline::SendDeadline;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use streams::{Place, StreamExecutor};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::ServiceExt as _;

/// How long to wait when the system has no more file descriptors, and no connection can be done without.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);
/// The pause when a connection was told to close.
const MAKING_ROOM: Duration = Duration::from_millis(5);
const BACKLOG: u32 = 1024;
/// HTTP/2 flow control window of one stream, as kube-apiserver has it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Maximum bytes in memory for an HTTP/2 client that reads slowly, per stream: about a chunk of a list.
const STREAM_BUFFER: usize = 64 * 1024;
/// Header fields of an HTTP/1.1 request. Their bytes are bounded as well; hyper wants to know how many there may be.
const HEADER_FIELDS: usize = 2048;
/// How long a new connection has for its first request, before it may be told to end.
const SETTLING: Duration = Duration::from_millis(250);
/// How long a connection may take to close once it is asked to, with nothing under way on it.
const FAREWELL: Duration = Duration::from_secs(10);

/// A socket that listens on the address.
///
/// # Errors
/// An I/O error.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client that vanished without a word is noticed.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    // It is accepted from on another runtime than this.
    socket.listen(BACKLOG)?.into_std()
}

/// Shutdown signals: cancel watches, stop accepting, and track requests in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShutdownSignals {
    /// Watches are to end: by themselves they would go on for ever.
    pub(crate) watches: CancellationToken,
    /// Connections that are there end with what is under way on them, so that their clients look for another server. Whoever
    /// comes all the same is served.
    pub(crate) older_connections: CancellationToken,
    /// Stops accepting connections. Open ones end when their requests have.
    pub(crate) connections: CancellationToken,
    /// Tracks the requests in flight that are not watches.
    pub(crate) requests: TaskTracker,
}

/// A listener's router and its limits.
pub(crate) struct Listening {
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) router: Router,
    /// What the router too reads the heads of requests with.
    pub(crate) requests: RequestInfoResolver,
    pub(crate) bounds: Connections,
    pub(crate) signals: ShutdownSignals,
    pub(crate) failed_handshakes: Arc<FailedHandshakes>,
    /// Where requests are handled; connections are where this is awaited.
    pub(crate) handlers: Handle,
    /// The kinds that registries serve.
    pub(crate) kinds: Vec<&'static Descriptor>,
}

impl Listening {
    /// Serves until connections are to end, then lets what is under way end. Returns when every connection is closed, at the
    /// latest when the time for that is over.
    ///
    /// # Errors
    /// When the socket cannot be used at all.
    pub(crate) async fn serve(self, listener: std::net::TcpListener) -> std::io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let limit = ConnectionLimit::new(self.bounds.max);
        let connections = TaskTracker::new();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let server = Arc::new(Server { acceptor, listening: self, connections: connections.clone() });
        let signals = &server.listening.signals;
        while let Some((stream, address, activity, slot)) = signals.connections.run_until_cancelled(accept(&listener, &limit)).await {
            let server = Arc::clone(&server);
            connections.spawn(async move {
                server.until_it_leaves(stream, address, &activity, &slot).await;
                drop(slot);
            });
        }
        drop(listener);
        connections.close();
        let bounds = &server.listening.bounds;
        let time = bounds.drain_timeout + bounds.watch_grace;
        if tokio::time::timeout(time, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests did not end in time");
        }
        Ok(())
    }
}

async fn accept(listener: &TcpListener, limit: &Arc<ConnectionLimit>) -> (TcpStream, SocketAddr, Arc<Activity>, Slot) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let activity = Arc::new(Activity::default());
                match limit.enter(address.ip(), &activity).await {
                    Some(slot) => return (stream, address, activity, slot),
                    None => tracing::debug!(%address, "too many connections of this address are in use"),
                }
            }
            // The client went away before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => tracing::debug!(%error, "accept"),
            // There are too many open files.
            Err(error) => {
                tracing::debug!(%error, "accept");
                let pause = if limit.make_room() { MAKING_ROOM } else { OUT_OF_FILES_PAUSE };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

struct Server {
    acceptor: TlsAcceptor,
    listening: Listening,
    connections: TaskTracker,
}

impl Server {
    /// Serves a connection until it ends, or is to make room. Nothing is under way on it then, as far as is known: whoever
    /// was never authenticated is left at once, others are told first.
    async fn until_it_leaves(&self, stream: TcpStream, address: SocketAddr, activity: &Arc<Activity>, slot: &Slot) {
        // Without this, small answers wait for acknowledgements of earlier ones.
        let _ = stream.set_nodelay(true);
        let leave = pin!(async {
            slot.leave.cancelled().await;
            if activity.is_authenticated() {
                tokio::time::sleep(FAREWELL).await;
            }
        });
        tokio::select! {
            biased;
            () = self.connection(stream, address, activity, slot) => {}
            () = WhenWoken::new(leave) => tracing::debug!(%address, "closed to make room"),
        }
    }

    async fn handshake(&self, stream: TcpStream, address: SocketAddr) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let time = self.listening.bounds.handshake_timeout;
        match tokio::time::timeout(time, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake"),
            Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
        }
        self.listening.failed_handshakes.count();
        None
    }

    async fn connection(&self, stream: TcpStream, address: SocketAddr, activity: &Arc<Activity>, slot: &Slot) {
        let Some(stream) = self.handshake(stream, address).await else { return };
        let Listening { bounds, signals, .. } = &self.listening;
        // HTTP/2 is spoken over TLS only where both sides have said so beforehand (RFC 9113, section 3.3).
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let client = Client {
            address,
            certificates: PeerCertificates(tls::peer_certificates(stream.get_ref().1)),
            upgrades: Upgrades { end: signals.watches.child_token(), tasks: self.connections.clone() },
            activity,
            streams: StreamExecutor::default(),
            runtime: Handle::current(),
        };
        let service = service_fn(|request| self.answer(&client, request));
        let stream = Linger::new(stream, Arc::clone(activity));
        if is_http2 {
            let connection = http2_builder(bounds, client.streams.clone()).serve_connection(TokioIo::new(Gather::frames(stream)), service);
            let connection = client.streams.with(Box::pin(connection));
            self.until_it_ends(connection, |it| it.connection().as_mut().graceful_shutdown(), &client, slot).await;
        } else {
            let connection = http1_builder(bounds).serve_connection(TokioIo::new(Gather::nothing(stream)), service);
            let connection = Box::pin(connection.with_upgrades());
            self.until_it_ends(connection, |it| it.as_mut().graceful_shutdown(), &client, slot).await;
        }
    }

    /// `finish` tells the connection to end with what is under way on it.
    async fn until_it_ends<C>(&self, mut connection: C, finish: impl Fn(&mut C), client: &Client<'_>, slot: &Slot)
    where
        C: Future<Output = hyper::Result<()>> + Unpin,
    {
        let Client { address, activity, .. } = client;
        let ended = {
            let told = pin!(self.told_to_end(activity, slot));
            tokio::select! {
                biased;
                ended = &mut connection => Some(ended),
                why = WhenWoken::new(told) => match why {
                    Some(Unwanted::Overdue) => return tracing::debug!(%address, "connection closed, its client does not read"),
                    Some(Unwanted::Idle) | None => None,
                },
            }
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                finish(&mut connection);
                let unwanted = pin!(activity.unwanted(FAREWELL));
                tokio::select! {
                    biased;
                    ended = &mut connection => ended,
                    why = WhenWoken::new(unwanted) => return tracing::debug!(%address, ?why, "connection closed"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, %error, "connection");
        }
    }

    /// Returns when a connection is to end, and why if it is for its own sake.
    async fn told_to_end(&self, activity: &Activity, slot: &Slot) -> Option<Unwanted> {
        let Listening { bounds, signals, .. } = &self.listening;
        // Each connection has a token of its own: waiting on the shared one takes its lock.
        let stop = signals.connections.child_token();
        let (moves, is_newer) = (signals.older_connections.child_token(), signals.older_connections.is_cancelled());
        // Told to end before it has sent anything, a connection would be closed at once, and cut off the request that is on its way.
        let settled = tokio::time::Instant::now() + SETTLING;
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep_until(settled).await;
        };
        tokio::select! {
            why = activity.unwanted(bounds.idle_timeout) => Some(why),
            () = stopped => None,
            () = moves.cancelled(), if !is_newer => None,
            () = slot.leave.cancelled() => None,
        }
    }

    /// Answers one request. In a box of its own: hyper keeps the room of this future for as long as the body goes on, and a watch may
    /// do so for hours.
    fn answer(&self, client: &Client<'_>, request: http::Request<Incoming>) -> BoxFuture<'static, Result<Response, Infallible>> {
        let Listening { router, requests, bounds, signals, handlers, kinds, .. } = &self.listening;
        let version = request.version();
        let info = requests.resolve(request.method(), request.uri(), request.headers()).ok().map(Arc::new);
        let is_long_running = info.as_ref().is_some_and(|info| info.is_long_running());
        let is_brief = info.as_ref().is_some_and(|info| brief::is_brief(info, request.body(), kinds));
        // What comes from elsewhere may be of any length: only that it is read on is bounded.
        let is_proxied = info.as_ref().is_some_and(|info| info.proxied.is_some());
        let deadline = if is_long_running || is_proxied { SendDeadline::frames } else { SendDeadline::whole }(bounds.request_timeout);
        let ending = match is_long_running {
            true => Ending::cancelled(client.upgrades.end.clone(), bounds.watch_grace),
            false => Ending::Tracked(signals.requests.token()),
        };
        let deadline = Arc::new(deadline);
        // Of the requests that go on, what this server itself sends is short.
        let place = if is_long_running && !is_proxied { Place::WithConnection } else { Place::OwnTask };
        let busy = client.begin(version, place, &deadline);
        let rest = (version == Version::HTTP_2 && !request.body().is_end_stream()).then(|| Rest::new(client.runtime.clone()));
        let mut request = request.map(|body| client.activity.watch_body(body, rest.clone()));
        let extensions = request.extensions_mut();
        extensions.insert(client.certificates.clone());
        extensions.insert(client.upgrades.clone());
        extensions.insert(ConnectInfo(client.address));
        if let Some(info) = info {
            extensions.insert(info);
        }
        let (router, activity) = (router.clone(), Arc::clone(client.activity));
        let handlers = (!is_brief).then(|| handlers.clone());
        Box::pin(async move {
            let mut response = handled(router, request, handlers).await;
            if response.extensions().get::<Identity>().is_some_and(|identity| identity.user.name != USER_ANONYMOUS) {
                activity.authenticated();
            }
            if version < Version::HTTP_2 && busy.left_unread() {
                // What follows on this connection is the rest of a body: no request can be told from it.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some(rest) = rest {
                response = rest.before(response).await;
            }
            Ok(response.map(|body| busy.until_end_of(body, ending, deadline, version)))
        })
    }
}

/// The response of the router; from another runtime, if one is given.
async fn handled(router: Router, request: Request, handlers: Option<Handle>) -> Response {
    let Some(handlers) = handlers else {
        let Ok(response) = router.oneshot(request).await;
        return response;
    };
    // When the client goes away, so does the handler.
    match AbortOnDropHandle::new(handlers.spawn(router.oneshot(request))).await {
        Ok(Ok(response)) => response,
        // The process ends. A panic is answered by the router itself.
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// The client of a connection, and what its requests share.
struct Client<'a> {
    address: SocketAddr,
    certificates: PeerCertificates,
    upgrades: Upgrades,
    activity: &'a Arc<Activity>,
    streams: StreamExecutor,
    /// Where the connection is.
    runtime: Handle,
}

impl Client<'_> {
    /// A request begins, whose response has this deadline. Over HTTP/2 its stream is run there.
    fn begin(&self, version: Version, place: Place, deadline: &Arc<SendDeadline>) -> activity::Busy {
        if version == Version::HTTP_2 {
            self.streams.begin(place, Arc::clone(deadline));
            return self.activity.begin(None);
        }
        self.activity.begin(Some(Arc::clone(deadline)))
    }
}

fn http1_builder(bounds: &Connections) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(usize::try_from(bounds.max_header_bytes).unwrap_or(usize::MAX))
        .max_headers(HEADER_FIELDS);
    builder
}

fn http2_builder(bounds: &Connections, streams: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.max_streams)
        // A connection that kube-apiserver shares among its users must not end because some of them give up requests:
        // streams that were reset before they were looked at are no longer counted among the concurrent ones.
        .max_pending_accept_reset_streams(usize::try_from(bounds.max_streams).unwrap_or(usize::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * 4)
        .max_send_buf_size(STREAM_BUFFER)
        .max_header_list_size(bounds.max_header_bytes)
        .keep_alive_interval(bounds.ping_interval)
        .keep_alive_timeout(bounds.ping_timeout);
    builder
}
