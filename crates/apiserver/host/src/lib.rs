//! The host cluster: what is asked of the kube-apiserver whose API this one joins.
//!
//! Who is calling ([`apiserver_auth::Authenticator`]), whether they may ([`apiserver_auth::Authorizer`]), and what the cluster's
//! admission says to a write ([`apiserver_registry::Admission`]), which kube-apiserver does not run for requests that it passes on.
//! Nothing here runs for a server that stands alone. Refused: what this server's own objects say, which comes after.
//!
//! ```
//! use apiserver_auth::Authorizer as _;
//! use apiserver_auth::{Attributes, Decision, Identity, Target};
//! use apiserver_host::{AccessReviews, AllowedObjects, ClusterAccess, HostCluster, Source};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("kubeconfig");
//! # let cluster = "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c, user: ''}}]";
//! # std::fs::write(&file, format!("apiVersion: v1\nkind: Config\ncurrent-context: c\n{cluster}\n"))?;
//! # let source = file.to_str().expect("a path");
//! let source: Source = source.parse()?; // `in-cluster`, or the path of a kubeconfig
//! let cluster = HostCluster::new(&source).await?;
//! let rbac = ClusterAccess { reviews: AccessReviews::new(&cluster), allowed: AllowedObjects::Allowed };
//! let identity = Identity::of_user(apiserver_meta::User { name: "ann".into(), ..Default::default() });
//! let attributes = Attributes { identity, verb: "get".into(), target: Target::Path("/metrics".into()) };
//! // Nobody answers at that address, so nothing is allowed.
//! assert!(matches!(rbac.authorize(&attributes).await, Decision::Failed(_)));
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

pub mod admission;
mod answer_cache;
pub mod authentication_configuration;
pub mod certificate;
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

impl std::str::FromStr for Source {
    type Err = std::convert::Infallible;

    /// `in-cluster`, or the path of a kubeconfig.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "in-cluster" { Self::InCluster } else { Self::File(text.into()) })
    }
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
