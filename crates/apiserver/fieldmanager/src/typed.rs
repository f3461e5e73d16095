//! Values seen through a schema: which fields a value has, and which list item is which.

use crate::path::PathElement;
use crate::set::FieldSet;
use apiserver_meta::schema::{Field, ListMerge, MapMerge, Presence, Schema, Shape};
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};

/// What a shape is for one value: an object without a schema is a map of such values, and merged key by key. Lists
/// without a schema are atomic.
pub(crate) fn deduced<'a>(shape: &'a Shape, value: &Value) -> &'a Shape {
    static FREE: LazyLock<Shape> = LazyLock::new(|| Shape::Map { values: Arc::clone(Schema::any()), merge: MapMerge::Granular });
    match (shape, value) {
        (Shape::Any, Value::Object(_)) => &FREE,
        _ => shape,
    }
}

/// Whether values of this shape are owned and replaced whole.
pub(crate) fn is_atomic(shape: &Shape) -> bool {
    match shape {
        Shape::Object { merge, .. } | Shape::Map { merge, .. } => *merge == MapMerge::Atomic,
        Shape::List { merge, .. } => *merge == ListMerge::Atomic,
        Shape::String { .. } | Shape::Boolean | Shape::Integer { .. } | Shape::Number | Shape::Any => true,
    }
}

/// The schema of a member of an object or map; `None` when there is no such field.
pub(crate) fn member<'a>(shape: &'a Shape, name: &str) -> Option<&'a Schema> {
    match shape {
        Shape::Object { fields, .. } => fields.get(name).map(|field| &*field.schema),
        Shape::Map { values, .. } => Some(values),
        _ => None,
    }
}

/// What finds `item` in a list that is merged item by item.
///
/// # Errors
/// An item that has no key, or is no scalar in a set; the text is for people.
pub(crate) fn list_element(items: &Schema, merge: &ListMerge, item: &Value) -> Result<PathElement, String> {
    let ListMerge::Map { keys } = merge else {
        return match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => Ok(PathElement::Value(scalar.clone())),
        };
    };
    let object = match item {
        Value::Object(object) => object,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let key = |name: &String| {
        let value = object.get(name).or_else(|| items.field(name)?.default.as_ref())?;
        Some((name.as_str().into(), value.clone()))
    };
    let found: Vec<_> = keys.iter().filter_map(key).collect();
    if found.is_empty() && !keys.is_empty() {
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(" ")
        ));
    }
    Ok(PathElement::key(found))
}

/// Every leaf and every list item of a value.
pub(crate) fn field_set_of(schema: &Schema, value: &Value) -> FieldSet {
    fields(schema, value).1
}

/// Every leaf and every list item of an object: what an applier of it owns.
pub(crate) fn field_set(schema: &Schema, object: &Map<String, Value>) -> FieldSet {
    members(&schema.shape, object)
}

fn members(shape: &Shape, object: &Map<String, Value>) -> FieldSet {
    let named = matches!(shape, Shape::Object { .. });
    let mut set = FieldSet::default();
    for (name, value) in object {
        let Some(child) = member(shape, name) else { continue };
        let (leaf, below) = fields(child, value);
        // A named field that has fields is not itself owned; a key of a free map always is.
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        set.attach(PathElement::field(name), leaf || empty || !named, below);
    }
    set
}

/// Whether a value is a leaf, and otherwise the fields below it.
fn fields(schema: &Schema, value: &Value) -> (bool, FieldSet) {
    let shape = deduced(&schema.shape, value);
    if is_atomic(shape) {
        return (true, FieldSet::default());
    }
    match (shape, value) {
        (Shape::List { items, merge }, Value::Array(list)) => (false, list_items(items, merge, list)),
        (Shape::Object { .. } | Shape::Map { .. }, Value::Object(object)) => (false, members(shape, object)),
        _ => (false, FieldSet::default()),
    }
}

fn list_items(items: &Schema, merge: &ListMerge, list: &[Value]) -> FieldSet {
    let mut seen: std::collections::BTreeMap<PathElement, Option<&Value>> = std::collections::BTreeMap::new();
    for item in list {
        let Ok(element) = list_element(items, merge, item) else { continue };
        // Items that share a key are owned together, as one leaf.
        seen.entry(element).and_modify(|only| *only = None).or_insert(Some(item));
    }
    let mut set = FieldSet::default();
    for (element, only) in seen {
        set.attach(element, true, only.map(|item| fields(items, item).1).unwrap_or_default());
    }
    set
}

/// The object that has only what is always written: what a create starts from.
pub(crate) fn empty_object(schema: &Schema) -> Map<String, Value> {
    let Shape::Object { fields, .. } = &schema.shape else { return Map::new() };
    let always = |(name, field): (&String, &Field)| (field.presence == Presence::Always).then(|| (name.clone(), zero(&field.schema)));
    fields.iter().filter_map(always).collect()
}

fn zero(schema: &Schema) -> Value {
    match &schema.shape {
        Shape::Object { .. } => Value::Object(empty_object(schema)),
        Shape::Map { .. } => Value::Object(Map::new()),
        Shape::String { .. } => Value::from(""),
        Shape::Boolean => Value::from(false),
        Shape::Integer { .. } | Shape::Number => Value::from(0),
        Shape::List { .. } | Shape::Any => Value::Null,
    }
}
