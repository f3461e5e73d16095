//! One connection to a virtual cluster.

use super::{SendError, UpgradeResponse};
use crate::held_stream::HeldStream;
use apiserver_endpoints::{Held, observed};
use axum::body::Body;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use vci_virtualcluster::{Address, Credentials, TlsStream};

pub(super) const HTTP2: &[u8] = b"h2";
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Requests under way on one connection: as many as kube-apiserver takes.
pub(super) const MOST_REQUESTS: usize = 100;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(90);
/// How often the other side is asked whether it is still there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
const PING_TIME: Duration = Duration::from_secs(10);
/// Bytes that one answer may have on the way, unread. For all requests of a connection there is room, so that a client that reads slowly
/// holds up no other.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;

/// A connection that requests share.
pub(super) struct Connection {
    id: u64,
    sender: http2::SendRequest<Body>,
    authority: Authority,
    credentials: Arc<Credentials>,
    requests: watch::Sender<usize>,
    closed: CancellationToken,
}

/// What became of a request.
pub(super) enum Sent {
    Answer(Response<Body>),
    Broken(hyper::Error),
    /// It has not left: the connection is gone.
    Not(Box<Request<Body>>),
}

impl Connection {
    /// Speaks HTTP/2 on this stream. `gone` is called when it has ended.
    pub(super) async fn open(
        id: u64,
        address: &Address,
        stream: TlsStream,
        credentials: Arc<Credentials>,
        gone: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Self>, SendError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING_TIME)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
        let (requests, closed) = (watch::Sender::new(0), CancellationToken::new());
        let (busy, close) = (requests.subscribe(), closed.clone());
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to a virtual cluster ends");
                },
                () = unused(busy, close) => {}
            }
            gone();
        });
        let authority = authority(address);
        Ok(Arc::new(Self { id, sender, authority, credentials, requests, closed }))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// A place for one more request, if there is one.
    pub(super) fn place(self: &Arc<Self>) -> Option<Place> {
        if self.closed.is_cancelled() || self.sender.is_closed() {
            return None;
        }
        let taken = self.requests.send_if_modified(|requests| {
            let has_room = *requests < MOST_REQUESTS;
            *requests += usize::from(has_room);
            has_room
        });
        taken.then(|| Place(Arc::clone(self)))
    }

    /// Takes no more requests; those under way go on.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

/// Ends when a connection has had no request for a while, or none any more and is to take no others.
async fn unused(mut busy: watch::Receiver<usize>, close: CancellationToken) {
    loop {
        // The sender is the connection: without it nobody comes any more.
        if busy.wait_for(|requests| *requests == 0).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(IDLE) => return,
            () = close.cancelled() => return,
            _ = busy.changed() => {}
        }
    }
}

/// A place for a request on a connection.
pub(super) struct Place(Arc<Connection>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.requests.send_modify(|requests| *requests -= 1);
    }
}

impl Place {
    /// Sends a request. The place is kept until the answer was read.
    pub(super) async fn send(self, mut request: Request<Body>) -> Sent {
        let there = Uri::from_parts(parts(&request, Some(&self.0.authority)));
        *request.uri_mut() = there.unwrap_or_default();
        let mut sender = self.0.sender.clone();
        match sender.try_send_request(request).await {
            Ok(response) => Sent::Answer(response.map(|body| observed(Body::new(body), Held(self)))),
            Err(mut error) => match error.take_message() {
                Some(request) => {
                    self.0.close();
                    Sent::Not(Box::new(request))
                }
                None => Sent::Broken(error.into_error()),
            },
        }
    }
}

/// Sends a request on a connection of its own, HTTP/1.1. What comes of it holds `place` for as long as it is used.
pub(super) async fn alone(
    stream: TlsStream,
    address: &Address,
    mut request: Request<Body>,
    place: OwnedSemaphorePermit,
) -> Result<UpgradeResponse, SendError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
    // It ends with the answer, or with what it was upgraded to.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a virtual cluster ends");
        }
    });
    *request.uri_mut() = Uri::from_parts(parts(&request, None)).unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(authority(address).as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    let mut response = sender.send_request(request).await.map_err(SendError::Broken)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(UpgradeResponse::Answer(response.map(|body| observed(Body::new(body), Held((sender, place))))));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(SendError::Broken)?;
    let (head, _) = response.into_parts();
    Ok(UpgradeResponse::Upgraded(head, Box::new(HeldStream::new(TokioIo::new(upgraded), place))))
}

/// The request's path and query: with the authority, as HTTP/2 wants it, or without.
fn parts(request: &Request<Body>, authority: Option<&Authority>) -> http::uri::Parts {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    if let Some(authority) = authority {
        parts.authority = Some(authority.clone());
        parts.scheme = Some(Scheme::HTTPS);
    }
    parts
}

/// The virtual cluster as it is called in its certificate.
fn authority(address: &Address) -> Authority {
    // Two labels are one.
    Authority::try_from(address.server_name()).unwrap_or_else(|_| Authority::from_static("localhost"))
}
