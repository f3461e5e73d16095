//! The channel to one member, as gRPC calls it: connections that are made when they are needed and not there.
//!
//! Each tokio runtime has a connection of its own. A connection is read and written by a task, and one on another runtime
//! could be reached only by waking another thread, twice a call.

use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use h2::{Reason, RecvStream, SendStream};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body::Frame;
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::runtime::{Handle, Id};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{ConnectError, Status};
use tower::BoxError;

use crate::config;
use crate::fault::{Fault, root};
use crate::http2::{Call, CallGuard, Connection};
use crate::transport::Connector;
use std::time::Duration;

/// A channel that connects at its first call. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Inner>);

struct Inner {
    connector: Connector,
    authority: Authority,
    patience: Duration,
    lanes: Mutex<Vec<Lane>>,
}

/// The connection of a runtime.
struct Lane {
    runtime: Id,
    opening: Opening,
}

/// A connection that is being made, or was; otherwise why not.
type Opening = Shared<BoxFuture<'static, Result<Connection, Arc<str>>>>;

/// The head of a call whose message is always the same, made once.
pub(crate) struct Question {
    head: Request<()>,
    message: Bytes,
}

impl Channel {
    pub(crate) fn new(connector: Connector, patience: Duration) -> Result<Self, config::ConnectError> {
        let authority = connector.authority();
        let wrong = |error| config::ConnectError::Config(format!("endpoint {authority}: {error}"));
        let authority = Authority::try_from(authority.as_str()).map_err(wrong)?;
        Ok(Self(Arc::new(Inner { connector, authority, patience, lanes: Mutex::default() })))
    }

    /// The present runtime's connection.
    async fn connection(&self) -> Result<Connection, ConnectError> {
        let opening = self.opening();
        opening.await.map_err(|why| ConnectError(why.as_ref().into()))
    }

    fn opening(&self) -> Opening {
        let runtime = Handle::current().id();
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |opening: &Opening| opening.peek().is_none_or(|made| made.as_ref().is_ok_and(Connection::is_open));
        if let Some(lane) = lanes.iter().find(|lane| lane.runtime == runtime && is_good(&lane.opening)) {
            return lane.opening.clone();
        }
        // Those of runtimes that are gone are closed as well.
        lanes.retain(|lane| lane.runtime != runtime && is_good(&lane.opening));
        let opening = self.open();
        lanes.push(Lane { runtime, opening: opening.clone() });
        opening
    }

    /// Connects, in a task of its own: whoever waits for it may leave.
    fn open(&self) -> Opening {
        let (connector, patience) = (self.0.connector.clone(), self.0.patience);
        let task = tokio::spawn(async move {
            let connected = async {
                let socket = connector.connect().await?;
                Ok::<_, BoxError>(Connection::begin(socket).await?)
            };
            match timeout(patience, connected).await {
                Ok(made) => made.map_err(|error| root(&*error).into()),
                Err(_) => Err(Fault::late(patience).to_string().into()),
            }
        });
        task.map(|made| made.unwrap_or_else(|_| Err("the runtime is shutting down".into()))).boxed().shared()
    }

    /// Begins a call on a connection that takes it. Nothing was sent where this fails.
    async fn begin(&self, head: Request<()>) -> Result<Call, ConnectError> {
        let connection = self.connection().await?;
        match connection.call(head.clone()).await {
            Ok(call) => Ok(call),
            // It was closed since it was used last, which is seen only now.
            Err(_) => self.connection().await?.call(head).await.map_err(|error| ConnectError(error.into())),
        }
    }

    fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        // etcd does not look at the scheme.
        (parts.scheme, parts.authority, parts.path_and_query) = (Some(Scheme::HTTP), Some(self.0.authority.clone()), Some(path));
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Makes a call for tonic.
    async fn call(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = self.uri(path);
        let Call { request, response, guard } = self.begin(Request::from_parts(parts, ())).await?;
        send(body, request).await;
        let response = response.await.map_err(CallError)?;
        Ok(response.map(|body| Body::new(Received { body, _guard: guard })))
    }

