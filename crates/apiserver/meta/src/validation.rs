//! Rules of names, labels, annotations and the rest of object metadata, for every kind.
//!
//! They look at conformed objects, whose types are right. Not looked at: resourceVersion, which the
//! registry compares, and what the server itself restores before an update (see [`validate_object_meta_update`]).

use crate::field::{FieldError, FieldPath, MOST_ERRORS, is_printable, quoted};
use crate::object::Object;
use crate::resource::Scope;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;

mod names;
mod sizes;

pub use names::{is_dns1123_label, is_dns1123_subdomain, is_qualified_name, is_valid_label_value};
pub use sizes::{MOST_ITEMS, Size, SizeLimit, validate_sizes};

/// The longest name of a field manager, in bytes.
pub const FIELD_MANAGER_MAX: usize = 128;
/// All annotations of an object together, keys and values, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
const SUBRESOURCE_MAX: usize = 256;
/// The finalizer that keeps dependents when their owner is deleted.
const FINALIZER_ORPHAN: &str = "orphan";
/// The finalizer that deletes dependents before their owner.
const FINALIZER_FOREGROUND: &str = "foregroundDeletion";

/// Validates the metadata of an object that is created, after its name was generated.
///
/// Names are RFC 1123 subdomains, which are path segments too.
pub fn validate_object_meta(object: &Object, scope: Scope) -> Vec<FieldError> {
    let root = FieldPath::new("metadata");
    let mut errors = Vec::new();
    let generate_name = object.meta_str("generateName");
    if !generate_name.is_empty() {
        each(&mut errors, &root.child("generateName"), generate_name, is_dns1123_subdomain(&without_trailing_dash(generate_name)));
    }
    match object.name() {
        "" => errors.push(FieldError::required(&root.child("name"), "name or generateName is required")),
        name => each(&mut errors, &root.child("name"), name, is_dns1123_subdomain(name)),
    }
    let path = root.child("namespace");
    match (scope, object.namespace()) {
        (Scope::Namespaced, "") => errors.push(FieldError::required(&path, "")),
        (Scope::Namespaced, namespace) => each(&mut errors, &path, namespace, is_dns1123_label(namespace)),
        (Scope::Cluster, "") => {}
        (Scope::Cluster, _) => errors.push(FieldError::forbidden(&path, "not allowed on this type")),
    }
    generation(&mut errors, object, &root);
    labels(&mut errors, object, &root);
    annotations(&mut errors, object, &root);
    owner_references(&mut errors, object, &root);
    finalizers(&mut errors, object, &root);
    managed_fields(&mut errors, object, &root);
    errors
}

/// Validates the metadata of an object that replaces `old`: everything that is wrong with it, and with the step.
///
/// Before it is asked, the server fills in an absent uid, and restores creationTimestamp, generation, and a
/// deletionTimestamp and deletionGracePeriodSeconds that were left out; what still differs is the caller's mistake.
pub fn validate_object_meta_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let root = FieldPath::new("metadata");
    let mut errors = validate_object_meta_step(new, old);
    labels(&mut errors, new, &root);
    annotations(&mut errors, new, &root);
    owner_references(&mut errors, new, &root);
    finalizers(&mut errors, new, &root);
    managed_fields(&mut errors, new, &root);
    errors
}

/// Validates what changes between `old` and an object with whose metadata by itself nothing is wrong:
/// [`validate_object_meta_update`] finds no more with such an object.
pub fn validate_object_meta_step(new: &Object, old: &Object) -> Vec<FieldError> {
    let root = FieldPath::new("metadata");
    let mut errors = Vec::new();
    if old.is_terminating() {
        no_new_finalizers(&mut errors, new, old, &root);
    }
    generation(&mut errors, new, &root);
    if new.generation() < old.generation() {
        errors.push(FieldError::invalid(&root.child("generation"), new.generation(), "must not be decremented"));
    }
    let both = [new.metadata(), old.metadata()];
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let [new, old] = both.map(|metadata| metadata.get(field).filter(|value| !value.is_null()));
        if !same(new, old) {
            let absent = if matches!(field, "name" | "namespace" | "uid") { Value::from("") } else { Value::Null };
            errors.push(FieldError::invalid(&root.child(field), new.cloned().unwrap_or(absent), "field is immutable"));
        }
    }
    errors
}

/// Validates the name of a field manager: its length, and every character that cannot be printed.
pub fn validate_field_manager(manager: &str, path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if manager.len() > FIELD_MANAGER_MAX {
        // Each error of a character shows the whole name.
        errors.push(FieldError::too_long(path, FIELD_MANAGER_MAX));
        return errors;
    }
    let bad = manager.char_indices().filter(|(_, char)| !is_printable(*char));
    errors.extend(bad.map(|(at, char)| {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(char));
        FieldError::invalid(path, manager, detail)
    }));
    errors
}

fn each(errors: &mut Vec<FieldError>, path: &FieldPath, value: &str, texts: Vec<String>) {
    errors.extend(texts.into_iter().map(|text| FieldError::invalid(path, value, text)));
}

/// Asks of each of a client's items what is wrong with it. A body may be all faults: the first are enough to go on with.
fn of_each<T>(errors: &mut Vec<FieldError>, items: impl IntoIterator<Item = T>, mut check: impl FnMut(&mut Vec<FieldError>, T)) {
    for item in items {
        if errors.len() >= MOST_ERRORS {
            return;
        }
        check(errors, item);
    }
}

