//! Roles inside a virtual cluster: one ClusterRoleBinding for each role that a rule names.
//!
//! The gateway sends a group with every request for each role of the caller; here that group is given the role. Whom a rule names is
//! decided with each request, so that a rule that is taken back is taken back at once, and a new one works as soon as its
//! role is bound.

use super::pass::{Pass, Stop};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::names::FIELD_MANAGER;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use vci_management::virtualclusterinstance::roles::{bound_roles, role_group};

/// What marks the bindings that are the controller's.
const MARK: (&str, &str) = ("loft.sh/managed-by", "vci");

/// Brings the bindings up to date.
pub(super) async fn ensure(pass: &mut Pass<'_>, client: &kube::Client) -> Result<(), Stop> {
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let asked =
        |error: kube::Error| Halt::of_api(Aspect::VirtualClusterSynced, Whose::VirtualCluster, "binding the roles of access rules", &error);
    let found = bindings.list(&ListParams::default().labels(&format!("{}={}", MARK.0, MARK.1))).await.map_err(asked)?;
    let wanted: BTreeMap<String, String> = roles(pass).into_iter().map(|role| (binding_name(&role), role)).collect();
    let is_there = |name: &str, role: &str| {
        found
            .iter()
            .any(|binding| binding.metadata.name.as_deref() == Some(name) && binding.role_ref.name == role && is_whole(binding, role))
    };
    for (name, role) in wanted.iter().filter(|(name, role)| !is_there(name, role)) {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        bindings.patch(name, &params, &Patch::Apply(&binding(name, role))).await.map_err(asked)?;
    }
    let gone = found.iter().filter_map(|binding| binding.metadata.name.as_deref()).filter(|name| !wanted.contains_key(*name));
    for name in gone {
        match bindings.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            done => drop(done.map_err(asked)?),
        }
    }
    pass.conditions.hold(Aspect::VirtualClusterSynced);
    Ok(())
}

/// The roles that rules name. Administrators inside need no binding.
fn roles(pass: &Pass<'_>) -> BTreeSet<String> {
    bound_roles(pass.definition().access.as_ref(), &pass.instance.spec.extra_access_rules)
}

fn is_whole(binding: &ClusterRoleBinding, role: &str) -> bool {
    let group = role_group(role);
    binding.subjects.iter().flatten().any(|subject| subject.kind == "Group" && subject.name == group)
}

fn binding(name: &str, role: &str) -> serde_json::Value {
    let api_group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": format!("{api_group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": {MARK.0: MARK.1}},
        "roleRef": {"apiGroup": api_group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api_group, "kind": "Group", "name": role_group(role)}],
    })
}

/// Roles have names that no binding may have.
fn binding_name(role: &str) -> String {
    let digest: String = Sha256::digest(role).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("loft-access-{digest}")
}