    /// A call of this path with this message, for [`Channel::ask`].
    pub(crate) fn question(&self, path: &'static str, message: &[u8]) -> Question {
        let mut head = Request::new(());
        *head.method_mut() = http::Method::POST;
        *head.uri_mut() = self.uri(PathAndQuery::from_static(path));
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("hasleader", "true")] {
            head.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        let mut framed = BytesMut::with_capacity(FRAME_HEAD + message.len());
        framed.put_u8(0);
        framed.put_u32(message.len() as u32);
        framed.put_slice(message);
        Question { head, message: framed.freeze() }
    }

    /// Makes a call without tonic's layers: what is asked often, with a short answer.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Bytes, Fault> {
        let Call { mut request, response, guard: _guard } =
            self.begin(question.head.clone()).await.map_err(|error| Fault::unreached(&error))?;
        request.send_data(question.message.clone(), true).map_err(|error| broken(&error))?;
        let (head, mut body) = response.await.map_err(|error| broken(&error))?.into_parts();
        refusal(&head.headers)?;
        let mut answer = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data.map_err(|error| broken(&error))?;
            body.flow_control().release_capacity(data.len()).map_err(|error| broken(&error))?;
            if answer.len() + data.len() > MAX_ANSWER {
                return Err(Fault::AnswerTooLarge);
            }
            answer.extend_from_slice(&data);
        }
        if let Some(trailers) = body.trailers().await.map_err(|error| broken(&error))? {
            refusal(&trailers)?;
        }
        unframed(answer.freeze()).ok_or_else(|| Fault::Broken(format!("{} without a message", head.status)))
    }
}

/// What precedes a message: whether it is compressed, and its length.
const FRAME_HEAD: usize = 5;
/// Bytes of the answer to a [`Question`].
const MAX_ANSWER: usize = 64 << 10;

/// The one message of an answer.
fn unframed(mut answer: Bytes) -> Option<Bytes> {
    let (&[0, a, b, c, d], message) = answer.split_first_chunk::<FRAME_HEAD>()? else { return None };
    let is_whole = u32::from_be_bytes([a, b, c, d]) as usize == message.len();
    is_whole.then(|| answer.split_off(FRAME_HEAD))
}

/// An error that headers or trailers tell.
fn refusal(headers: &http::HeaderMap) -> Result<(), Fault> {
    match headers.get("grpc-status") {
        None => Ok(()),
        Some(status) if status == "0" => Ok(()),
        Some(_) => Err(Status::from_header_map(headers).map_or_else(|| Fault::Broken("an unknown status".into()), Fault::from)),
    }
}

fn broken(error: &h2::Error) -> Fault {
    Fault::Broken(error.to_string())
}

/// A call broke on its way: what became of it is not known.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
struct CallError(#[source] h2::Error);

/// Sends the messages of a call. One that is at hand is sent at once; those that come later, on a stream, by a task.
async fn send(body: Body, stream: SendStream<Bytes>) {
    let mut sending = Box::pin(pump(body, stream));
    let is_sent = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_ready())).await;
    if !is_sent {
        tokio::spawn(sending);
    }
}

/// h2 takes data without limit. What is sent are single requests, which their callers hold in memory as well.
async fn pump(mut body: Body, mut stream: SendStream<Bytes>) {
    let mut next = None;
    loop {
        let frame = match next.take() {
            Some(frame) => frame,
            None => tokio::select! {
                frame = body.frame() => frame,
                _ = poll_fn(|context| stream.poll_reset(context)) => return,
            },
        };
        let data = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return stream.send_reset(Reason::CANCEL),
            None => return drop(stream.send_data(Bytes::new(), true)),
        };
        // Nearly always it is the last one, and says so.
        next = body.frame().now_or_never();
        let is_last = matches!(next, Some(None));
        if stream.send_data(data, is_last).is_err() || is_last {
            return;
        }
    }
}

/// The body of a response.
struct Received {
    body: RecvStream,
    _guard: CallGuard,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        match std::task::ready!(self.body.poll_data(context)) {
            Some(Ok(data)) => {
                let released = self.body.flow_control().release_capacity(data.len());
                Poll::Ready(Some(released.map(|()| Frame::data(data)).map_err(CallError)))
            }
            // A server that has answered needs no more of the request.
            Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(CallError(error)))),
            None => {
                let trailers = std::task::ready!(self.body.poll_trailers(context)).map_err(CallError);
                Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Self::call(self.clone(), request).boxed()
    }
}

#[cfg(test)]
mod tests;
