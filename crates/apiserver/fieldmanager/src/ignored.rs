//! Fields that nobody owns.

use crate::ResetField;
use crate::set::FieldSet;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// What the server itself writes in every object, and what says which object it is.
static SERVERS_OWN: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of_names(&[
        &["apiVersion"],
        &["kind"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// The metadata that an applied object may carry along, and that is never taken from it.
const SERVERS_METADATA: [&str; 4] = ["creationTimestamp", "generation", "managedFields", "selfLink"];
/// The metadata by which a client says which object it means, whatever else is reset.
const ADDRESS: [&str; 4] = ["name", "namespace", "resourceVersion", "uid"];

/// What a write never owns: the server's own fields, and those that its path wipes or restores.
pub(crate) struct Ignored(FieldSet);

impl Ignored {
    pub(crate) fn new(reset: &[ResetField]) -> Self {
        Self(FieldSet::of_names(reset))
    }

    /// Takes what is never owned out of a set.
    pub(crate) fn strip(&self, set: &mut FieldSet) {
        if !set.is_empty() {
            set.subtract_recursive(&SERVERS_OWN);
            set.subtract_recursive(&self.0);
        }
    }
}

/// Takes `metadata` itself out of a set: it may hold owned fields, but is none.
pub(crate) fn without_metadata_itself(set: &mut FieldSet) {
    static METADATA: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::of_names(&[&["metadata"]]));
    set.subtract(&METADATA);
}

/// What of an applied object is merged: all but what the server writes itself, and what would be reset.
pub(crate) fn effective(applied: &Map<String, Value>, reset: &[ResetField]) -> Map<String, Value> {
    let mut out = applied.clone();
    for path in reset {
        take_out(&mut out, path);
    }
    if let Some(metadata) = out.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !SERVERS_METADATA.contains(&name.as_str()));
    }
    let address = applied.get("metadata").and_then(Value::as_object);
    for (name, value) in address.into_iter().flatten().filter(|(name, _)| ADDRESS.contains(&name.as_str())) {
        let metadata = out.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert(name.clone(), value.clone());
        }
    }
    out
}

fn take_out(object: &mut Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [name] => {
            object.remove(*name);
        }
        [name, rest @ ..] => {
            if let Some(Value::Object(below)) = object.get_mut(*name) {
                take_out(below, rest);
            }
        }
    }
}
