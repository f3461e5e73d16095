//! Charts that a template brings, into the virtual cluster.
//!
//! A chart is installed again when something of it changes, and taken away when the template no longer has it. What was installed
//! last stands in the status, as hashes.

use super::pass::{Pass, Stop};
use super::release::{allowed, failed};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::helm::{Chart, Credentials, Kubeconfig, Release, Upgrade};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Api;
use kube::api::DynamicObject;
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use vci_management::types::{ChartSecretRef, ChartStatus, TemplateHelmChart};
use vci_management::{GROUP, VERSION};

const ASPECT: Aspect = Aspect::VirtualClusterAppsAndObjectsSynced;

/// Brings the charts inside the virtual cluster up to date.
pub(super) async fn inside(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let definition = pass.definition();
    let mut told = pass.status.virtual_cluster_objects.clone().unwrap_or_default();
    if let Some(app) = definition.apps.first() {
        let message =
            format!("apps: {} cannot be installed, for this platform has no Apps; a chart or an object can say the same", app.name);
        pass.context.events.warning(&pass.instance, "AppsNotSupported", &message).await;
    }
    let mut wanted = Vec::new();
    for chart in &definition.charts {
        wanted.push(Wanted::of(pass, chart).await?);
    }
    let changed = wanted.iter().filter(|wanted| !told.charts.contains(&wanted.status)).count();
    let gone: Vec<ChartStatus> = told.charts.iter().filter(|old| !wanted.iter().any(|wanted| wanted.is(old))).cloned().collect();
    if changed == 0 && gone.is_empty() {
        return Ok(());
    }
    let address = pass.address()?;
    let (kubeconfig, _tunnel) = pass
        .context
        .connector
        .kubeconfig(&address)
        .await
        .map_err(|error| Halt::warning(ASPECT, "VirtualClusterUnreachable", error.to_string()))?;
    let kubeconfig = Kubeconfig(kubeconfig);
    for old in gone {
        let release = Release { name: old.name.clone(), namespace: old.namespace.clone(), kubeconfig: kubeconfig.clone() };
        pass.context.helm.uninstall(&release).await.map_err(|error| failed(ASPECT, &error))?;
        told.charts.retain(|chart| *chart != old);
        pass.status.virtual_cluster_objects = Some(told.clone());
    }
    for Wanted { status, upgrade } in wanted {
        if told.charts.contains(&status) {
            continue;
        }
        let upgrade = Upgrade { release: Release { kubeconfig: kubeconfig.clone(), ..upgrade.release }, ..upgrade };
        pass.context.helm.upgrade(&upgrade).await.map_err(|error| failed(ASPECT, &error))?;
        pass.context.events.normal(&pass.instance, "ChartInstalled", &format!("installed chart release {}", status.name)).await;
        told.charts.retain(|chart| (&chart.name, &chart.namespace) != (&status.name, &status.namespace));
        told.charts.push(status);
        pass.status.virtual_cluster_objects = Some(told.clone());
    }
    Ok(())
}

/// A chart as it is to be.
struct Wanted {
    status: ChartStatus,
    upgrade: Upgrade,
}

impl Wanted {
    async fn of(pass: &Pass<'_>, named: &TemplateHelmChart) -> Result<Self, Halt> {
        let username = text(pass, &named.username, named.username_ref.as_ref()).await?;
        let password = text(pass, &named.password, named.password_ref.as_ref()).await?;
        let chart = Chart::of_template(named, Credentials::new(&username, &password)).map_err(|error| failed(ASPECT, &error))?;
        allowed(pass, &chart, "charts.repoURL", ASPECT)?;
        let or = |given: &str, standard: &str| if given.is_empty() { standard.to_owned() } else { given.to_owned() };
        let (name, namespace) = (or(&named.release_name, &named.name), or(&named.release_namespace, "default"));
        let timeout = match named.timeout.as_str() {
            "" => None,
            text => Some(
                duration(text)
                    .ok_or_else(|| Halt::error(ASPECT, "InvalidChart", format!("charts.timeout: {text:?} is no duration, such as 5m")))?,
            ),
        };
        let release = Release { name: name.clone(), namespace: namespace.clone(), kubeconfig: Kubeconfig(String::new()) };
        let upgrade = Upgrade { release, chart, values: named.values.clone(), wait: named.wait, timeout };
        let said = serde_json::to_vec(named).unwrap_or_default();
        let hash = Sha256::digest([said.as_slice(), username.as_bytes(), &[0], password.as_bytes()].concat());
        let hash = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { status: ChartStatus { name, namespace, last_applied_chart_config_hash: hash }, upgrade })
    }

    fn is(&self, old: &ChartStatus) -> bool {
        (&self.status.name, &self.status.namespace) == (&old.name, &old.namespace)
    }
}

/// A text that stands in the template, or in a secret of the instance's own project.
async fn text(pass: &Pass<'_>, given: &str, reference: Option<&ChartSecretRef>) -> Result<String, Halt> {
    let Some(reference) = reference.and_then(|reference| reference.project_secret_ref.as_ref()) else { return Ok(given.to_owned()) };
    let refuse = |detail: String| Halt::error(ASPECT, "SecretNotFound", detail);
    if !reference.project.is_empty() && reference.project != pass.project {
        return Err(refuse(format!("charts: secrets of project {} are not this project's", reference.project)));
    }
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, "ProjectSecret"));
    let secrets: Api<DynamicObject> = Api::namespaced_with(pass.context.clients.management.clone(), pass.instance.namespace(), &kind);
    let doing = format!("charts: reading the project's secret {}", reference.name);
    let secret = secrets.get(&reference.name).await.map_err(|error| Halt::of_api(ASPECT, Whose::Management, &doing, &error))?;
    let encoded = secret.data["spec"]["data"][&reference.key]
        .as_str()
        .ok_or_else(|| refuse(format!("charts: the project's secret {} has no key {}", reference.name, reference.key)))?;
    let bytes = STANDARD.decode(encoded).map_err(|_| refuse(format!("{doing}: key {} is not base64", reference.key)))?;
    String::from_utf8(bytes).map_err(|_| refuse(format!("{doing}: key {} is no text", reference.key)))
}

/// A duration as Go prints them.
fn duration(text: &str) -> Option<Duration> {
    let parsed: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(parsed).ok().filter(|time| *time <= Duration::from_secs(3600))
}
