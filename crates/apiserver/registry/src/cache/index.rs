//! The index of a collection: for each label and each selectable field the paths of the objects that have a value there.
//!
//! It is persistent as the map of the objects is, so that a snapshot has the index of its own revision. A write that leaves labels
//! and selectable fields as they were does not touch it.
//!
//! It costs memory: for each object and each label or field that is not empty about 40 bytes where many objects share the value
//! (a path of 16 bytes in the nodes of a tree, which are half full), and about 150 bytes for a value that one object has alone.
//! Against that stands that a label's key and value and a field's value are in memory once, however many objects have them: that
//! is 40 to 50 bytes less for each.

mod paths;

pub(super) use paths::{Paths, merged};

use super::condition::{Condition, label};
use super::path::Path;
use crate::item::Item;
use imbl::OrdMap;
use std::sync::Arc;

/// The paths of objects by what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    labels: OrdMap<Arc<str>, Values>,
    /// By the field's place in the descriptor. Empty values are not in it.
    fields: OrdMap<usize, Values>,
}

/// The paths of the objects that have a label or a field, by its value.
#[derive(Clone, Debug, Default)]
struct Values {
    paths: OrdMap<Arc<str>, Paths>,
    /// How many paths there are in all.
    count: usize,
}

impl Index {
    /// Replaces the texts of an item by equal ones that the index has.
    pub(super) fn intern(&self, item: &mut Item) {
        for (key, value) in &mut item.labels {
            let Some((known, values)) = self.labels.get_key_value(&**key) else { continue };
            *key = Arc::clone(known);
            values.intern(value);
        }
        for (field, value) in item.fields.iter_mut().enumerate() {
            if let Some(values) = self.fields.get(&field) {
                values.intern(value);
            }
        }
    }

    /// Another version of an object, or its first, or none any more.
    pub(super) fn replace(&mut self, path: &Path, old: Option<&Item>, new: Option<&Item>) {
        self.replace_labels(path, old, new);
        let count = [old, new].into_iter().flatten().map(|item| item.fields.len()).max().unwrap_or(0);
        for field in 0..count {
            let value = |item: Option<&Item>| item.and_then(|item| item.fields.get(field)).filter(|value| !value.is_empty()).cloned();
            let (old, new) = (value(old), value(new));
            if old == new {
                continue;
            }
            old.inspect(|value| forget(&mut self.fields, &field, value, path));
            new.inspect(|value| self.fields.entry(field).or_default().insert(value, path));
        }
    }

    fn replace_labels(&mut self, path: &Path, old: Option<&Item>, new: Option<&Item>) {
        let has = |item: Option<&Item>, key: &str, value: &str| item.and_then(|item| label(item, key)) == Some(value);
        for (key, value) in labels(old).iter().filter(|(key, value)| !has(new, key, value)) {
            forget(&mut self.labels, key, value, path);
        }
        for (key, value) in labels(new).iter().filter(|(key, value)| !has(old, key, value)) {
            self.labels.entry(Arc::clone(key)).or_default().insert(value, path);
        }
    }

    /// How many lists have the paths of the objects that meet a condition, and how many paths they have.
    pub(super) fn size(&self, condition: &Condition) -> (usize, usize) {
        let Some(values) = self.values(condition) else { return (0, 0) };
        match condition {
            Condition::Label { values: asked, .. } if asked.is_empty() => (values.paths.len(), values.count),
            _ => values.lists(condition).fold((0, 0), |(lists, paths), list| (lists + 1, paths + list.len())),
        }
    }

    /// The lists of the objects that meet a condition. No path is in two of them.
    pub(super) fn lists<'a>(&'a self, condition: &'a Condition) -> Vec<&'a Paths> {
        self.values(condition).map(|values| values.lists(condition).collect()).unwrap_or_default()
    }

    /// All that is in it, for comparisons.
    #[cfg(test)]
    pub(super) fn contents(&self) -> Vec<(String, Arc<str>, Vec<Path>, usize)> {
        let labels = self.labels.iter().map(|(key, values)| (key.to_string(), values));
        let fields = self.fields.iter().map(|(field, values)| (format!("{field}"), values));
        let all = labels.chain(fields).flat_map(|(key, values)| {
            let lists = values.paths.iter();
            lists.map(move |(value, paths)| (key.clone(), Arc::clone(value), paths.from("").cloned().collect(), values.count))
        });
        all.collect()
    }

    fn values(&self, condition: &Condition) -> Option<&Values> {
        match condition {
            Condition::Name(_) => None,
            Condition::Field { field, .. } => self.fields.get(field),
            Condition::Label { key, .. } => self.labels.get(key.as_str()),
        }
    }
}

fn labels(item: Option<&Item>) -> &[(Arc<str>, Arc<str>)] {
    item.map_or(&[], |item| &item.labels)
}

/// Takes a path out; what is empty then is gone.
fn forget<K, Q>(map: &mut OrdMap<K, Values>, key: &Q, value: &str, path: &Path)
where
    K: Ord + Clone + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    let Some(values) = map.get_mut(key) else { return };
    values.remove(value, path);
    if values.count == 0 {
        map.remove(key);
    }
}

impl Values {
    fn intern(&self, value: &mut Arc<str>) {
        if let Some((known, _)) = self.paths.get_key_value(&**value) {
            *value = Arc::clone(known);
        }
    }

    fn insert(&mut self, value: &Arc<str>, path: &Path) {
        let is_new = match self.paths.get_mut(&**value) {
            Some(paths) => paths.insert(path),
            None => self.paths.insert(Arc::clone(value), Paths::one(path)).is_none(),
        };
        self.count += usize::from(is_new);
    }

    fn remove(&mut self, value: &str, path: &Path) {
        let Some(paths) = self.paths.get_mut(value) else { return };
        let before = paths.len();
        paths.remove(path);
        self.count -= before - paths.len();
        if paths.len() == 0 {
            self.paths.remove(value);
        }
    }

    /// The lists of what a condition asks for.
    fn lists<'a>(&'a self, condition: &'a Condition) -> Box<dyn Iterator<Item = &'a Paths> + 'a> {
        match condition {
            Condition::Label { values, .. } if values.is_empty() => Box::new(self.paths.values()),
            Condition::Label { values, .. } => Box::new(values.iter().filter_map(|value| self.paths.get(value.as_str()))),
            Condition::Field { value, .. } | Condition::Name(value) => Box::new(self.paths.get(value.as_str()).into_iter()),
        }
    }
}
