//! ProjectSecret: names and passwords that the members of a project keep in its namespace.
//!
//! The values are stored, because they are used: `vcluster platform get secret` prints them, and templates name them as credentials for
//! chart repositories. They are encrypted at rest when the store is, and kept out of audit logs. They are shown to those who may `use`
//! the object or change it. Other readers see the object without its data, and without the annotation in which `kubectl apply` keeps a copy.

use crate::columns::{self, text, text_at};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, CONDITIONS, access_of, condition_errors, default_owner, keep_owner, remove_last_applied};
use crate::types::{Access, Base64, Condition, Typed, UserOrTeam};
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::validation::{Size, SizeLimit};
use apiserver_meta::{Column, FieldError, FieldPath, Object, Principal, RequestContext, Resource, Scope, Subresource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A ProjectSecret as Rust types.
pub type ProjectSecret = Typed<ProjectSecretSpec, ProjectSecretStatus>;

/// The longest key, as in Secrets of Kubernetes.
const LONGEST_KEY: usize = 253;

/// What is kept, and whose it is.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectSecretSpec"))]
pub struct ProjectSecretSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the secret is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that owns the object and may do everything with it. Whoever creates it, when nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// The values, in base64, by keys of letters, digits, `-`, `_` and `.`. Shown to those who may use or change the secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Base64>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
}

/// What is known of the secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectSecretStatus"))]
pub struct ProjectSecretStatus {
    /// What is known of single aspects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    columns::owner("The user or the team that owns the secret."),
    Column::text("Keys", "The keys of the values, for those who may use or change the secret.", |secret, _| text(keys(secret))),
    Column::AGE,
    Column::text("Description", "What the secret is for.", |secret, _| text_at(secret, &["spec", "description"])).wide(),
];

/// As large as a Secret of Kubernetes.
const DATA: SizeLimit = SizeLimit { path: &["spec", "data"], most: Size::Bytes(1024 * 1024) };

const PRIVATE: &[PrivatePart] = &[PrivatePart { verbs: &["use", "update", "patch"], subresource: Subresource::Main, hide }];

/// The resource `projectsecrets`.
#[derive(Clone, Copy, Debug)]
pub struct ProjectSecrets;

impl Resource for ProjectSecrets {
    stored_kind! {
        types: ProjectSecretSpec, ProjectSecretStatus;
        description: "Names and passwords that the members of a project keep.";
        descriptor: {
            kind: "ProjectSecret",
            plural: crate::plural::PROJECT_SECRETS,
            singular: "projectsecret",
            scope: Scope::Namespaced,
            columns: COLUMNS,
        };
        size_limits: &[ACCESS, CONDITIONS, DATA];
        errors: spec_errors;
        access: access_of;
        keeps: keep_owner;
    }

    fn prepare_for_create(&self, ctx: &RequestContext, object: &mut Object) {
        default_owner(ctx, object);
    }

    fn holds_secrets(&self) -> bool {
        true
    }

    fn private_parts(&self) -> &'static [PrivatePart] {
        PRIVATE
    }
}

fn hide(secret: &mut Object, _reader: &Principal) {
    // The keys are the names of fields here, too.
    for (part, member) in [("spec", "data"), ("metadata", "managedFields")] {
        secret.0.get_mut(part).and_then(Value::as_object_mut).and_then(|part| part.remove(member));
    }
    remove_last_applied(secret);
}

fn keys(secret: &Object) -> String {
    let data = secret.at(&["spec", "data"]).and_then(Value::as_object);
    data.into_iter().flat_map(|data| data.keys()).map(String::as_str).collect::<Vec<_>>().join(",")
}

/// Values are left out of what is said of them.
fn spec_errors(spec: &ProjectSecretSpec, path: &FieldPath, secret: &Object) -> Vec<FieldError> {
    let path = path.child("data");
    let mut errors = condition_errors(secret);
    for (key, value) in &spec.data {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        if !is_key(key) {
            let why = "a key consists of up to 253 letters, digits, '-', '_' and '.', and is neither '.' nor begins with '..'";
            errors.push(FieldError::invalid(&path, key.as_str(), why));
        } else if STANDARD.decode(&value.0).is_err() {
            errors.push(FieldError::invalid_unshown(&path.key(key), "must be base64, with padding"));
        }
    }
    errors
}

fn is_key(key: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(is_part) && key != "." && !key.starts_with("..")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::tests::{context, object};
    use serde_json::json;

    #[test]
    fn bad_data_is_refused_and_not_repeated() {
        let key = "a key consists of up to 253 letters, digits, '-', '_' and '.', and is neither '.' nor begins with '..'";
        let bad = |name: &str| format!("spec.data: Invalid value: {name:?}: {key}");
        let coded = "spec.data[a]: Invalid value: must be base64, with padding".to_owned();
        let table = [
            (json!({}), vec![]),
            (json!({"a": "", "b.c-D_9": "czNjcmV0", ".hidden": "czNjcg=="}), vec![]),
            (json!({"a": "s3cret!"}), vec![coded.clone()]),
            (json!({"a": "czNjcg"}), vec![coded]),
            (json!({"": "", "..": "", ".": "", "a b": "", "a/b": ""}), ["", ".", "..", "a b", "a/b"].map(bad).to_vec()),
            (json!({"x".repeat(254): ""}), vec![bad(&"x".repeat(254))]),
        ];
        for (data, want) in table {
            let errors = ProjectSecrets.validate(&object(json!({"spec": {"data": data}})));
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), want, "{data}");
        }
    }

    #[test]
    fn the_creator_owns_it() {
        let mut created = object(json!({"spec": {"data": {"a": ""}}}));
        ProjectSecrets.prepare_for_create(&context("ann", Some("ann"), &[]), &mut created);
        assert_eq!(created.str_at(&["spec", "owner", "user"]), "ann");
    }

    #[test]
    fn other_readers_see_neither_values_nor_keys_nor_copies() {
        let mut seen = object(json!({
            "metadata": {
                "name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s3cret", "a": "b"},
                "managedFields": [{"fieldsV1": {"f:spec": {"f:data": {"f:s3cret": {}}}}}],
            },
            "spec": {"displayName": "d", "data": {"s3cret": "czNjcmV0"}},
        }));
        for part in ProjectSecrets.private_parts() {
            (part.hide)(&mut seen, &Principal::default());
        }
        assert_eq!(Value::Object(seen.0), json!({"metadata": {"name": "s", "annotations": {"a": "b"}}, "spec": {"displayName": "d"}}));
    }

    #[test]
    fn cells_show_keys_and_no_values() {
        let secret = object(json!({
            "metadata": {"name": "s"},
            "spec": {"displayName": "S", "owner": {"team": "t"}, "data": {"a": "czNjcmV0", "b": ""}, "description": "d"},
        }));
        let want = [json!("s"), json!("S"), json!("t"), json!("a,b"), json!("<unknown>"), json!("d")];
        assert_eq!(ProjectSecrets.descriptor().cells(&secret, 0), want);
    }
}
