//! Quotas of a project: limits, and how much of them is used. Keys are resources or filters of them, values are numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vci_meta::{FieldError, FieldPath};

/// Numbers by resource.
type Counts = BTreeMap<String, String>;

/// Limits on what a project holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.Quotas"))]
pub struct Quotas {
    /// Limits for the whole project, such as `virtualclusterinstances: "20"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub project: Counts,
    /// Limits for each user or team.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: Counts,
}

impl Quotas {
    /// Limits are whole numbers.
    pub(super) fn errors(&self, path: &FieldPath) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (scope, limits) in [("project", &self.project), ("user", &self.user)] {
            for (resource, limit) in limits.iter().filter(|(_, limit)| limit.parse::<u64>().is_err()) {
                let path = path.child(scope).key(resource);
                errors.push(FieldError::invalid(&path, limit.as_str(), "must be a whole number, such as 20"));
            }
        }
        errors
    }
}

/// How much of a project's limits is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.QuotaStatus"))]
pub struct QuotaStatus {
    /// In the whole project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectQuotaStatus>,
    /// By each user or team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserQuotaStatus>,
}

/// How much is used in the whole project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.QuotaStatusProject"))]
pub struct ProjectQuotaStatus {
    /// The limits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limit: Counts,
    /// What is used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub used: Counts,
    /// What is used in each host cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, ClusterQuotaUse>,
}

/// What is used in one host cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.QuotaStatusProjectCluster"))]
pub struct ClusterQuotaUse {
    /// What is used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub used: Counts,
}

/// How much is used by each user or team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.QuotaStatusUser"))]
pub struct UserQuotaStatus {
    /// The limits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limit: Counts,
    /// What is used.
    pub used: UserQuotaUse,
    /// What is used in each host cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, UserQuotaUse>,
}

/// What users and teams use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.QuotaStatusUserUsed"))]
pub struct UserQuotaUse {
    /// By user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, Counts>,
    /// By team.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, Counts>,
}
