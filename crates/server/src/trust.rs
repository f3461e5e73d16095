//! Authorities that vouch for clients and front proxies: read from files at the start, and again whenever the files change.

use crate::StartError;
use crate::config::{FrontProxyTrust, Trust};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_auth::directory::Directory;
use vci_auth::{Authenticator, Authorities, ClientCertificates, FrontProxy};

/// How often the files are looked at.
const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// The authorities in use.
#[derive(Debug)]
pub(crate) struct Trusted {
    clients: Option<Arc<Authorities>>,
    front_proxies: Option<(Arc<Authorities>, FrontProxyTrust)>,
    /// What is read again, and into what.
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
        Ok(Self { clients, front_proxies, files })
    }

    /// Those who ask them, in upstream's order: the word of a front proxy comes before its own certificate.
    pub(crate) fn authenticators(&self, directory: &Arc<Directory>) -> Vec<Arc<dyn Authenticator>> {
        let mut chain: Vec<Arc<dyn Authenticator>> = Vec::new();
        if let Some((authorities, FrontProxyTrust { terms, .. })) = &self.front_proxies {
            chain.push(Arc::new(FrontProxy::new(Arc::clone(authorities), terms.clone(), Arc::clone(directory))));
        }
        if let Some(authorities) = &self.clients {
            chain.push(Arc::new(ClientCertificates::new(Arc::clone(authorities), Arc::clone(directory))));
        }
        chain
    }

    /// Trusts what the files say, until `stop`. A file that is of no use (yet) changes nothing.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let mut seen: Vec<Option<Vec<u8>>> = vec![None; self.files.len()];
        while !self.files.is_empty() && stop.run_until_cancelled(tokio::time::sleep(RELOAD_PERIOD)).await.is_some() {
            for ((path, authorities), seen) in self.files.iter().zip(&mut seen) {
                let file = path.clone();
                let Ok(Ok(found)) = tokio::task::spawn_blocking(move || std::fs::read(file)).await else { continue };
                if seen.as_ref() == Some(&found) {
                    continue;
                }
                match authorities.replace(&found) {
                    Ok(()) if seen.is_some() => tracing::info!(path = %path.display(), "authorities were read again"),
                    Ok(()) => {}
                    Err(why) => tracing::warn!(path = %path.display(), why, "new authorities are of no use, the old ones stay"),
                }
                *seen = Some(found);
            }
        }
    }
}

fn read(path: &Path) -> Result<Authorities, StartError> {
    let pem = std::fs::read(path).map_err(|source| StartError::File { path: path.to_owned(), source })?;
    Authorities::new(&pem).map_err(|why| StartError::Certificate { path: path.to_owned(), why })
}
