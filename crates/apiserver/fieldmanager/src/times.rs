//! When the time of an entry changes.

use apiserver_meta::Object;
use serde_json::{Map, Value};

/// Puts back the times of the managed fields in `new` when nothing else in it differs from `live`, so that a write
/// that changes nothing can be seen to be none. resourceVersion is not looked at.
///
/// [`crate::update`] and [`crate::apply`] end with it. Call it again after anything else has changed `new`.
pub fn keep_times(live: &Object, new: &mut Object) {
    let (Some(old), Some(now)) = (owners(live), owners(new)) else { return };
    // Most writes change something: that is seen first.
    if unchanged(live, new) && same_owners(old, now) {
        let list = Value::Array(old.clone());
        new.metadata_mut().insert("managedFields".into(), list);
    }
}

/// Whether two lists name the same managers with the same fields, at whatever times.
fn same_owners(old: &[Value], now: &[Value]) -> bool {
    // A new time may have moved an entry.
    old.len() == now.len() && by_manager(old).into_iter().zip(by_manager(now)).all(|(old, now)| same_but(old, now, &["time"]))
}

fn by_manager(list: &[Value]) -> Vec<&Value> {
    let mut entries: Vec<&Value> = list.iter().collect();
    entries.sort_by_key(|entry| {
        let entry: &Value = entry;
        ["manager", "operation", "apiVersion", "subresource"].map(|member| entry.get(member).and_then(Value::as_str).unwrap_or(""))
    });
    entries
}

fn owners(object: &Object) -> Option<&Vec<Value>> {
    object.metadata().get("managedFields")?.as_array()
}

/// Whether two objects are the same but for their managed fields and resourceVersion.
pub(crate) fn unchanged(live: &Object, new: &Object) -> bool {
    same_maps(&live.0, &new.0, &["metadata"]) && same_maps(live.metadata(), new.metadata(), &["managedFields", "resourceVersion"])
}

fn same_but(left: &Value, right: &Value, ignored: &[&str]) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => same_maps(left, right, ignored),
        _ => false,
    }
}

fn same_maps(left: &Map<String, Value>, right: &Map<String, Value>, ignored: &[&str]) -> bool {
    let seen = |name: &String| !ignored.contains(&name.as_str());
    left.keys().filter(|name| seen(name)).count() == right.keys().filter(|name| seen(name)).count()
        && left.iter().filter(|(name, _)| seen(name)).all(|(name, value)| right.get(name) == Some(value))
}
