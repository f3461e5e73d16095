//! Columns of tables: what `kubectl get` prints of a kind.
//!
//! A column carries the function that makes its cell, so that a row has exactly one cell for each column.

use crate::duration;
use crate::object::Object;
use serde_json::Value;

/// Makes an object's cell in one column. `now` is Unix seconds, for ages.
pub type Cell = fn(&Object, now: i64) -> Value;

/// One printed column of a Table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer`, `number`, `boolean`, or `date` for a time or an age.
    pub r#type: &'static str,
    /// OpenAPI format; `name` marks the column with the object's name.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 is always shown, more than 0 only with `-o wide`.
    pub priority: i32,
    /// Makes the cell: a value of the column's type, or null for a blank.
    pub cell: Cell,
}

impl Column {
    /// The object's name, the first column of every table.
    pub const NAME: Self =
        Self { format: "name", ..Self::text("Name", "The name, unique in its namespace.", |object, _| object.name().into()) };

    /// How long ago the object was created, the last of the columns that are always shown.
    pub const AGE: Self = Self { r#type: "date", ..Self::text("Age", "How long ago the object was created.", |o, now| age(o, now).into()) };

    /// A column of text that is always shown.
    pub const fn text(name: &'static str, description: &'static str, cell: Cell) -> Self {
        Self { name, r#type: "string", format: "", description, priority: 0, cell }
    }

    /// A column of integers that is always shown.
    pub const fn integer(name: &'static str, description: &'static str, cell: Cell) -> Self {
        Self { r#type: "integer", ..Self::text(name, description, cell) }
    }

    /// The column, shown with `-o wide` only.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}

/// How long ago an object was created, in the words of kubectl. `now` is Unix seconds.
pub fn age(object: &Object, now: i64) -> String {
    object.created_at().map_or_else(|| "<unknown>".into(), |created| duration::human(now - created))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_age_of_an_object_is_that_of_its_creation() {
        let created = |time: Value| Object::from_value(json!({"metadata": {"creationTimestamp": time}})).unwrap();
        assert_eq!(age(&created(json!("2026-01-01T00:00:00Z")), 1_767_225_605), "5s");
        assert_eq!(age(&created(json!("2026-01-01T00:00:12Z")), 1_767_225_610), "0s", "made where a clock is 1.1 seconds ahead");
        assert_eq!(age(&created(json!(null)), 0), "<unknown>");
        assert_eq!(age(&Object::default(), 0), "<unknown>");
    }
}
