//! The certificate of a virtual cluster's administrator, and the authority that the cluster itself is known by.

use crate::{Address, ConnectError};
use k8s_openapi::api::core::v1::Secret;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::Arc;

const AUTHORITY: &str = "certificate-authority";
const CERTIFICATE: &str = "client-certificate";
const KEY: &str = "client-key";

/// What a virtual cluster's Secret holds. `Debug` says its version alone.
pub struct Credentials {
    version: String,
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    tls: Arc<ClientConfig>,
    anonymous_tls: Arc<ClientConfig>,
}

/// Whether the administrator's certificate is shown to a virtual cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It is: whoever speaks is the administrator, or acts for somebody as such.
    Shown,
    /// It is not: who speaks is known by other credentials, or is nobody.
    Withheld,
}

impl Credentials {
    /// Reads a Secret.
    pub(crate) fn of_secret(address: &Address, secret: Secret) -> Result<Self, ConnectError> {
        let bad = |key| ConnectError::BadSecret { name: address.secret_name(), key };
        let mut data = secret.data.unwrap_or_default();
        let [authority, certificate, key] =
            [AUTHORITY, CERTIFICATE, KEY].map(|key| data.remove(key).map(|value| value.0).ok_or_else(|| bad(key)));
        let (authority, certificate, key) = (authority?, certificate?, key?);
        let (tls, anonymous_tls) = tls(&authority, &certificate, &key).map_err(bad)?;
        let (tls, anonymous_tls) = (Arc::new(tls), Arc::new(anonymous_tls));
        let metadata = secret.metadata;
        let version = format!("{}/{}", metadata.uid.unwrap_or_default(), metadata.resource_version.unwrap_or_default());
        Ok(Self { version, authority, certificate, key, tls, anonymous_tls })
    }

    /// Differs when they are other credentials.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The authority that the virtual cluster's serving certificate is verified by, PEM.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The administrator's certificate, PEM.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its private key, PEM.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// TLS with them, offering these protocols. Sessions are resumed whatever the protocol is.
    pub(crate) fn tls(&self, certificate: ClientCertificate, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(match certificate {
            ClientCertificate::Shown => &self.tls,
            ClientCertificate::Withheld => &self.anonymous_tls,
        });
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Configurations that trust this authority alone, with the certificate and without; else the key of what is malformed.
fn tls(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<(ClientConfig, ClientConfig), &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority).ok_or(AUTHORITY)? {
        roots.add(certificate).map_err(|_| AUTHORITY)?;
    }
    let chain = certificates(certificate).ok_or(CERTIFICATE)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| KEY)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|_| KEY)?.with_root_certificates(roots);
    let anonymous = config.clone().with_no_client_auth();
    Ok((config.with_client_auth_cert(chain, key).map_err(|_| KEY)?, anonymous))
}

/// One certificate at least.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}
