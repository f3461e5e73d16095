//! A client that costs little: one HTTP/1.1 connection over TLS, one request at a time.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::net::TcpStream;

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Connector {
    address: String,
    tls: tokio_rustls::TlsConnector,
    authorization: String,
}

impl Connector {
    pub(crate) fn new(address: &str, authority: &[u8], token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self { address: address.into(), tls: Arc::new(config).into(), authorization: format!("Bearer {token}") }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let socket = TcpStream::connect(&self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let stream = self.tls.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection { sender, authorization: self.authorization.clone() }
    }
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authorization: String,
}

impl Connection {
    pub(crate) async fn open(&mut self, method: Method, path: &str, media: &str, body: Bytes) -> Result<Response<Incoming>, hyper::Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", &self.authorization)
            .header("accept", "application/json")
            .header("content-type", media)
            .header("user-agent", "vci-bench/1.0")
            .body(Full::new(body))
            .unwrap();
        self.sender.ready().await?;
        self.sender.send_request(request).await
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
