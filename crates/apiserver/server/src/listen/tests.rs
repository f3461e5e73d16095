#![allow(clippy::unwrap_used)]
use super::*;
use crate::pki;
use crate::tls::Serving;
use apiserver_meta::testing::{WATCH_QUERIES, books};
use apiserver_registry::offload;
use axum::Extension;
use axum::body::Body;
use axum::routing::get;
use futures::StreamExt as _;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Running {
    serving: Arc<Serving>,
    address: SocketAddr,
    root: String,
    signals: ShutdownSignals,
    ended: JoinHandle<()>,
}

/// Serves: `/livez` is answered where connections are; `/` says how many certificates came with the connection; `/slow` answers after half a second; `/hang` never
/// ends; `/refuse` answers without reading;
/// `/apis/g/v1/things?watch=1` sends one event and goes on.
fn start(change: impl FnOnce(&mut Connections)) -> Running {
    start_with(Router::new(), Handle::current(), change)
}

/// Starts a server with more routes, and handlers on this runtime.
fn start_with(more: Router, handlers: Handle, change: impl FnOnce(&mut Connections)) -> Running {
    let endless = || async { Body::from_stream(futures::stream::iter([Ok::<_, Infallible>("event\n")]).chain(futures::stream::pending())) };
    let router = more
        .route("/", get(|peer: Extension<PeerCertificates>| async move { format!("{} certificates", peer.0.0.len()) }))
        .route("/livez", get(|| async { "ok" }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_millis(500)).await }))
        .route("/refuse", axum::routing::post(|| async { http::StatusCode::PAYLOAD_TOO_LARGE }))
        .route("/hang", get(endless))
        .route("/apis/g/v1/things", get(endless));
    let dir = tempfile::tempdir().unwrap();
    let made = pki::self_made(dir.path(), &["127.0.0.1".to_owned()].into(), jiff::Timestamp::now().as_second()).unwrap();
    let serving = Serving::new(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let listener = bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut bounds = Connections::standard();
    change(&mut bounds);
    let signals = ShutdownSignals::default();
    let listening = Listening {
        tls: crate::tls::config_of(&serving),
        router,
        requests: RequestInfoResolver::default(),
        bounds,
        signals: signals.clone(),
        failed_handshakes: Arc::default(),
        handlers,
        kinds: vec![books().descriptor()],
    };
    let ended = tokio::spawn(async { listening.serve(listener).await.unwrap() });
    Running { serving, address, root: made.ca_certificate, signals, ended }
}

impl Running {
    fn stop(&self) {
        self.signals.watches.cancel();
        self.signals.connections.cancel();
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.try_connect().await.unwrap()
    }

    async fn try_connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn send(&self, path: &str) -> TlsStream<TcpStream> {
        let mut stream = self.connect().await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }
}

