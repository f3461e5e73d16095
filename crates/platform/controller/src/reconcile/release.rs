//! The chart of the control plane: installed or upgraded when, and only when, something of it changed.

use super::pass::{Pass, Stop};
use super::template::access_point;
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::helm::releases::{self, Revision, State};
use crate::helm::{Chart, HelmError, Release, Upgrade};
use crate::names::{NON_DELETABLE, SKIP_DEPLOY};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use vci_management::types::{HelmChart, VirtualClusterTemplateDefinition};

/// How long a run of a controller that led before may go on.
const LONGEST_OVERLAP_SECONDS: i64 = 15;
/// How soon it is looked at again.
const AFTER_OVERLAP: Duration = Duration::from_secs(5);
/// Whether a Service of this name was made by the chart.
const CHART_LABEL: (&str, &str) = ("app", "vcluster");

/// Installs or upgrades the release.
pub(super) async fn ensure(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let service = service(pass).await?;
    if pass.instance.annotation(SKIP_DEPLOY) == Some("true") {
        return match service {
            Some(_) => {
                pass.conditions.hold(Aspect::VirtualClusterDeployed);
                Ok(())
            }
            None => {
                let message = format!("nothing is deployed yet, and the annotation {SKIP_DEPLOY} leaves it to others");
                Err(Halt::wait(Aspect::VirtualClusterDeployed, "DeploymentSkipped", message, pass.context.config.resync).into())
            }
        };
    }
    let definition = pass.definition();
    let chart = chart(pass, &definition.helm_release.chart)?;
    let values = values(pass, &definition)?;
    let hash = hash(&chart, &values);
    if service.is_some() && pass.status.deploy_hash == hash {
        pass.conditions.hold(Aspect::VirtualClusterDeployed);
        return Ok(());
    }
    deploy(pass, chart, values).await?;
    pass.status.deploy_hash = hash;
    if self::service(pass).await?.is_none() {
        let message = format!("the chart was installed, and made no Service {}", pass.address()?.release());
        return Err(Halt::error(Aspect::VirtualClusterDeployed, "ServiceMissing", message).into());
    }
    pass.conditions.hold(Aspect::VirtualClusterDeployed);
    Ok(())
}

async fn deploy(pass: &Pass<'_>, chart: Chart, values: String) -> Result<(), Stop> {
    let address = pass.address()?;
    let kubeconfig = pass.context.host_kubeconfig.clone();
    let release = Release { name: address.release().into(), namespace: address.namespace().into(), kubeconfig };
    take_over(pass, &release).await?;
    let upgrade = Upgrade { release, chart, values, wait: false, timeout: None };
    let told = if pass.status.deploy_hash.is_empty() { "Installing" } else { "Upgrading" };
    pass.context.events.normal(&pass.instance, told, &format!("{} release {address}", told.to_lowercase())).await;
    pass.context.helm.upgrade(&upgrade).await.map_err(|error| failed(Aspect::VirtualClusterDeployed, &error))?;
    pass.context.events.normal(&pass.instance, "Deployed", &format!("release {address} is deployed")).await;
    Ok(())
}

/// Makes a release usable that a run left pending which was killed. One of a controller that led before may still be under way.
async fn take_over(pass: &Pass<'_>, release: &Release) -> Result<(), Stop> {
    let (client, aspect) = (&pass.context.clients.host, Aspect::VirtualClusterDeployed);
    let last = releases::last(client, &release.namespace, &release.name).await.map_err(|error| failed(aspect, &error))?;
    let Some(Revision { state: State::Pending, written, .. }) = last else { return Ok(()) };
    let age = (pass.context.clock)().as_second().saturating_sub(written);
    if (0..LONGEST_OVERLAP_SECONDS).contains(&age) {
        let message = format!("release {} is being worked on, or was when the controller was killed", release.name);
        return Err(Halt::wait(aspect, "ReleasePending", message, AFTER_OVERLAP).into());
    }
    Ok(releases::recover(client, &release.namespace, &release.name).await.map_err(|error| failed(aspect, &error))?)
}

/// What helm could not do, as a condition.
pub(super) fn failed(aspect: Aspect, error: &HelmError) -> Halt {
    let (reason, message) = (error.reason(), error.to_string());
    match error {
        HelmError::RepositoryUnreachable { .. }
        | HelmError::Timeout { .. }
        | HelmError::NotReady(_)
        | HelmError::QuotaExceeded(_)
        | HelmError::NamespaceGone(_)
        | HelmError::InProgress
        | HelmError::ClusterUnreachable(_) => Halt::warning(aspect, reason, message),
        _ => Halt::error(aspect, reason, message),
    }
}

