//! Who owns an object, and who may do what with it or inside it.

use crate::access::ObjectAccess;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The user or the team that owns an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.UserOrTeam"))]
pub struct UserOrTeam {
    /// The name of the User object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The name of the Team object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub team: String,
}

/// A rule that grants verbs on the object that holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.Access"))]
pub struct Access {
    /// A name for the rule, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The verbs that are granted, such as `get` or `update`; `*` is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbs: Option<Vec<String>>,
    /// The subresources that the verbs are granted on beside the object itself; `*` is all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subresources: Vec<String>,
    /// The users that the rule is for, by name; `*` is everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// The teams that the rule is for, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
}

/// Who gets which cluster role inside a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.InstanceAccess"))]
pub struct InstanceAccess {
    /// The cluster role of those whom no rule names.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_cluster_role: String,
    /// The rules. Whom no rule names, and no default role covers, becomes cluster admin inside the virtual cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<InstanceAccessRule>,
}

/// A rule that gives a cluster role inside a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.InstanceAccessRule"))]
pub struct InstanceAccessRule {
    /// The users that the rule is for, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// The teams that the rule is for, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The cluster role that they get. It must be given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_role: String,
}

/// A cluster role of the platform that a user or a team has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ClusterRoleRef"))]
pub struct ClusterRoleRef {
    /// The name of the cluster role.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl UserOrTeam {
    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.user.is_empty() && self.team.is_empty()
    }
}

/// What an object's `spec.owner` and `spec.access` say, in the words of authorization.
pub(crate) fn object_access(owner: Option<&UserOrTeam>, rules: &[Access]) -> ObjectAccess {
    let owner = owner.cloned().unwrap_or_default();
    let rule = |access: &Access| crate::access::AccessRule {
        verbs: access.verbs.clone().unwrap_or_default(),
        subresources: access.subresources.clone(),
        users: access.users.clone(),
        teams: access.teams.clone(),
    };
    ObjectAccess { owner_user: owner.user, owner_team: owner.team, rules: rules.iter().map(rule).collect(), name: None }
}
