//! Leader election by a Lease: of several controllers one works, and the others wait.
//!
//! The rules are those of client-go's leader election: who holds the lease renews it; who wants it takes it when it has not been
//! renewed for as long as it lasts, by the clock of whoever looks, never by times that another machine wrote. A controller that
//! cannot renew in time ends, so that never two work at once.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::PostParams;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a lease lasts that is not renewed.
const LASTS: Duration = Duration::from_secs(15);
/// How long whoever holds it tries to renew it.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// The name of the lease.
const NAME: &str = "vci-controller";

/// A candidate for a lease.
pub struct Candidate {
    leases: Api<Lease>,
    identity: String,
    /// What was seen last of the lease of another, and when it was seen first.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// A candidate of this name, for the lease in this namespace.
    pub fn new(host: kube::Client, namespace: &str, identity: String) -> Self {
        Self { leases: Api::namespaced(host, namespace), identity, seen: None }
    }

    /// Waits until it leads.
    pub async fn lead(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be had"),
            }
            tokio::time::sleep(crate::backoff::jittered(EVERY)).await;
        }
    }

    /// Renews the lease until it is lost, or `stop`; then it is given up, so that another need not wait.
    pub async fn hold(mut self, stop: CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.give_up().await,
                () = tokio::time::sleep(EVERY) => {}
            }
            match tokio::time::timeout(RENEW_WITHIN, self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::error!("another controller leads"),
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => tracing::warn!("the lease was not renewed in time"),
            }
            if renewed.elapsed() > RENEW_WITHIN {
                return tracing::error!("the lease is lost");
            }
        }
    }

    /// Takes or renews the lease. Whether it is held now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(NAME).await? else {
            let mut lease = Lease { spec: Some(self.spec(None)), ..Lease::default() };
            lease.metadata.name = Some(NAME.into());
            return written(self.leases.create(&PostParams::default(), &lease).await.map(drop));
        };
        let held = lease.spec.clone().unwrap_or_default();
        let holder = held.holder_identity.clone().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.has_expired(&lease) {
            return Ok(false);
        }
        let lease = Lease { spec: Some(self.spec(Some(&held))), ..lease };
        written(self.leases.replace(NAME, &PostParams::default(), &lease).await.map(drop))
    }

    /// Whether nobody has renewed another's lease for as long as it lasts.
    fn has_expired(&mut self, lease: &Lease) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => since.elapsed() > LASTS,
            _ => {
                self.seen = Some((version, Instant::now()));
                false
            }
        }
    }

    fn spec(&self, held: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_mine = held.is_some_and(|held| held.holder_identity.as_deref() == Some(&self.identity));
        let acquired = held.filter(|_| is_mine).and_then(|held| held.acquire_time.clone());
        let transitions = held.and_then(|held| held.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if is_mine { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    async fn give_up(&self) {
        let released = async {
            let lease = self.leases.get(NAME).await?;
            let held = lease.spec.clone().unwrap_or_default();
            if held.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            let lease = Lease { spec: Some(LeaseSpec { holder_identity: None, ..held }), ..lease };
            self.leases.replace(NAME, &PostParams::default(), &lease).await.map(drop)
        };
        match tokio::time::timeout(EVERY, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the lease was not given up"),
            Err(_) => tracing::debug!("the lease was not given up in time"),
        }
    }
}

/// Whether a write took place; that of another came first otherwise.
fn written(result: Result<(), kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(()) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
