//! Lists that merge: keyed lists of objects, and sets of scalars.
//!
//! The order of the result: items that the patch names come in the patch's order (or that of
//! `$setElementOrder`), the others keep theirs, and where both were there before, the former order decides which
//! of the two comes first. Items are found by their identity, a text, so that long lists cost no more than
//! a hash table.

use super::{Directive, merge_object, name_of, unprocessable};
use crate::error::PatchError;
use crate::parse::type_of;
use apiserver_meta::{FieldPath, Schema};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// A keyed list: its keys, the schema of its items, and its path.
pub(super) struct Keyed<'a> {
    pub(super) keys: &'a [String],
    pub(super) items: &'a Schema,
    pub(super) path: &'a FieldPath,
}

/// An item with its identity.
type Item = (String, Value);

impl Keyed<'_> {
    fn identity(&self, item: &Map<String, Value>) -> Result<String, PatchError> {
        let mut identity = String::new();
        for key in self.keys {
            let Some(value) = item.get(key) else {
                // Upstream shows the item, which may be one of the stored object and not for the caller's eyes.
                return Err(unprocessable(self.path, format!("an item does not contain declared merge key: {key}")));
            };
            identity.push_str(&value.to_string());
            identity.push('\n');
        }
        Ok(identity)
    }

    fn object(&self, item: Value) -> Result<Map<String, Value>, PatchError> {
        match item {
            Value::Object(members) => Ok(members),
            other => Err(unprocessable(self.path, format!("expected a list of objects, but it holds {}", type_of(&other)))),
        }
    }

    fn identified(&self, items: Vec<Value>) -> Result<Vec<Item>, PatchError> {
        let identified = items.into_iter().map(|item| {
            let members = self.object(item)?;
            Ok((self.identity(&members)?, Value::Object(members)))
        });
        identified.collect()
    }
}

/// Merges a list of objects. `order` is the list of `$setElementOrder`, objects of which only the keys count.
pub(super) fn merge_keyed(
    original: Vec<Value>,
    patch: Vec<Value>,
    order: Option<Vec<Value>>,
    list: &Keyed<'_>,
) -> Result<Vec<Value>, PatchError> {
    let mut merged = list.identified(original)?;
    let before = merged.len();
    let mut wanted = Vec::new();
    let (mut replace, mut gone) = (false, HashSet::new());
    for item in patch {
        let item = list.object(item)?;
        match Directive::of(&item, list.path)? {
            None => wanted.push((list.identity(&item)?, item)),
            Some(Directive::Delete) => {
                gone.insert(list.identity(&item)?);
            }
            Some(Directive::Replace) => replace = true,
            Some(Directive::Merge) => return Err(unprocessable(list.path, "merging lists cannot yet be specified in the patch")),
        }
    }
    merged.retain(|(identity, _)| !gone.contains(identity));
    let deleted = before - merged.len();
    if replace {
        merged.clear();
    }
    let mut former = identities(&merged);
    let mut order_wanted: Vec<String> = wanted.iter().map(|(identity, _)| identity.clone()).collect();
    let ordered = order.is_some();
    if let Some(order) = order {
        let order = identities(&list.identified(order)?);
        check_order(&order_wanted, &order, list.path)?;
        order_wanted = order;
    }
    let mut places = places(&former);
    let kept = former.len();
    for (identity, item) in wanted {
        let place = places.get(&identity).copied();
        match place.and_then(|place| merged.get_mut(place)) {
            Some((_, there)) => {
                let before = there.as_object_mut().map(std::mem::take).unwrap_or_default();
                *there = Value::Object(merge_object(before, item, Some(list.items), list.path)?);
            }
            None => {
                let added = merge_object(Map::new(), item, Some(list.items), list.path)?;
                places.insert(identity.clone(), merged.len());
                // In a given order, added items take the places of deleted ones: after all that are left.
                if ordered && former.len() < kept + deleted {
                    former.push(identity.clone());
                }
                merged.push((identity, Value::Object(added)));
            }
        }
    }
    Ok(arrange(merged, &order_wanted, &former))
}

