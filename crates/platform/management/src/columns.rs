//! Columns that several kinds have, and the forms of their cells.

use crate::access::owner_of;
use apiserver_meta::{Column, Object};
use serde_json::Value;

/// The name that people read.
pub(crate) const DISPLAY_NAME: Column =
    Column::text("Display Name", "The name that people read.", |object, _| text_at(object, &["spec", "displayName"]));

/// The user or the team that owns the object.
pub(crate) const fn owner(description: &'static str) -> Column {
    Column::text("Owner", description, |object, _| match owner_of(object) {
        ("", team) => text(team),
        (user, _) => text(user),
    })
}

/// Whether `spec.disabled` is set.
pub(crate) const fn disabled(description: &'static str) -> Column {
    Column::text("Disabled", description, |object, _| {
        let disabled = object.at(&["spec", "disabled"]) == Some(&Value::Bool(true));
        text(disabled.to_string())
    })
}

/// A cell of text; an empty text is null, which kubectl leaves blank.
pub(crate) fn text(text: impl Into<String>) -> Value {
    match text.into() {
        text if text.is_empty() => Value::Null,
        text => Value::String(text),
    }
}

/// A cell with the text at a path of member names.
pub(crate) fn text_at(object: &Object, path: &[&str]) -> Value {
    text(object.str_at(path))
}
