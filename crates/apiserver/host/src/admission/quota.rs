//! The host cluster's ResourceQuotas, as far as they count objects by kind (`count/<resource>.<group>`): enforced here because
//! kube-apiserver does not for requests that it passes on.
//!
//! As in kube-apiserver, a place is taken in the quota's status before the object is written. The cluster's quota controller
//! counts anew from time to time, and so gives back the places of objects that are gone or were never written. Quotas with
//! scopes do not count such objects. Refused: quotas that must be there (`LimitedResources`), which are configured by a file
//! that only kube-apiserver has.

use super::events::events;
use super::request::shown_name;
use crate::HostCluster;
use apiserver_cel::Quantity;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Object, Reason, RequestContext, Subresource, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use kube::api::PostParams;
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a request waits for the first list of quotas.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long taking a place may last, as in kube-apiserver.
const EVALUATION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a quota that somebody else has changed meanwhile is looked at again, as in kube-apiserver.
const RETRIES: usize = 3;
/// How many namespaces can have places taken at the same time.
const TURNS: usize = 64;

/// Refuses objects that a namespace's quotas have no room for.
pub(super) struct ResourceQuotas {
    client: Client,
    known: Arc<Known>,
    synced: watch::Receiver<bool>,
    /// Those who take places in one namespace go one after the other: they would only get into each other's way.
    turns: Box<[tokio::sync::Mutex<()>]>,
    hasher: RandomState,
}

impl std::fmt::Debug for ResourceQuotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceQuotas").finish_non_exhaustive()
    }
}

impl ResourceQuotas {
    /// Follows the cluster's quotas until `stop`.
    pub(super) fn follow(cluster: &HostCluster, stop: &CancellationToken) -> Self {
        let (client, known) = (cluster.client().clone(), Arc::<Known>::default());
        let (sender, synced) = watch::channel(false);
        let following = follow(client.clone(), Arc::clone(&known), sender);
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        let turns = (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect();
        Self { client, known, synced, turns, hasher: RandomState::new() }
    }

    async fn is_synced(&self) -> bool {
        let mut synced = self.synced.clone();
        matches!(tokio::time::timeout(READY_TIMEOUT, synced.wait_for(|synced| *synced)).await, Ok(Ok(_)))
    }

    /// Takes a place in every quota that counts the kind; for a dry run it only looks whether there are some.
    async fn take(&self, request: AdmissionRequest<'_>, name: &str) -> Result<(), ApiError> {
        let (what, namespace) = (request.descriptor.group_resource(), &request.key.namespace);
        let resource = format!("count/{what}");
        let mut quotas = self.known.counting(namespace, &resource);
        if quotas.is_empty() {
            return Ok(());
        }
        let turn = self.hasher.hash_one(namespace) as usize % TURNS;
        let _turn = match self.turns.get(turn) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        // Those whose turn it was have changed them.
        quotas = self.known.counting(namespace, &resource);
        let mut retries = 0..RETRIES;
        loop {
            let fuller = quotas.iter().map(|quota| with_one_more(quota, &resource));
            let fuller = fuller.collect::<Result<Vec<_>, _>>().map_err(|why| ApiError::forbidden(what, name, why))?;
            if request.dry_run == DryRun::All {
                return Ok(());
            }
            let Some((failed, error)) = self.write(namespace, fuller).await else { return Ok(()) };
            if retries.next().is_none() {
                return Err(told(error));
            }
            quotas = self.look_again(namespace, &failed, &resource).await?;
        }
    }

    /// Writes the status of quotas. Returns those that could not be written, and why the last was not.
    async fn write(&self, namespace: &str, quotas: Vec<ResourceQuota>) -> Option<(Vec<ResourceQuota>, kube::Error)> {
        let api: Api<ResourceQuota> = Api::namespaced(self.client.clone(), namespace);
        let (mut failed, mut why) = (Vec::new(), None);
        for quota in quotas {
            match api.replace_status(&quota.name_any(), &PostParams::default(), &quota).await {
                Ok(written) => self.known.renew(&written),
                Err(error) => {
                    failed.push(quota);
                    why = Some(error);
                }
            }
        }
        why.map(|why| (failed, why))
    }

    /// These quotas as they are now, as far as they still count the resource. The events that tell it may come later.
    async fn look_again(&self, namespace: &str, failed: &[ResourceQuota], resource: &str) -> Result<Vec<Arc<ResourceQuota>>, ApiError> {
        let api: Api<ResourceQuota> = Api::namespaced(self.client.clone(), namespace);
        let mut quotas = Vec::with_capacity(failed.len());
        for quota in failed {
            let Some(found) = api.get_opt(&quota.name_any()).await.map_err(told)? else {
                self.known.forget(quota);
                continue;
            };
            self.known.renew(&found);
            quotas.extend(counts(&found, |name| name == resource).then(|| Arc::new(found)));
        }
        Ok(quotas)
    }
}

#[async_trait]
impl Admission for ResourceQuotas {
    async fn validate(&self, _ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        if request.verb != Verb::Create || request.subresource != Subresource::Main || request.key.namespace.is_empty() {
            return Ok(());
        }
        let name = shown_name(request, object);
        if !self.is_synced().await {
            return Err(ApiError::forbidden(request.descriptor.group_resource(), &name, "not yet ready to handle request"));
        }
        let late = |_| Err(ApiError::internal("resource quota evaluation timed out"));
        tokio::time::timeout(EVALUATION_TIMEOUT, self.take(request, &name)).await.unwrap_or_else(late)
    }
}

/// The quota with one more object counted.
///
/// # Errors
/// Why it has no room for it.
fn with_one_more(quota: &ResourceQuota, resource: &str) -> Result<ResourceQuota, String> {
    let mut fuller = quota.clone();
    let Some(status) = &mut fuller.status else { return Ok(fuller) };
    let Some(hard) = status.hard.as_ref().and_then(|hard| hard.get(resource)) else { return Ok(fuller) };
    let unknown = || format!("status unknown for quota: {}, resources: {resource}", quota.name_any());
    let used = status.used.as_mut().and_then(|used| used.get_mut(resource)).ok_or_else(unknown)?;
    let (Ok(most), Ok(before)) = (Quantity::parse(&hard.0), Quantity::parse(&used.0)) else { return Err(unknown()) };
    let after = before.saturating_add(Quantity::from(1));
    if after.compare(&most).is_gt() {
        let (name, Written(used), Written(hard)) = (quota.name_any(), used, hard);
        return Err(format!("exceeded quota: {name}, requested: {resource}=1, used: {resource}={used}, limited: {resource}={hard}"));
    }
    *used = Written(after.to_string());
    Ok(fuller)
}

/// A conflict is told as it is, so that clients try again; what else keeps this server from its work is not theirs.
fn told(error: kube::Error) -> ApiError {
    match error {
        kube::Error::Api(status) if status.code == 409 => ApiError::new(Reason::of(status.code, &status.reason), status.message),
        error => ApiError::internal("the namespace's quotas cannot be kept").with_source(error),
    }
}

/// The quotas that count objects by kind, by namespace and name.
#[derive(Debug, Default)]
struct Known(Mutex<BTreeMap<(String, String), Arc<ResourceQuota>>>);

impl Known {
    /// Those of a namespace that count this resource.
    fn counting(&self, namespace: &str, resource: &str) -> Vec<Arc<ResourceQuota>> {
        let quotas = self.lock();
        let of_namespace = quotas.range((namespace.to_owned(), String::new())..).take_while(|((of, _), _)| of == namespace);
        of_namespace.map(|(_, quota)| quota).filter(|quota| counts(quota, |name| name == resource)).cloned().collect()
    }

