//! A tree without what the schema lacks, and otherwise as it was given.

use crate::schema::{Schema, Shape};
use serde_json::Value;

/// Takes unknown fields out and leaves the rest alone: zero values, nulls, missing fields.
///
/// For server-side apply, where an explicit zero is a wish and a field that is not named is none.
pub fn prune(value: &mut Value, schema: &Schema) {
    match (&schema.shape, value) {
        (Shape::Object { fields, .. }, Value::Object(map)) => map.retain(|name, value| match fields.get(name) {
            Some(field) => {
                prune(value, &field.schema);
                true
            }
            None => false,
        }),
        (Shape::Map { values, .. }, Value::Object(map)) => map.values_mut().for_each(|value| prune(value, values)),
        (Shape::List { items, .. }, Value::Array(list)) => list.iter_mut().for_each(|item| prune(item, items)),
        // A value of another type is for conform to refuse.
        _ => {}
    }
}
