//! Helm charts and releases.

use super::is_false;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Helm release: a chart and its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterHelmRelease"))]
pub struct HelmRelease {
    /// The chart.
    pub chart: HelmChart,
    /// The values, as YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub values: String,
}

/// The chart of a control plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterHelmChart"))]
pub struct HelmChart {
    /// The name of the chart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The URL of the chart's repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repo: String,
    /// The user name for the repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password for the repository, in clear text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// The version of the chart, a semantic version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Whether the repository's TLS certificate is taken unverified.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_tls_verify: bool,
}

/// A chart that a template deploys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.TemplateHelmChart"))]
pub struct TemplateHelmChart {
    /// The name of the chart in its repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The version of the chart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The URL of the chart's repository.
    #[serde(rename = "repoURL", skip_serializing_if = "String::is_empty")]
    pub repo_url: String,
    /// The user name for the repository, in clear text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Where the user name for the repository is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_ref: Option<ChartSecretRef>,
    /// The password for the repository, in clear text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// Where the password for the repository is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<ChartSecretRef>,
    /// Whether the repository's TLS certificate is taken unverified.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_tls_verify: bool,
    /// The name that the release should have.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release_name: String,
    /// The namespace that the release should be in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release_namespace: String,
    /// The values, as YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub values: String,
    /// Whether deploying waits until what the chart holds is ready.
    #[serde(skip_serializing_if = "is_false")]
    pub wait: bool,
    /// How long one Kubernetes operation may take, such as `10m`; five minutes when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timeout: String,
}

/// Where a secret for a chart repository is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ChartSecretRef"))]
pub struct ChartSecretRef {
    /// In a secret of a project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_secret_ref: Option<ProjectSecretRef>,
}

/// One value of a project's secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectSecretRef"))]
pub struct ProjectSecretRef {
    /// The project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The name of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The key of the value in the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
}
