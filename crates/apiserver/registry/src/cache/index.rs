//! The index of a collection: for each label and each selectable field the paths of the objects that have a value there.
//!
//! It is persistent as the map of the objects is, so that a snapshot has the index of its own revision. A write that leaves labels
//! and selectable fields as they were does not touch it.
//!
//! What many of all objects have is only counted: to look it up would save nothing over looking at all of them, and each of their
//! paths would take memory. When it becomes rare, whoever has the objects lists it again ([`Term`]).
//!
//! It costs memory: for each object and each label or field that is neither empty nor common about 40 bytes where many objects share
//! the value (a path of 16 bytes in the nodes of a tree, which are half full), and about 150 bytes for a value that one object has
//! alone. Against that stands that a label's key and value and a field's value are in memory once, however many objects have them.

mod holders;
mod paths;

pub(super) use paths::{Paths, merged};

use super::condition::{Condition, label};
use crate::item::{Fields, Item, Labels};
use crate::keys::Path;
use holders::Holders;
use imbl::OrdMap;
use std::sync::Arc;

/// The objects by what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    labels: OrdMap<Arc<str>, Values>,
    /// By the field's place in the descriptor. Empty values are not in it.
    fields: OrdMap<usize, Values>,
}

/// The objects that have a label or a field, by its value.
#[derive(Clone, Debug, Default)]
struct Values {
    holders: OrdMap<Arc<str>, Holders>,
    /// How many objects they are in all.
    count: usize,
}

/// A value of a label or of a selectable field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Term {
    Label(Arc<str>, Arc<str>),
    Field(usize, Arc<str>),
}

impl Term {
    pub(super) fn is_of(&self, item: &Item) -> bool {
        match self {
            Self::Label(key, value) => label(item, key) == Some(value),
            Self::Field(field, value) => item.fields.get(*field) == Some(value),
        }
    }

    fn value(&self) -> &Arc<str> {
        match self {
            Self::Label(_, value) | Self::Field(_, value) => value,
        }
    }

    /// The values that an item has and the other one has not.
    fn only_of(item: Option<&Item>, other: Option<&Item>) -> Vec<Self> {
        let labels = item.iter().flat_map(|item| item.labels.iter()).map(|(key, value)| (key, value));
        let labels = labels.filter(|(key, value)| other.and_then(|other| label(other, key)) != Some(value));
        let fields = item.iter().flat_map(|item| item.fields.iter().enumerate()).filter(|(_, value)| !value.is_empty());
        let fields = fields.filter(|(field, value)| other.and_then(|other| other.fields.get(*field)) != Some(*value));
        let labels = labels.map(|(key, value)| Self::Label(Arc::clone(key), Arc::clone(value)));
        labels.chain(fields.map(|(field, value)| Self::Field(field, Arc::clone(value)))).collect()
    }
}

/// What it takes to look a condition up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) lists: usize,
    pub(super) paths: usize,
}

impl Index {
    /// Replaces texts of labels by equal ones that the index has.
    pub(super) fn intern_labels(&self, labels: &mut Labels) {
        for (key, value) in Arc::get_mut(labels).into_iter().flatten() {
            let Some((known, values)) = self.labels.get_key_value(&**key) else { continue };
            *key = Arc::clone(known);
            values.intern(value);
        }
    }

    /// Replaces values of fields by equal ones that the index has.
    pub(super) fn intern_fields(&self, fields: &mut Fields) {
        for (field, value) in Arc::get_mut(fields).into_iter().flatten().enumerate() {
            if let Some(values) = self.fields.get(&field) {
                values.intern(value);
            }
        }
    }

    /// Another version of an object, or its first, or none any more; there are `total` objects then. Returns what has become rare
    /// and is to be listed again.
    #[must_use]
    pub(super) fn replace(&mut self, path: &Path, old: Option<&Item>, new: Option<&Item>, total: usize) -> Vec<Term> {
        let are_alike = |old: &Item, new: &Item| Arc::ptr_eq(&old.labels, &new.labels) && Arc::ptr_eq(&old.fields, &new.fields);
        if old.zip(new).is_some_and(|(old, new)| are_alike(old, new)) {
            return Vec::new();
        }
        for term in Term::only_of(new, old) {
            self.values_or_new(&term).add(term.value(), path, total);
        }
        let mut rare = Term::only_of(old, new);
        rare.retain(|term| self.remove(term, path, total));
        rare
    }

    /// Returns whether the value has become rare.
    fn remove(&mut self, term: &Term, path: &Path, total: usize) -> bool {
        let Some(values) = self.values_mut(term) else { return false };
        let is_to_be_listed = values.remove(term.value(), path, total);
        if values.count == 0 {
            match term {
                Term::Label(key, _) => _ = self.labels.remove(&**key),
                Term::Field(field, _) => _ = self.fields.remove(field),
            }
        }
        is_to_be_listed
    }

