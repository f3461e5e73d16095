//! `metadata.managedFields`: who owns which fields, read and written.

use crate::set::FieldSet;
use apiserver_meta::{Object, Schema};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// How many entries of update managers are kept; the oldest beyond are merged into one.
pub(crate) const MOST_UPDATE_MANAGERS: usize = 10;
/// The manager of merged entries.
const ANCIENT_CHANGES: &str = "ancient-changes";
/// Who wrote, when nobody said.
const UNKNOWN: &str = "unknown";

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Server-side apply: says all it wants, each time.
    Apply,
    /// Create, update and the other patches.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Whose fields an entry names. An applier is the same whatever version it speaks.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

impl Identity {
    pub(crate) fn new(manager: crate::Manager<'_>, operation: Operation) -> Self {
        Self {
            name: if manager.name.is_empty() { UNKNOWN } else { manager.name }.to_owned(),
            operation,
            api_version: manager.api_version.to_owned(),
            subresource: manager.subresource.to_owned(),
        }
    }

    /// The parts that tell one manager from another, in the order in which conflicts are told.
    fn parts(&self) -> (&str, Operation, &str, &str) {
        let version = match self.operation {
            Operation::Apply => "",
            Operation::Update => self.api_version.as_str(),
        };
        (&self.name, self.operation, version, &self.subresource)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Identity {}

impl std::fmt::Display for Identity {
    /// As conflicts name it: `"name" with subresource "status" using example.com/v1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Value::from(self.name.as_str()))?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {}", Value::from(self.subresource.as_str()))?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

/// One manager's fields.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: Identity,
    /// RFC 3339, whole seconds, UTC; so that text order is time order. Empty: not known.
    pub(crate) time: String,
    pub(crate) set: FieldSet,
}

/// Why managed fields cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidManagedFields(String);

/// All managers of an object, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managed {
    entries: Vec<Entry>,
}

impl Managed {
    /// Reads `metadata.managedFields`. An entry that names a manager again replaces the one before.
    pub(crate) fn decode(list: &Value) -> Result<Self, InvalidManagedFields> {
        let Value::Array(list) = list else {
            return Err(InvalidManagedFields("managedFields must be a list".into()));
        };
        let mut entries = list.iter().enumerate().map(|(index, value)| decode_entry(index, value)).collect::<Result<Vec<_>, _>>()?;
        entries.reverse();
        entries.sort_by(|l, r| l.id.parts().cmp(&r.id.parts()));
        entries.dedup_by(|earlier, last| earlier.id == last.id);
        Ok(Self { entries })
    }

    /// The list as it is stored: appliers first, then by time, name, version and subresource. `None` when nobody
    /// owns anything.
    pub(crate) fn encode(mut self) -> Option<Value> {
        self.entries.retain(|entry| !entry.set.is_empty());
        self.entries.sort_by(stored_order);
        (!self.entries.is_empty()).then(|| Value::Array(self.entries.into_iter().map(encode_entry).collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, id: &Identity) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    fn get_mut(&mut self, id: &Identity) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == *id)
    }

    /// Brings the sets into the shape that `schema` has now; `live` is the object that they are of.
    pub(crate) fn reconcile(&mut self, schema: &Schema, live: &Map<String, Value>) {
        self.entries.iter_mut().for_each(|entry| entry.set.reconcile(schema));
        if !self.entries.iter().any(|entry| entry.set.has_free_member(schema)) {
            return;
        }
        let owned = FieldSet::union_all(self.entries.iter().map(|entry| entry.set.clone()));
        let wholes = FieldSet::owned_whole_once(schema, live, &owned);
        if !wholes.is_empty() {
            self.entries.iter_mut().for_each(|entry| entry.set.unfold(&wholes));
        }
    }

    /// Leaves out the managers of other versions: a version that is no longer served cannot be compared with.
    pub(crate) fn only_version(mut self, api_version: &str) -> Self {
        self.entries.retain(|entry| entry.id.api_version == api_version);
        self
    }

    /// The managers that `other` is not, in the order in which conflicts are told.
    pub(crate) fn others(&self, id: &Identity) -> Vec<&Entry> {
        let mut others: Vec<&Entry> = self.entries.iter().filter(|entry| entry.id != *id).collect();
        others.sort_by(|l, r| l.id.parts().cmp(&r.id.parts()));
        others
    }

    /// Changes every entry's set; entries that end up empty go.
    pub(crate) fn each(&mut self, mut change: impl FnMut(&Identity, &mut FieldSet)) {
        self.entries.retain_mut(|entry| {
            change(&entry.id, &mut entry.set);
            !entry.set.is_empty()
        });
    }

