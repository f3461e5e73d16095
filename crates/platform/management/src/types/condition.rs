//! Conditions: what is known of one aspect of an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of one aspect of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-component" = "sh.loft.management.v1.Condition"))]
pub struct Condition {
    /// The aspect, in CamelCase, such as `Ready` or `VirtualClusterOnline`. A list holds each at most once.
    #[serde(rename = "type")]
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// How bad it is: `Error`, `Warning` or `Info`. Only of use when the status is `False`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<String>,
    /// The cause, in CamelCase, for programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
