//! What a virtual cluster is made from, and what was made.

use super::access::InstanceAccess;
use super::helm::{HelmRelease, TemplateHelmChart};
use super::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that a virtual cluster is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterTemplateDefinition"))]
pub struct VirtualClusterTemplateDefinition {
    /// Labels and annotations for the virtual cluster itself.
    pub metadata: TemplateMetadata,
    /// What is put onto the instance object.
    pub instance_template: InstanceTemplateDefinition,
    /// Apps that are deployed into the virtual cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppReference>,
    /// Helm charts that are deployed into the virtual cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<TemplateHelmChart>,
    /// Kubernetes objects as YAML documents, applied inside the virtual cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub objects: String,
    /// Who gets which cluster role inside the virtual cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<InstanceAccess>,
    /// Settings of the Pro edition.
    pub pro: ProSettings,
    /// The Helm release that runs the control plane.
    pub helm_release: HelmRelease,
    /// How the virtual cluster is reached other than through the platform's proxy.
    pub access_point: AccessPoint,
    /// Whether the proxy hands the caller's token to the virtual cluster, which then asks back who that is.
    #[serde(skip_serializing_if = "is_false")]
    pub forward_token: bool,
    /// What the proxy does with the caller's token: `Off`, `TokenReview` or `Passthrough`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub forward_token_mode: String,
    /// What is put into the namespace that hosts the virtual cluster.
    pub space_template: SpaceTemplate,
}

/// Labels and annotations that are put onto something else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.TemplateMetadata"))]
pub struct TemplateMetadata {
    /// The labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What is put onto the instance object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.InstanceTemplateDefinition"))]
pub struct InstanceTemplateDefinition {
    /// Labels and annotations that are merged into those of the instance object.
    pub metadata: TemplateMetadata,
}

/// An app that is deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AppReference"))]
pub struct AppReference {
    /// The name of the App object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace that the app is deployed into.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the app's Helm release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release_name: String,
    /// The version of the app.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// A hash of the values and metadata that were applied last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// The app's parameters, as YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parameters: String,
}

/// Settings of the Pro edition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterProSpec"))]
pub struct ProSettings {
    /// Whether the virtual cluster is of the Pro edition.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
}

/// How a virtual cluster is reached other than through the platform's proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterAccessPoint"))]
pub struct AccessPoint {
    /// Through an ingress.
    pub ingress: AccessPointIngress,
}

/// Access through an ingress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterAccessPointIngressSpec"))]
pub struct AccessPointIngress {
    /// Whether an ingress is made. The connected cluster names the domain in its annotation `loft.sh/ingress-suffix`.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
}

/// What is put into the namespace that hosts a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterSpaceTemplateDefinition"))]
pub struct SpaceTemplate {
    /// Labels and annotations for the namespace.
    pub metadata: TemplateMetadata,
    /// Kubernetes objects as YAML documents, applied in the namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub objects: String,
    /// Helm charts that are deployed into the namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<TemplateHelmChart>,
    /// Apps that are deployed into the namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppReference>,
}

/// What was applied somewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ObjectsStatus"))]
pub struct ObjectsStatus {
    /// The objects that were applied last, as YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_applied_objects: String,
    /// The charts that are deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartStatus>,
    /// The apps that are deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppReference>,
}

/// A chart that is deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ChartStatus"))]
pub struct ChartStatus {
    /// The name of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// A hash of the configuration that was applied last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_applied_chart_config_hash: String,
}
