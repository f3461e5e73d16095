//! Who callers are and what they may do: whom to ask about it, in which order.

use crate::access_changes;
use crate::host_cluster::{ClusterTrust, Host};
use crate::trust::Trusted;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use vci_auth::directory::Directory;
use vci_auth::{AccessKeys, AlwaysAllowedPaths, Authenticator, Authorizer, KeyScopes, Masters, ProjectRules};
use vci_registry::Registry;

/// Who callers are and what they may do.
pub(super) struct Callers {
    pub(super) directory: Arc<Directory>,
    pub(super) authenticators: Vec<Arc<dyn Authenticator>>,
    pub(super) authorizers: Vec<Arc<dyn Authorizer>>,
    pub(super) access_changes: watch::Receiver<u64>,
    /// Whom the host cluster trusts; `None` for a server that stands alone.
    pub(super) host: Option<Arc<ClusterTrust>>,
}

impl Callers {
    /// Asks all that there are. What they go by is kept current until `stop`.
    pub(super) fn known(
        trusted: Trusted,
        host: Option<&Host>,
        directory: &Arc<Directory>,
        registries: &[Arc<Registry>],
        stop: &CancellationToken,
    ) -> Self {
        let trust_changes = Arc::new(Notify::new());
        let access_changes = access_changes::follow(directory, registries, Arc::clone(&trust_changes), stop);
        let authenticators = authenticators(&trusted, host, directory);
        tokio::spawn(trusted.follow(Arc::clone(&trust_changes), stop.clone()));
        if let Some(host) = host {
            tokio::spawn(Arc::clone(&host.trust).follow(host.cluster.clone(), Arc::clone(&trust_changes), stop.clone()));
            tokio::spawn(Host::look_again(trust_changes, stop.clone()));
        }
        Self {
            directory: Arc::clone(directory),
            authenticators,
            authorizers: authorizers(directory, host.into_iter().flat_map(Host::authorizers)),
            access_changes,
            host: host.map(|host| Arc::clone(&host.trust)),
        }
    }
}

/// Who says who callers are, in upstream's order: the word of a front proxy comes before its own certificate, whoever names
/// the one and the other.
fn authenticators(trusted: &Trusted, host: Option<&Host>, directory: &Arc<Directory>) -> Vec<Arc<dyn Authenticator>> {
    let mut chain: Vec<_> = trusted.front_proxy(directory).into_iter().collect();
    chain.extend(host.and_then(|host| host.trust.front_proxy()));
    chain.extend(trusted.clients(directory));
    chain.extend(host.and_then(|host| host.trust.clients()));
    chain.push(Arc::new(AccessKeys::new(Arc::clone(directory))));
    chain.extend(host.map(|host| Arc::clone(&host.tokens) as _));
    chain
}

/// Who decides what callers may do, in this order: those who go by nothing but the request and the key it came with, then
/// these, then the rules of this server's own objects.
pub(crate) fn authorizers(directory: &Arc<Directory>, between: impl IntoIterator<Item = Arc<dyn Authorizer>>) -> Vec<Arc<dyn Authorizer>> {
    let mut chain: Vec<Arc<dyn Authorizer>> =
        vec![Arc::new(AlwaysAllowedPaths), Arc::new(KeyScopes::new(Arc::clone(directory))), Arc::new(Masters)];
    chain.extend(between);
    chain.push(Arc::new(ProjectRules::new(Arc::clone(directory))));
    chain
}
