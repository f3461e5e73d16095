//! A kubelet that only forwards ports, by WebSocket, and to one address.

use futures::{SinkExt as _, StreamExt as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use vci_testkit::certs::Authority;

/// What Kubernetes calls the protocol.
const PROTOCOL: &str = "v4.channel.k8s.io";
const PORT: u16 = 8443;

/// Forwards until it is dropped.
#[derive(Debug)]
pub(super) struct Kubelet {
    pub(super) port: u16,
    end: broadcast::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// One that forwards to this address.
    pub(super) async fn start(to: SocketAddr) -> Self {
        let authority = Authority::new("kubelets");
        let issued = authority.server(&["127.0.0.1"]);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
        let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
        let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("a certificate")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let end = broadcast::channel(1).0;
        let ends = end.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, mut end) = (acceptor.clone(), ends.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        () = forward(acceptor, stream, to) => {}
                        _ = end.recv() => {}
                    }
                });
            }
        });
        Self { port, end, task }
    }

    /// Ends all connections, as the end of a pod does.
    pub(super) fn end_connections(&self) {
        let _ = self.end.send(());
    }
}

#[allow(clippy::result_large_err, reason = "as tungstenite wants it")]
fn accept(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert!(request.uri().path().starts_with("/portForward/"), "{}", request.uri());
    response.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

async fn forward(acceptor: TlsAcceptor, stream: TcpStream, to: SocketAddr) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, accept).await else { return };
    let Ok(target) = TcpStream::connect(to).await else { return };
    let ((mut sink, mut source), (mut from, mut into)) = (socket.split(), target.into_split());
    // The first message of each channel is the port.
    for channel in [0, 1] {
        let [low, high] = PORT.to_le_bytes();
        if sink.send(Message::binary(vec![channel, low, high])).await.is_err() {
            return;
        }
    }
    let out = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer[1..]).await {
            buffer[0] = 0;
            if sink.send(Message::binary(buffer[..=length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(bytes) = message
                && let Some((0, data)) = bytes.split_first()
                && into.write_all(data).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}
