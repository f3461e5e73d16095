//! Team: users who own things and are granted things together.
//!
//! What a Team says decides what its members may do, so owning a Team object gives no right to change it; its
//! `spec.access` may give rights to others.

use crate::columns::{self, text};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, granted_access, keep_owner, named, part};
use crate::types::{Access, ClusterRoleRef, KindSecretRef, Typed, UserOrTeam};
use crate::user::{cluster_role_errors, cluster_roles};
use apiserver_meta::{Column, FieldError, FieldPath, Object, Resource, Subresource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A Team as Rust types.
pub type Team = Typed<TeamSpec, TeamStatus>;

/// Who is in the team and what the team has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.TeamSpec"))]
pub struct TeamSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the team is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that looks after this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// A name for the team such as users log in with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The members, by the names of their User objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Kubernetes groups. Whoever is in one of them is a member too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Credentials for image registries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<KindSecretRef>,
    /// Cluster roles that the members have on the platform, such as `loft-management-admin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_roles: Vec<ClusterRoleRef>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
}

/// What is known of the team: nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-component" = "sh.loft.management.v1.TeamStatus"))]
pub struct TeamStatus {}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("Users", "The members that are named.", |team, _| names(team, "users")),
    Column::text("Groups", "The groups whose users are members too.", |team, _| names(team, "groups")),
    Column::AGE,
    Column::text("Cluster Roles", "Cluster roles that the members have on the platform.", |team, _| text(cluster_roles(team))).wide(),
];

/// A cell with the names in a list of the spec.
fn names(team: &Object, list: &str) -> Value {
    text(part::<Vec<String>>(team, &["spec", list]).unwrap_or_default().join(","))
}

/// The resource `teams`.
#[derive(Clone, Copy, Debug)]
pub struct Teams;

impl Resource for Teams {
    stored_kind! {
        types: TeamSpec, TeamStatus;
        description: "Users who own things and are granted things together.";
        descriptor: { kind: "Team", plural: crate::plural::TEAMS, singular: "team", subresources: &[Subresource::Main], columns: COLUMNS };
        size_limits: &[ACCESS];
        errors: spec_errors;
        access: granted_access;
        keeps: keep_owner;
    }
}

fn spec_errors(spec: &TeamSpec, path: &FieldPath, _team: &Object) -> Vec<FieldError> {
    let mut errors = named(&spec.users, &path.child("users"));
    errors.extend(named(&spec.groups, &path.child("groups")));
    errors.extend(cluster_role_errors(&spec.cluster_roles, path));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::object;
    use serde_json::json;

    #[test]
    fn members_and_roles_have_names() {
        let table = [
            (json!({"users": ["ann"], "groups": ["g"]}), vec![]),
            (json!({"users": [""]}), vec!["spec.users[0]: Required value"]),
            (json!({"groups": ["g", ""]}), vec!["spec.groups[1]: Required value"]),
            (json!({"clusterRoles": [{"name": "a"}, {}]}), vec!["spec.clusterRoles[1].name: Required value"]),
        ];
        let teams = Teams;
        for (spec, want) in table {
            let errors: Vec<_> = teams.validate(&object(json!({"spec": spec}))).iter().map(ToString::to_string).collect();
            assert_eq!(errors, want, "{spec}");
        }
    }

    #[test]
    fn cells_show_who_is_in_it() {
        let team = object(json!({"metadata": {"name": "t"}, "spec": {"users": ["ann", "bob"], "groups": ["g"]}}));
        let want = [json!("t"), json!(null), json!("ann,bob"), json!("g"), json!("<unknown>"), json!(null)];
        assert_eq!(Teams.descriptor().cells(&team, 0), want);
    }
}