/// Sorts a list of objects by `$setElementOrder`.
pub(super) fn sort_keyed(items: Vec<Value>, order: Vec<Value>, list: &Keyed<'_>) -> Result<Vec<Value>, PatchError> {
    let (items, order) = (list.identified(items)?, identities(&list.identified(order)?));
    let former = identities(&items);
    Ok(arrange(items, &order, &former))
}

/// Unites a list of scalars with the patch's. `order` is the list of `$setElementOrder`.
pub(super) fn merge_set(
    original: Vec<Value>,
    patch: Vec<Value>,
    order: Option<Vec<Value>>,
    path: &FieldPath,
) -> Result<Vec<Value>, PatchError> {
    if original.iter().chain(&patch).any(Value::is_array) {
        return Err(unprocessable(path, "lists of lists are not supported"));
    }
    let (mut merged, patch) = (scalars(original), scalars(patch));
    let former = identities(&merged);
    let mut order_wanted = identities(&patch);
    if let Some(order) = order {
        let order = identities(&scalars(order));
        check_order(&order_wanted, &order, path)?;
        order_wanted = order;
    }
    merged.extend(patch);
    let mut seen = HashSet::new();
    merged.retain(|(identity, _)| seen.insert(identity.clone()));
    Ok(arrange(merged, &order_wanted, &former))
}

/// Sorts a list of scalars by `$setElementOrder`; values that stand in it twice still do.
pub(super) fn sort_set(items: Vec<Value>, order: Vec<Value>) -> Vec<Value> {
    let items = scalars(items);
    let former = identities(&items);
    arrange(items, &identities(&scalars(order)), &former)
}

/// Scalars are their own identity.
fn scalars(items: Vec<Value>) -> Vec<Item> {
    items.into_iter().map(|item| (item.to_string(), item)).collect()
}

/// `$deleteFromPrimitiveList`.
pub(super) fn remove_values(items: &mut Vec<Value>, unwanted: &[Value]) {
    let unwanted: HashSet<String> = unwanted.iter().map(Value::to_string).collect();
    items.retain(|item| !unwanted.contains(&item.to_string()));
}

fn identities(items: &[Item]) -> Vec<String> {
    items.iter().map(|(identity, _)| identity.clone()).collect()
}

/// Where each identity stands; of equal ones the first counts.
fn places(identities: &[String]) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, identity) in identities.iter().enumerate() {
        places.entry(identity.clone()).or_insert(place);
    }
    places
}

/// The patch's items must come in the order's order and be among it.
fn check_order(patch: &[String], order: &[String], path: &FieldPath) -> Result<(), PatchError> {
    let mut rest = order.iter();
    if order.is_empty() || patch.iter().all(|identity| rest.any(|other| other == identity)) {
        return Ok(());
    }
    let why = format!("the order in patch list {} doesn't match its {} list", name_of(path), super::SET_ELEMENT_ORDER);
    Err(PatchError::Malformed(why))
}

/// Puts merged items into order: see the module's head.
fn arrange(merged: Vec<Item>, wanted: &[String], former: &[String]) -> Vec<Value> {
    let (wanted, former) = (places(wanted), places(former));
    let (mut named, mut others): (Vec<Item>, Vec<Item>) = merged.into_iter().partition(|(identity, _)| wanted.contains_key(identity));
    named.sort_by_key(|(identity, _)| wanted.get(identity));
    others.sort_by_key(|(identity, _)| former.get(identity));
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (identity, item) in named {
        if let Some(place) = former.get(&identity) {
            while let Some((_, other)) = others.next_if(|(other, _)| former.get(other).is_some_and(|other| other < place)) {
                arranged.push(other);
            }
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, item)| item));
    arranged
}
