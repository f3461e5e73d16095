//! What goes into a virtual cluster that is ready: roles, objects and charts.

use super::pass::{Pass, Stop};
use super::{access, applied, charts};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::names::FIELD_MANAGER;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// The ConfigMap inside that is there when everything has been brought inside. A virtual cluster without a volume loses it with all
/// else when its pod goes, and is then filled anew, whatever the status says.
const MARK: (&str, &str) = ("kube-system", "loft-applied");

/// Brings it up to date. Objects and charts that cannot be applied do not keep anybody from using the virtual cluster.
pub(super) async fn ensure(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let address = pass.address()?;
    let unreachable = |error: vci_virtualcluster::ConnectError| {
        Halt::warning(Aspect::VirtualClusterReady, "VirtualClusterUnreachable", error.to_string())
    };
    let client = pass.context.connector.client(&address).await.map_err(unreachable)?;
    access::ensure(pass, &client).await?;
    let marks: Api<ConfigMap> = Api::namespaced(client.clone(), MARK.0);
    let asked = |error: kube::Error| {
        Halt::of_api(Aspect::VirtualClusterAppsAndObjectsSynced, Whose::VirtualCluster, "marking what was applied inside", &error)
    };
    let is_filled = marks.get_opt(MARK.1).await.map_err(asked)?.is_some();
    if !is_filled {
        pass.status.virtual_cluster_objects = None;
    }
    applied::inside(pass, client.clone()).await?;
    charts::inside(pass, &client).await?;
    if !is_filled {
        let mark = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MARK.1}});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        marks.patch(MARK.1, &params, &Patch::Apply(&mark)).await.map_err(asked)?;
    }
    pass.conditions.hold(Aspect::VirtualClusterAppsAndObjectsSynced);
    Ok(())
}
