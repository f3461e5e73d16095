//! Certificates for those who have no cert-manager: kept in a Secret of the host cluster, which a job looks after. Refused: to
//! do so in the server itself, which would then have to be allowed to write Secrets.

use crate::pki::{self, CertificateUsage, WithAuthority};
use apiserver_host::HostCluster;
use apiserver_host::certificate::{CertificateData, CertificateError, CertificateSecret, trust};
use std::collections::BTreeSet;

/// The wanted content of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateWish {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// DNS names and addresses of the certificate.
    pub names: BTreeSet<String>,
    /// The usage of the certificate.
    pub usage: CertificateUsage,
    /// The APIService that is to trust the certificate's authority.
    pub api_service: Option<String>,
}

/// The outcome of ensuring the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateOutcome {
    /// There was none.
    Made,
    /// It was about to expire, or for other names.
    Renewed,
    /// It is good for some time.
    Kept,
}

/// Why there is no good certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateSecretError {
    /// By the host cluster.
    #[error(transparent)]
    Cluster(#[from] CertificateError),
    /// By what the Secret holds, which is left alone.
    #[error("secret {0}: {1}")]
    Damaged(String, String),
}

/// Makes the Secret hold a good certificate. `now` is Unix seconds.
///
/// # Errors
/// [`CertificateSecretError`]; to try again does no harm.
pub async fn keep(cluster: &HostCluster, wish: &CertificateWish, now: i64) -> Result<CertificateOutcome, CertificateSecretError> {
    let secret = CertificateSecret::new(cluster, &wish.namespace, &wish.secret);
    let (kept, version) = secret.read().await?.map(|(data, version)| (from_secret(data), version)).unzip();
    let renewed = pki::renewed(kept.as_ref(), &wish.names, wish.usage, now);
    let renewed = renewed.map_err(|why| CertificateSecretError::Damaged(wish.secret.clone(), why))?;
    let outcome = match (&renewed, &kept) {
        (None, _) => CertificateOutcome::Kept,
        (Some(_), None) => CertificateOutcome::Made,
        (Some(_), Some(_)) => CertificateOutcome::Renewed,
    };
    let authorities = renewed.as_ref().or(kept.as_ref()).map(|good| good.ca_certificate.clone()).unwrap_or_default();
    // A new authority is trusted before anybody shows what it has signed.
    if let Some(api_service) = &wish.api_service {
        trust(cluster, api_service, &authorities).await?;
    }
    if let Some(renewed) = renewed {
        secret.write(&to_secret(renewed), version).await?;
    }
    Ok(outcome)
}

fn from_secret(CertificateData { ca_certificate, ca_key, certificate, key }: CertificateData) -> WithAuthority {
    WithAuthority { ca_certificate, ca_key, certificate, key }
}

fn to_secret(WithAuthority { ca_certificate, ca_key, certificate, key }: WithAuthority) -> CertificateData {
    CertificateData { ca_certificate, ca_key, certificate, key }
}
