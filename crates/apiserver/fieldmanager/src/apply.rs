//! Server-side apply: a manager says all it wants of an object, each time.

use crate::changes::Changes;
use crate::ignored::{Ignored, effective, without_metadata_itself};
use crate::managed::{Entry, Identity, Managed, Operation};
use crate::merge::merge;
use crate::remove::remove;
use crate::set::FieldSet;
use crate::times::unchanged;
use crate::typed::{empty_object, field_set};
use crate::update::record;
use crate::validate::validate;
use crate::{ApplyError, Conflict, Manager, ResetField, keep_times, last_applied};
use apiserver_meta::{Object, Schema, decode};
use serde_json::{Map, Value};

/// The manager of what an object had before anybody applied to it, where nobody was said to own it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// How many conflicts are told. An object has room for tens of thousands of fields.
const MOST_CONFLICTS: usize = 100;

/// Server-side apply: merges `applied` into `live` (or creates from nothing) and returns the new object, canonical
/// and with its managed fields.
///
/// `applied` is the body as it was parsed, unknown fields taken out or refused, but not made canonical: zero values
/// and nulls that the client wrote are said and owned, objects that are always written are not. What the path
/// may not write (`reset`) and what the server writes itself is not taken from it; a resourceVersion and a uid
/// are, and the caller compares them with the live object's. Call it first, then go on as with an update: restore,
/// admission, validation, [`keep_times`]. Don't call [`crate::update`] for the same write.
///
/// An apply that changes nothing returns the live object, managed fields and times included. A field that the
/// manager applied before and does not apply now is removed, unless somebody else owns it.
///
/// # Errors
/// [`ApplyError::Conflicts`] with the managers of fields that would change, unless `force`.
/// [`ApplyError::Malformed`] for an object with managedFields, of another version, with undeclared fields, wrong
/// types or a list in which two items share a key.
pub fn apply(
    schema: &Schema,
    live: Option<&Object>,
    applied: &Object,
    manager: Manager<'_>,
    force: bool,
    reset: &[ResetField],
) -> Result<Object, ApplyError> {
    check(schema, applied, manager)?;
    let applier = Identity::new(manager, Operation::Apply);
    let ignored = Ignored::new(reset);
    let empty = Object(empty_object(schema));
    let old = live.unwrap_or(&empty);
    let managed = old.metadata().get("managedFields").and_then(|list| Managed::decode(list).ok()).unwrap_or_default();
    let untracked = live.is_some() && managed.is_empty();
    let mut managed = managed.only_version(manager.api_version);
    managed.reconcile(schema, &old.0);
    if untracked {
        let before = Identity::new(Manager { name: BEFORE_FIRST_APPLY, ..manager }, Operation::Update);
        record(&mut managed, Changes::between(schema, &empty.0, &old.0, &ignored), before, manager.time);
    }
    let config = effective(&applied.0, reset);
    let merged = Merged::new(schema, &old.0, &config, managed, &applier, &ignored);
    if !force {
        merged.refuse_conflicts(schema, old, &applier)?;
    }
    let (object, set, mut managed) = merged.settle(&applier);
    let mut new = canonical(schema, object)?;
    if applier.name == last_applied::KUBECTL {
        last_applied::follow(&mut new, applied);
    }
    // An entry that is new, or says something new, is of now even where the object had the values already.
    let time = match managed.get(&applier) {
        Some(last) if last.set == set && live.is_some_and(|live| unchanged(live, &new)) => last.time.clone(),
        _ => manager.time.to_owned(),
    };
    managed.replace(Entry { id: applier, time, set });
    new.metadata_mut().remove("managedFields");
    if let Some(list) = managed.encode() {
        new.metadata_mut().insert("managedFields".into(), list);
    }
    if let Some(live) = live {
        keep_times(live, &mut new);
    }
    Ok(new)
}

/// What can be seen to be wrong without looking at the live object.
fn check(schema: &Schema, applied: &Object, manager: Manager<'_>) -> Result<(), ApplyError> {
    let version = applied.str_at(&["apiVersion"]);
    let kind = applied.str_at(&["kind"]);
    let kind = format!("{}{version}, Kind={kind}", if version.contains('/') { "" } else { "/" });
    if version != manager.api_version {
        return Err(ApplyError::Malformed(format!("invalid object type: {kind}")));
    }
    if applied.metadata().get("managedFields").is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".into()));
    }
    validate(schema, &applied.0).map_err(|problem| {
        let (namespace, name) = (applied.namespace(), applied.name());
        ApplyError::Malformed(format!("failed to create typed patch object ({namespace}/{name}; {kind}): {problem}"))
    })
}

