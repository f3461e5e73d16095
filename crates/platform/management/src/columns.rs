//! What tables show: columns, cells, and ages in the words of kubectl.

use apiserver_meta::{Column, Object};
use serde_json::Value;

/// The object's name, first in every table.
pub(crate) const NAME: Column =
    Column { name: "Name", r#type: "string", format: "name", description: "The name, unique in its namespace.", priority: 0 };

/// How long ago the object was created, last of the columns that are always shown.
pub(crate) const AGE: Column =
    Column { name: "Age", r#type: "date", format: "", description: "How long ago the object was created.", priority: 0 };

/// A column of text that is always shown.
pub(crate) const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, r#type: "string", format: "", description, priority: 0 }
}

/// A column of text that `-o wide` shows.
pub(crate) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..text(name, description) }
}

/// A cell of text; one without any is null, which kubectl leaves blank.
pub(crate) fn cell(text: impl Into<String>) -> Value {
    match text.into() {
        text if text.is_empty() => Value::Null,
        text => Value::String(text),
    }
}

/// A cell with the user or the team that owns the object.
pub(crate) fn owner(object: &Object) -> Value {
    match object.str_at(&["spec", "owner", "user"]) {
        "" => cell(object.str_at(&["spec", "owner", "team"])),
        user => cell(user),
    }
}

/// The cell of [`AGE`]. `now` is in Unix seconds.
pub(crate) fn age(object: &Object, now: i64) -> Value {
    let created = object.meta_str("creationTimestamp").parse::<jiff::Timestamp>();
    Value::String(created.map_or_else(|_| "<unknown>".into(), |created| apiserver_meta::duration::human(now - created.as_second())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_age_of_an_object_is_that_of_its_creation() {
        let created = |time: Value| Object::from_value(json!({"metadata": {"creationTimestamp": time}})).unwrap();
        assert_eq!(age(&created(json!("2026-01-01T00:00:00Z")), 1_767_225_605), json!("5s"));
        assert_eq!(age(&created(json!("2026-01-01T00:00:12Z")), 1_767_225_610), json!("0s"), "made where a clock is 1.1 seconds ahead");
        assert_eq!(age(&created(json!(null)), 0), json!("<unknown>"));
        assert_eq!(age(&Object::default(), 0), json!("<unknown>"));
    }
}