    /// The values that are only counted and have become rare among so many objects.
    pub(super) fn rare(&self, total: usize) -> Vec<Term> {
        let labels = self.labels.iter().flat_map(|(key, values)| {
            let rare = values.rare(total);
            rare.map(|value| Term::Label(Arc::clone(key), Arc::clone(value)))
        });
        let fields = self.fields.iter().flat_map(|(field, values)| values.rare(total).map(|value| Term::Field(*field, Arc::clone(value))));
        labels.chain(fields).collect()
    }

    /// These are the objects that have the value.
    pub(super) fn list(&mut self, term: &Term, paths: Paths) {
        if let Some(holders) = self.values_mut(term).and_then(|values| values.holders.get_mut(&**term.value())) {
            *holders = Holders::Listed(paths);
        }
    }

    /// What it takes to look up the objects that meet a condition; `None` where there are too many to do so.
    pub(super) fn size(&self, condition: &Condition) -> Option<Size> {
        let Some(values) = self.values(condition) else { return Some(Size::default()) };
        match condition {
            Condition::Label { values: asked, .. } if asked.is_empty() => Some(Size { lists: values.holders.len(), paths: values.count }),
            _ => values.holders(condition).try_fold(Size::default(), |size, holders| {
                Some(Size { lists: size.lists + 1, paths: size.paths + holders.listed()?.len() })
            }),
        }
    }

    /// The lists of the objects that meet a condition; `None` where not all are listed. No path is in two of them.
    pub(super) fn lists<'a>(&'a self, condition: &'a Condition) -> Option<Vec<&'a Paths>> {
        let Some(values) = self.values(condition) else { return Some(Vec::new()) };
        values.holders(condition).map(Holders::listed).collect()
    }

    fn values(&self, condition: &Condition) -> Option<&Values> {
        match condition {
            Condition::Name(_) => None,
            Condition::Field { field, .. } => self.fields.get(field),
            Condition::Label { key, .. } => self.labels.get(key.as_str()),
        }
    }

    fn values_mut(&mut self, term: &Term) -> Option<&mut Values> {
        match term {
            Term::Label(key, _) => self.labels.get_mut(&**key),
            Term::Field(field, _) => self.fields.get_mut(field),
        }
    }

    fn values_or_new(&mut self, term: &Term) -> &mut Values {
        match term {
            Term::Label(key, _) => self.labels.entry(Arc::clone(key)).or_default(),
            Term::Field(field, _) => self.fields.entry(*field).or_default(),
        }
    }
}

impl Values {
    fn intern(&self, value: &mut Arc<str>) {
        if let Some((known, _)) = self.holders.get_key_value(&**value) {
            *value = Arc::clone(known);
        }
    }

    fn add(&mut self, value: &Arc<str>, path: &Path, total: usize) {
        match self.holders.get_mut(&**value) {
            Some(holders) => holders.add(path, total),
            None => _ = self.holders.insert(Arc::clone(value), Holders::one(path)),
        }
        self.count += 1;
    }

    /// Returns whether the value has become rare.
    fn remove(&mut self, value: &str, path: &Path, total: usize) -> bool {
        let Some(holders) = self.holders.get_mut(value) else { return false };
        holders.remove(path);
        self.count -= 1;
        if holders.len() > 0 {
            return holders.is_to_be_listed(total);
        }
        self.holders.remove(value);
        false
    }

    fn rare(&self, total: usize) -> impl Iterator<Item = &Arc<str>> {
        self.holders.iter().filter(move |(_, holders)| holders.is_to_be_listed(total)).map(|(value, _)| value)
    }

    /// The objects that a condition asks for, by value.
    fn holders<'a>(&'a self, condition: &'a Condition) -> Box<dyn Iterator<Item = &'a Holders> + 'a> {
        match condition {
            Condition::Label { values, .. } if values.is_empty() => Box::new(self.holders.values()),
            Condition::Label { values, .. } => Box::new(values.iter().filter_map(|value| self.holders.get(value.as_str()))),
            Condition::Field { value, .. } | Condition::Name(value) => Box::new(self.holders.get(value.as_str()).into_iter()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A value, how many objects have it, and which, if they are listed.
    pub(crate) type Holding = (Term, usize, Option<Vec<Path>>);

    /// Everything in an index, and whether each label and field has the sum of its values.
    pub(crate) fn contents(index: &Index) -> Vec<Holding> {
        let labels = index.labels.iter().map(|(key, values)| (None, Some(key), values));
        let fields = index.fields.iter().map(|(field, values)| (Some(*field), None, values));
        let mut all = Vec::new();
        for (field, key, values) in labels.chain(fields) {
            assert_eq!(values.count, values.holders.values().map(Holders::len).sum::<usize>());
            for (value, holders) in &values.holders {
                let value = Arc::clone(value);
                let term = key.map_or_else(
                    || Term::Field(field.unwrap_or_default(), Arc::clone(&value)),
                    |key| Term::Label(Arc::clone(key), Arc::clone(&value)),
                );
                all.push((term, holders.len(), holders.listed().map(|paths| paths.from("").cloned().collect())));
            }
        }
        all
    }
}
