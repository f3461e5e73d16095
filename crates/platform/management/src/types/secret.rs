//! References to secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes in base64 (RFC 4648, section 4). They may be a secret, so `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("format" = "byte"))]
pub struct Base64(pub String);

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base64(..)")
    }
}

/// One value of a Kubernetes Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SecretRef"))]
pub struct SecretRef {
    /// The name of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_name: String,
    /// The namespace of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_namespace: String,
    /// The key of the value in the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// One value of a secret of some kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.KindSecretRef"))]
pub struct KindSecretRef {
    /// The API group of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// The kind of the secret, such as `SharedSecret`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The name of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_name: String,
    /// The namespace of the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_namespace: String,
    /// The key of the value in the secret.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
}
