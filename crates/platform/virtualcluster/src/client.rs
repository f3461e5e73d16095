//! A client library's client whose connections a [`Connector`] makes.

use crate::{Address, ConnectError, Connector, TlsStream};
use http::{Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::Body;
use kube::client::middleware::BaseUriLayer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Service, ServiceBuilder};

/// How often a connection with requests on it is asked whether it still lives.
const PING: Duration = Duration::from_secs(30);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(90);

pub(crate) fn new(connector: Connector, address: Address) -> kube::Client {
    let connect = Connect { connector: connector.clone(), address: address.clone() };
    let client: Client<_, Body> = Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http2_keep_alive_interval(PING)
        .build(connect);
    // Not that it were resolved: connections are the connector's.
    let authority = Uri::try_from(format!("https://{}", address.server_name())).unwrap_or_default();
    let service = ServiceBuilder::new()
        .layer(BaseUriLayer::new(authority))
        .map_response(move |response: Response<Incoming>| {
            if response.status() == StatusCode::UNAUTHORIZED {
                connector.doubt(&address);
            }
            response
        })
        .service(client);
    kube::Client::new(service, "default")
}

/// Opens the connections of one virtual cluster.
#[derive(Clone)]
struct Connect {
    connector: Connector,
    address: Address,
}

impl Service<Uri> for Connect {
    type Response = Io;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Io, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { connector, address } = self.clone();
        Box::pin(async move { Ok(Io(TokioIo::new(connector.tls(&address, &[b"h2", b"http/1.1"]).await?))) })
    }
}

/// A connection as hyper wants it.
struct Io(TokioIo<TlsStream>);

impl Connection for Io {
    fn connected(&self) -> Connected {
        let (_, session) = self.0.inner().get_ref();
        if session.alpn_protocol() == Some(b"h2") { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
