//! Taking fields out of an object.

use crate::path::PathElement;
use crate::set::FieldSet;
use crate::typed::{deduced, is_atomic, list_element, member};
use apiserver_meta::schema::{Schema, Shape};
use serde_json::{Map, Value};

/// Takes the members of `fields` out of an object, each with all it holds. A map or list that loses all it has
/// becomes null.
pub(crate) fn remove(schema: &Schema, object: &mut Map<String, Value>, fields: &FieldSet) {
    members(&schema.shape, object, fields);
}

fn members(shape: &Shape, object: &mut Map<String, Value>, fields: &FieldSet) {
    for node in fields.nodes() {
        let PathElement::Field(name) = &node.element else { continue };
        if node.member {
            object.remove(&**name);
        } else if let (Some(child), Some(value)) = (member(shape, name), object.get_mut(&**name)) {
            within(child, value, &node.below);
        }
    }
}

fn within(schema: &Schema, value: &mut Value, fields: &FieldSet) {
    let emptied = match (deduced(&schema.shape, value), &mut *value) {
        (shape @ (Shape::Object { .. } | Shape::Map { .. }), Value::Object(object)) if !is_atomic(shape) => {
            members(shape, object, fields);
            object.is_empty()
        }
        (shape @ Shape::List { items, merge }, Value::Array(list)) if !is_atomic(shape) => {
            list.retain_mut(|item| {
                let Some(node) = list_element(items, merge, item).ok().and_then(|element| fields.node(&element)) else { return true };
                if !node.member {
                    within(items, item, &node.below);
                }
                !node.member && !item.is_null()
            });
            list.is_empty()
        }
        // A leaf of the schema is one field: parts of it that somebody once owned hold the whole.
        (Shape::Object { .. } | Shape::Map { .. } | Shape::List { .. }, _) => true,
        (Shape::String { .. } | Shape::Boolean | Shape::Integer { .. } | Shape::Number | Shape::Any, _) => false,
    };
    if emptied {
        *value = Value::Null;
    }
}
