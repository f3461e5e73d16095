//! Whether the virtual cluster can be used: its pods, its credentials, its API, and what it makes first of all.

use super::Outcome;
use super::pass::{Pass, Stop};
use super::release::service;
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use http::Request;
use k8s_openapi::api::core::v1::{Event, Pod, ServiceAccount};
use kube::Api;
use kube::api::ListParams;
use std::time::Duration;
use vci_virtualcluster::ConnectError;

/// How soon a virtual cluster that starts is looked at again.
const WHILE_STARTING: Duration = Duration::from_secs(1);
/// What a container waits for that it will not get without help.
const STUCK: [&str; 6] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"];

/// Waits for the virtual cluster.
pub(super) async fn check(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let uid = service(pass).await?.and_then(|service| service.metadata.uid);
    pass.status.service_uid = uid.unwrap_or_default();
    let address = pass.address()?;
    let client = match pass.context.connector.client(&address).await {
        Ok(client) => client,
        Err(error) => return Err(not_yet(pass, &error).await?.into()),
    };
    let ready = Request::get("/readyz").body(Vec::new()).map_err(|error| starting(&error))?;
    if let Err(error) = client.request_text(ready).await {
        tracing::debug!(%error, "not ready");
        return Err(pods(pass).await?.unwrap_or_else(|| starting(&"its API does not answer yet")).into());
    }
    let version = client.apiserver_version().await.map_err(|error| starting(&error))?;
    pass.status.kubernetes_version = version.git_version;
    // Made by a controller inside, when everything else has been.
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
    if accounts.get_opt("default").await.map_err(|error| starting(&error))?.is_none() {
        return Err(starting(&"it has no ServiceAccount default/default yet").into());
    }
    pass.conditions.hold(Aspect::VirtualClusterReady);
    Ok(())
}

/// Looks at a virtual cluster that somebody else deploys, and touches nothing.
pub(super) async fn look_only(pass: &mut Pass<'_>) -> Result<Outcome, Stop> {
    let look_again = Ok(Outcome::Again(pass.context.config.resync));
    for aspect in
        [Aspect::TemplateResolved, Aspect::SpaceSynced, Aspect::SpaceReady, Aspect::VirtualClusterDeployed, Aspect::VirtualClusterSynced]
    {
        pass.conditions.hold(aspect);
    }
    let place = &pass.instance.spec.cluster_ref;
    if place.namespace.is_empty() || place.virtual_cluster.is_empty() {
        let message = "it is deployed by somebody else, and spec.clusterRef does not say where";
        return Err(Halt::wait(Aspect::Scheduled, "NotConnected", message, pass.context.config.resync).into());
    }
    pass.conditions.hold(Aspect::Scheduled);
    check(pass).await?;
    look_again
}

/// Why there is no client of the virtual cluster.
async fn not_yet(pass: &Pass<'_>, error: &ConnectError) -> Result<Halt, Halt> {
    Ok(match pods(pass).await? {
        Some(halt) => halt,
        None => starting(error),
    })
}

/// What is wrong with the pods of the control plane, if anything is.
async fn pods(pass: &Pass<'_>) -> Result<Option<Halt>, Halt> {
    let address = pass.address()?;
    let host = &pass.context.clients.host;
    let asked = |error: kube::Error| Halt::of_api(Aspect::VirtualClusterReady, Whose::Host, "looking at the control plane's pods", &error);
    let pods: Api<Pod> = Api::namespaced(host.clone(), address.namespace());
    let pods = pods.list(&ListParams::default().labels(&format!("app=vcluster,release={}", address.release()))).await.map_err(asked)?;
    let stuck = pods.iter().find_map(stuck).map(|(reason, message)| Halt {
        again: crate::halt::Again::After(pass.context.config.resync.min(SLOWLY)),
        ..Halt::error(Aspect::VirtualClusterReady, reason, message)
    });
    if stuck.is_some() || !pods.items.is_empty() {
        return Ok(stuck);
    }
    // Nobody makes pods: who would says why.
    let events: Api<Event> = Api::namespaced(host.clone(), address.namespace());
    let refused = ListParams::default().fields(&format!("involvedObject.name={},reason=FailedCreate", address.release())).limit(20);
    let events = events.list(&refused).await.map_err(asked)?;
    let newest = events.items.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
    Ok(newest.and_then(|event| event.message).map(|message| {
        let reason = if message.contains("exceeded quota") { "HostQuotaExceeded" } else { "PodsNotCreated" };
        Halt { again: crate::halt::Again::After(SLOWLY), ..Halt::error(Aspect::VirtualClusterReady, reason, message) }
    }))
}

/// How soon what is stuck is looked at again.
const SLOWLY: Duration = Duration::from_secs(10);

/// What a pod waits for that it will not get without help.
fn stuck(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let waiting = containers.filter_map(|container| Some((container, container.state.as_ref()?.waiting.as_ref()?)));
    let mut stuck = waiting.filter(|(_, waiting)| waiting.reason.as_deref().is_some_and(|reason| STUCK.contains(&reason)));
    if let Some((container, waiting)) = stuck.next() {
        let reason = waiting.reason.clone().unwrap_or_default();
        let detail = waiting.message.as_deref().unwrap_or_default();
        let message = format!("container {} of pod {name} cannot start from image {}: {detail}", container.name, container.image);
        return Some((reason, message));
    }
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable")
    });
    unschedulable.map(|condition| {
        let detail = condition.message.as_deref().unwrap_or_default();
        ("Unschedulable".to_owned(), format!("pod {name} has no node: {detail}"))
    })
}

fn starting(why: &dyn std::fmt::Display) -> Halt {
    Halt::wait(Aspect::VirtualClusterReady, "VirtualClusterStarting", format!("the virtual cluster is starting: {why}"), WHILE_STARTING)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_says_what_it_waits_for_in_vain() {
        let cases = [
            (
                json!({"containerStatuses": [{"name": "syncer", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]}),
                None,
            ),
            (
                json!({"containerStatuses": [{"name": "syncer", "image": "ghcr.io/x:1", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}}}]}),
                Some("ImagePullBackOff"),
            ),
            (
                json!({"initContainerStatuses": [{"name": "init", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull"}}}]}),
                Some("ErrImagePull"),
            ),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]}),
                Some("Unschedulable"),
            ),
            (json!({"conditions": [{"type": "PodScheduled", "status": "True"}]}), None),
        ];
        for (status, want) in cases {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap();
            let got = stuck(&pod);
            assert_eq!(got.as_ref().map(|(reason, _)| reason.as_str()), want, "{status}");
            assert!(got.is_none_or(|(_, message)| message.contains(" p ")));
        }
    }
}
