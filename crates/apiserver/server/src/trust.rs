//! Authorities of clients and front proxies, from files that are read again when they change.

use crate::StartError;
use crate::config::{FrontProxyTrust, Trust};
use apiserver_auth::{Authenticator, Authorities, ClientCertificates, FrontProxy, IdentityMapper, RequestHeaderConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the files are read.
const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// The authorities in use.
#[derive(Debug)]
pub(crate) struct Trusted {
    clients: Option<Arc<Authorities>>,
    front_proxies: Option<(Arc<Authorities>, FrontProxyTrust)>,
    /// Files that are read again, and the lists that they fill.
    files: Vec<(PathBuf, Arc<Authorities>)>,
}

impl Trusted {
    /// Reads the files.
    ///
    /// # Errors
    /// Files that cannot be read or hold no certificate.
    pub(crate) fn read(trust: &Trust) -> Result<Self, StartError> {
        let mut files = Vec::new();
        let mut open = |path: &PathBuf| {
            let authorities = Arc::new(read(path)?);
            files.push((path.clone(), Arc::clone(&authorities)));
            Ok::<_, StartError>(authorities)
        };
        let clients = trust.clients.as_ref().map(&mut open).transpose()?;
        let front_proxies = match &trust.front_proxy {
            Some(front_proxy) => Some((open(&front_proxy.authorities)?, front_proxy.clone())),
            None => None,
        };
        if let (Some(clients), Some((proxies, FrontProxyTrust { authorities, config }))) = (&clients, &front_proxies) {
            check_front_proxies(clients, proxies, config).map_err(|why| StartError::Certificate { path: authorities.clone(), why })?;
        }
        Ok(Self { clients, front_proxies, files })
    }

    /// Returns the authenticator for headers of front proxies.
    pub(crate) fn front_proxy(&self, identities: &Arc<dyn IdentityMapper>) -> Option<Arc<dyn Authenticator>> {
        let (authorities, FrontProxyTrust { config, .. }) = self.front_proxies.as_ref()?;
        Some(Arc::new(FrontProxy::new(Arc::clone(authorities), config.clone(), Arc::clone(identities))))
    }

    /// Returns the authenticator for client certificates.
    pub(crate) fn clients(&self, identities: &Arc<dyn IdentityMapper>) -> Option<Arc<dyn Authenticator>> {
        let authorities = self.clients.as_ref()?;
        Some(Arc::new(ClientCertificates::new(Arc::clone(authorities), Arc::clone(identities))))
    }

    /// Follows the files until `stop`, and notifies `changed`. A file that is not valid changes nothing.
    pub(crate) async fn follow(self, changed: Arc<Notify>, stop: CancellationToken) {
        let mut seen: Vec<Option<Vec<u8>>> = vec![None; self.files.len()];
        while !self.files.is_empty() && stop.run_until_cancelled(tokio::time::sleep(RELOAD_PERIOD)).await.is_some() {
            for ((path, authorities), seen) in self.files.iter().zip(&mut seen) {
                let file = path.clone();
                let Ok(Ok(found)) = tokio::task::spawn_blocking(move || std::fs::read(file)).await else { continue };
                if seen.as_ref() == Some(&found) {
                    continue;
                }
                match authorities.replace(&found) {
                    Ok(()) if seen.is_some() => {
                        tracing::info!(path = %path.display(), "authorities were read again");
                        changed.notify_one();
                    }
                    Ok(()) => {}
                    Err(why) => tracing::warn!(path = %path.display(), why, "new authorities are of no use, the old ones stay"),
                }
                *seen = Some(found);
            }
        }
    }
}

/// Checks that no client can pass for a front proxy. When one authority signs the certificates of both, only the allowed names tell
/// a front proxy from a client.
///
/// # Errors
/// An authority signs for both and no names are configured: every client with a certificate could set the headers of a front
/// proxy, and so act as any user.
pub(crate) fn check_front_proxies(clients: &Authorities, proxies: &Authorities, config: &RequestHeaderConfig) -> Result<(), String> {
    if config.allowed_names.is_empty() && proxies.overlap(clients) {
        let why = "an authority of front proxies is one of clients too, and no names of front proxies are given \
                   (requestheader-allowed-names): every client could say to be anybody";
        return Err(why.into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Authorities, StartError> {
    let pem = std::fs::read(path).map_err(|source| StartError::File { path: path.to_owned(), source })?;
    Authorities::new(&pem).map_err(|why| StartError::Certificate { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vci_testkit::certs::Authority;

    #[test]
    fn one_authority_for_clients_and_proxies_needs_names() {
        let [clients, proxies] = ["clients", "proxies"].map(Authority::new);
        for (proxies, names, good) in [(&proxies, [].as_slice(), true), (&clients, &[], false), (&clients, &["proxy"], true)] {
            let config =
                RequestHeaderConfig { allowed_names: names.iter().map(ToString::to_string).collect(), ..RequestHeaderConfig::default() };
            let front_proxy = Some(FrontProxyTrust { authorities: proxies.file(), config });
            let read = Trusted::read(&Trust { clients: Some(clients.file()), front_proxy });
            assert_eq!(read.is_ok(), good, "{read:?}");
        }
    }
}
