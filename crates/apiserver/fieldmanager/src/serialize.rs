//! `fieldsV1`: a set of fields as JSON, both ways.
//!
//! A member is an object; the fields below it are its members, spelled as [`PathElement`]s; a field that is a
//! member and has members below has `.` among them. Keys stand in the sorted order of every canonical object.

use crate::path::{PathElement, PathError};
use crate::set::{FieldSet, Node};
use apiserver_meta::excerpt::excerpt;
use serde_json::{Map, Value};

/// The member of an object that says that the object itself is in the set.
const SELF: &str = ".";

impl FieldSet {
    /// The set as `fieldsV1`.
    pub(crate) fn to_fields_v1(&self) -> Value {
        Value::Object(self.members())
    }

    fn members(&self) -> Map<String, Value> {
        self.nodes()
            .iter()
            .map(|node| {
                let mut below = node.below.members();
                if node.member && !below.is_empty() {
                    below.insert(SELF.into(), Value::Object(Map::new()));
                }
                (node.element.serialized(), Value::Object(below))
            })
            .collect()
    }

    /// Reads `fieldsV1`. Kinds of path elements that are not known are left out with all they contain.
    ///
    /// # Errors
    /// A key that is no path element, or a value that is no object.
    pub(crate) fn from_fields_v1(value: &Value) -> Result<Self, PathError> {
        Ok(read(value)?.0)
    }
}

/// What is below a value, and whether the value itself is a member.
fn read(value: &Value) -> Result<(FieldSet, bool), PathError> {
    let members = match value {
        Value::Object(members) => members,
        Value::Null => return Ok((FieldSet::default(), true)),
        other => return Err(PathError::Malformed(format!("expected an object, got {}", excerpt(other, 64)))),
    };
    let mut nodes = Vec::with_capacity(members.len());
    for (key, value) in members.iter().filter(|(key, _)| *key != SELF) {
        match PathElement::parse(key) {
            Ok(element) => {
                let (below, member) = read(value)?;
                nodes.push(Node { element, member, below });
            }
            Err(PathError::Unknown) => {}
            Err(error) => return Err(error),
        }
    }
    let set = FieldSet::from_nodes(nodes);
    let member = set.is_empty() || members.contains_key(SELF);
    Ok((set, member))
}
