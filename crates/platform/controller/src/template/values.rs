//! What a template knows: its parameters, and the facts of the instance as `.Values.loft`.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The facts of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFacts {
    /// The name of the instance.
    pub name: String,
    /// The project.
    pub project: String,
    /// The namespace of the project, in which the instance object is.
    pub space: String,
    /// The host cluster.
    pub cluster: String,
    /// The name of the virtual cluster in its host namespace.
    pub virtual_cluster_name: String,
    /// The host namespace.
    pub virtual_cluster_namespace: String,
    /// The user who owns the instance; empty when a team does.
    pub user: String,
    /// The team that owns the instance; empty when a user does.
    pub team: String,
    /// The annotations of the host cluster. Leave them out where the name of the namespace is made.
    pub cluster_annotations: BTreeMap<String, String>,
}

/// The values of a template. Nobody can pass facts as parameters: `loft` is always this.
pub fn values(parameters: Map<String, Value>, facts: &InstanceFacts) -> Value {
    let mut values = parameters;
    let loft = json!({
        "name": facts.name,
        "project": facts.project,
        "space": facts.space,
        "cluster": facts.cluster,
        "virtualClusterName": facts.virtual_cluster_name,
        "virtualClusterNamespace": facts.virtual_cluster_namespace,
        "user": {"name": facts.user},
        "team": {"name": facts.team},
        "clusterAnnotations": facts.cluster_annotations,
    });
    values.insert("loft".into(), loft);
    Value::Object(values)
}
