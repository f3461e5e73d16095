//! The connection to one member: TCP or TLS, made again whenever it is needed and not there.
//!
//! tonic's own TLS is not used: it reads certificates once, and theirs are renewed.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tower::BoxError;

use crate::config::{ConnectError, Endpoint, Scheme, TlsFiles};

/// Makes connections to one member.
#[derive(Clone)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    tls: Option<TlsFiles>,
}

impl Connector {
    pub(crate) fn new(endpoint: Endpoint, tls: Option<TlsFiles>) -> Self {
        Self { endpoint, tls }
    }

    /// The member's `host:port`.
    pub(crate) fn authority(&self) -> String {
        let Endpoint { host, port, .. } = &self.endpoint;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub(crate) async fn connect(&self) -> Result<Either<TcpStream, TlsStream<TcpStream>>, BoxError> {
        let Endpoint { scheme, host, port } = &self.endpoint;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let (Scheme::Https, Some(files)) = (scheme, self.tls.clone()) else { return Ok(Either::Left(stream)) };
        let config = tokio::task::spawn_blocking(move || client_config(&files)).await??;
        let name = ServerName::try_from(host.clone())?;
        Ok(Either::Right(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }
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
