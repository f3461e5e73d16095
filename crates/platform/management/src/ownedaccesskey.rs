//! OwnedAccessKey: a bearer token of a user, a team or a virtual cluster.
//!
//! The secret stands in `spec.key` of what a client sends and of the answer to its creation, and nowhere else: what is stored
//! has its SHA-256, in `status.keyHash`. (A key holds at least 256 random bits, so that a slow hash would protect nothing.) An
//! update that gives another `spec.key` changes the secret; one that gives none keeps it. The hash is in the schema, so
//! that an object that was read can be written back; as part of the status it is not changed by doing so.
//! The annotation in which `kubectl apply` keeps what it was given is taken out, because the secret would be in it. Refused:
//! making secrets, which needs randomness; and the tokens of a single sign-on, which this server does not speak.
//!
//! Whose key it is never changes: not by an update, and not when a name is given to somebody else, for the holder's UID is noted in
//! `status.holderUID`. A user owns the user's keys; a team's keys and those of
//! virtual clusters are nobody's, so that only admins hand them out.

use crate::access::{Caller, ObjectAccess, VirtualClusterIdentity};
use crate::columns::{self, text_at};
use crate::key_hash;
use crate::kind::stored_kind;
use crate::rules::{field, immutable_once_set, object_mut, part, remove_last_applied};
use crate::types::{Typed, is_false, is_zero};
use apiserver_meta::validation::{Size, SizeLimit};
use apiserver_meta::{Column, FieldError, FieldPath, Object, RequestContext, Resource};
use schemars::JsonSchema;
use scope::AccessKeyScope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub mod scope;
#[cfg(test)]
mod tests;

/// An OwnedAccessKey as Rust types.
pub type OwnedAccessKey = Typed<OwnedAccessKeySpec, OwnedAccessKeyStatus>;

/// The label of the keys of a virtual cluster: the UID of its instance.
pub const LABEL_VIRTUAL_CLUSTER: &str = "loft.sh/vcluster";
/// The sorts of keys.
const TYPES: [&str; 8] = ["", "Login", "NetworkPeer", "OIDCRefreshToken", "Other", "Reset", "User", "Workspace"];

/// Whose key it is, and how long and for what it is good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.OwnedAccessKeySpec"))]
pub struct OwnedAccessKeySpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the key is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user whom the key acts as. The creator, when neither a user nor a team is named. It never changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The team that the key acts as. It never changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub team: String,
    /// A virtual cluster that the key acts as: `loft:vcluster:NAMESPACE:NAME`. No other identities are served. It never changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Groups of such an identity. Not served: it must be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The secret. One is made when none is given. It is shown in the answer to the creation and never again: only its hash is
    /// kept, in the status.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Whether the key is refused.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// For how many seconds the key is good; 0: for ever.
    #[serde(skip_serializing_if = "is_zero")]
    pub ttl: i64,
    /// Whether the seconds count from the last use and not from the creation.
    #[serde(skip_serializing_if = "is_false")]
    pub ttl_after_last_activity: bool,
    /// What the key is good for; for all that its holder may do, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<AccessKeyScope>,
    /// What sort of key this is: empty, `Login`, `User`, `Other`, `Reset`, `OIDCRefreshToken`, `NetworkPeer` or `Workspace`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    /// When the identity behind a login was last refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub identity_refresh: Option<String>,
    /// The key that this one came from. No longer used.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
}

/// What is known of the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.OwnedAccessKeyStatus"))]
pub struct OwnedAccessKeyStatus {
    /// When the key was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_activity: Option<String>,
    /// The SHA-256 of the secret, in lower-case hexadecimal digits. Set by the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_hash: String,
    /// The UID of the user or team whom the key acts as. Set by the server: whoever is given the name later does not have the
    /// key.
    #[serde(rename = "holderUID", skip_serializing_if = "String::is_empty")]
    pub holder_uid: String,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("User", "The user whom the key acts as.", |key, _| text_at(key, &["spec", "user"])),
    Column::text("Team", "The team that the key acts as.", |key, _| text_at(key, &["spec", "team"])),
    Column::text("Type", "What sort of key this is.", |key, _| text_at(key, &["spec", "type"])),
    columns::disabled("Whether the key is refused."),
    Column::AGE,
    Column { format: "int64", ..Column::integer("TTL", "For how many seconds the key is good.", |key, _| ttl(key)).wide() },
    Column::text("Last Activity", "When the key was last used.", |key, _| text_at(key, &["status", "lastActivity"])).wide(),
];

fn ttl(key: &Object) -> Value {
    key.at(&["spec", "ttl"]).cloned().unwrap_or(Value::Null)
}

/// Everybody makes keys, every server has all of them in memory, and each request is held against the scope of its own.
const SIZE_LIMITS: &[SizeLimit] = &[
    SizeLimit { path: &["metadata"], most: Size::Bytes(16 * 1024) },
    SizeLimit { path: &["spec", "displayName"], most: Size::Bytes(256) },
    SizeLimit { path: &["spec", "description"], most: Size::Bytes(4 * 1024) },
    SizeLimit { path: &["spec", "user"], most: Size::Bytes(253) },
    SizeLimit { path: &["spec", "team"], most: Size::Bytes(253) },
    SizeLimit { path: &["spec", "subject"], most: Size::Bytes(600) },
    SizeLimit { path: &["spec", "parent"], most: Size::Bytes(253) },
    SizeLimit { path: &["spec", "key"], most: Size::Bytes(1024) },
    SizeLimit { path: &["spec", "scope"], most: Size::Bytes(32 * 1024) },
    SizeLimit { path: &["spec", "scope", "rules"], most: Size::Items(100) },
];

