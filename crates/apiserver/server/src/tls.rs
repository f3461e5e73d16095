//! TLS of the listener. The only module that uses rustls.
//!
//! A client certificate is requested, never required. The handshake proves that the client holds its private key, and nothing else:
//! every certificate passes. Whether a trusted authority signed it is verified later, request by request, because the same
//! connection may carry a bearer token as well.

mod names;
mod options;

pub(crate) use names::{ByName, Named};
pub use options::{CipherSuite, TlsOptions, TlsVersion};

use crate::StartError;
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often certificate files are looked at. They are small, and a mounted Secret changes by a swapped symbolic link
/// that file events do not show.
const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// The serving certificate in use, exchangeable while connections go on.
#[derive(Debug)]
pub(crate) struct Serving {
    provider: Arc<CryptoProvider>,
    key: ArcSwap<CertifiedKey>,
}

impl Serving {
    /// Shows this chain (PEM, leaf first), proven by this key (PEM).
    ///
    /// # Errors
    /// A text that says what is wrong with the two.
    pub(crate) fn new(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = ArcSwap::from_pointee(certified(&provider, chain, key)?);
        Ok(Arc::new(Self { provider, key }))
    }

    /// Reads both from files.
    ///
    /// # Errors
    /// Files that cannot be read ([`StartError::File`]) or that do not fit together ([`StartError::Certificate`]).
    pub(crate) fn from_files(certificate: &Path, key: &Path) -> Result<Arc<Self>, StartError> {
        let [chain, secret] = [certificate, key].map(read);
        Self::new(&chain?, &secret?).map_err(|why| StartError::Certificate { path: certificate.to_owned(), why })
    }

    /// Shows another chain from now on.
    ///
    /// # Errors
    /// A text that says what is wrong; the old one stays in use.
    pub(crate) fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), String> {
        self.key.store(Arc::new(certified(&self.provider, chain, key)?));
        Ok(())
    }

    /// Returns the current certificate.
    fn shown(&self) -> Arc<CertifiedKey> {
        self.key.load_full()
    }
}

/// Returns the TLS configuration of the listener.
///
/// # Errors
/// None that a build of this program can have: the provider has the protocol versions.
pub(crate) fn server_config(shown: ByName, options: &TlsOptions) -> Result<Arc<ServerConfig>, StartError> {
    let provider = Arc::new(options.provider());
    let verifier = Arc::new(AnyCertificate { algorithms: provider.signature_verification_algorithms });
    let versions = options.versions(&provider);
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    let builder = builder.map_err(|error| StartError::Internal(error.to_string()))?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Returns the TLS configuration of a listener with one certificate.
#[cfg(test)]
pub(crate) fn config_of(serving: &Arc<Serving>) -> Arc<ServerConfig> {
    let shown = ByName { others: Arc::clone(serving), named: Vec::new() };
    server_config(shown, &TlsOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Shows the files' new content whenever it changes, until `stop`. Files that do not fit together (yet) are passed over.
pub(crate) async fn follow_files(serving: Arc<Serving>, certificate: PathBuf, key: PathBuf, stop: CancellationToken) {
    let load = move || Some((std::fs::read(&certificate).ok()?, std::fs::read(&key).ok()?));
    let load = Arc::new(load);
    let mut shown = None;
    while stop.run_until_cancelled(tokio::time::sleep(RELOAD_PERIOD)).await.is_some() {
        let load = Arc::clone(&load);
        let Ok(Some(found)) = tokio::task::spawn_blocking(move || load()).await else { continue };
        if shown.as_ref() == Some(&found) {
            continue;
        }
        match serving.replace(&found.0, &found.1) {
            Ok(()) if shown.is_some() => tracing::info!("serving certificate was read again"),
            Ok(()) => {}
            Err(why) => tracing::warn!(why, "new serving certificate is of no use, the old one stays"),
        }
        shown = Some(found);
    }
}

/// The client's chain as requests may see it: empty unless the handshake proved that the client holds the leaf's key.
pub(crate) fn peer_certificates(connection: &rustls::ServerConnection) -> Arc<[Arc<[u8]>]> {
    let chain = connection.peer_certificates().unwrap_or_default();
    match chain.first() {
        Some(leaf) if is_readable(leaf) => chain.iter().map(|certificate| Arc::from(certificate.as_ref())).collect(),
        _ => Arc::default(),
    }
}

/// Whether the leaf can be read at all. One that cannot has no key to prove anything with: it counts as none.
fn is_readable(leaf: &CertificateDer<'_>) -> bool {
    ParsedCertificate::try_from(leaf).is_ok()
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::File { path: path.to_owned(), source })
}

fn certified(provider: &CryptoProvider, chain: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if chain.is_empty() {
        return Err("no certificate in it".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("its private key: {error}"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| error.to_string())
}

/// Takes every client certificate, if the client can sign with it.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if is_readable(leaf) {
            verify_tls12_signature(message, leaf, signature, &self.algorithms)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if is_readable(leaf) {
            verify_tls13_signature(message, leaf, signature, &self.algorithms)
        } else {
            Ok(HandshakeSignatureValid::assertion())
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
