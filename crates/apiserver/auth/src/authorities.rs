//! Certificate authorities that vouch for clients.
//!
//! The TLS handshake proves only that a client holds the private key of the certificate it presents. Whether a trusted authority
//! signed that certificate is verified here, request by request. There are two lists of authorities, that of clients and that
//! of front proxies: both may be consulted for one connection, and both may change while it is open. Refused: revocation lists.

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How long the outcome for a chain is remembered. A front proxy sends every request over a few connections.
const MEMORY: Duration = Duration::from_secs(60);
/// How many outcomes are remembered at most.
const REMEMBERED: usize = 1024;

/// A list of trusted authorities, which can be replaced while requests are served.
pub struct Authorities {
    anchors: ArcSwap<Anchors>,
}

/// One version of the list, with the outcomes that were found under it.
#[derive(Default)]
struct Anchors {
    roots: Vec<TrustAnchor<'static>>,
    answers: Mutex<HashMap<[u8; 32], Answer>>,
}

#[derive(Clone)]
struct Answer {
    at: UnixTime,
    subject: Result<Arc<Subject>, String>,
}

/// The subject of a certificate, as far as it names a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The common name (CN).
    pub common_name: String,
    /// The organizations (O), in order.
    pub organizations: Vec<String>,
}

impl Authorities {
    /// Reads the certificates of authorities from a PEM text.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn new(pem: &[u8]) -> Result<Self, String> {
        Ok(Self { anchors: ArcSwap::from_pointee(Anchors::new(pem)?) })
    }

    /// Creates an empty list, which trusts no certificate until [`Authorities::replace`] fills it.
    pub fn none() -> Self {
        Self { anchors: ArcSwap::from_pointee(Anchors::default()) }
    }

    /// Replaces the list. From now on only these authorities are trusted, on open connections too.
    ///
    /// # Errors
    /// A text that says what is wrong; the old ones stay.
    pub fn replace(&self, pem: &[u8]) -> Result<(), String> {
        self.anchors.store(Arc::new(Anchors::new(pem)?));
        Ok(())
    }

    /// Empties the list. From now on no certificate is trusted, on open connections too.
    pub fn clear(&self) {
        self.anchors.store(Arc::new(Anchors::default()));
    }

    /// Whether an authority is in both lists, so that a certificate that it signed is valid for both.
    pub fn overlap(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.anchors.load(), other.anchors.load());
        mine.roots.iter().any(|root| theirs.roots.contains(root))
    }

    /// Verifies a chain (DER, leaf first) as that of a client at `now`, and returns the subject of its leaf.
    ///
    /// # Errors
    /// The reason for which no authority vouches for it, for operators.
    pub fn subject(&self, chain: &[Arc<[u8]>], now: UnixTime) -> Result<Arc<Subject>, String> {
        let anchors = self.anchors.load();
        let mut digest = Sha256::new();
        chain.iter().for_each(|certificate| digest.update(certificate));
        let digest = digest.finalize().into();
        if let Some(answer) = anchors.remembered(&digest, now) {
            return answer;
        }
        let subject = anchors.check(chain, now).map(Arc::new);
        anchors.remember(digest, Answer { at: now, subject: subject.clone() }, now);
        subject
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("count", &self.anchors.load().roots.len()).finish()
    }
}

impl Anchors {
    fn new(pem: &[u8]) -> Result<Self, String> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let root = |certificate| webpki::anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned());
        let roots: Vec<_> = certificates.iter().map(root).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        if roots.is_empty() {
            return Err("no certificate in it".into());
        }
        Ok(Self { roots, answers: Mutex::default() })
    }

    fn remembered(&self, digest: &[u8; 32], now: UnixTime) -> Option<Result<Arc<Subject>, String>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(digest).filter(|answer| answer.holds(now)).map(|answer| answer.subject.clone())
    }

    fn remember(&self, digest: [u8; 32], answer: Answer, now: UnixTime) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= REMEMBERED {
            answers.retain(|_, old| old.holds(now));
        }
        if answers.len() < REMEMBERED {
            answers.insert(digest, answer);
        }
    }

    fn check(&self, chain: &[Arc<[u8]>], now: UnixTime) -> Result<Subject, String> {
        let (leaf, rest) = chain.split_first().ok_or("no certificate")?;
        let certificate = CertificateDer::from(leaf.as_ref());
        let between: Vec<_> = rest.iter().map(|certificate| CertificateDer::from(certificate.as_ref())).collect();
        let text = |error: webpki::Error| error.to_string();
        let entity = EndEntityCert::try_from(&certificate).map_err(text)?;
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        entity.verify_for_usage(algorithms, &self.roots, &between, now, KeyUsage::client_auth(), None, None).map_err(text)?;
        subject(leaf)
    }
}

fn subject(leaf: &[u8]) -> Result<Subject, String> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    let name = certificate.subject();
    let common_name = name.iter_common_name().last().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned();
    let organizations = name.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
    Ok(Subject { common_name, organizations })
}

impl Answer {
    /// Whether it is young. One from the future was given before the clock was set back.
    fn holds(&self, now: UnixTime) -> bool {
        now.as_secs().checked_sub(self.at.as_secs()).is_some_and(|age| age < MEMORY.as_secs())
    }
}

#[cfg(test)]
pub(crate) mod tests;
