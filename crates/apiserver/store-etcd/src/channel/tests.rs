//! The channel against a server of HTTP/2 that answers as it is told.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{Endpoint, Scheme};
use h2::server::{self, SendResponse};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(10);

/// How the server answers a call: headers beyond the status line, data, trailers.
#[derive(Clone, Default)]
struct Reply {
    headers: &'static [(&'static str, &'static str)],
    data: Vec<Vec<u8>>,
    trailers: &'static [(&'static str, &'static str)],
}

const OK: &[(&str, &str)] = &[("grpc-status", "0")];

fn reply(data: &[&[u8]]) -> Reply {
    Reply { headers: &[], data: data.iter().map(|data| data.to_vec()).collect(), trailers: OK }
}

fn fields(fields: &[(&'static str, &'static str)]) -> http::HeaderMap {
    fields.iter().map(|(name, value)| ((*name).try_into().unwrap(), (*value).try_into().unwrap())).collect()
}

fn answer(mut respond: SendResponse<Bytes>, reply: Reply) {
    let mut head = Response::new(());
    *head.headers_mut() = fields(reply.headers);
    let is_bare = reply.data.is_empty() && reply.trailers.is_empty();
    let mut body = respond.send_response(head, is_bare).unwrap();
    if !is_bare {
        for data in reply.data {
            body.send_data(data.into(), false).unwrap();
        }
        body.send_trailers(fields(reply.trailers)).unwrap();
    }
}

/// What a connection does after the answer to its first call.
#[derive(Clone, Copy)]
enum Then {
    GoesOn,
    /// Tells that it takes no further calls.
    GoesAway,
    Breaks,
}

struct Server {
    endpoint: Endpoint,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(reply: Reply, then: Then) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, reply.clone(), then));
            }
        });
        Self { endpoint, connections }
    }

    fn channel(&self) -> Channel {
        Channel::new(Connector::new(self.endpoint.clone(), None), PATIENCE).unwrap()
    }
}

async fn serve(stream: TcpStream, reply: Reply, then: Then) {
    let mut connection = server::handshake(stream).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/a.B/C");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        answer(respond, reply.clone());
        match then {
            Then::GoesOn => {}
            Then::GoesAway => connection.graceful_shutdown(),
            Then::Breaks => {
                // The answer is flushed by this.
                let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
                return;
            }
        }
    }
}

async fn ask(channel: &Channel) -> Result<Bytes, Fault> {
    let question = channel.question("/a.B/C", b"question");
    tokio::time::timeout(PATIENCE, channel.ask(&question)).await.expect("an answer")
}

#[tokio::test]
async fn answers_and_refusals() {
    let compacted = &[("grpc-status", "11"), ("grpc-message", "etcdserver: mvcc: required revision has been compacted")];
    let big = vec![0; MAX_ANSWER + 1];
    let broken = |text: &str| Err(Fault::Broken(text.into()));
    for (name, reply, want) in [
        ("one piece", reply(&[b"\0\0\0\0\x03abc"]), Ok(Bytes::from_static(b"abc"))),
        ("pieces", reply(&[b"\0\0\0", b"\0\x03a", b"", b"bc"]), Ok(Bytes::from_static(b"abc"))),
        ("an empty message", reply(&[b"\0\0\0\0\0"]), Ok(Bytes::new())),
        ("a refusal at once", Reply { headers: compacted, ..Reply::default() }, Err(Fault::Compacted)),
        ("a refusal behind a message", Reply { trailers: compacted, ..reply(&[b"\0\0\0\0\0"]) }, Err(Fault::Compacted)),
        ("less than announced", reply(&[b"\0\0\0\0\x03ab"]), broken("200 OK without a message")),
        ("more than announced", reply(&[b"\0\0\0\0\x03abcd"]), broken("200 OK without a message")),
        ("compressed", reply(&[b"\x01\0\0\0\x03abc"]), broken("200 OK without a message")),
        ("nothing", reply(&[]), broken("200 OK without a message")),
        ("too much", reply(&[&big]), Err(Fault::AnswerTooLarge)),
    ] {
        let server = Server::start(reply, Then::GoesOn).await;
        let channel = server.channel();
        for _ in 0..2 {
            assert_eq!(ask(&channel).await, want, "{name}");
        }
        assert_eq!(server.connections.load(Ordering::Relaxed), 1, "{name}: a refusal is not the connection's fault");
    }
}

