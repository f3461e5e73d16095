//! Connects to virtual clusters.

use crate::client;
use crate::credential_cache::CredentialCache;
use crate::dial::{ByPortForward, ByService};
use crate::kubeconfig::{self, Tunnel};
use crate::{Address, ClientCertificate, ConnectError, Credentials, Dial, Route, Stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long each step of a connection may take: a stream, TLS over it.
const STEP: Duration = Duration::from_secs(10);

/// A connection that is encrypted and verified.
pub type TlsStream = tokio_rustls::client::TlsStream<Stream>;

/// Connects to the virtual clusters of one host cluster. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    parts: Arc<Parts>,
}

struct Parts {
    host: kube::Client,
    dial: Arc<dyn Dial>,
    /// Whether other programs on this machine can reach the Services too.
    route: Option<Route>,
    cache: CredentialCache,
}

impl Connector {
    /// To those of this host, by this way.
    pub fn new(host: kube::Client, route: Route) -> Self {
        let dial: Arc<dyn Dial> = match route {
            Route::Service => Arc::new(ByService),
            Route::PortForward => Arc::new(ByPortForward(host.clone())),
        };
        Self { parts: Arc::new(Parts { host, dial, route: Some(route), cache: CredentialCache::default() }) }
    }

    /// To those of this host, by a way of the caller's.
    pub fn with_dial(host: kube::Client, dial: Arc<dyn Dial>) -> Self {
        Self { parts: Arc::new(Parts { host, dial, route: None, cache: CredentialCache::default() }) }
    }

    /// The credentials of a virtual cluster's administrator, as they were a minute ago at most.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn credentials(&self, address: &Address) -> Result<Arc<Credentials>, ConnectError> {
        self.parts.cache.get(address, || self.read(address)).await
    }

    /// Says that a virtual cluster refuses these credentials: they are read anew next time.
    pub fn refused(&self, address: &Address, credentials: &Arc<Credentials>) {
        self.parts.cache.forget(address, credentials);
    }

    /// Has the credentials of a virtual cluster read anew next time, whatever they are.
    pub(crate) fn doubt(&self, address: &Address) {
        self.parts.cache.remove(address);
    }

    /// A stream to the API of a virtual cluster.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn dial(&self, address: &Address) -> Result<Stream, ConnectError> {
        timeout(STEP, self.parts.dial.dial(address)).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// TLS to the API of a virtual cluster as its administrator. The server must prove by the authority of the credentials that it is
    /// this virtual cluster. When it cannot, the credentials may be old ones: then they are read again, once.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn tls(&self, address: &Address, alpn: &[&[u8]]) -> Result<TlsStream, ConnectError> {
        Ok(self.tls_with(address, ClientCertificate::Shown, alpn).await?.0)
    }

    /// The same, with or without the administrator's certificate, and with the credentials that it was done with, for who may be
    /// [refused](Self::refused) later.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn tls_with(
        &self,
        address: &Address,
        certificate: ClientCertificate,
        alpn: &[&[u8]],
    ) -> Result<(TlsStream, Arc<Credentials>), ConnectError> {
        let credentials = self.credentials(address).await?;
        match self.handshake(address, credentials.tls(certificate, alpn)).await {
            Err(error) if error.doubts_credentials() => {
                self.refused(address, &credentials);
                let fresh = self.credentials(address).await?;
                if fresh.version() == credentials.version() {
                    return Err(error);
                }
                Ok((self.handshake(address, fresh.tls(certificate, alpn)).await?, fresh))
            }
            done => Ok((done?, credentials)),
        }
    }

    /// A client of the virtual cluster's administrator, with connections of its own: keep it for as long as there is something to do.
    ///
    /// # Errors
    /// The credentials are not there. Whether the cluster can be reached is seen with the first request.
    pub async fn client(&self, address: &Address) -> Result<kube::Client, ConnectError> {
        self.credentials(address).await?;
        Ok(client::new(self.clone(), address.clone()))
    }

    /// A kubeconfig of the virtual cluster's administrator for a program on this machine, and what must live for as long as the
    /// program runs. The text holds a private key.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn kubeconfig(&self, address: &Address) -> Result<(String, Tunnel), ConnectError> {
        let credentials = self.credentials(address).await?;
        let (server, tunnel) = match self.parts.route {
            Some(Route::Service) => (format!("https://{}:443", address.service_host()), Tunnel::not_needed()),
            Some(Route::PortForward) | None => Tunnel::open(self.clone(), address.clone()).await?,
        };
        Ok((kubeconfig::text(address, &server, &credentials), tunnel))
    }

    async fn read(&self, address: &Address) -> Result<Credentials, ConnectError> {
        let secrets: Api<Secret> = Api::namespaced(self.parts.host.clone(), address.namespace());
        let name = address.secret_name();
        let read = timeout(STEP, secrets.get_opt(&name)).await.map_err(|_| ConnectError::TimedOut)?;
        let secret = read.map_err(|source| ConnectError::Host { what: "the credentials of the virtual cluster", source })?;
        Credentials::of_secret(address, secret.ok_or(ConnectError::NoSecret(name))?)
    }

    async fn handshake(&self, address: &Address, tls: Arc<ClientConfig>) -> Result<TlsStream, ConnectError> {
        let name = address.verified_name().ok_or_else(|| {
            let text = "neither the release nor its namespace is a name that a certificate can have";
            ConnectError::Tls(std::io::Error::new(std::io::ErrorKind::InvalidInput, text))
        })?;
        let stream = self.dial(address).await?;
        let tls = TlsConnector::from(tls).connect(name, stream);
        timeout(STEP, tls).await.map_err(|_| ConnectError::TimedOut)?.map_err(|error| match error.kind() {
            // What rustls finds wrong; whatever else is the connection's end.
            std::io::ErrorKind::InvalidData => ConnectError::Tls(error),
            _ => ConnectError::NotReachable(error),
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("dial", &self.parts.dial).finish_non_exhaustive()
    }
}