/// A generated name goes on after the dash, so a dash at the end is no fault.
fn without_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => name.to_owned(),
    }
}

fn generation(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    if object.generation() < 0 {
        errors.push(FieldError::invalid(&root.child("generation"), object.generation(), "must be greater than or equal to 0"));
    }
}

fn entries<'a>(object: &'a Object, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = object.metadata().get(field).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("")))
}

fn labels(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    let path = root.child("labels");
    of_each(errors, entries(object, "labels"), |errors, (key, value)| {
        each(errors, &path, key, is_qualified_name(key));
        each(errors, &path, value, is_valid_label_value(value));
    });
}

fn annotations(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    let path = root.child("annotations");
    let size: usize = entries(object, "annotations").map(|(key, value)| key.len() + value.len()).sum();
    // Only here upper case is allowed in the prefix as well.
    of_each(errors, entries(object, "annotations"), |errors, (key, _)| each(errors, &path, key, is_qualified_name(&key.to_lowercase())));
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(&path, ANNOTATIONS_MAX));
    }
}

fn items<'a>(object: &'a Object, field: &str) -> &'a [Value] {
    object.metadata().get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn owner_references(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    let path = root.child("ownerReferences");
    let references = items(object, "ownerReferences");
    of_each(errors, references, |errors, reference| owner_reference(errors, reference, &path));
    let controls = |reference: &&Value| reference.get("controller") == Some(&Value::Bool(true));
    let name = |reference: &Value| format!("{}/{}", text(reference, "kind"), text(reference, "name"));
    let mut controllers = references.iter().filter(controls).map(name);
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        // The error shows all references, so it is made for the first two only.
        let detail = format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}");
        errors.push(FieldError::invalid(&path, references.to_vec(), detail));
    }
}

fn owner_reference(errors: &mut Vec<FieldError>, reference: &Value, path: &FieldPath) {
    let (group, version) = group_version(text(reference, "apiVersion"));
    if version.is_empty() {
        errors.push(FieldError::invalid(&path.child("apiVersion"), text(reference, "apiVersion"), "version must not be empty"));
    }
    for field in ["kind", "name", "uid"] {
        if text(reference, field).is_empty() {
            errors.push(FieldError::invalid(&path.child(field), "", "must not be empty"));
        }
    }
    if (group, version, text(reference, "kind")) == ("", "v1", "Event") {
        errors.push(FieldError::invalid(path, reference.clone(), "/v1, Kind=Event is disallowed from being an owner"));
    }
}

/// `group/version`, or `version` alone; nothing when there is more than one slash.
fn group_version(api_version: &str) -> (&str, &str) {
    match api_version.split_once('/') {
        None => ("", api_version),
        Some((_, rest)) if rest.contains('/') => ("", ""),
        Some(both) => both,
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}

fn finalizers(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    let path = root.child("finalizers");
    let finalizers = object.finalizers();
    of_each(errors, &finalizers, |errors, finalizer| each(errors, &path, finalizer, is_qualified_name(finalizer)));
    if finalizers.contains(&FINALIZER_ORPHAN) && finalizers.contains(&FINALIZER_FOREGROUND) {
        let detail = format!("finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid(&path, items(object, "finalizers").to_vec(), detail));
    }
}

fn no_new_finalizers(errors: &mut Vec<FieldError>, new: &Object, old: &Object, root: &FieldPath) {
    let old: HashSet<&str> = old.finalizers().into_iter().collect();
    let mut added: Vec<&str> = new.finalizers().into_iter().filter(|finalizer| !old.contains(finalizer)).collect();
    if added.is_empty() {
        return;
    }
    added.sort_unstable();
    added.dedup();
    let added = added.into_iter().take(MOST_ERRORS).map(quoted).collect::<Vec<_>>().join(", ");
    let detail = format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{added}}}");
    errors.push(FieldError::forbidden(&root.child("finalizers"), detail));
}

fn managed_fields(errors: &mut Vec<FieldError>, object: &Object, root: &FieldPath) {
    of_each(errors, items(object, "managedFields").iter().enumerate(), |errors, (index, entry)| {
        let path = root.child("managedFields").index(index);
        let operation = text(entry, "operation");
        if !matches!(operation, "Apply" | "Update") {
            errors.push(FieldError::invalid(&path.child("operation"), operation, "must be `Apply` or `Update`"));
        }
        let fields_type = text(entry, "fieldsType");
        if !matches!(fields_type, "" | "FieldsV1") {
            errors.push(FieldError::invalid(&path.child("fieldsType"), fields_type, "must be `FieldsV1`"));
        }
        errors.extend(validate_field_manager(text(entry, "manager"), &path.child("manager")));
        if text(entry, "subresource").len() > SUBRESOURCE_MAX {
            errors.push(FieldError::too_long(&path.child("subresource"), SUBRESOURCE_MAX));
        }
    });
}

/// Equal as JSON, or two spellings of one second; an empty string is as good as none.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let given = |value: Option<&Value>| value.filter(|value| value.as_str() != Some("")).cloned();
    let seconds = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok()).map(|time| time.as_second());
    match (given(a), given(b)) {
        (Some(a), Some(b)) => a == b || seconds(&a).is_some_and(|time| Some(time) == seconds(&b)),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests;
