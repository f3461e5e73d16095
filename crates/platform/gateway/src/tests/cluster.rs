//! A TLS server in the place of a virtual cluster, and a host that knows its credentials.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast};
use tokio_rustls::TlsAcceptor;
use vci_testkit::certs::Authority;
use vci_virtualcluster::{Address, ConnectError, Connector, Dial, Stream};

/// A token of a service account.
pub(super) const INNER: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJkZXBsb3llciJ9.c2ln";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// Whether the connection has shown a certificate of the administrator's.
    pub(super) by_certificate: bool,
}

impl Arrived {
    /// User and groups that the request acts for.
    pub(super) fn impersonated(&self) -> (String, Vec<String>) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let user = self.headers.get("impersonate-user").map(text).unwrap_or_default();
        (user, self.headers.get_all("impersonate-group").iter().map(text).collect())
    }

    pub(super) fn path_and_query(&self) -> &str {
        self.uri.path_and_query().unwrap().as_str()
    }
}

/// The virtual cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    authority: Authority,
    state: Arc<State>,
    address: SocketAddr,
}

#[derive(Debug)]
struct State {
    arrived: Mutex<Vec<Arrived>>,
    /// Lines for those who watch.
    lines: broadcast::Sender<String>,
    /// How many answers and streams are open.
    open: AtomicUsize,
    connections: AtomicUsize,
    /// Pieces of bodies that may be read.
    reading: Semaphore,
    received: AtomicUsize,
    /// Objects by path.
    objects: Mutex<BTreeMap<String, Value>>,
    /// Whether the administrator is known.
    knows_administrator: AtomicBool,
}

/// Counts itself while it lives.
struct Open(Arc<State>);

impl Open {
    fn new(state: &Arc<State>) -> Self {
        state.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Cluster {
    pub(super) async fn start(alpn: &[&str]) -> Self {
        let authority = Authority::new("vc");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            arrived: Mutex::default(),
            lines: broadcast::channel(100).0,
            open: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            reading: Semaphore::new(Semaphore::MAX_PERMITS),
            received: AtomicUsize::new(0),
            objects: Mutex::default(),
            knows_administrator: AtomicBool::new(true),
        });
        tokio::spawn(serve(listener, acceptor(&authority, alpn), Arc::clone(&state)));
        Self { authority, state, address }
    }

    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.state.arrived.lock().unwrap().clone()
    }

    /// The last request that arrived.
    pub(super) fn last(&self) -> Arrived {
        self.arrived().pop().unwrap()
    }

    pub(super) fn say(&self, line: &str) {
        let _ = self.state.lines.send(format!("{line}\n"));
    }

    pub(super) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(super) fn received(&self) -> usize {
        self.state.received.load(Ordering::SeqCst)
    }

    /// The objects below a path.
    pub(super) fn objects(&self, prefix: &str) -> Vec<Value> {
        let objects = self.state.objects.lock().unwrap();
        objects.iter().filter(|(path, _)| path.starts_with(prefix)).map(|(_, object)| object.clone()).collect()
    }

    /// Reads no bodies any more.
    pub(super) fn stop_reading(&self) {
        self.state.reading.forget_permits(usize::MAX);
    }

    pub(super) fn read_on(&self) {
        self.state.reading.add_permits(1_000_000);
    }

    pub(super) fn know_administrator(&self, knows: bool) {
        self.state.knows_administrator.store(knows, Ordering::SeqCst);
    }

    /// Reaches it, as if a host kept its Secret and its Service.
    pub(super) fn connector(&self) -> Connector {
        let issued = self.authority.client("kubernetes-super-admin", &["system:masters"]);
        let data = json!({
            "certificate-authority": STANDARD.encode(self.authority.pem()),
            "client-certificate": STANDARD.encode(issued.cert_pem),
            "client-key": STANDARD.encode(issued.key_pem),
        });
        let reads = Arc::new(AtomicUsize::new(0));
        let state = Arc::clone(&self.state);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let version = reads.fetch_add(1, Ordering::SeqCst);
            // What is read a second time are the credentials that are good now.
            state.knows_administrator.fetch_or(version > 0, Ordering::SeqCst);
            let secret = json!({"metadata": {"name": "vc-my-vc", "resourceVersion": version.to_string()}, "data": data});
            assert_eq!(request.uri().path(), "/api/v1/namespaces/loft-blue-v-my-vc/secrets/vc-my-vc");
            async move { Ok::<_, Infallible>(Response::new(Body::from(secret.to_string()))) }
        });
        Connector::with_dial(kube::Client::new(service, "default"), Arc::new(To(self.address)))
    }
}

#[derive(Debug)]
struct To(SocketAddr);

#[async_trait::async_trait]
impl Dial for To {
    async fn dial(&self, _: &Address) -> Result<Stream, ConnectError> {
        Ok(Stream::new(TcpStream::connect(self.0).await.map_err(ConnectError::NotReachable)?))
    }
}

