//! Strategic merge patch: a merge patch that knows from the schema which lists are keyed, and that understands directives.
//!
//! | directive | meaning |
//! |---|---|
//! | `$patch: replace` | in an object or a list: what is there gives way to the rest of this object or list |
//! | `$patch: delete` | in an object: it is emptied; in an item of a keyed list: the item with these keys goes |
//! | `$patch: merge` | in an object: what happens anyway |
//! | `$retainKeys: [names]` | in an object: members that are not named go |
//! | `$setElementOrder/NAME: [items]` | beside a keyed list or a set: its order |
//! | `$deleteFromPrimitiveList/NAME: [values]` | beside a list of scalars: these values go |
//!
//! Directives never reach the result. Upstream: k8s.io/apimachinery/pkg/util/strategicpatch, and the design
//! proposal "Preserve Order in Strategic Merge Patch". Departures, where upstream answers 500 or stores the
//! directive: the errors are 400 or 422, directives are obeyed below members that the object lacks, and items
//! of a keyed list must have their keys there too.

use crate::error::{PatchError, REJECTED};
use crate::parse::parse_object;
use apiserver_meta::excerpt::excerpt;
use apiserver_meta::schema::{ListMerge, MapMerge, Shape};
use apiserver_meta::{Cause, FieldPath, Schema};
use list::{merge_keyed, merge_set};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

mod list;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";

