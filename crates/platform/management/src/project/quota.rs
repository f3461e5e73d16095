//! Quotas of a project: limits, and how much of them is used. Keys are resources or filters of them, values are numbers.

use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::{FieldError, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Limits are whole numbers of something.
    pub(super) fn errors(&self, path: &FieldPath) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (scope, resource, limit) in self.entries() {
            if errors.len() >= MOST_ERRORS {
                break;
            }
            let path = path.child(scope);
            if resource.is_empty() || resource.contains(char::is_whitespace) {
                errors.push(FieldError::invalid(&path, resource, "must name a resource, such as virtualclusterinstances"));
            }
            if limit.parse::<u64>().is_err() {
                errors.push(FieldError::invalid(&path.key(resource), limit, "must be a whole number, such as 20"));
            }
        }
        errors
    }

    /// The paths of limits on what is not counted here.
    pub(super) fn idle(&self, path: &FieldPath) -> Vec<FieldPath> {
        let idle = self.entries().filter(|(_, resource, _)| Counted::parse(resource).is_none());
        idle.take(MOST_ERRORS).map(|(scope, resource, _)| path.child(scope).key(resource)).collect()
    }

    /// Scope, resource and limit of each.
    fn entries(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        let scopes = [("project", &self.project), ("user", &self.user)];
        let entry = |scope, (resource, limit)| -> (&'static str, &str, &str) { (scope, String::as_str(resource), String::as_str(limit)) };
        scopes.into_iter().flat_map(move |(scope, limits)| limits.iter().map(move |limit| entry(scope, limit)))
    }
}

/// Which instances a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted<'a> {
    /// All.
    All,
    /// Those that do not sleep.
    Active,
    /// Those that follow this template.
    Template(&'a str),
}

impl<'a> Counted<'a> {
    /// Reads the key of a limit; `None` for what is not counted here.
    pub fn parse(resource: &'a str) -> Option<Self> {
        match resource.strip_prefix(crate::plural::INSTANCES)? {
            "" => Some(Self::All),
            ".active" => Some(Self::Active),
            rest => rest.strip_prefix(".template=").filter(|name| !name.is_empty()).map(Self::Template),
        }
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