fn acceptor(authority: &Authority, alpn: &[&str]) -> TlsAcceptor {
    let issued = authority.server(&["my-vc.loft-blue-v-my-vc"]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).allow_unauthenticated();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let mut config = config.with_client_cert_verifier(verifier.build().unwrap()).with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config).into()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            state.connections.fetch_add(1, Ordering::SeqCst);
            let by_certificate = stream.get_ref().1.peer_certificates().is_some();
            let answer = service_fn(|request| answer(request, Arc::clone(&state), by_certificate));
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, state: Arc<State>, by_certificate: bool) -> Result<Response<Body>, Infallible> {
    let (method, uri, version) = (request.method().clone(), request.uri().clone(), request.version());
    state.arrived.lock().unwrap().push(Arrived { method, uri, version, headers: request.headers().clone(), by_certificate });
    if by_certificate && !state.knows_administrator.load(Ordering::SeqCst) {
        return Ok(status(StatusCode::UNAUTHORIZED));
    }
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/api/v1/pods" => watch(&state),
        "/slow" => {
            let _open = Open::new(&state);
            std::future::pending::<()>().await;
            status(StatusCode::OK)
        }
        "/sink" => sink(request, &state).await,
        "/big" => {
            let piece = Bytes::from(vec![7; 64 * 1024]);
            let open = Open::new(&state);
            let pieces = futures::stream::repeat(piece).take(1024).map(move |piece| {
                let _ = &open;
                Ok::<_, Infallible>(piece)
            });
            Response::new(Body::from_stream(pieces))
        }
        "/apis/authentication.k8s.io/v1/tokenreviews" => review(request).await,
        _ if path.starts_with("/apis/certificates.k8s.io/v1/") || path.starts_with("/apis/rbac.authorization.k8s.io/v1/") => {
            object(request, &state).await
        }
        _ if request.headers().contains_key(UPGRADE) => echo(&mut request, state),
        _ => {
            let mut response = Response::new(Body::from(format!("{{\"path\":\"{path}\"}}")));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response.headers_mut().insert("x-of-cluster", HeaderValue::from_static("1"));
            response.headers_mut().insert("set-cookie", HeaderValue::from_static("a=b"));
            response
        }
    })
}

fn status(code: StatusCode) -> Response<Body> {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code.as_u16()});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    response
}

fn watch(state: &Arc<State>) -> Response<Body> {
    let (lines, open) = (state.lines.subscribe(), Open::new(state));
    let lines = futures::stream::unfold((lines, open), |(mut lines, open)| async move {
        let line = lines.recv().await.ok()?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), (lines, open)))
    });
    Response::new(Body::from_stream(lines))
}

async fn sink(request: Request<Incoming>, state: &Arc<State>) -> Response<Body> {
    let _open = Open::new(state);
    let mut body = request.into_body();
    let mut bytes = 0;
    loop {
        state.reading.acquire().await.unwrap().forget();
        match body.frame().await {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                state.received.fetch_add(length, Ordering::SeqCst);
                bytes += length;
            }
            Some(Err(_)) => return status(StatusCode::BAD_REQUEST),
            None => return Response::new(Body::from(bytes.to_string())),
        }
    }
}

/// Speaks back what it is told, one protocol or another.
fn echo(request: &mut Request<Incoming>, state: Arc<State>) -> Response<Body> {
    let protocol = request.headers()[UPGRADE].clone();
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let _open = Open::new(&state);
        let mut io = TokioIo::new(upgraded.await.unwrap());
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = io.read(&mut buffer).await {
            if io.write_all(&buffer[..length]).await.is_err() || buffer[..length].ends_with(b"bye") {
                break;
            }
        }
        let _ = io.shutdown().await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, protocol);
    response.headers_mut().insert("x-stream-protocol-version", HeaderValue::from_static("v4.channel.k8s.io"));
    response
}

/// Keeps objects, and signs approved requests for certificates at once.
async fn object(request: Request<Incoming>, state: &Arc<State>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let (method, path) = (parts.method, parts.uri.path().to_owned());
    let mut objects = state.objects.lock().unwrap();
    let found = match method {
        Method::POST => {
            let mut object: Value = serde_json::from_slice(&bytes).unwrap();
            if object["metadata"]["name"].is_null() {
                object["metadata"]["name"] = format!("{}1", object["metadata"]["generateName"].as_str().unwrap()).into();
            }
            let key = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
            objects.insert(key, object.clone());
            Some(object)
        }
        Method::PATCH => {
            let object = objects.get_mut(path.trim_end_matches("/approval")).unwrap();
            let patch: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(patch["status"]["conditions"][0]["type"], "Approved");
            object["status"] = json!({"certificate": STANDARD.encode("-----BEGIN CERTIFICATE-----")});
            Some(object.clone())
        }
        // What a test wants to see stays.
        _ => objects.get(&path).cloned(),
    };
    found.map_or_else(|| status(StatusCode::NOT_FOUND), |object| Response::new(Body::from(object.to_string())))
}

/// Knows the token [`INNER`].
async fn review(request: Request<Incoming>) -> Response<Body> {
    let review: Value = serde_json::from_slice(&request.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let status = match review["spec"]["token"].as_str() {
        Some(INNER) => json!({"authenticated": true, "user": {
            "username": "system:serviceaccount:default:deployer",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        }}),
        _ => json!({"authenticated": false}),
    };
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}, "status": status});
    Response::new(Body::from(review.to_string()))
}