/// The resource `ownedaccesskeys`.
#[derive(Clone, Copy, Debug)]
pub struct OwnedAccessKeys;

impl Resource for OwnedAccessKeys {
    stored_kind! {
        types: OwnedAccessKeySpec, OwnedAccessKeyStatus;
        description: "A bearer token of a user or a team. Its secret is shown in the answer to its creation and never again.";
        descriptor: { kind: "OwnedAccessKey", plural: crate::plural::ACCESS_KEYS, singular: "ownedaccesskey", columns: COLUMNS };
        size_limits: SIZE_LIMITS;
        errors: spec_errors;
        access: access;
    }

    /// Admission has noted the holder before.
    fn prepare_for_create(&self, ctx: &RequestContext, object: &mut Object) {
        let holder = object.at(&["status", "holderUID"]).cloned().map(|uid| ("holderUID".to_owned(), uid));
        object.0.insert("status".into(), Value::Object(holder.into_iter().collect::<Map<_, _>>()));
        note_secret(object);
        let held = ["user", "team", "subject"].iter().any(|who| !object.str_at(&["spec", who]).is_empty());
        if let Some(user) = Caller::from_context(ctx).user.as_ref().filter(|_| !held) {
            object_mut(object, "spec").insert("user".into(), user.as_str().into());
        }
    }

    /// The answer to the creation is the one place that shows the secret.
    fn conceal(&self) -> Option<fn(&mut Object)> {
        Some(hide_secret)
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Object, old: &Object) {
        new.0.insert("status".into(), old.0.get("status").cloned().unwrap_or_else(|| json!({})));
        note_secret(new);
        hide_secret(new);
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Vec<FieldError> {
        let fixed: [&[&str]; 4] = [&["spec", "user"], &["spec", "team"], &["spec", "subject"], &["status", "holderUID"]];
        fixed.iter().filter_map(|path| immutable_once_set(new, old, path)).collect()
    }
}

fn spec_errors(spec: &OwnedAccessKeySpec, path: &FieldPath, key: &Object) -> Vec<FieldError> {
    let status: OwnedAccessKeyStatus = match part(key, &["status"]) {
        Ok(status) => status,
        Err(error) => return vec![error],
    };
    let mut errors = holder_errors(spec, path);
    if status.key_hash.is_empty() && spec.key.is_empty() {
        errors.push(FieldError::required(&path.child("key"), "an access key has a secret"));
    } else if !is_bearer_token(&spec.key) {
        // The value is left out of the text: it is meant to be a secret.
        errors.push(FieldError::forbidden(&path.child("key"), "may hold letters, digits and -._~+/= only"));
    } else if key_hash::parse(&status.key_hash).is_none() {
        let path = field(&["status", "keyHash"]);
        errors.push(FieldError::invalid(&path, status.key_hash.as_str(), "must be 64 lower-case hexadecimal digits"));
    }
    if !TYPES.contains(&spec.r#type.as_str()) {
        errors.push(FieldError::not_supported(&path.child("type"), spec.r#type.as_str(), &TYPES));
    }
    if spec.ttl < 0 {
        errors.push(FieldError::invalid(&path.child("ttl"), spec.ttl, "must be greater than or equal to 0"));
    }
    errors
}

/// A user owns the user's keys. Nobody owns those of a team.
fn access(key: &Object) -> ObjectAccess {
    ObjectAccess { owner_user: key.str_at(&["spec", "user"]).to_owned(), ..ObjectAccess::default() }
}

/// Notes the hash of a secret that is given, and takes out the annotation that has the secret in it.
fn note_secret(object: &mut Object) {
    remove_last_applied(object);
    let secret = object.str_at(&["spec", "key"]);
    if secret.is_empty() {
        return;
    }
    let hash = key_hash::of(secret);
    object_mut(object, "status").insert("keyHash".into(), hash.into());
}

/// Takes out the secret. One that no request could bear stays: validation refuses it.
fn hide_secret(object: &mut Object) {
    if is_bearer_token(object.str_at(&["spec", "key"])) {
        object_mut(object, "spec").remove("key");
    }
}

/// The characters of a bearer token (RFC 6750, section 2.1).
fn is_bearer_token(secret: &str) -> bool {
    secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

fn holder_errors(spec: &OwnedAccessKeySpec, path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let is_virtual_cluster = VirtualClusterIdentity::parse(&spec.subject).is_some();
    match (spec.user.as_str(), spec.team.as_str()) {
        ("", "") if is_virtual_cluster => {}
        ("", "") => errors.push(FieldError::required(&path.child("user"), "a key acts as a user, a team or a virtual cluster")),
        ("", _) | (_, "") => {}
        _ => errors.push(FieldError::forbidden(&path.child("team"), "may not be set together with spec.user")),
    }
    if !spec.subject.is_empty() && (!is_virtual_cluster || !spec.user.is_empty() || !spec.team.is_empty()) {
        errors.push(FieldError::forbidden(&path.child("subject"), "a key acts as a user, a team or a virtual cluster"));
    }
    if !spec.groups.is_empty() {
        errors.push(FieldError::forbidden(&path.child("groups"), "a key has the groups of its user or team"));
    }
    errors
}
