//! Merging an applied object into a live one.
//!
//! Nothing is removed by merging. A leaf that both have takes the applied value. Lists that are merged item by
//! item keep the live order where the applied list does not change it, and take the applied order where it does.

use crate::path::PathElement;
use crate::typed::{deduced, is_atomic, list_element, member};
use apiserver_meta::schema::{ListMerge, Schema, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Merges `applied`, which has been validated, into `live`. Fields that the schema lacks stay as they are live.
pub(crate) fn merge(schema: &Schema, live: &Map<String, Value>, applied: &Map<String, Value>) -> Map<String, Value> {
    members(&schema.shape, live, applied)
}

fn value(schema: &Schema, live: &Value, applied: &Value) -> Value {
    // Null has no shape of its own: it is one of the live value's.
    let shape = if applied.is_null() { deduced(&schema.shape, live) } else { deduced(&schema.shape, applied) };
    if is_atomic(shape) {
        return applied.clone();
    }
    match (shape, live, applied) {
        (Shape::List { items, merge }, live, applied) => {
            let (live, applied_items) = (as_list(live), as_list(applied));
            if live.is_empty() && applied_items.is_empty() {
                return applied.clone();
            }
            Value::Array(lists(items, merge, live, applied_items))
        }
        (shape, Value::Object(live), Value::Object(applied)) if !live.is_empty() || !applied.is_empty() => {
            Value::Object(members(shape, live, applied))
        }
        // Null holds nothing, so it takes nothing away from a map that has something.
        (_, Value::Object(live), Value::Null) if !live.is_empty() => Value::Object(live.clone()),
        (_, _, applied) => applied.clone(),
    }
}

fn members(shape: &Shape, live: &Map<String, Value>, applied: &Map<String, Value>) -> Map<String, Value> {
    let merged = |(name, old): (&String, &Value)| {
        let new = applied.get(name).zip(member(shape, name));
        (name.clone(), new.map_or_else(|| old.clone(), |(new, child)| value(child, old, new)))
    };
    let added = applied.iter().filter(|(name, _)| !live.contains_key(*name) && member(shape, name).is_some());
    live.iter().map(merged).chain(added.map(|(name, new)| (name.clone(), new.clone()))).collect()
}

fn as_list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A list whose items are found by their elements; items without one are left out.
struct Indexed<'a> {
    items: Vec<(PathElement, &'a Value)>,
    /// The item of each element; `None` where several share it: then none of them is merged with.
    by_element: BTreeMap<PathElement, Option<&'a Value>>,
}

impl<'a> Indexed<'a> {
    fn new(schema: &Schema, merge: &ListMerge, list: &'a [Value]) -> Self {
        let items: Vec<_> = list.iter().filter_map(|item| Some((list_element(schema, merge, item).ok()?, item))).collect();
        let mut by_element = BTreeMap::new();
        for (element, item) in &items {
            by_element.entry(element.clone()).and_modify(|only| *only = None).or_insert(Some(*item));
        }
        Self { items, by_element }
    }

    fn has(&self, element: &PathElement) -> bool {
        self.by_element.contains_key(element)
    }
}

fn lists(schema: &Schema, merge: &ListMerge, live: &[Value], applied: &[Value]) -> Vec<Value> {
    let (live, applied) = (Indexed::new(schema, merge, live), Indexed::new(schema, merge, applied));
    let merged = |element: &PathElement, new: &Value| match live.by_element.get(element) {
        Some(Some(old)) => value(schema, old, new),
        _ => new.clone(),
    };
    // The items of both lists, in the applied order: the posts between which live-only items keep their places.
    let mut posts: VecDeque<&PathElement> = applied.items.iter().map(|(element, _)| element).filter(|e| live.has(e)).collect();
    let mut taken: BTreeSet<&PathElement> = BTreeSet::new();
    let mut out = Vec::with_capacity(live.items.len().max(applied.items.len()));
    let (mut old, mut new) = (live.items.iter().peekable(), applied.items.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return out,
            (Some((element, _)), Some((next, item))) if element == next => {
                out.push(merged(next, item));
                taken.insert(next);
                posts.pop_front();
                old.next();
                new.next();
            }
            // Live-only: it stays where it is.
            (Some((element, item)), _) if !applied.has(element) => {
                out.push((*item).clone());
                old.next();
            }
            // Of both lists, but another item of both comes first.
            (Some((element, _)), Some(_)) if posts.front().is_some_and(|post| *post != element) => {
                old.next();
            }
            (waiting, Some((next, item))) => {
                if waiting.is_some_and(|(element, _)| taken.contains(element)) {
                    old.next();
                }
                out.push(merged(next, item));
                taken.insert(next);
                if posts.front() == Some(&next) {
                    posts.pop_front();
                }
                new.next();
            }
            // Of both lists, and merged where the applied list has it.
            (Some(_), None) => {
                old.next();
            }
        }
    }
}
