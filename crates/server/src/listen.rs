//! From accepted sockets to requests.
//!
//! Handshakes run each in a task of its own, so that a slow client holds up nobody. A connection that lies idle is
//! closed, one that is busy is not cut: at the end its requests are given time, and only watches are ended.

mod activity;
mod linger;
#[cfg(test)]
mod tests;

use crate::config::Connections;
use crate::metrics::FailedHandshakes;
use crate::tls;
use activity::{Activity, Ending};
use axum::Router;
use axum::extract::ConnectInfo;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use linger::Linger;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use vci_endpoints::{PeerCertificates, Upgrades};

/// How long to wait when the system has no more file descriptors.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: u32 = 1024;
/// HTTP/2 flow control window of one stream, as kube-apiserver has it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// What waits in memory for an HTTP/2 client that reads slowly, per stream: about a piece of a list.
const STREAM_BUFFER: usize = 64 * 1024;

/// A socket that listens on the address.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it: a client that vanished without a word is noticed.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What is told when to end, and by what one knows that it has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// Watches are to end: by themselves they would go on for ever.
    pub(crate) watches: CancellationToken,
    /// Nobody new is accepted, and connections end with what is under way on them.
    pub(crate) connections: CancellationToken,
    /// Who counts the requests under way that are not watches.
    pub(crate) requests: TaskTracker,
}

/// Serves until connections are to end, then lets what is under way end. Returns when every connection is closed, at the
/// latest when the time for that is over.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    bounds: Connections,
    ends: Ends,
    handshakes: Arc<FailedHandshakes>,
) {
    let places = Arc::new(Semaphore::new(bounds.max));
    let connections = TaskTracker::new();
    let server = Arc::new(Server {
        acceptor: TlsAcceptor::from(tls),
        router,
        http: http_builder(&bounds),
        bounds,
        ends,
        connections: connections.clone(),
        handshakes,
    });
    while let Some((stream, address, place)) = server.ends.connections.run_until_cancelled(accept(&listener, &places)).await {
        let server = Arc::clone(&server);
        connections.spawn(async move {
            server.connection(stream, address).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    let time = server.bounds.drain_timeout + server.bounds.watch_grace;
    if tokio::time::timeout(time, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time");
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, place),
            // The client went away before it was accepted, or there are too many open files. Neither is the end.
            Err(error) => {
                tracing::debug!(%error, "accept");
                tokio::time::sleep(OUT_OF_FILES_PAUSE).await;
            }
        }
    }
}

struct Server {
    acceptor: TlsAcceptor,
    router: Router,
    http: Builder<TokioExecutor>,
    bounds: Connections,
    ends: Ends,
    connections: TaskTracker,
    handshakes: Arc<FailedHandshakes>,
}

impl Server {
    async fn connection(&self, stream: TcpStream, address: SocketAddr) {
        // Without this, small answers wait for acknowledgements of earlier ones.
        let _ = stream.set_nodelay(true);
        let stream = match tokio::time::timeout(self.bounds.handshake_timeout, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.handshakes.count();
                return tracing::debug!(%address, %error, "TLS handshake");
            }
            Err(_) => {
                self.handshakes.count();
                return tracing::debug!(%address, "TLS handshake took too long");
            }
        };
        let peer = PeerCertificates(tls::peer_certificates(stream.get_ref().1));
        let activity = Arc::new(Activity::default());
        // Each connection has a token of its own: waiting on the shared one takes its lock, for every event of every watch.
        let (stop, watches) = (self.ends.connections.child_token(), self.ends.watches.child_token());
        let upgrades = Upgrades { end: watches.clone(), tasks: self.connections.clone() };
        let service = service_fn(|request: Request<Incoming>| {
            let (router, peer, upgrades) = (self.router.clone(), peer.clone(), upgrades.clone());
            let busy = activity.begin();
            let ending = match activity::is_watch(request.uri()) {
                true => Ending::told(watches.clone(), self.bounds.watch_grace),
                false => Ending::Waited(self.ends.requests.token()),
            };
            let mut request = request.map(|body| activity.watch_body(body));
            async move {
                request.extensions_mut().insert(peer);
                request.extensions_mut().insert(upgrades);
                request.extensions_mut().insert(ConnectInfo(address));
                let http1 = request.version() < Version::HTTP_2;
                let Ok(mut response) = router.oneshot(request).await;
                if http1 && busy.left_unread() {
                    // What follows on this connection is the rest of a body: no request can be told from it.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| busy.until_end_of(body, ending)))
            }
        });
        let connection = self.http.serve_connection_with_upgrades(TokioIo::new(Linger::new(stream, Arc::clone(&activity))), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = activity.idle_for(self.bounds.idle_timeout) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, error, "connection");
        }
    }
}

fn http_builder(bounds: &Connections) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = usize::try_from(bounds.max_header_bytes).unwrap_or(usize::MAX);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.header_timeout).max_buf_size(header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * 4)
        .max_send_buf_size(STREAM_BUFFER)
        .max_header_list_size(bounds.max_header_bytes)
        .keep_alive_interval(bounds.ping_interval)
        .keep_alive_timeout(bounds.ping_timeout);
    builder
}
