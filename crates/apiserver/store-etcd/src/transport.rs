//! The connection to one member: TCP or TLS, made again whenever it is needed and not there.
//!
//! tonic's own TLS is not used: it reads certificates once, and theirs are renewed.

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tonic::transport::Channel;

use crate::config::{ConnectError, Endpoint, Scheme, Timeouts, TlsFiles};

/// Below grpc-go's and etcd's patience (a ping each 5 s), and soon enough to notice a member that is gone without a word.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// Flow-control window of one stream. That of the connection is the maximum of HTTP/2, so that a stream that is not read (a slow
/// watch) cannot block the others.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = i32::MAX as u32;

type Io = TokioIo<Either<TcpStream, TlsStream<TcpStream>>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A channel to this member that connects at its first call.
pub(crate) fn channel(endpoint: &Endpoint, tls: Option<TlsFiles>, timeouts: Timeouts) -> Result<Channel, ConnectError> {
    let Endpoint { scheme, host, port } = endpoint.clone();
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // The connector below knows about TLS, tonic need not.
    let settings = tonic::transport::Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|error| ConnectError::Config(format!("endpoint {authority}: {error}")))?
        .connect_timeout(timeouts.connect)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        // etcd answers pings without a call with "too many pings" and closes.
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let connector = tower::service_fn(move |_| connect(scheme, host.clone(), port, tls.clone()));
    Ok(settings.connect_with_connector_lazy(connector))
}

async fn connect(scheme: Scheme, host: String, port: u16, tls: Option<TlsFiles>) -> Result<Io, BoxError> {
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let (Scheme::Https, Some(files)) = (scheme, tls) else { return Ok(TokioIo::new(Either::Left(stream))) };
    let config = tokio::task::spawn_blocking(move || client_config(&files)).await??;
    let name = ServerName::try_from(host)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(TokioIo::new(Either::Right(stream)))
}

/// Reads the files; called at the start as well, so that a wrong one is told before anything else happens.
pub(crate) fn client_config(files: &TlsFiles) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.ca)? {
        roots.add(root).map_err(|error| wrong(&files.ca, &error))?;
    }
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| ConnectError::Config(error.to_string()))?.with_root_certificates(roots);
    let mut config = match &files.client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::from_pem_file(&client.key).map_err(|error| wrong(&client.key, &error))?;
            config.with_client_auth_cert(certificates(&client.cert)?, key).map_err(|error| wrong(&client.cert, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| wrong(file, &error))?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(file, &error))?;
    if certificates.is_empty() {
        return Err(wrong(file, &"holds no certificate"));
    }
    Ok(certificates)
}

fn wrong(file: &Path, why: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::Config(format!("{}: {why}", file.display()))
}
