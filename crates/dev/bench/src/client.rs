//! A client that costs little: one connection over TLS, one request at a time.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::net::TcpStream;

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

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Connector {
    address: String,
    tls: tokio_rustls::TlsConnector,
    authorization: String,
    http: Http,
}

impl Connector {
    pub(crate) fn new(address: &str, authority: &[u8], token: &str, http: Http) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = match http {
            Http::One => vec![b"http/1.1".to_vec()],
            Http::Two => vec![b"h2".to_vec()],
        };
        Self { address: address.into(), tls: Arc::new(config).into(), authorization: format!("Bearer {token}"), http }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
    }

    pub(crate) async fn connect(&self) -> Connection {
        let socket = TcpStream::connect(&self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let stream = self.tls.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        let sender = match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        };
        Connection { sender, authorization: self.authorization.clone() }
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// One connection.
pub(crate) struct Connection {
    sender: Sender,
    authorization: String,
}

impl Connection {
    /// Sends a request. `media` is that of the body that is sent, or of a GET that of what is asked for.
    pub(crate) async fn open(&mut self, method: Method, path: &str, media: &str, body: Bytes) -> Result<Response<Incoming>, hyper::Error> {
        let accept = if method == Method::GET { media } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .header("authorization", &self.authorization)
            .header("accept", accept)
            .header("content-type", media)
            .header("user-agent", "vci-bench/1.0");
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

    /// Sends a request; returns the status and how many bytes came back.
    pub(crate) async fn send(&mut self, method: Method, path: &str, media: &str, body: Bytes) -> Result<(u16, usize), hyper::Error> {
        let response = self.open(method, path, media, body).await?;
        let status = response.status().as_u16();
        let (mut body, mut size) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            size += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok((status, size))
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<(u16, usize), hyper::Error> {
        self.send(Method::GET, path, "application/json", Bytes::new()).await
    }
}
