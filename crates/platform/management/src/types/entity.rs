//! Users, teams and apps, as others show them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people want to see of a user, a team or an app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.EntityInfo"))]
pub struct EntityInfo {
    /// The name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// A picture: its URL, or itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// The name to log in with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The mail address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// The name that connected clusters know it by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
}
