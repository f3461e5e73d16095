//! What an access key is narrowed to.

use crate::types::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a key is good for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScope"))]
pub struct AccessKeyScope {
    /// Parts that the key plays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<ScopeRole>,
    /// Projects that can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ScopeProject>,
    /// Spaces that can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spaces: Vec<ScopeSpace>,
    /// Virtual clusters that can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub virtual_clusters: Vec<ScopeVirtualCluster>,
    /// Connected clusters that can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ScopeCluster>,
    /// Deprecated: rules about single requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ScopeRule>,
    /// Deprecated: the same as the role `loft-cli`.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_loft_cli: bool,
}

/// A part that a key plays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeRole"))]
pub struct ScopeRole {
    /// `agent`, `vcluster`, `network-peer`, `loft-cli`, `workspace`, `metrics-writer` or `metrics-reader`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The projects that the part is limited to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// The virtual clusters that the part is limited to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub virtual_clusters: Vec<String>,
}

/// A project that can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeProject"))]
pub struct ScopeProject {
    /// The name of the project, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
}

/// A space that can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeSpace"))]
pub struct ScopeSpace {
    /// The name of the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The name of the space, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub space: String,
}

/// A virtual cluster that can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeVirtualCluster"))]
pub struct ScopeVirtualCluster {
    /// The name of the project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The name of the instance, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub virtual_cluster: String,
}

/// A connected cluster that can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeCluster"))]
pub struct ScopeCluster {
    /// The name of the cluster, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

/// Deprecated: a rule about single requests. What is left out stands for all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyScopeRule"))]
pub struct ScopeRule {
    /// Verbs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    /// Resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ScopeResources>,
    /// Namespaces; the empty one stands for what has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Paths of URLs that are no resources, which may end in `*`.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
    /// Where a request goes: `Management`, `Cluster`, `ProjectSpace` or `ProjectVirtualCluster`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_targets: Vec<String>,
    /// The cluster, where that is the target.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The virtual clusters, where they are the target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub virtual_clusters: Vec<ScopeRuleVirtualCluster>,
}

/// Resources of one API group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.GroupResources"))]
pub struct ScopeResources {
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Resources, or resources with a subresource such as `pods/log`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Names of objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
}

/// A virtual cluster that a rule speaks of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AccessKeyVirtualCluster"))]
pub struct ScopeRuleVirtualCluster {
    /// The name of the instance, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace of the instance, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}
