//! Creates, updates and patches: the object is written already, only its owners are found.

use crate::changes::Changes;
use crate::ignored::{Ignored, without_metadata_itself};
use crate::managed::{Identity, MOST_UPDATE_MANAGERS, Managed, Operation};
use crate::{Manager, ResetField, keep_times, typed};
use apiserver_meta::{Object, Schema};
use serde_json::{Map, Value};

/// Records a create, update or (non-apply) patch in `new.metadata.managedFields`.
///
/// Call it when `new` is canonical, what the path may not write (status, or spec and metadata) is restored from
/// `live`, uid, creationTimestamp and generation are set, but before admission: what admission changes belongs
/// to nobody. resourceVersion is not looked at. After admission, [`keep_times`] and a comparison with `live`
/// (without resourceVersion) tell whether anything is to be stored.
///
/// `live` is `None` on create. Of managed fields that the client sent, an empty list or one empty entry resets
/// (the decoder must not drop an empty list as a zero value); an absent or invalid list keeps the live one; a list
/// sent through a subresource is ignored. An object whose fields nobody owned stays so until its first apply.
/// A write that changes nothing leaves every time as it was, so that it can be seen to be none.
pub fn update(schema: &Schema, live: Option<&Object>, new: &mut Object, manager: Manager<'_>, reset: &[ResetField]) {
    let list = new.metadata_mut().remove("managedFields");
    let sent = list.filter(|_| manager.subresource.is_empty());
    let ignored = Ignored::new(reset);
    let Some(live) = live else {
        let changes = Changes::between(schema, &typed::empty_object(schema), &new.0, &ignored);
        return write(new, owners(sent.as_ref(), None), schema, &Map::new(), changes, manager);
    };
    let before = live.metadata().get("managedFields");
    let changes = Changes::between(schema, &live.0, &new.0, &ignored);
    if changes.is_empty() && (sent.is_none() || sent.as_ref() == before) {
        new.metadata_mut().extend(before.map(|list| ("managedFields".to_owned(), list.clone())));
        return;
    }
    let managed = owners(sent.as_ref(), before);
    if !managed.is_empty() {
        write(new, managed, schema, &live.0, changes, manager);
        keep_times(live, new);
    }
}

/// Who owned what before a write, by the client or else by the live object.
fn owners(sent: Option<&Value>, live: Option<&Value>) -> Managed {
    if sent.is_some_and(resets) {
        return Managed::default();
    }
    let decode = |list: Option<&Value>| Managed::decode(list?).ok();
    decode(sent).or_else(|| decode(live)).unwrap_or_default()
}

/// Whether a list of managed fields asks to forget all of them.
fn resets(list: &Value) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(only)]) => only.is_empty(),
        _ => false,
    }
}

fn write(new: &mut Object, managed: Managed, schema: &Schema, live: &Map<String, Value>, changes: Changes, manager: Manager<'_>) {
    let mut managed = managed.only_version(manager.api_version);
    managed.reconcile(schema, live);
    record(&mut managed, changes, Identity::new(manager, Operation::Update), manager.time);
    managed.cap(MOST_UPDATE_MANAGERS);
    if let Some(list) = managed.encode() {
        new.metadata_mut().insert("managedFields".into(), list);
    }
}

/// Gives what changes to the writer, now, and takes it from everybody else.
pub(crate) fn record(managed: &mut Managed, changes: Changes, writer: Identity, time: &str) {
    managed.each(|_, set| changes.take_from(set));
    let mut gained = changes.gained;
    without_metadata_itself(&mut gained);
    if !gained.is_empty() {
        managed.add(writer, gained, time);
    }
}
