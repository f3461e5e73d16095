//! Makes the host cluster agree with what is to be done about sleep: what is decided is written first, and then done, each time anew.
//!
//! What sleeps has no pods. Everything else of it stays.

use super::pass::{Pass, Stop};
use crate::conditions::{Aspect, Cause, Rest, Severity};
use crate::halt::{Api as Whose, Halt};
use crate::sleep::{Decision, Input, Plan, plan};
use crate::template::settings;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// On the workload of a control plane: the platform has put it to sleep.
const ASLEEP: &str = "loft.sh/sleep-mode";
/// On the workload of a control plane that sleeps: how many replicas it had.
const REPLICAS: &str = "loft.sh/sleep-mode-replicas";
/// On pods that a virtual cluster has on the host.
pub(super) const MANAGED_BY: &str = "vcluster.loft.sh/managed-by";

/// What came of it.
pub(super) struct Settled {
    pub(super) rest: Rest,
    /// When the instance is to be looked at again, at the latest.
    pub(super) look_again: Duration,
}

/// Decides, and makes it so.
pub(super) async fn settle(pass: &mut Pass<'_>) -> Result<Settled, Stop> {
    let plan = decide(pass);
    for problem in &plan.problems {
        pass.context.events.warning(&pass.instance, "InvalidSleepMode", problem).await;
    }
    if plan.deletion_blocked {
        pass.conditions.hold(Aspect::VirtualClusterAutoDeletionBlocked);
    } else {
        pass.conditions.forget(Aspect::VirtualClusterAutoDeletionBlocked);
    }
    if !plan.annotations.is_empty() {
        pass.patch(json!({"metadata": {"annotations": plan.annotations}})).await?;
    }
    let rest = match plan.decision {
        Decision::Delete => {
            pass.context
                .events
                .normal(&pass.instance, "Deleting", "deleted, because nobody has used it for the time that its settings say")
                .await;
            pass.delete().await?;
            // The next pass takes it away.
            return Err(Stop::Conflict);
        }
        Decision::FallAsleep(_) | Decision::StayAsleep(_) => {
            put_to_sleep(pass).await?;
            let cause = Cause { severity: Severity::Info, reason: "Sleeping".into(), message: "the virtual cluster sleeps".into() };
            pass.conditions.fail(Aspect::VirtualClusterReady, &cause);
            Rest::Asleep
        }
        Decision::StayAwake | Decision::WakeUp => {
            wake(pass).await?;
            Rest::Awake
        }
    };
    pass.rest = rest;
    Ok(Settled { rest, look_again: look_again(pass, &plan) })
}

fn decide(pass: &Pass<'_>) -> Plan {
    // Checked when it was rendered.
    let settings = settings::read(&pass.definition().helm_release.values).unwrap_or_default();
    let annotations = pass.instance.metadata.annotations.clone().unwrap_or_default();
    let now = (pass.context.clock)();
    let created = pass.instance.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    plan(&Input { annotations: &annotations, settings: &settings, phase: &pass.status.phase, created, now })
}

fn look_again(pass: &Pass<'_>, plan: &Plan) -> Duration {
    let usual = crate::backoff::jittered(pass.context.config.resync);
    let Some(time) = plan.look_again else { return usual };
    Duration::try_from(time.duration_since((pass.context.clock)())).map_or(usual, |wait| wait.min(usual))
}

/// Takes the pods away: the control plane's, so that nothing makes new ones, and then those that it has made.
async fn put_to_sleep(pass: &Pass<'_>) -> Result<(), Halt> {
    let Some(workload) = Workload::find(pass).await? else { return Ok(()) };
    if !workload.is_asleep || workload.replicas != 0 {
        let replicas = if workload.replicas > 0 { workload.replicas } else { workload.remembered };
        let metadata = json!({"labels": {ASLEEP: "true"}, "annotations": {REPLICAS: replicas.to_string()}});
        workload.patch(pass, &json!({"metadata": metadata, "spec": {"replicas": 0}})).await?;
    }
    let address = pass.address()?;
    let pods: Api<Pod> = Api::namespaced(pass.context.clients.host.clone(), address.namespace());
    let of_release = ListParams::default().labels(&format!("{MANAGED_BY}={}", address.release()));
    let deleted = pods.delete_collection(&DeleteParams::default(), &of_release).await;
    deleted.map(drop).map_err(|error| halt("deleting the pods of the virtual cluster", &error))
}

/// Gives the control plane back as many replicas as it had.
async fn wake(pass: &Pass<'_>) -> Result<(), Halt> {
    match Workload::find(pass).await? {
        Some(workload) if workload.is_asleep => {
            let metadata = json!({"labels": {ASLEEP: null}, "annotations": {REPLICAS: null}});
            let replicas = if workload.replicas > 0 { workload.replicas } else { workload.remembered };
            workload.patch(pass, &json!({"metadata": metadata, "spec": {"replicas": replicas}})).await?;
            pass.context.events.normal(&pass.instance, "WakingUp", "the virtual cluster wakes up").await;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What runs a control plane.
struct Workload {
    kind: Kind,
    replicas: i32,
    is_asleep: bool,
    /// How many replicas it had when it was put to sleep.
    remembered: i32,
}

#[derive(Clone, Copy)]
enum Kind {
    StatefulSet,
    Deployment,
}

impl Workload {
    async fn find(pass: &Pass<'_>) -> Result<Option<Self>, Halt> {
        let address = pass.address()?;
        let (client, doing) = (&pass.context.clients.host, "reading the control plane's workload");
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), address.namespace());
        if let Some(set) = sets.get_opt(address.release()).await.map_err(|error| halt(doing, &error))? {
            let replicas = set.spec.and_then(|spec| spec.replicas);
            return Ok(Some(Self::of(Kind::StatefulSet, replicas, set.metadata.labels.as_ref(), set.metadata.annotations.as_ref())));
        }
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), address.namespace());
        let deployment = deployments.get_opt(address.release()).await.map_err(|error| halt(doing, &error))?;
        Ok(deployment.map(|deployment| {
            let replicas = deployment.spec.and_then(|spec| spec.replicas);
            Self::of(Kind::Deployment, replicas, deployment.metadata.labels.as_ref(), deployment.metadata.annotations.as_ref())
        }))
    }

    fn of(
        kind: Kind,
        replicas: Option<i32>,
        labels: Option<&BTreeMap<String, String>>,
        annotations: Option<&BTreeMap<String, String>>,
    ) -> Self {
        let is_asleep = labels.is_some_and(|labels| labels.contains_key(ASLEEP));
        let remembered = annotations.and_then(|annotations| annotations.get(REPLICAS)?.parse().ok()).filter(|count| *count > 0);
        Self { kind, replicas: replicas.unwrap_or(1), is_asleep, remembered: remembered.unwrap_or(1) }
    }

    async fn patch(&self, pass: &Pass<'_>, patch: &Value) -> Result<(), Halt> {
        let (address, client) = (pass.address()?, pass.context.clients.host.clone());
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let done = match self.kind {
            Kind::StatefulSet => {
                let sets: Api<StatefulSet> = Api::namespaced(client, address.namespace());
                sets.patch(address.release(), &params, &patch).await.map(drop)
            }
            Kind::Deployment => {
                let deployments: Api<Deployment> = Api::namespaced(client, address.namespace());
                deployments.patch(address.release(), &params, &patch).await.map(drop)
            }
        };
        done.map_err(|error| halt("scaling the control plane", &error))
    }
}

fn halt(doing: &str, error: &kube::Error) -> Halt {
    Halt::of_api(Aspect::VirtualClusterReady, Whose::Host, doing, error)
}
