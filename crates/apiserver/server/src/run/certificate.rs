//! The serving certificate: from files, or self-made; kept current either way.

use super::Prepared;
use crate::StartError;
use crate::clock::unix_seconds;
use crate::config::{Config, ServingCertificate, SniCertificate};
use crate::pki;
use crate::tls::{self, ByName, Serving};
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The folder of the self-made certificates, in the data directory.
const PKI: &str = "pki";
/// How often a self-made certificate is looked at; it is made anew weeks before it expires.
const RENEWAL_PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

/// Returns the TLS configuration with the serving certificate, which is kept current until `stop`, and the authority's certificate
/// for kubeconfigs (PEM), if the authority is this server's own.
pub(super) fn serving_config(prepared: &mut Prepared, stop: &CancellationToken) -> Result<(Arc<ServerConfig>, String), StartError> {
    let config = &prepared.config;
    let (others, ca_certificate) = match prepared.serving.take() {
        Some(serving) => (serving, String::new()),
        None => self_made(config)?,
    };
    let named = std::mem::take(&mut prepared.named);
    tokio::spawn(keep(Arc::clone(&others), config.clone(), stop.clone()));
    for (named, SniCertificate { certificate, key, .. }) in named.iter().zip(&config.sni_certificates) {
        tokio::spawn(tls::follow_files(Arc::clone(&named.serving), certificate.clone(), key.clone(), stop.clone()));
    }
    Ok((tls::server_config(ByName { others, named }, &config.tls)?, ca_certificate))
}

fn self_made(config: &Config) -> Result<(Arc<Serving>, String), StartError> {
    let made = make(config)?;
    let serving = Serving::new(made.certificate.as_bytes(), made.key.as_bytes());
    let refused = |why| StartError::Certificate { path: config.data_dir.join(PKI), why };
    Ok((serving.map_err(refused)?, made.ca_certificate))
}

fn make(config: &Config) -> Result<pki::SelfMade, StartError> {
    pki::self_made(&config.data_dir.join(PKI), &pki::serving_names(config.bind_address), unix_seconds())
}

/// Shows renewed certificates, until `stop`: those that somebody else writes, or its own before they expire.
async fn keep(serving: Arc<Serving>, config: Config, stop: CancellationToken) {
    if let ServingCertificate::Files { certificate, key } = config.serving_certificate {
        return tls::follow_files(serving, certificate, key, stop).await;
    }
    while stop.run_until_cancelled(tokio::time::sleep(RENEWAL_PERIOD)).await.is_some() {
        let config = config.clone();
        let made = tokio::task::spawn_blocking(move || make(&config)).await;
        let shown = match made {
            Ok(Ok(made)) => serving.replace(made.certificate.as_bytes(), made.key.as_bytes()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = shown {
            tracing::warn!(why, "serving certificate is not renewed");
        }
    }
}
