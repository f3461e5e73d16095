//! Charts that a template brings: into the host namespace, and into the virtual cluster.
//!
//! A chart is installed again when something of it changes, and taken away when the template no longer has it. What was installed
//! last stands in the status, as hashes.

use super::pass::{Pass, Stop};
use super::release::{allowed, failed};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::helm::{Chart, Credentials, Kubeconfig, Release, Upgrade};
use crate::names::FIELD_MANAGER;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use vci_management::types::{ChartSecretRef, ChartStatus, TemplateHelmChart};
use vci_management::{GROUP, VERSION};

/// Where charts go.
struct Site<'a> {
    aspect: Aspect,
    /// The field of the template, for messages.
    field: &'static str,
    /// The namespace that all of them go to; `None`: the one that each names.
    namespace: Option<&'a str>,
    kubeconfig: Kubeconfig,
}

/// Brings the charts inside the virtual cluster up to date.
pub(super) async fn inside(pass: &mut Pass<'_>, client: &kube::Client) -> Result<(), Stop> {
    const ASPECT: Aspect = Aspect::VirtualClusterAppsAndObjectsSynced;
    let definition = pass.definition();
    if let Some(app) = definition.apps.iter().chain(&definition.space_template.apps).next() {
        let message =
            format!("apps: {} cannot be installed, for this platform has no Apps; a chart or an object can say the same", app.name);
        pass.context.events.warning(&pass.instance, "AppsNotSupported", &message).await;
    }
    let told = pass.status.virtual_cluster_objects.clone().unwrap_or_default().charts;
    if definition.charts.is_empty() && told.is_empty() {
        return Ok(());
    }
    let reached = pass.context.connector.kubeconfig(&pass.address()?).await;
    let (kubeconfig, _tunnel) = reached.map_err(|error| Halt::warning(ASPECT, "VirtualClusterUnreachable", error.to_string()))?;
    let site = Site { aspect: ASPECT, field: "charts", namespace: None, kubeconfig: Kubeconfig(kubeconfig) };
    let wanted = site.wanted(pass, &definition.charts).await?;
    for namespace in wanted.iter().map(|wanted| wanted.status.namespace.as_str()).filter(|namespace| *namespace != "default") {
        make_namespace(client, namespace).await?;
    }
    let (now, done) = site.sync(pass, wanted, told).await;
    pass.status.virtual_cluster_objects.get_or_insert_default().charts = now;
    Ok(done?)
}

/// Brings the charts in the host namespace up to date.
pub(super) async fn in_host_namespace(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let charts = pass.definition().space_template.charts;
    let told = pass.status.space_objects.clone().unwrap_or_default().charts;
    if charts.is_empty() && told.is_empty() {
        return Ok(());
    }
    let (address, kubeconfig) = (pass.address()?, pass.context.host_kubeconfig.clone());
    let site = Site { aspect: Aspect::SpaceSynced, field: "spaceTemplate.charts", namespace: Some(address.namespace()), kubeconfig };
    let wanted = site.wanted(pass, &charts).await?;
    if wanted.iter().any(|wanted| wanted.status.name == address.release()) {
        let message = format!("{}: release {} is the virtual cluster's own", site.field, address.release());
        return Err(Halt::error(site.aspect, "InvalidChart", message).into());
    }
    let (now, done) = site.sync(pass, wanted, told).await;
    pass.status.space_objects.get_or_insert_default().charts = now;
    Ok(done?)
}

/// Takes the charts of the host namespace away. They may have brought what is in no namespace.
pub(super) async fn uninstall_in_host_namespace(pass: &Pass<'_>) -> Result<(), Halt> {
    for old in pass.status.space_objects.iter().flat_map(|told| &told.charts) {
        let kubeconfig = pass.context.host_kubeconfig.clone();
        let release = Release { name: old.name.clone(), namespace: old.namespace.clone(), kubeconfig };
        pass.context.helm.uninstall(&release).await.map_err(|error| failed(Aspect::ExternalResourcesCleanedUp, &error))?;
    }
    Ok(())
}

