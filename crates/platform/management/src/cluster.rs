//! Cluster: a host cluster, in whose namespaces virtual clusters run.
//!
//! `spec.local` is the cluster that the platform itself runs in; others are reached by the kubeconfig in the secret that `spec.config`
//! names. What virtual clusters need to know of it stands in annotations, such as [`ANNOTATION_INGRESS_SUFFIX`]. Refused: reaching it.
//!
//! Projects name the clusters that they may use. So an object's facts say its name, and members of those projects read it.

use crate::access::ObjectAccess;
use crate::columns::{self, text_at};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, CONDITIONS, access_of, condition_errors, keep_owner};
use crate::types::{Access, Condition, SecretRef, Typed, UserOrTeam, is_false};
use apiserver_meta::{Column, FieldError, FieldPath, Object, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A Cluster as Rust types.
pub type Cluster = Typed<ClusterSpec, ClusterStatus>;

/// The name of the cluster that the platform itself runs in.
pub const LOCAL_CLUSTER: &str = "loft-cluster";
/// The domain below which virtual clusters get host names.
pub const ANNOTATION_INGRESS_SUFFIX: &str = "loft.sh/ingress-suffix";
/// The host name at which the cluster's own gateway is reached, if it has one.
pub const ANNOTATION_DIRECT_ENDPOINT: &str = "loft.sh/direct-cluster-endpoint";
/// Whether clients take the certificate of that endpoint unverified.
pub const ANNOTATION_DIRECT_ENDPOINT_INSECURE: &str = "loft.sh/direct-cluster-endpoint-insecure";
/// The authority of that endpoint's certificate, PEM in base64.
pub const ANNOTATION_DIRECT_ENDPOINT_CA_DATA: &str = "loft.sh/direct-cluster-endpoint-ca-data";

/// The host name of a virtual cluster's access point, in a cluster with this [`ANNOTATION_INGRESS_SUFFIX`].
pub fn access_point_host(instance: &str, project: &str, suffix: &str) -> String {
    format!("{instance}-{project}.{suffix}")
}

/// The cluster, and how it is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ClusterSpec"))]
pub struct ClusterSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the cluster is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that owns the object and may do everything with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// The secret that holds the kubeconfig of the cluster.
    pub config: SecretRef,
    /// Whether this is the cluster that the platform itself runs in. Such a cluster needs no `config`.
    #[serde(skip_serializing_if = "is_false")]
    pub local: bool,
    /// Whether the cluster is connected through the platform's own network.
    #[serde(skip_serializing_if = "is_false")]
    pub network_peer: bool,
    /// The namespace in the cluster that holds what the platform installs there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub management_namespace: String,
    /// Whether no virtual clusters are placed in the cluster. Those that are there stay.
    #[serde(skip_serializing_if = "is_false")]
    pub unusable: bool,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Metrics of the cluster. Kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub metrics: Option<Map<String, Value>>,
    /// OpenCost in the cluster. Kept as it is.
    #[serde(rename = "opencost", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub open_cost: Option<Map<String, Value>>,
    /// A link with Argo CD. Kept as it is.
    #[serde(rename = "argoCD", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub argo_cd: Option<Map<String, Value>>,
}

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ClusterStatus"))]
pub struct ClusterStatus {
    /// How far the cluster is connected: empty, `Initialized` or `Failed`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// The cause of the phase, in CamelCase, for programs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause of the phase, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What is known of single aspects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Whether the cluster can be reached at present.
    #[serde(skip_serializing_if = "is_false")]
    pub online: bool,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("Status", "How far the cluster is connected.", |cluster, _| text_at(cluster, &["status", "phase"])),
    Column::text("Unusable", "Whether no virtual clusters are placed in the cluster.", |cluster, _| {
        (cluster.at(&["spec", "unusable"]) == Some(&Value::Bool(true))).to_string().into()
    }),
    Column::AGE,
    Column::text("Message", "The cause of the status.", |cluster, _| text_at(cluster, &["status", "message"])).wide(),
    Column::text("Description", "What the cluster is for.", |cluster, _| text_at(cluster, &["spec", "description"])).wide(),
];

/// The resource `clusters`.
#[derive(Clone, Copy, Debug)]
pub struct Clusters;

impl Resource for Clusters {
    stored_kind! {
        types: ClusterSpec, ClusterStatus;
        description: "A host cluster, in whose namespaces virtual clusters run.";
        descriptor: { kind: "Cluster", plural: crate::plural::CLUSTERS, singular: "cluster", columns: COLUMNS };
        size_limits: &[ACCESS, CONDITIONS];
        errors: spec_errors;
        access: access;
        keeps: keep_owner;
    }
}

fn spec_errors(_spec: &ClusterSpec, _path: &FieldPath, cluster: &Object) -> Vec<FieldError> {
    condition_errors(cluster)
}

fn access(cluster: &Object) -> ObjectAccess {
    ObjectAccess { name: Some(cluster.name().into()), ..access_of(cluster) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::tests::object;
    use serde_json::json;

    #[test]
    fn the_facts_say_which_cluster_it_is_and_whose() {
        let cluster = object(json!({"metadata": {"name": "eu"}, "spec": {"owner": {"user": "ann"}}}));
        let access = ObjectAccess::read(&Clusters, &cluster);
        assert_eq!((access.name.as_deref(), access.owner_user.as_str()), (Some("eu"), "ann"));
    }

    #[test]
    fn each_condition_occurs_once() {
        let conditions = json!([{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}]);
        let errors = Clusters.validate(&object(json!({"status": {"conditions": conditions}})));
        assert_eq!(errors.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(), ["status.conditions[1]"]);
    }

    #[test]
    fn cells_show_whether_it_can_be_used() {
        let cluster = object(json!({
            "metadata": {"name": "eu"}, "spec": {"displayName": "Europe", "unusable": true, "description": "d"},
            "status": {"phase": "Failed", "message": "m"},
        }));
        let want = [json!("eu"), json!("Europe"), json!("Failed"), json!("true"), json!("<unknown>"), json!("m"), json!("d")];
        assert_eq!(Clusters.descriptor().cells(&cluster, 0), want);
    }
}
