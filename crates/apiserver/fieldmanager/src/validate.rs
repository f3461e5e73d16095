//! Whether an applied object fits its schema: what a live object is forgiven, an applied one is not.

use crate::typed::{list_element, member};
use apiserver_meta::excerpt::excerpt;
use apiserver_meta::schema::{ListMerge, Schema, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// The first fields of an applied object that do not fit are told; the rest would not be read.
const MOST_PROBLEMS: usize = 10;

/// The longest path of a problem, in bytes.
const MOST_PATH: usize = 1024;
/// How much of a value of a wrong type is told, in bytes.
const MOST_VALUE: usize = 64;

/// Checks types, unknown fields, and that no two items of a list share a key.
///
/// # Errors
/// What is wrong, each with its path, in the words of Kubernetes' own servers.
pub(crate) fn validate(schema: &Schema, object: &Map<String, Value>) -> Result<(), String> {
    let mut problems = Vec::new();
    members(&schema.shape, object, &Place::Root, &mut problems);
    match problems.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// Where the walk is, as a chain of names on the stack: written out only when something is wrong.
enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, String),
}

impl Place<'_> {
    fn path(&self) -> String {
        excerpt(self, MOST_PATH)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Item(above, element) => write!(f, "{above}{element}"),
        }
    }
}

/// What of a value is told: its beginning, and of lists and maps nothing, in which there may be much, and secrets.
fn told(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
        scalar => excerpt(scalar, MOST_VALUE),
    }
}

fn report(place: &Place<'_>, problem: &str, problems: &mut Vec<String>) {
    if problems.len() < MOST_PROBLEMS {
        let path = place.path();
        problems.push(if path.is_empty() { problem.to_owned() } else { format!("{path}: {problem}") });
    }
}

fn members(shape: &Shape, object: &Map<String, Value>, place: &Place<'_>, problems: &mut Vec<String>) {
    for (name, value) in object {
        let at = Place::Field(place, name);
        match member(shape, name) {
            Some(schema) => visit(schema, value, &at, problems),
            None => report(&at, "field not declared in schema", problems),
        }
    }
}

fn visit(schema: &Schema, value: &Value, place: &Place<'_>, problems: &mut Vec<String>) {
    let expected = match (&schema.shape, value) {
        (_, Value::Null)
        | (Shape::Any, _)
        | (Shape::String { .. }, Value::String(_))
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Integer { .. } | Shape::Number, Value::Number(_)) => return,
        (shape @ (Shape::Object { .. } | Shape::Map { .. }), Value::Object(object)) => return members(shape, object, place, problems),
        (Shape::List { items, merge }, Value::Array(list)) => return self::list(items, merge, list, place, problems),
        (Shape::String { .. }, _) => "string",
        (Shape::Boolean, _) => "boolean",
        (Shape::Integer { .. } | Shape::Number, _) => "numeric (int or float)",
        (Shape::Object { .. } | Shape::Map { .. }, _) => "map",
        (Shape::List { .. }, _) => "list",
    };
    report(place, &format!("expected {expected}, got {}", told(value)), problems);
}

fn list(items: &Schema, merge: &ListMerge, list: &[Value], place: &Place<'_>, problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        if *merge == ListMerge::Atomic {
            visit(items, item, &Place::Item(place, format!("[{index}]")), problems);
            continue;
        }
        match list_element(items, merge, item) {
            // Without its key an item has no path to report anything deeper at.
            Err(error) => return report(place, &format!("element {index}: {error}"), problems),
            Ok(element) => {
                let name = element.to_string();
                if !seen.insert(element) {
                    report(place, &format!("duplicate entries for key {}", excerpt(&name, MOST_PATH)), problems);
                }
                visit(items, item, &Place::Item(place, name), problems);
            }
        }
    }
}
