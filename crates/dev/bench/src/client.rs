//! A client that costs little: one connection over TLS, one request at a time.

use crate::failure::fail;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};

/// The media type of objects.
pub(crate) const JSON: &str = "application/json";

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Http {
    #[value(name = "1.1")]
    One,
    #[value(name = "2")]
    Two,
}

impl std::fmt::Display for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::One => "1.1",
            Self::Two => "2",
        })
    }
}

/// How the client shows who it is.
pub(crate) enum Credentials {
    Token(String),
    /// A chain and its private key, PEM.
    Certificate {
        chain: Vec<u8>,
        key: Vec<u8>,
    },
}

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Connector {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    authorization: Option<String>,
    http: Http,
    source: Option<Ipv4Addr>,
}

impl Connector {
    /// A connector to `IP:PORT` whose certificate this authority (PEM) has signed.
    pub(crate) fn new(address: &str, authority: &[u8], credentials: Credentials, http: Http) -> Self {
        let address = address.replace("localhost", "127.0.0.1").parse();
        let address = address.unwrap_or_else(|_| fail("the address of the server is none of the form IP:PORT"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let (config, authorization) = match credentials {
            Credentials::Token(token) => (config.with_no_client_auth(), Some(format!("Bearer {token}"))),
            Credentials::Certificate { chain, key } => {
                let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().unwrap();
                let config = config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key).unwrap());
                (config.unwrap_or_else(|error| fail(&format!("the client certificate: {error}"))), None)
            }
        };
        Self { address, tls: Arc::new(config), authorization, http, source: None }.speaking(http)
    }

    /// The same with this version of HTTP.
    pub(crate) fn speaking(&self, http: Http) -> Self {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = match http {
            Http::One => vec![b"http/1.1".to_vec()],
            Http::Two => vec![b"h2".to_vec()],
        };
        Self { tls: Arc::new(tls), http, ..self.clone() }
    }

    /// The same from another address of this machine, which to the server is another client.
    pub(crate) fn at_source(&self, source: Ipv4Addr) -> Self {
        Self { source: Some(source), ..self.clone() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Connects. A task of its own drives the connection.
    pub(crate) async fn connect(&self) -> Connection {
        let (connection, driver) = self.connect_undriven().await;
        tokio::spawn(driver);
        connection
    }

    /// Connects. The second result is to be polled until it ends; then the connection is closed.
    pub(crate) async fn connect_undriven(&self) -> (Connection, BoxFuture<'static, ()>) {
        self.try_connect().await.unwrap_or_else(|error| fail(&format!("cannot connect to {}: {error}", self.address)))
    }

    async fn try_connect(&self) -> Result<(Connection, BoxFuture<'static, ()>), Box<dyn std::error::Error + Send + Sync>> {
        let socket = match self.source {
            None => TcpStream::connect(self.address).await?,
            Some(source) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind((source, 0).into())?;
                socket.connect(self.address).await?
            }
        };
        socket.set_nodelay(true)?;
        let tls = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let stream = TokioIo::new(tls.connect(ServerName::IpAddress(self.address.ip().into()), socket).await?);
        let (sender, driver) = match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await?;
                (Sender::One(sender), connection.map(drop).boxed())
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                (Sender::Two(sender), connection.map(drop).boxed())
            }
        };
        Ok((Connection { sender, authorization: self.authorization.clone() }, driver))
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// One request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The media type of the body that is sent, or of a GET that of what is asked for.
    pub(crate) media: &'static str,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn get(path: String, media: &'static str) -> Self {
        Self { method: Method::GET, path, media, body: Bytes::new() }
    }
}

/// One connection.
pub(crate) struct Connection {
    sender: Sender,
    authorization: Option<String>,
}

impl Connection {
    /// Sends a request; ends the program when the server refuses it or is gone.
    pub(crate) async fn open(&mut self, call: Call) -> Incoming {
        let what = format!("{} {}", call.method, call.path);
        let response = self.try_open(call).await.unwrap_or_else(|error| fail(&format!("{what}: the server is gone: {error}")));
        if response.status().is_success() {
            return response.into_body();
        }
        let status = response.status();
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        fail(&format!("{what}: refused with {status}: {}", String::from_utf8_lossy(&body).trim()))
    }

    /// Sends a request, whatever is answered.
    pub(crate) async fn try_open(&mut self, call: Call) -> Result<Response<Incoming>, hyper::Error> {
        let Call { method, path, media, body } = call;
        let accept = if method == Method::GET { media } else { JSON };
        let mut request = Request::builder().method(method).header("accept", accept).header("content-type", media);
        request = request.header("user-agent", "vci-bench/1.0");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        match &mut self.sender {
            Sender::One(sender) => {
                let request = request.uri(path).header("host", "localhost").body(Full::new(body)).unwrap();
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                let request = request.uri(format!("https://localhost{path}")).body(Full::new(body)).unwrap();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends a request and reads the answer to its end; returns how many bytes came.
    pub(crate) async fn send(&mut self, call: Call) -> usize {
        let what = format!("{} {}", call.method, call.path);
        let mut body = self.open(call).await;
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.unwrap_or_else(|error| fail(&format!("{what}: the answer broke off: {error}")));
            size += frame.data_ref().map_or(0, Bytes::len);
        }
        size
    }

    /// Sends a request and decodes the answer.
    pub(crate) async fn read<T: serde::de::DeserializeOwned>(&mut self, call: Call) -> T {
        let what = format!("{} {}", call.method, call.path);
        let body = self.open(call).await.collect().await.unwrap_or_else(|error| fail(&format!("{what}: the answer broke off: {error}")));
        serde_json::from_slice(&body.to_bytes()).unwrap_or_else(|error| fail(&format!("{what}: {error}")))
    }
}