async fn make_namespace(client: &kube::Client, name: &str) -> Result<(), Halt> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let made = namespaces.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&namespace)).await;
    made.map(drop).map_err(|error| {
        let doing = format!("charts: making namespace {name}");
        Halt::of_api(Aspect::VirtualClusterAppsAndObjectsSynced, Whose::VirtualCluster, &doing, &error)
    })
}

impl Site<'_> {
    async fn wanted(&self, pass: &Pass<'_>, charts: &[TemplateHelmChart]) -> Result<Vec<Wanted>, Halt> {
        let mut wanted = Vec::new();
        for chart in charts {
            wanted.push(Wanted::of(pass, self, chart).await?);
        }
        Ok(wanted)
    }

    /// Makes what is there what is wanted, as far as that goes. Returns what is there then.
    async fn sync(&self, pass: &Pass<'_>, wanted: Vec<Wanted>, mut told: Vec<ChartStatus>) -> (Vec<ChartStatus>, Result<(), Halt>) {
        let gone: Vec<ChartStatus> = told.iter().filter(|old| !wanted.iter().any(|wanted| wanted.is(old))).cloned().collect();
        for old in gone {
            let release = Release { name: old.name.clone(), namespace: old.namespace.clone(), kubeconfig: self.kubeconfig.clone() };
            if let Err(error) = pass.context.helm.uninstall(&release).await {
                return (told, Err(failed(self.aspect, &error)));
            }
            told.retain(|chart| *chart != old);
        }
        for Wanted { status, upgrade } in wanted {
            if told.contains(&status) {
                continue;
            }
            if let Err(error) = pass.context.helm.upgrade(&upgrade).await {
                return (told, Err(failed(self.aspect, &error)));
            }
            pass.context.events.normal(&pass.instance, "ChartInstalled", &format!("installed chart release {}", status.name)).await;
            told.retain(|chart| (&chart.name, &chart.namespace) != (&status.name, &status.namespace));
            told.push(status);
        }
        (told, Ok(()))
    }
}

/// A chart as it is to be.
struct Wanted {
    status: ChartStatus,
    upgrade: Upgrade,
}

impl Wanted {
    async fn of(pass: &Pass<'_>, site: &Site<'_>, named: &TemplateHelmChart) -> Result<Self, Halt> {
        let aspect = site.aspect;
        let username = text(pass, aspect, &named.username, named.username_ref.as_ref()).await?;
        let password = text(pass, aspect, &named.password, named.password_ref.as_ref()).await?;
        let chart = Chart::of_template(named, Credentials::new(&username, &password)).map_err(|error| failed(aspect, &error))?;
        allowed(pass, &chart, &format!("{}.repoURL", site.field), aspect)?;
        let or = |given: &str, standard: &str| if given.is_empty() { standard.to_owned() } else { given.to_owned() };
        let (name, namespace) =
            (or(&named.release_name, &named.name), site.namespace.map_or_else(|| or(&named.release_namespace, "default"), str::to_owned));
        let timeout = match named.timeout.as_str() {
            "" => None,
            text => Some(
                duration(text)
                    .ok_or_else(|| Halt::error(aspect, "InvalidChart", format!("charts.timeout: {text:?} is no duration, such as 5m")))?,
            ),
        };
        let release = Release { name: name.clone(), namespace: namespace.clone(), kubeconfig: site.kubeconfig.clone() };
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
async fn text(pass: &Pass<'_>, aspect: Aspect, given: &str, reference: Option<&ChartSecretRef>) -> Result<String, Halt> {
    let Some(reference) = reference.and_then(|reference| reference.project_secret_ref.as_ref()) else { return Ok(given.to_owned()) };
    let refuse = |detail: String| Halt::error(aspect, "SecretNotFound", detail);
    if !reference.project.is_empty() && reference.project != pass.project {
        return Err(refuse(format!("charts: secrets of project {} are not this project's", reference.project)));
    }
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, "ProjectSecret"));
    let secrets: Api<DynamicObject> = Api::namespaced_with(pass.context.clients.management.clone(), pass.instance.namespace(), &kind);
    let doing = format!("charts: reading the project's secret {}", reference.name);
    let secret = secrets.get(&reference.name).await.map_err(|error| Halt::of_api(aspect, Whose::Management, &doing, &error))?;
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
