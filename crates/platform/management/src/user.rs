//! User: a person or a program that the platform knows.
//!
//! What a User says decides what its bearer may do, so owning a User object gives no right to change it; its
//! `spec.access` may give rights to others.

use crate::columns::{self, text, text_at};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, granted_access, keep_owner, named, part};
use crate::types::{Access, ClusterRoleRef, KindSecretRef, SecretRef, Typed, UserOrTeam, is_false, is_zero};
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::{Column, FieldError, FieldPath, Object, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A User as Rust types.
pub type User = Typed<UserSpec, UserStatus>;

/// Who the user is and what the user has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.UserSpec"))]
pub struct UserSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Who this is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that looks after this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// The name that the user logs in with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The URL of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// The mail address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// The name that connected clusters know the user by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Kubernetes groups that the user is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Groups that single sign-on told of last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sso_groups: Vec<String>,
    /// Where the hash of the password is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<SecretRef>,
    /// Where the user's codes are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes_ref: Option<SecretRef>,
    /// Credentials for image registries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<KindSecretRef>,
    /// A number that makes earlier tokens void when it grows.
    #[serde(skip_serializing_if = "is_zero")]
    pub token_generation: i64,
    /// Whether the user is locked out. The user's access keys stop working.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// Cluster roles that the user has on the platform, such as `loft-management-admin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_roles: Vec<ClusterRoleRef>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Claims that single sign-on told of beside the usual ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_claims: BTreeMap<String, String>,
}

/// What is known of the user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.UserStatus"))]
pub struct UserStatus {
    /// The teams that the user is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("Email", "The mail address.", |user, _| text_at(user, &["spec", "email"])),
    columns::disabled("Whether the user is locked out."),
    Column::AGE,
    Column::text("Username", "The name that the user logs in with.", |user, _| text_at(user, &["spec", "username"])).wide(),
    Column::text("Cluster Roles", "Cluster roles that the user has on the platform.", |user, _| text(cluster_roles(user))).wide(),
];

/// The resource `users`.
#[derive(Clone, Copy, Debug)]
pub struct Users;

impl Resource for Users {
    stored_kind! {
        types: UserSpec, UserStatus;
        description: "A person or a program that the platform knows.";
        descriptor: { kind: "User", plural: crate::plural::USERS, singular: "user", columns: COLUMNS };
        size_limits: &[ACCESS];
        errors: spec_errors;
        access: granted_access;
        keeps: keep_owner;
    }
}

fn spec_errors(spec: &UserSpec, path: &FieldPath, _user: &Object) -> Vec<FieldError> {
    let mut errors = named(&spec.groups, &path.child("groups"));
    errors.extend(cluster_role_errors(&spec.cluster_roles, path));
    errors
}

/// The names in `spec.clusterRoles`, as one text.
pub(crate) fn cluster_roles(object: &Object) -> String {
    let roles: Vec<ClusterRoleRef> = part(object, &["spec", "clusterRoles"]).unwrap_or_default();
    roles.into_iter().map(|role| role.name).collect::<Vec<_>>().join(",")
}

/// A cluster role that a user or a team has must be named.
pub(crate) fn cluster_role_errors(roles: &[ClusterRoleRef], spec: &FieldPath) -> Vec<FieldError> {
    let path = spec.child("clusterRoles");
    let without = roles.iter().enumerate().filter(|(_, role)| role.name.is_empty());
    without.take(MOST_ERRORS).map(|(index, _)| FieldError::required(&path.index(index).child("name"), "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ObjectAccess;
    use crate::rules::tests::object;
    use serde_json::json;

    #[test]
    fn groups_and_roles_have_names() {
        let table = [
            (json!({}), vec![]),
            (json!({"groups": ["system:masters"], "clusterRoles": [{"name": "loft-management-admin"}]}), vec![]),
            (
                json!({"groups": ["a", ""], "clusterRoles": [{}]}),
                vec!["spec.groups[1]: Required value", "spec.clusterRoles[0].name: Required value"],
            ),
        ];
        let users = Users;
        for (spec, want) in table {
            let errors: Vec<_> = users.validate(&object(json!({"spec": spec}))).iter().map(ToString::to_string).collect();
            assert_eq!(errors, want, "{spec}");
        }
    }

    #[test]
    fn owning_a_user_gives_no_right_to_change_it() {
        let spec = json!({"owner": {"user": "ann"}, "access": [{"verbs": ["get"], "users": ["bob"]}]});
        let access = ObjectAccess::read(&Users, &object(json!({"spec": spec})));
        assert_eq!((access.owner_user.as_str(), access.rules.len()), ("", 1));
    }

    #[test]
    fn cells_show_who_it_is() {
        let ann = object(json!({
            "metadata": {"name": "ann", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"displayName": "Ann", "email": "ann@example.com", "disabled": true, "clusterRoles": [{"name": "a"}, {"name": "b"}]},
        }));
        let want = [json!("ann"), json!("Ann"), json!("ann@example.com"), json!("true"), json!("5s"), json!(null), json!("a,b")];
        assert_eq!(Users.descriptor().cells(&ann, 5), want);
    }
}