fn canonical(schema: &Schema, object: Map<String, Value>) -> Result<Object, ApplyError> {
    let conformed = decode::conform(Value::Object(object), schema).map_err(|error| ApplyError::Malformed(error.to_string()))?;
    Object::from_value(conformed.value).ok_or_else(|| ApplyError::Malformed("not an object".into()))
}

/// An apply that has been worked out, before anybody's say is asked.
pub(crate) struct Merged {
    /// The live object with what is applied, without what is applied no longer.
    object: Map<String, Value>,
    /// What the applier owns from now on.
    set: FieldSet,
    /// The managers as they were.
    managed: Managed,
    /// What it changes.
    changes: Changes,
}

impl Merged {
    pub(crate) fn new(
        schema: &Schema,
        live: &Map<String, Value>,
        config: &Map<String, Value>,
        managed: Managed,
        applier: &Identity,
        ignored: &Ignored,
    ) -> Self {
        let mut set = field_set(schema, config);
        ignored.strip(&mut set);
        without_metadata_itself(&mut set);
        let object = prune(schema, merge(schema, live, config), &set, &managed, applier);
        let changes = Changes::between(schema, live, &object, ignored);
        Self { object, set, managed, changes }
    }

    /// The fields of others that this apply would change, by manager.
    pub(crate) fn conflicts(&self, applier: &Identity) -> Vec<(&Identity, FieldSet)> {
        let of = |entry: &'_ Entry| entry.set.intersection(&self.changes.gained);
        let others = self.managed.others(applier).into_iter();
        others.map(|entry| (&entry.id, of(entry))).filter(|(_, set)| !set.is_empty()).collect()
    }

    /// The new object, what the applier owns of it, and what is left to the others. The applier's entry is as it was.
    pub(crate) fn settle(self, applier: &Identity) -> (Map<String, Value>, FieldSet, Managed) {
        let Self { object, set, mut managed, changes } = self;
        managed.each(|id, owned| {
            if id != applier {
                changes.take_from(owned);
            }
        });
        (object, set, managed)
    }

    fn refuse_conflicts(&self, schema: &Schema, live: &Object, applier: &Identity) -> Result<(), ApplyError> {
        let mut conflicts = self.conflicts(applier);
        if conflicts.is_empty() {
            return Ok(());
        }
        if applier.name == last_applied::KUBECTL {
            let own = last_applied::field_set(schema, live, &applier.api_version);
            conflicts.iter_mut().for_each(|(_, set)| set.subtract(&own));
        }
        let (mut told, mut all) = (Vec::new(), 0);
        for (id, set) in conflicts {
            let (fields, count) = set.first_paths(MOST_CONFLICTS - told.len());
            told.extend(fields.into_iter().map(|field| Conflict { manager: id.to_string(), field }));
            all += count;
        }
        if all == 0 { Ok(()) } else { Err(ApplyError::Conflicts(told, all)) }
    }
}

/// Removes what the applier applied last time, does not apply now, and nobody else owns.
fn prune(schema: &Schema, merged: Map<String, Value>, set: &FieldSet, managed: &Managed, applier: &Identity) -> Map<String, Value> {
    let Some(last) = managed.get(applier).map(|entry| &entry.set).filter(|last| !set.contains(last)) else { return merged };
    let fields_of = |object: &Map<String, Value>| named(schema, field_set(schema, object));
    let without = |fields: &FieldSet| {
        let mut object = merged.clone();
        remove(schema, &mut object, fields);
        object
    };
    let mut last = named(schema, last.clone());
    // It holds the address, which nobody owns and nobody can take away.
    without_metadata_itself(&mut last);
    let everything = fields_of(&merged);
    // Somebody's fields can stand inside of what goes: what holds them stays.
    let others = managed.others(applier).into_iter().map(|entry| entry.set.clone());
    let mut owned = FieldSet::union_all(others.chain([set.clone()]));
    owned = named(schema, owned).union(fields_of(&without(&last)));
    let mut unowned = everything.clone();
    unowned.subtract(&owned);
    // And what nobody owns stays as well, unless it was this manager's.
    let mut gone = everything;
    gone.subtract(&fields_of(&without(&unowned)));
    without(&gone.intersection(&last))
}

fn named(schema: &Schema, mut set: FieldSet) -> FieldSet {
    set.ensure_named_fields(schema);
    set
}
