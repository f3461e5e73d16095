//! Moving from kubectl's client-side apply to server-side apply.
//!
//! Client-side apply keeps what was applied last in an annotation and writes as an update manager. When the same
//! person applies server-side, kubectl would conflict with itself: what the annotation says, and the object still
//! has, is taken to be kubectl's own. As long as the annotation is there it follows what kubectl applies.

use crate::compare::compare;
use crate::set::FieldSet;
use crate::typed;
use crate::validate::validate;
use apiserver_meta::{Object, Schema};
use serde_json::{Map, Value};

/// The manager that this is for. Whoever does not want it applies under another name.
pub(crate) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What all annotations of an object may hold, keys and values, in bytes.
const MOST_ANNOTATION_BYTES: usize = 256 * 1024;

/// The fields that were applied client-side and have their values still. Empty when the annotation is absent, of
/// another version or not an object of the schema.
pub(crate) fn field_set(schema: &Schema, live: &Object, api_version: &str) -> FieldSet {
    read(schema, live, api_version).unwrap_or_default()
}

fn read(schema: &Schema, live: &Object, api_version: &str) -> Option<FieldSet> {
    let text = live.at(&["metadata", "annotations", ANNOTATION])?.as_str()?;
    let applied: Map<String, Value> = serde_json::from_str(text).ok()?;
    if applied.get("apiVersion")?.as_str()? != api_version {
        return None;
    }
    validate(schema, &applied).ok()?;
    let changes = compare(schema, &applied, &live.0);
    let mut set = typed::field_set(schema, &applied);
    for changed in [&changes.modified, &changes.added, &changes.removed] {
        set.subtract(changed);
    }
    Some(set)
}

/// Brings the annotation of an object that has one up to what is applied now; one that would be too large goes.
pub(crate) fn follow(object: &mut Object, applied: &Object) {
    if object.str_at(&["metadata", "annotations", ANNOTATION]).is_empty() {
        return;
    }
    let mut applied = applied.0.clone();
    if let Some(annotations) = applied.get_mut("metadata").and_then(|m| m.get_mut("annotations")).and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    // kubectl writes the line end, and compares.
    let text = format!("{}\n", Value::Object(applied));
    let metadata = object.metadata_mut();
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(ANNOTATION.into(), text.into());
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes <= MOST_ANNOTATION_BYTES {
        return;
    }
    annotations.remove(ANNOTATION);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}