/// A server that goes away, with a word or without, costs nobody an answer who comes later.
#[tokio::test]
async fn a_closed_connection_is_replaced() {
    for then in [Then::GoesAway, Then::Breaks] {
        let server = Server::start(reply(&[b"\0\0\0\0\x02ok"]), then).await;
        let channel = server.channel();
        for round in 1..=5 {
            assert_eq!(ask(&channel).await, Ok(Bytes::from_static(b"ok")));
            assert_eq!(server.connections.load(Ordering::Relaxed), round);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let mut server = Server::start(reply(&[]), Then::GoesOn).await;
    server.endpoint.port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let refused = Err(Fault::Unreached("Connection refused (os error 111)".into()));
    let channel = server.channel();
    assert_eq!((ask(&channel).await, ask(&channel).await), (refused.clone(), refused));
}

/// Each runtime has a connection of its own, and the end of one is not that of another.
#[tokio::test]
async fn runtimes_share_a_channel_and_no_connection() {
    let server = Server::start(reply(&[b"\0\0\0\0\x02ok"]), Then::GoesOn).await;
    let channel = server.channel();
    for round in 1..=3 {
        for _ in 0..3 {
            assert!(ask(&channel).await.is_ok());
        }
        let other = channel.clone();
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { ask(&other).await.is_ok() && ask(&other).await.is_ok() })
        });
        assert!(tokio::task::spawn_blocking(|| elsewhere.join().unwrap()).await.unwrap());
        assert_eq!(server.connections.load(Ordering::Relaxed), 1 + round);
    }
    assert!(channel.0.lanes.lock().unwrap().len() <= 2, "those of runtimes that are gone are forgotten");
}

/// Whoever waits no longer for an answer lets the server know.
#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let channel = Channel::new(Connector::new(endpoint, None), PATIENCE).unwrap();
    let (got, asked) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let mut connection = server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        got.send(()).unwrap();
        tokio::select! {
            reset = poll_fn(|context| respond.poll_reset(context)) => reset.unwrap(),
            _ = connection.accept() => panic!("the connection ended"),
        }
    });
    let question = channel.question("/a.B/C", b"");
    tokio::select! {
        _ = channel.ask(&question) => panic!("nobody answers"),
        asked = asked => asked.unwrap(),
    }
    assert_eq!(tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap(), Reason::CANCEL);
}

/// The messages of a stream are sent as they come, and its end is told.
#[tokio::test]
async fn a_stream_of_messages_is_sent_as_it_comes() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let channel = Channel::new(Connector::new(endpoint, None), PATIENCE).unwrap();
    let (heard, mut told) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let mut connection = server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (request, respond) = connection.accept().await.unwrap().unwrap();
        answer(respond, Reply { headers: OK, ..reply(&[b"x"]) });
        let mut body = request.into_body();
        let listen = async {
            while let Some(data) = body.data().await {
                heard.send(data.unwrap()).await.unwrap();
            }
            heard.send(Bytes::from_static(b"the end")).await.unwrap();
        };
        tokio::join!(listen, async { while connection.accept().await.is_some() {} });
    });
    let (sender, messages) = tokio::sync::mpsc::channel::<Bytes>(8);
    let frames =
        futures::stream::unfold(messages, async |mut messages| Some((Ok::<_, Status>(Frame::data(messages.recv().await?)), messages)));
    let mut request = Request::new(Body::new(http_body_util::StreamBody::new(Box::pin(frames))));
    *request.uri_mut() = Uri::from_static("/a.B/C");
    let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    sender.send(Bytes::from_static(b"first")).await.unwrap();
    let _response = soon(channel.call(request)).await.unwrap();
    assert_eq!(next().await, "first");
    sender.send(Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(next().await, "second");
    drop(sender);
    let mut last = next().await;
    if last.is_empty() {
        last = next().await;
    }
    assert_eq!(last, "the end");
}

async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer without waiting")
}
