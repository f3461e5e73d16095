//! The order of authenticators and authorizers.

use crate::access_changes;
use crate::extension::{Extension, Extensions};
use crate::host_cluster::{ClusterTrust, Host};
use crate::trust::Trusted;
use apiserver_auth::{Authenticator, Authorizer, IdentityMapper};
use apiserver_registry::Registry;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Authenticators and authorizers of a server.
pub(super) struct Callers {
    pub(super) identities: Arc<dyn IdentityMapper>,
    pub(super) authenticators: Vec<Arc<dyn Authenticator>>,
    pub(super) authorizers: Vec<Arc<dyn Authorizer>>,
    pub(super) access_changes: watch::Receiver<u64>,
    /// Trust in certificates as the host cluster configures it; `None` for a server that stands alone.
    pub(super) host: Option<Arc<ClusterTrust>>,
}

impl Callers {
    /// Asks all that there are. What they go by is kept current until `stop`.
    pub(super) fn known(
        trusted: Trusted,
        host: Option<&Host>,
        extensions: &Extensions,
        identities: &Arc<dyn IdentityMapper>,
        authorizers: Vec<Arc<dyn Authorizer>>,
        registries: &[Arc<Registry>],
        stop: &CancellationToken,
    ) -> Self {
        let trust_changes = Arc::new(Notify::new());
        let access_changes = access_changes::follow(identities, registries, Arc::clone(&trust_changes), stop);
        let authenticators = authenticators(&trusted, host, extensions, identities);
        tokio::spawn(trusted.follow(Arc::clone(&trust_changes), stop.clone()));
        if let Some(host) = host {
            tokio::spawn(Arc::clone(&host.trust).follow(host.cluster.clone(), Arc::clone(&trust_changes), stop.clone()));
            tokio::spawn(Host::look_again(trust_changes, stop.clone()));
        }
        Self {
            identities: Arc::clone(identities),
            authenticators,
            authorizers,
            access_changes,
            host: host.map(|host| Arc::clone(&host.trust)),
        }
    }
}

/// Returns the authenticators in upstream's order. Headers of a front proxy come before client certificates: when they name a user,
/// that user is the caller, and not the subject of the proxy's own certificate.
fn authenticators(
    trusted: &Trusted,
    host: Option<&Host>,
    extensions: &Extensions,
    identities: &Arc<dyn IdentityMapper>,
) -> Vec<Arc<dyn Authenticator>> {
    let mut chain: Vec<_> = trusted.front_proxy(identities).into_iter().collect();
    chain.extend(host.and_then(|host| host.trust.front_proxy()));
    chain.extend(trusted.clients(identities));
    chain.extend(host.and_then(|host| host.trust.clients()));
    chain.extend(extensions.iter().flat_map(Extension::authenticators));
    chain.extend(host.map(|host| Arc::clone(&host.tokens) as _));
    chain
}