/// The control plane's Service, if the chart has made it.
pub(super) async fn service(pass: &Pass<'_>) -> Result<Option<Service>, Halt> {
    let address = pass.address()?;
    let services: Api<Service> = Api::namespaced(pass.context.clients.host.clone(), address.namespace());
    let found = services.get_opt(address.release()).await;
    let found =
        found.map_err(|error| Halt::of_api(Aspect::VirtualClusterDeployed, Whose::Host, "reading the control plane's Service", &error))?;
    let (key, value) = CHART_LABEL;
    Ok(found.filter(|service| service.metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|found| found == value)))
}

/// The chart that a template names, completed, and only from where charts may come from.
fn chart(pass: &Pass<'_>, named: &HelmChart) -> Result<Chart, Halt> {
    let config = &pass.context.config;
    let aspect = Aspect::VirtualClusterDeployed;
    let or = |given: &str, standard: &str| if given.is_empty() { standard.to_owned() } else { given.to_owned() };
    if named.name.is_empty() && named.repo.is_empty() && config.has_local_chart() {
        // The operator's own chart has the one version that it has.
        return Ok(Chart::local(config.chart.clone().into()));
    }
    let named = HelmChart { name: or(&named.name, &config.chart), repo: or(&named.repo, &config.chart_repository), ..named.clone() };
    let chart = Chart::of_control_plane(&named).map_err(|error| failed(aspect, &error))?;
    allowed(pass, &chart, "helmRelease.chart.repo", aspect)?;
    Ok(chart)
}

/// Refuses a chart from where charts may not come from.
pub(super) fn allowed(pass: &Pass<'_>, chart: &Chart, field: &str, aspect: Aspect) -> Result<(), Halt> {
    match chart.repository() {
        Some(repository) if !pass.context.config.allows_repository(repository) => {
            let remedy = "an administrator can allow them with --allowed-chart-repositories";
            Err(Halt::error(aspect, "ChartNotAllowed", format!("{field}: charts from {repository} are not allowed; {remedy}")))
        }
        _ => Ok(()),
    }
}

/// The values of a template, under what the platform adds for a feature. A key that the template sets stays as it is.
fn values(pass: &Pass<'_>, definition: &VirtualClusterTemplateDefinition) -> Result<String, Halt> {
    let refuse = |error: &dyn std::fmt::Display| {
        Halt::error(Aspect::TemplateResolved, "ErrorModifyingTemplate", format!("helmRelease.values: {error}"))
    };
    let text = &definition.helm_release.values;
    let given: Value = if text.trim().is_empty() { json!({}) } else { serde_yaml::from_str(text).map_err(|error| refuse(&error))? };
    let mut values = additions(pass, definition)?;
    match given {
        Value::Null => {}
        Value::Object(_) => overlay(&mut values, given),
        _ => return Err(refuse(&"must be a map")),
    }
    serde_yaml::to_string(&values).map_err(|error| refuse(&error))
}

/// What the platform adds.
fn additions(pass: &Pass<'_>, definition: &VirtualClusterTemplateDefinition) -> Result<Value, Halt> {
    let mut values = json!({});
    let metadata = &definition.metadata;
    let mut annotations = metadata.annotations.clone();
    if let Some(value) = pass.instance.annotation(NON_DELETABLE) {
        annotations.insert(NON_DELETABLE.into(), value.into());
    }
    if !metadata.labels.is_empty() || !annotations.is_empty() {
        overlay(&mut values, json!({"controlPlane": {"statefulSet": {"labels": metadata.labels, "annotations": annotations}}}));
    }
    if let Some(host) = access_point(pass, definition)? {
        overlay(&mut values, json!({"controlPlane": {"ingress": {"enabled": true, "host": host}}}));
    }
    Ok(values)
}

/// Puts members of `over` into `values`, and into their members.
fn overlay(values: &mut Value, over: Value) {
    match (values, over) {
        (Value::Object(values), Value::Object(over)) => {
            for (key, value) in over {
                overlay(values.entry(key).or_insert(Value::Null), value);
            }
        }
        (values, over) => *values = over,
    }
}

/// What is deployed, as a short text that changes with it. It is shown, so that it must say nothing of secrets.
fn hash(chart: &Chart, values: &str) -> String {
    let mut digest = Sha256::new();
    for part in [format!("{chart:?}").as_str(), values] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_sets_stays_as_it_is() {
        let mut values = json!({"controlPlane": {"ingress": {"enabled": true, "host": "ours"}, "x": 1}});
        overlay(&mut values, json!({"controlPlane": {"ingress": {"host": "theirs"}}, "sync": {"a": [1]}}));
        assert_eq!(values, json!({"controlPlane": {"ingress": {"enabled": true, "host": "theirs"}, "x": 1}, "sync": {"a": [1]}}));
    }
}
