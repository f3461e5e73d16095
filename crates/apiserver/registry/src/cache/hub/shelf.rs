//! The watchers of one extent. Those whose selectors ask for something that can be looked up are found by what an object has;
//! the others are tried for every event.
//!
//! A watcher whose selectors select an object neither before nor after a change is not asked about its caller's scope either:
//! it has nothing to tell, and learns of a new scope by the next event that is its own, or when all scopes are read anew.

use super::{Watcher, WatcherId};
use crate::cache::condition::Condition;
use crate::cache::event::Event;
use crate::item::Item;
use std::collections::{BTreeMap, HashMap};

/// Watchers of one extent.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Those that are tried for every event, and those that are found, by their ids.
    plain: BTreeMap<WatcherId, Watcher>,
    found: HashMap<WatcherId, Watcher>,
    index: ShelfIndex,
}

impl Shelf {
    pub(super) fn add(&mut self, id: WatcherId, watcher: Watcher) {
        match anchor(&watcher) {
            None => _ = self.plain.insert(id, watcher),
            Some(condition) => {
                self.index.add(condition, id);
                self.found.insert(id, watcher);
            }
        }
    }

    pub(super) fn remove(&mut self, id: WatcherId) {
        match self.found.remove(&id) {
            Some(watcher) => _ = anchor(&watcher).inspect(|condition| self.index.remove(condition, id)),
            None => _ = self.plain.remove(&id),
        }
    }

    /// Keeps the watchers that the condition holds for.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Watcher) -> bool) {
        self.plain.retain(|_, watcher| keep(watcher));
        let gone: Vec<WatcherId> = self.found.iter().filter(|(_, watcher)| !keep(watcher)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.remove(id));
    }

    /// Keeps, of the watchers that may show an event's object as it was or is, those that the condition holds for, and all others.
    pub(super) fn retain_concerned(&mut self, event: &Event, mut keep: impl FnMut(&Watcher) -> bool) {
        self.plain.retain(|_, watcher| keep(watcher));
        if self.found.is_empty() {
            return;
        }
        for id in self.index.concerned(event) {
            if self.found.get(&id).is_some_and(|watcher| !keep(watcher)) {
                self.remove(id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.found.len()
    }
}

/// The condition that a watcher is found by.
fn anchor(watcher: &Watcher) -> Option<&Condition> {
    watcher.filter.conditions().iter().min_by_key(|condition| condition.breadth())
}

/// Watchers by what an object must have to concern them.
#[derive(Debug, Default)]
struct ShelfIndex {
    names: ByText,
    fields: HashMap<usize, ByText>,
    labels: HashMap<String, ByText>,
    /// By labels that only have to be there.
    existing: ByText,
}

type ByText = HashMap<String, Vec<WatcherId>>;

impl ShelfIndex {
    fn add(&mut self, condition: &Condition, id: WatcherId) {
        let add = |texts: &mut ByText, text: &String| texts.entry(text.clone()).or_default().push(id);
        match condition {
            Condition::Name(name) => add(&mut self.names, name),
            Condition::Field { field, value } => add(self.fields.entry(*field).or_default(), value),
            Condition::Label { key, values } if values.is_empty() => add(&mut self.existing, key),
            Condition::Label { key, values } => {
                let texts = self.labels.entry(key.clone()).or_default();
                values.iter().for_each(|value| add(texts, value));
            }
        }
    }

    fn remove(&mut self, condition: &Condition, id: WatcherId) {
        match condition {
            Condition::Name(name) => drop_from(&mut self.names, name, id),
            Condition::Field { field, value } => drop_below(&mut self.fields, field, std::slice::from_ref(value), id),
            Condition::Label { key, values } if values.is_empty() => drop_from(&mut self.existing, key, id),
            Condition::Label { key, values } => drop_below(&mut self.labels, key, values, id),
        }
    }

    /// The watchers that an event may concern, each once, those of a connection together.
    fn concerned(&self, event: &Event) -> Vec<WatcherId> {
        let mut ids = Vec::new();
        for item in [&event.previous, &event.current].into_iter().flatten() {
            self.find(item, &mut ids);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn find(&self, item: &Item, ids: &mut Vec<WatcherId>) {
        let mut take = |texts: Option<&ByText>, text: &str| ids.extend(texts.and_then(|texts| texts.get(text)).into_iter().flatten());
        take(Some(&self.names), item.name());
        for (field, value) in item.fields.iter().enumerate() {
            take(self.fields.get(&field), value);
        }
        for (key, value) in item.labels.iter() {
            take(Some(&self.existing), key);
            take(self.labels.get(&**key), value);
        }
    }
}

fn drop_from(texts: &mut ByText, text: &str, id: WatcherId) {
    let Some(ids) = texts.get_mut(text) else { return };
    ids.retain(|known| *known != id);
    if ids.is_empty() {
        texts.remove(text);
    }
}

fn drop_below<K: std::hash::Hash + Eq>(all: &mut HashMap<K, ByText>, key: &K, values: &[String], id: WatcherId) {
    let Some(texts) = all.get_mut(key) else { return };
    values.iter().for_each(|value| drop_from(texts, value, id));
    if texts.is_empty() {
        all.remove(key);
    }
}
