//! The host cluster, put together: whom it trusts, whom it knows, what it allows and what its admission says.

use crate::config::Trust;
use crate::trust::check_front_proxies;
use apiserver_auth::{Authenticator, Authorities, Authorizer, ClientCertificates, FrontProxy, IdentityMapper, RequestHeaderConfig};
use apiserver_endpoints::{HealthCheck, STARTUP_WAIT};
use apiserver_host::authentication_configuration::{self, AuthenticationConfiguration};
use apiserver_host::{AccessReviews, AllowedObjects, Bypass, ClusterAccess, HostCluster, TokenReviews};
use apiserver_meta::error::GroupResource;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The cluster does not tell when it forbids what it allowed, or takes a token back: callers of open watches are looked at
/// again this often.
const SECOND_LOOK: Duration = Duration::from_secs(5 * 60);

/// The parts of a server that ask the host cluster.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) cluster: HostCluster,
    pub(crate) access: Arc<AccessReviews>,
    pub(crate) tokens: Arc<TokenReviews>,
    pub(crate) trust: Arc<ClusterTrust>,
    bypass: Option<GroupResource<'static>>,
}

impl Host {
    /// `trust` is what flags say, which counts for more than what the cluster says. `bypass` is the resource on which the
    /// cluster grants the verb of that name.
    pub(crate) fn new(
        cluster: HostCluster,
        trust: &Trust,
        identities: &Arc<dyn IdentityMapper>,
        bypass: Option<GroupResource<'static>>,
    ) -> Self {
        let access = AccessReviews::new(&cluster);
        let tokens = Arc::new(TokenReviews::new(&cluster, Arc::clone(identities)));
        Self { cluster, access, tokens, trust: Arc::new(ClusterTrust::new(trust, identities)), bypass }
    }

    /// The cluster's rules. `allowed` is the answer about objects where the cluster allows the request.
    pub(crate) fn authorizer(&self, allowed: AllowedObjects) -> Arc<dyn Authorizer> {
        Arc::new(ClusterAccess { reviews: Arc::clone(&self.access), allowed })
    }

    /// Says at times, until `stop`, that callers may have become others.
    pub(crate) async fn look_again(changed: Arc<Notify>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SECOND_LOOK)).await.is_some() {
            changed.notify_one();
        }
    }

    /// Those whom the cluster lets do everything here.
    pub(crate) fn bypass(&self) -> Option<Arc<dyn Authorizer>> {
        let bypass = |resource| Arc::new(Bypass { reviews: Arc::clone(&self.access), resource }) as Arc<dyn Authorizer>;
        self.bypass.map(bypass)
    }
}

/// Authorities and front proxies that the cluster names, where no flag names others.
#[derive(Debug)]
pub(crate) struct ClusterTrust {
    clients: Option<Arc<Authorities>>,
    front_proxy: Option<Arc<FrontProxy>>,
    identities: Arc<dyn IdentityMapper>,
    known: watch::Sender<bool>,
}

impl ClusterTrust {
    fn new(trust: &Trust, identities: &Arc<dyn IdentityMapper>) -> Self {
        let nobody = || FrontProxy::new(Arc::new(Authorities::none()), RequestHeaderConfig::default(), Arc::clone(identities));
        let clients = trust.clients.is_none().then(|| Arc::new(Authorities::none()));
        let front_proxy = trust.front_proxy.is_none().then(|| Arc::new(nobody()));
        let known = watch::Sender::new(clients.is_none() && front_proxy.is_none());
        Self { clients, front_proxy, identities: Arc::clone(identities), known }
    }

    /// Returns the authenticator for headers of the cluster's front proxy.
    pub(crate) fn front_proxy(&self) -> Option<Arc<dyn Authenticator>> {
        self.front_proxy.clone().map(|front_proxy| front_proxy as _)
    }

    /// Returns the authenticator for client certificates that the cluster accepts.
    pub(crate) fn clients(&self) -> Option<Arc<dyn Authenticator>> {
        let clients = ClientCertificates::new(self.clients.clone()?, Arc::clone(&self.identities));
        Some(Arc::new(clients))
    }

    /// Follows the cluster's configuration of trust until `stop`, and notifies `changed`.
    pub(crate) async fn follow(self: Arc<Self>, cluster: HostCluster, changed: Arc<Notify>, stop: CancellationToken) {
        if self.clients.is_none() && self.front_proxy.is_none() {
            return;
        }
        let mut before = None;
        let apply = |found: AuthenticationConfiguration| {
            if before.as_ref() == Some(&found) {
                return;
            }
            if let Err(why) = self.trust(&found) {
                return tracing::warn!(why, "the host cluster names authorities that are of no use, the old ones stay");
            }
            tracing::info!("trusting the front proxy and the clients that the host cluster names");
            before = Some(found);
            self.known.send_replace(true);
            changed.notify_one();
        };
        let _ = stop.run_until_cancelled(authentication_configuration::follow(&cluster, apply)).await;
    }

    fn trust(&self, found: &AuthenticationConfiguration) -> Result<(), String> {
        if let (Some(front_proxy), Some(named)) = (&self.front_proxy, &found.front_proxy) {
            let proxies = Authorities::new(named.ca.as_bytes())?;
            if let (Some(_), Some(pem)) = (&self.clients, &found.client_ca) {
                check_front_proxies(&Authorities::new(pem.as_bytes())?, &proxies, &named.terms)?;
            }
            front_proxy.replace(Arc::new(proxies), named.terms.clone());
        }
        match (&self.clients, &found.client_ca) {
            (Some(clients), Some(pem)) => clients.replace(pem.as_bytes()),
            (Some(clients), None) => {
                clients.clear();
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }
}

/// The host cluster has said whom it trusts. Until then nobody who comes through it is known.
#[derive(Debug)]
pub(crate) struct TrustKnown(pub(crate) Arc<ClusterTrust>);

#[async_trait]
impl HealthCheck for TrustKnown {
    fn name(&self) -> &str {
        "extension-apiserver-authentication"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        let mut known = self.0.known.subscribe();
        match tokio::time::timeout(STARTUP_WAIT, known.wait_for(|known| *known)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err("the host cluster has not said yet whom it trusts".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readiness_waits_a_moment_for_the_host_cluster() {
        let trust = Arc::new(ClusterTrust::new(&Trust::default(), &(Arc::new(apiserver_auth::Unmapped) as Arc<dyn IdentityMapper>)));
        let check = TrustKnown(Arc::clone(&trust));
        assert!(check.check().await.is_err(), "the cluster says nothing");
        let (answer, ()) = tokio::join!(check.check(), async {
            trust.known.send_replace(true);
        });
        assert_eq!(answer, Ok(()));
    }
}
