//! The host cluster: what is asked of the kube-apiserver whose API this one joins.
//!
//! Who is calling ([`apiserver_auth::Authenticator`]), whether they may ([`apiserver_auth::Authorizer`]), and what the cluster's
//! admission says to a write ([`apiserver_registry::Admission`]), which kube-apiserver does not run for requests that it passes on.
//! Nothing here runs for a server that stands alone. Refused: what this server's own objects say, which comes after.
#![warn(missing_docs)]

pub mod admission;
pub mod authentication_configuration;
pub mod certificate;
mod memory;
mod reviews;
mod subject_access_review;
#[cfg(test)]
pub(crate) mod testing;
mod token_review;

pub use reviews::ReviewStats;
pub use subject_access_review::{AccessReviews, AllowedObjects, Bypass, ClusterAccess};
pub use token_review::TokenReviews;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;

/// Where the host cluster is to be found (`--kubeconfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The current context of a kubeconfig.
    File(PathBuf),
    /// By the service account of the pod that the server runs in.
    InCluster,
}

/// Why the host cluster cannot be asked. Texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig is of no use.
    #[error("kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// There is no service account.
    #[error("in-cluster configuration: {0}")]
    InCluster(#[from] kube::config::InClusterError),
    /// No client can be made of it.
    #[error("client of the host cluster: {0}")]
    Client(#[from] kube::Error),
}

/// The host cluster. Cheap to clone; connections are made when something is asked.
#[derive(Clone)]
pub struct HostCluster {
    client: Client,
}

impl HostCluster {
    /// Reads where the cluster is and how to prove to it who this is. Nothing is asked yet.
    ///
    /// # Errors
    /// What is wrong with the source.
    pub async fn new(source: &Source) -> Result<Self, ConnectError> {
        let config = match source {
            Source::InCluster => kube::Config::incluster()?,
            Source::File(path) => {
                let refused = |source| ConnectError::Kubeconfig { path: path.clone(), source };
                let kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
                kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(refused)?
            }
        };
        Ok(Self { client: Client::try_from(config)? })
    }

    #[cfg(test)]
    pub(crate) fn of_client(client: Client) -> Self {
        Self { client }
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl std::fmt::Debug for HostCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostCluster").finish_non_exhaustive()
    }
}