    /// Adds to what a manager owns, now.
    pub(crate) fn add(&mut self, id: Identity, set: FieldSet, time: &str) {
        match self.get_mut(&id) {
            Some(entry) => {
                entry.set = std::mem::take(&mut entry.set).union(set);
                time.clone_into(&mut entry.time);
            }
            None => self.entries.push(Entry { id, time: time.to_owned(), set }),
        }
    }

    /// Says anew what a manager owns.
    pub(crate) fn replace(&mut self, new: Entry) {
        self.entries.retain(|entry| entry.id != new.id);
        self.entries.push(new);
    }

    /// Merges the oldest update managers until at most `most` of them are left. All are of one version.
    pub(crate) fn cap(&mut self, most: usize) {
        let (mut updates, mut entries): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.id.operation == Operation::Update);
        if let Some(excess) = updates.len().checked_sub(most).filter(|excess| *excess > 0) {
            updates.sort_by(|l, r| (&l.time, l.id.parts()).cmp(&(&r.time, r.id.parts())));
            let rest = updates.split_off(excess + 1);
            let merged = updates.into_iter().reduce(|old, new| Entry { set: old.set.union(new.set), ..new });
            updates = rest;
            if let Some(Entry { id, time, mut set }) = merged {
                let id = Identity { name: ANCIENT_CHANGES.into(), subresource: String::new(), ..id };
                if let Some(bucket) = updates.iter().position(|entry| entry.id == id) {
                    set = set.union(updates.remove(bucket).set);
                }
                updates.push(Entry { id, time, set });
            }
        }
        entries.extend(updates);
        self.entries = entries;
    }
}

/// Whether an object's managed fields can be read, for what has changed an object on its way to the store.
///
/// An object without any is fine. After a rule outside this server has changed an object, restore the list it
/// had before when this fails, and warn: ".metadata.managedFields was in an invalid state after admission".
///
/// # Errors
/// The first entry that is wrong.
pub fn validate_managed_fields(object: &Object) -> Result<(), InvalidManagedFields> {
    match object.metadata().get("managedFields") {
        None | Some(Value::Null) => Ok(()),
        Some(list) => Managed::decode(list).map(drop),
    }
}

fn stored_order(left: &Entry, right: &Entry) -> Ordering {
    let key = |entry: &Entry| (entry.id.operation, entry.time.clone(), entry.id.name.clone());
    key(left)
        .cmp(&key(right))
        .then_with(|| left.id.api_version.cmp(&right.id.api_version))
        .then_with(|| left.id.subresource.cmp(&right.id.subresource))
}

fn decode_entry(index: usize, value: &Value) -> Result<Entry, InvalidManagedFields> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let fail = |why: String| Err(InvalidManagedFields(why));
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return fail("operation must be `Apply` or `Update`".into()),
    };
    if text("apiVersion").is_empty() {
        return fail("apiVersion must not be empty".into());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return fail(format!("missing fieldsType in managed fields entry {index}")),
        other => return fail(format!("invalid fieldsType {other:?} in managed fields entry {index}")),
    }
    let Some(time) = whole_seconds(text("time")) else {
        return fail(format!("invalid time {:?} in managed fields entry {index}", text("time")));
    };
    let set = match value.get("fieldsV1") {
        None => FieldSet::default(),
        Some(fields) => match FieldSet::from_fields_v1(fields) {
            Ok(set) => set,
            Err(error) => return fail(format!("error decoding set: {error}")),
        },
    };
    let id = Identity {
        name: text("manager").to_owned(),
        operation,
        api_version: text("apiVersion").to_owned(),
        subresource: text("subresource").to_owned(),
    };
    Ok(Entry { id, time, set })
}

/// A time in UTC and without a fraction; empty stays empty.
fn whole_seconds(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    if text.len() == "2006-01-02T15:04:05Z".len() && text.ends_with('Z') {
        return Some(text.to_owned());
    }
    jiff::Timestamp::from_second(time.as_second()).ok().map(|time| time.to_string())
}

fn encode_entry(entry: Entry) -> Value {
    let fields = entry.set.to_fields_v1();
    let Identity { name, operation, api_version, subresource } = entry.id;
    let mut out = Map::new();
    out.insert("apiVersion".into(), api_version.into());
    out.insert("fieldsType".into(), "FieldsV1".into());
    out.insert("fieldsV1".into(), fields);
    out.insert("operation".into(), operation.as_str().into());
    for (member, text) in [("manager", name), ("subresource", subresource), ("time", entry.time)] {
        if !text.is_empty() {
            out.insert(member.into(), text.into());
        }
    }
    Value::Object(out)
}