pub(crate) fn apply(object: Value, patch: &[u8], schema: &Schema) -> Result<Value, PatchError> {
    let patch = parse_object(patch, "a strategic merge patch")?;
    let original = match object {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    merge_object(original, patch, Some(schema), &FieldPath::default()).map(Value::Object)
}

/// The members of one object of the patch, sorted by what they are.
#[derive(Default)]
struct Parts {
    directive: Option<Directive>,
    retain: Option<HashSet<String>>,
    members: Map<String, Value>,
    orders: BTreeMap<String, Vec<Value>>,
    deletions: BTreeMap<String, Vec<Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Delete,
    Merge,
    Replace,
}

impl Directive {
    fn decode(value: &Value, path: &FieldPath) -> Result<Self, PatchError> {
        match value.as_str() {
            Some("delete") => Ok(Self::Delete),
            Some("merge") => Ok(Self::Merge),
            Some("replace") => Ok(Self::Replace),
            _ => Err(PatchError::Malformed(format!("unknown patch type: {} in {}", excerpt(value, 64), name_of(path)))),
        }
    }

    /// The directive that an object carries, if it does.
    fn of(members: &Map<String, Value>, path: &FieldPath) -> Result<Option<Self>, PatchError> {
        members.get(DIRECTIVE).map(|value| Self::decode(value, path)).transpose()
    }
}

impl Parts {
    fn decode(patch: Map<String, Value>, path: &FieldPath) -> Result<Self, PatchError> {
        let mut parts = Self { directive: Directive::of(&patch, path)?, ..Self::default() };
        for (name, value) in patch {
            if name == DIRECTIVE {
                continue;
            }
            if name == RETAIN_KEYS {
                parts.retain = Some(names(value)?);
            } else if let Some(rest) = name.strip_prefix(SET_ELEMENT_ORDER) {
                let (field, items) = beside(rest, value, "invalid patch format of setElementOrder list")?;
                parts.orders.insert(field, items);
            } else if let Some(rest) = name.strip_prefix(DELETE_FROM_LIST) {
                let (field, items) = beside(rest, value, "invalid patch format of primitive list")?;
                parts.deletions.insert(field, items);
            } else {
                parts.members.insert(name, value);
            }
        }
        parts.check_retained()?;
        Ok(parts)
    }

    /// Refuses members that are set and not retained.
    fn check_retained(&self) -> Result<(), PatchError> {
        let Some(retain) = &self.retain else {
            return Ok(());
        };
        if self.members.iter().all(|(name, value)| value.is_null() || retain.contains(name)) {
            return Ok(());
        }
        Err(PatchError::Malformed("invalid patch format of retainKeys".into()))
    }
}

fn names(value: Value) -> Result<HashSet<String>, PatchError> {
    serde_json::from_value(value).map_err(|_| PatchError::Malformed("invalid patch format of retainKeys".into()))
}

/// The field's name behind `$directive/`, and the directive's list.
fn beside(rest: &str, value: Value, complaint: &str) -> Result<(String, Vec<Value>), PatchError> {
    match (rest.strip_prefix('/'), value) {
        (Some(field), Value::Array(items)) => Ok((field.to_owned(), items)),
        _ => Err(PatchError::Malformed(complaint.into())),
    }
}

fn merge_object(
    mut original: Map<String, Value>,
    patch: Map<String, Value>,
    schema: Option<&Schema>,
    path: &FieldPath,
) -> Result<Map<String, Value>, PatchError> {
    let mut parts = Parts::decode(patch, path)?;
    match parts.directive {
        Some(Directive::Delete) => return Ok(Map::new()),
        Some(Directive::Replace) => original = Map::new(),
        Some(Directive::Merge) | None => {}
    }
    if let Some(retain) = &parts.retain {
        original.retain(|name, _| retain.contains(name));
    }
    for (name, value) in parts.members {
        let before = original.remove(&name);
        let order = parts.orders.remove(&name);
        if let Some(merged) = merge_value(before, value, order, below(schema, &name), &path.child(&name))? {
            original.insert(name, merged);
        }
    }
    for (name, order) in parts.orders {
        // An order without a list beside it only sorts the list that is there.
        if let Some(Value::Array(items)) = original.get_mut(&name) {
            *items = sort_list(std::mem::take(items), order, below(schema, &name), &path.child(&name))?;
        }
    }
    for (name, unwanted) in parts.deletions {
        if let Some(Value::Array(items)) = original.get_mut(&name) {
            list::remove_values(items, &unwanted);
        }
    }
    Ok(original)
}

/// One member after the merge; `None` when it goes.
fn merge_value(
    original: Option<Value>,
    patch: Value,
    order: Option<Vec<Value>>,
    schema: Option<&Schema>,
    path: &FieldPath,
) -> Result<Option<Value>, PatchError> {
    match (original, patch) {
        (_, Value::Null) => Ok(None),
        (original, Value::Object(patch))
            if !matches!(original, Some(Value::Object(_))) && Directive::of(&patch, path)? == Some(Directive::Delete) =>
        {
            Ok(None)
        }
        (Some(Value::Object(_)), Value::Object(patch)) if replaced_whole(schema) => Ok(Some(Value::Object(patch))),
        (_, Value::Object(patch)) if replaced_whole(schema) => Ok(Some(without_nulls(Value::Object(patch)))),
        (Some(Value::Object(original)), Value::Object(patch)) => merge_object(original, patch, schema, path).map(Value::Object).map(Some),
        (_, Value::Object(patch)) => merge_object(Map::new(), patch, schema, path).map(Value::Object).map(Some),
        (Some(Value::Array(original)), Value::Array(patch)) => merge_list(original, patch, order, schema, path).map(Some),
        (_, Value::Array(patch)) => merge_list(Vec::new(), patch, order, schema, path).map(without_nulls).map(Some),
        (_, scalar) => Ok(Some(scalar)),
    }
}

fn merge_list(
    original: Vec<Value>,
    mut patch: Vec<Value>,
    order: Option<Vec<Value>>,
    schema: Option<&Schema>,
    path: &FieldPath,
) -> Result<Value, PatchError> {
    let merged = match schema.map(|schema| &schema.shape) {
        Some(Shape::List { items, merge: ListMerge::Map { keys } }) => {
            merge_keyed(original, patch, order, &list::Keyed { keys, items, path })?
        }
        Some(Shape::List { merge: ListMerge::Set, .. }) => merge_set(original, patch, order, path)?,
        _ => {
            patch.retain(|item| !matches!(item, Value::Object(members) if members.contains_key(DIRECTIVE)));
            patch
        }
    };
    Ok(Value::Array(merged))
}

/// Puts a list that the patch does not change into the order that it asks for.
fn sort_list(items: Vec<Value>, order: Vec<Value>, schema: Option<&Schema>, path: &FieldPath) -> Result<Vec<Value>, PatchError> {
    match schema.map(|schema| &schema.shape) {
        Some(Shape::List { items: item, merge: ListMerge::Map { keys } }) => {
            list::sort_keyed(items, order, &list::Keyed { keys, items: item, path })
        }
        Some(Shape::List { merge: ListMerge::Set, .. }) => Ok(list::sort_set(items, order)),
        _ => Ok(items),
    }
}

/// A value that takes the place of nothing, or of another type: null members in it would remove nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name, without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

/// The schema of the member `name`.
fn below<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Schema> {
    match &schema?.shape {
        Shape::Object { fields, .. } => fields.get(name).map(|field| field.schema.as_ref()),
        Shape::Map { values, .. } => Some(values),
        Shape::String { .. } | Shape::Boolean | Shape::Integer { .. } | Shape::Number | Shape::List { .. } | Shape::Any => None,
    }
}

/// Whether an object is replaced and not merged. Without a schema it is merged by key, as in upstream, where a field of any
/// content is a map.
fn replaced_whole(schema: Option<&Schema>) -> bool {
    matches!(
        schema.map(|schema| &schema.shape),
        Some(Shape::Object { merge: MapMerge::Atomic, .. } | Shape::Map { merge: MapMerge::Atomic, .. })
    )
}

fn unprocessable(path: &FieldPath, why: impl Into<String>) -> PatchError {
    let cause = Cause { reason: "FieldValueInvalid".into(), message: why.into(), field: path.to_string() };
    PatchError::Unprocessable { message: REJECTED.into(), causes: vec![cause] }
}

fn name_of(path: &FieldPath) -> &str {
    if path.as_str().is_empty() { "the patch" } else { path.as_str() }
}