/// Reads until this text has come.
async fn read_until(stream: &mut TlsStream<TcpStream>, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let count = within(stream.read_buf(&mut read)).await.unwrap();
        assert_ne!(count, 0, "ended before {text:?}: {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// Reads to the end.
async fn read_rest(stream: &mut TlsStream<TcpStream>) -> String {
    let mut read = Vec::new();
    // A server that closes without a TLS goodbye is an error to rustls, and an end to us.
    let _ = within(stream.read_to_end(&mut read)).await;
    String::from_utf8(read).unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap_or_else(|_| panic!("took too long"))
}

#[tokio::test]
async fn answers_over_tls() {
    let server = start(|_| ());
    let mut stream = server.send("/").await;
    let answer = read_until(&mut stream, "certificates").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("0 certificates"), "{answer}");
}

#[tokio::test]
async fn a_connection_outlives_the_certificate_that_it_was_made_with() {
    let server = start(|_| ());
    let mut old = server.send("/").await;
    read_until(&mut old, "certificates").await;
    let dir = tempfile::tempdir().unwrap();
    let made = pki::self_made(dir.path(), &["127.0.0.1".to_owned()].into(), jiff::Timestamp::now().as_second()).unwrap();
    server.serving.replace(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    old.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_until(&mut old, "certificates").await.starts_with("HTTP/1.1 200"));
    let server = Running { root: made.ca_certificate, ..server };
    read_until(&mut server.send("/").await, "certificates").await;
}

#[tokio::test]
async fn at_the_end_watches_end_cleanly_and_requests_have_their_answer() {
    let server = start(|_| ());
    let mut watch = server.send("/apis/g/v1/things?watch=1").await;
    read_until(&mut watch, "event").await;
    let mut slow = server.send("/slow").await;
    // Its connection is accepted, and the request read, before a later one is answered.
    read_until(&mut server.send("/").await, "certificates").await;
    server.stop();
    assert!(read_rest(&mut watch).await.ends_with("0\r\n\r\n"), "a chunked body has its last chunk");
    assert!(read_rest(&mut slow).await.starts_with("HTTP/1.1 200"));
    within(server.ended).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn older_connections_end_with_what_is_under_way_and_newer_ones_do_not() {
    let server = start(|_| ());
    let mut idle = server.send("/").await;
    let mut watch = server.send("/apis/g/v1/things?watch=1").await;
    read_until(&mut idle, "certificates").await;
    read_until(&mut watch, "event").await;
    server.signals.older_connections.cancel();
    assert_eq!(read_rest(&mut idle).await, "", "it has closed");
    assert!(tokio::time::timeout(Duration::from_millis(50), watch.read_u8()).await.is_err(), "a watch goes on");
    let mut newer = server.connect().await;
    for _ in 0..2 {
        newer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(read_until(&mut newer, "certificates").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let server = start(|bounds| bounds.drain_timeout = Duration::from_millis(50));
    let mut hang = server.send("/hang").await;
    read_until(&mut hang, "event").await;
    server.stop();
    within(server.ended).await.unwrap();
}

#[tokio::test]
async fn who_does_not_speak_is_left_and_holds_up_nobody() {
    let server = start(|bounds| bounds.handshake_timeout = Duration::from_millis(300));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    read_until(&mut server.send("/").await, "certificates").await;
    assert_eq!(within(silent.read(&mut [0; 1])).await.unwrap_or(0), 0, "closed");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = start(|bounds| bounds.idle_timeout = Duration::from_millis(100));
    let mut slow = server.send("/slow").await;
    let answer = read_rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "a request of half a second is no idleness: {answer}");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = start(|bounds| bounds.header_timeout = Duration::from_millis(100));
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert!(!read_rest(&mut stream).await.contains(" 200 "));
}

#[tokio::test]
async fn a_new_connection_replaces_an_idle_one_and_none_that_is_in_use() {
    let server = start(|bounds| bounds.max = 1);
    let mut first = server.connect().await;
    let mut second = server.send("/apis/g/v1/things?watch=1").await;
    read_until(&mut second, "event").await;
    assert_eq!(within(first.read(&mut [0; 1])).await.unwrap_or(0), 0, "the idle one is closed");
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(within(third.read(&mut [0; 1])).await.unwrap_or(0), 0, "its address has as many as it may, and in use");
    drop(second);
    // Its end is noticed in a while.
    vci_testkit::wait_for("room for another", async || server.try_connect().await.is_ok()).await;
}

#[tokio::test]
async fn a_response_that_nobody_reads_ends() {
    let server = start(|bounds| bounds.request_timeout = Duration::from_millis(100));
    let mut hang = server.send("/hang").await;
    read_until(&mut hang, "event").await;
    let rest = read_rest(&mut hang).await;
    assert!(!rest.contains("0\r\n"), "what was cut does not look whole: {rest}");
    // A watch goes on.
    let mut watch = server.send("/apis/g/v1/things?watch=1").await;
    read_until(&mut watch, "event").await;
    let ended = tokio::time::timeout(Duration::from_secs(6), watch.read(&mut [0; 1])).await;
    assert!(ended.is_err(), "no frame waits for its client");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_read_arrives() {
    let server = start(|_| ());
    for _ in 0..5 {
        let mut stream = server.connect().await;
        let size = 8 * 1024 * 1024;
        stream.write_all(format!("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n").as_bytes()).await.unwrap();
        // All of it can be sent, though nobody wants it.
        within(stream.write_all(&vec![b'x'; size])).await.unwrap();
        let answer = read_rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn handlers_that_compute_hold_up_neither_health_nor_new_connections() {
    let handlers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(ended));
    let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (count, wait) = (Arc::clone(&begun), Arc::clone(&ended));
    let busy = get(move || async move {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        // Does not give its thread back until the test ends.
        let _ = wait.lock().map(|wait| wait.recv());
    });
    let server = start_with(Router::new().route("/busy", busy), handlers.handle().clone(), |_| ());
    let _busy = [server.send("/busy").await, server.send("/busy").await, server.send("/busy").await];
    vci_testkit::wait_for("all threads of handlers to be busy", async || begun.load(std::sync::atomic::Ordering::SeqCst) == 2).await;
    for _ in 0..5 {
        read_until(&mut server.send("/livez").await, "ok").await;
    }
    drop(end);
    handlers.shutdown_background();
}

#[tokio::test]
async fn small_writes_are_handled_where_their_connection_is_and_others_are_not() {
    let handlers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("handlers").build().unwrap();
    let place = axum::routing::any(|_: axum::body::Bytes| async {
        if std::thread::current().name() == Some("handlers") { "among handlers" } else { "at the connection" }
    });
    let server = start_with(Router::new().route("/apis/{*rest}", place), handlers.handle().clone(), |_| ());
    let Descriptor { group, version, plural, .. } = books().descriptor();
    let (books, of_others) =
        (format!("/apis/{group}/{version}/namespaces/a/{plural}"), format!("/apis/{group}/{version}/namespaces/a/others"));
    let (light, more) = (offload::LIGHT, offload::LIGHT + 1);
    for (method, path, length, want) in [
        ("POST", books.clone(), Some(light), "at the connection"),
        ("POST", books.clone(), Some(more), "among handlers"),
        ("POST", books.clone(), None, "among handlers"),
        ("POST", of_others, Some(1), "among handlers"),
        ("PUT", format!("{books}/b"), Some(light), "at the connection"),
        ("PATCH", format!("{books}/b/status"), Some(light), "at the connection"),
        ("POST", format!("{books}/b/token"), Some(1), "among handlers"),
        ("DELETE", format!("{books}/b"), Some(0), "at the connection"),
        ("DELETE", books.clone(), Some(0), "among handlers"),
        ("GET", books, Some(0), "among handlers"),
    ] {
        let mut stream = server.connect().await;
        let (framing, body) = match length {
            Some(length) => (format!("Content-Length: {length}"), "x".repeat(length)),
            None => ("Transfer-Encoding: chunked".to_owned(), "1\r\nx\r\n0\r\n\r\n".to_owned()),
        };
        stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}").as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, want).await;
        assert!(answer.ends_with(want), "{method} {path} with {length:?} bytes: {answer}");
    }
    handlers.shutdown_background();
}

#[tokio::test]
async fn every_form_of_a_watch_ends_with_the_server() {
    for (query, _) in WATCH_QUERIES.into_iter().filter(|(_, is_watch)| *is_watch) {
        let server = start(|_| ());
        let mut watch = server.send(&format!("/apis/g/v1/things?{query}")).await;
        read_until(&mut watch, "event").await;
        server.stop();
        assert!(read_rest(&mut watch).await.ends_with("0\r\n\r\n"), "{query}");
        within(server.ended).await.unwrap();
    }
    // None of these is one: it is not cut as if it were whole.
    let server = start(|bounds| bounds.drain_timeout = Duration::from_millis(100));
    let mut list = server.send("/apis/g/v1/things?watch=0&watch=1").await;
    read_until(&mut list, "event").await;
    server.stop();
    within(server.ended).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), list.read(&mut [0; 64])).await.is_err(), "nothing says that it is whole");
}