    /// What an event tells, unless something newer is known: events come later than the answers to what was written.
    fn put(&self, quota: ResourceQuota) {
        let mut quotas = self.lock();
        let is_old = |known: &Arc<ResourceQuota>| known.uid() == quota.uid() && revision(known) > revision(&quota);
        if !quotas.get(&key(&quota)).is_some_and(is_old) {
            set(&mut quotas, quota);
        }
    }

    /// What an answer tells of a quota that is known. An answer may come later than the event that the quota is gone or counts
    /// something else: it brings none back, for no event would ever take it away again.
    fn renew(&self, quota: &ResourceQuota) {
        let mut quotas = self.lock();
        let is_newer = |known: &Arc<ResourceQuota>| known.uid() == quota.uid() && revision(known) < revision(quota);
        if quotas.get(&key(quota)).is_some_and(is_newer) {
            set(&mut quotas, quota.clone());
        }
    }

    /// It is gone; another of the same name may be there already.
    fn forget(&self, quota: &ResourceQuota) {
        let mut quotas = self.lock();
        if quotas.get(&key(quota)).is_some_and(|known| known.uid() == quota.uid()) {
            quotas.remove(&key(quota));
        }
    }

    fn remove(&self, quota: &ResourceQuota) {
        self.lock().remove(&key(quota));
    }

    /// Only these are there.
    fn keep(&self, listed: &[(String, String)]) {
        self.lock().retain(|key, _| listed.binary_search(key).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<ResourceQuota>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps it if it counts objects by kind.
fn set(quotas: &mut BTreeMap<(String, String), Arc<ResourceQuota>>, mut quota: ResourceQuota) {
    // Left out of a write, they stay as they are.
    quota.metadata.managed_fields = None;
    if counts(&quota, is_count) {
        quotas.insert(key(&quota), Arc::new(quota));
    } else {
        quotas.remove(&key(&quota));
    }
}

fn key(quota: &ResourceQuota) -> (String, String) {
    (quota.namespace().unwrap_or_default(), quota.name_any())
}

fn revision(quota: &ResourceQuota) -> u64 {
    quota.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn is_count(resource: &str) -> bool {
    resource.starts_with("count/")
}

/// Whether it limits such a resource of all objects: counts have no scopes.
fn counts(quota: &ResourceQuota, is_such: impl Fn(&str) -> bool) -> bool {
    let is_scoped = quota.spec.as_ref().is_some_and(|spec| {
        let by_selector = spec.scope_selector.as_ref().and_then(|selector| selector.match_expressions.as_ref());
        spec.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || by_selector.is_some_and(|scopes| !scopes.is_empty())
    });
    let hard = quota.status.iter().filter_map(|status| status.hard.as_ref());
    !is_scoped && hard.flat_map(BTreeMap::keys).any(|name| is_such(name))
}

/// Follows the quotas, and tells when all are known. Ends only when it is dropped.
async fn follow(client: Client, known: Arc<Known>, synced: watch::Sender<bool>) {
    let mut listed = Vec::new();
    let mut events = pin!(events::<ResourceQuota>(&client));
    while let Some(event) = events.next().await {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(quota) => {
                listed.push(key(&quota));
                known.put(quota);
            }
            Event::InitDone => {
                listed.sort_unstable();
                known.keep(&listed);
                synced.send_replace(true);
            }
            Event::Apply(quota) => known.put(quota),
            Event::Delete(quota) => known.remove(&quota),
        }
    }
}

#[cfg(test)]
mod tests;
