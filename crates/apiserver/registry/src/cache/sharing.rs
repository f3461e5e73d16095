//! What is equal in several objects is in memory once: labels, selectable fields, access facts.
//!
//! Most objects of a collection have the labels, fields and facts of many others, and each version of an object those of the one
//! before. The last thousand of each sort are remembered here, so that an item takes what another has already. Where labels as a
//! whole are new, their keys and values are shared with those of the index.

use super::objects::Objects;
use crate::item::{Fields, Item, Labels};
use apiserver_meta::Facts;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// How many values of a sort are remembered. When there are more, remembering begins anew: what is frequent is soon there again.
const REMEMBERED: usize = 1024;

/// Values that items may have in common.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    labels: HashSet<Labels>,
    fields: HashSet<Fields>,
    facts: HashSet<Facts>,
}

impl Sharing {
    /// The item with what others have already, as long as nobody else has the item.
    pub(super) fn shared(&mut self, mut item: Arc<Item>, objects: &Objects) -> Arc<Item> {
        let Some(own) = Arc::get_mut(&mut item) else { return item };
        if let Some(path) = objects.known_path(&own.path) {
            own.path = Arc::clone(path);
        }
        share(&mut self.labels, &mut own.labels, |labels| objects.intern_labels(labels));
        share(&mut self.fields, &mut own.fields, |fields| objects.intern_fields(fields));
        share(&mut self.facts, &mut own.facts, |_| {});
        item
    }
}

/// Takes an equal value that is remembered, or prepares this one and remembers it.
fn share<T: Clone + Eq + Hash>(remembered: &mut HashSet<T>, value: &mut T, prepare: impl FnOnce(&mut T)) {
    if let Some(known) = remembered.get(value) {
        *value = known.clone();
        return;
    }
    prepare(value);
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
    remembered.insert(value.clone());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn item(path: &str, color: &str) -> Arc<Item> {
        let labels = [("color".into(), Arc::from(color)), ("own".into(), "same".into())].into();
        let fields = [Arc::from(color)].into();
        Arc::new(Item { path: path.into(), labels, fields, facts: Facts::new(color.to_owned()), ..Item::default() })
    }

    #[test]
    fn equal_parts_are_in_memory_once() {
        let (mut sharing, mut objects) = (Sharing::default(), Objects::default());
        let mut added = |item: Arc<Item>| {
            let (before, item) = (format!("{item:?}"), sharing.shared(item, &objects));
            assert_eq!(format!("{item:?}"), before, "what an item says does not change");
            objects.insert(&Arc::clone(&item.path), &item);
            item
        };
        let (one, other, next) = (added(item("ns/a", "red")), added(item("ns/b", "red")), added(item("ns/a", "blue")));
        assert!(Arc::ptr_eq(&one.labels, &other.labels) && Arc::ptr_eq(&one.fields, &other.fields));
        assert!(std::ptr::eq(one.facts.get::<String>().unwrap(), other.facts.get::<String>().unwrap()));
        assert!(Arc::ptr_eq(&one.path, &next.path), "a later version has the path of the one before");
        // Other labels, of which one text is known.
        assert!(!Arc::ptr_eq(&one.labels, &next.labels) && Arc::ptr_eq(&one.labels[1].1, &next.labels[1].1));
    }

    #[test]
    fn not_everything_is_remembered() {
        let (mut sharing, objects) = (Sharing::default(), Objects::default());
        for n in 0..3 * REMEMBERED {
            sharing.shared(item(&format!("ns/{n}"), &n.to_string()), &objects);
        }
        assert!([sharing.labels.len(), sharing.fields.len(), sharing.facts.len()].iter().all(|kept| *kept <= REMEMBERED));
    }
}
