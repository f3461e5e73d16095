//! The objects of a collection in the order of their paths, and what spares looking at all of them: how many each namespace
//! has, and an index of what selectors ask for. Every version of the map has its own, so a page or a list of the past is answered
//! by what was true then.

use super::condition::Condition;
use super::filter::{Extent, Filter};
use super::index::{Index, Paths, merged};
use super::path::Path;
use crate::item::Item;
use imbl::OrdMap;
use std::ops::Bound;
use std::sync::Arc;

/// The objects by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    by_path: OrdMap<Path, Arc<Item>>,
    /// How many objects each namespace has, by the prefix of their paths.
    counts: OrdMap<Arc<str>, usize>,
    index: Index,
}

/// Objects in the order of their paths.
pub(super) type Found<'a> = Box<dyn Iterator<Item = (&'a Path, &'a Arc<Item>)> + Send + 'a>;

impl Objects {
    pub(super) fn get(&self, path: &str) -> Option<&Arc<Item>> {
        self.by_path.get(path)
    }

    /// The path as the map has it: one for all versions of an object.
    pub(super) fn known_path(&self, path: &str) -> Option<&Path> {
        self.by_path.get_key_value(path).map(|(known, _)| known)
    }

    pub(super) fn len(&self) -> usize {
        self.by_path.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.by_path.values()
    }

    /// How many objects an extent has.
    pub(super) fn count(&self, extent: &Extent) -> usize {
        match extent {
            Extent::All => self.len(),
            Extent::Namespace(namespace) => self.counts.get(format!("{namespace}/").as_str()).copied().unwrap_or(0),
            Extent::Object(path) => usize::from(self.by_path.contains_key(path.as_str())),
            Extent::Nothing => 0,
        }
    }

    /// The item with the texts that others have already, as long as nobody else has the item.
    pub(super) fn interned(&self, mut item: Arc<Item>) -> Arc<Item> {
        if let Some(own) = Arc::get_mut(&mut item) {
            self.index.intern(own);
        }
        item
    }

    pub(super) fn insert(&mut self, path: &Path, item: &Arc<Item>) -> Option<Arc<Item>> {
        let previous = self.by_path.insert(Arc::clone(path), Arc::clone(item));
        self.index.replace(path, previous.as_deref(), Some(item));
        if previous.is_none() {
            match self.counts.get_mut(folder(path)) {
                Some(count) => *count += 1,
                None => _ = self.counts.insert(folder(path).into(), 1),
            }
        }
        previous
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<Arc<Item>> {
        let (path, item) = self.by_path.remove_with_key(path)?;
        self.index.replace(&path, Some(&item), None);
        if let Some(count) = self.counts.get_mut(folder(&path)) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(folder(&path));
            }
        }
        Some(item)
    }

    /// The objects whose path is at or behind `start` and begins with `prefix`.
    pub(super) fn range<'a>(&'a self, prefix: &'a str, start: &'a str) -> impl Iterator<Item = (&'a Path, &'a Arc<Item>)> + Send {
        let behind = self.by_path.range::<_, str>((Bound::Included(start.max(prefix)), Bound::Unbounded));
        behind.take_while(move |(path, _)| path.starts_with(prefix))
    }

    /// The objects at or behind `start` that a filter may show: all those that it does, and as few others as the index knows.
    pub(super) fn candidates<'a>(&'a self, filter: &'a Filter, start: &'a str) -> Found<'a> {
        let (prefix, extent) = (filter.prefix(), self.count(&filter.extent));
        let costs = filter.conditions().iter().map(|condition| (self.cost(condition), condition));
        match costs.min_by_key(|(cost, _)| *cost) {
            Some((cost, condition)) if cost < extent => {
                let paths = self.meeting(condition, start.max(prefix)).take_while(move |path| path.starts_with(prefix));
                Box::new(paths.filter_map(|path| self.by_path.get_key_value(path)))
            }
            _ => Box::new(self.range(prefix, start)),
        }
    }

    /// What it costs to look at all objects that meet a condition, in objects that a scan could look at meanwhile.
    fn cost(&self, condition: &Condition) -> usize {
        /// An object that is looked up costs as much as so many that stand in a row.
        const LOOKUP: usize = 3;
        match condition {
            Condition::Name(_) => LOOKUP * self.counts.len(),
            Condition::Label { .. } | Condition::Field { .. } => {
                let (lists, paths) = self.index.size(condition);
                lists + LOOKUP * paths
            }
        }
    }

    /// The paths of the objects that meet a condition, in order.
    fn meeting<'a>(&'a self, condition: &'a Condition, start: &'a str) -> Box<dyn Iterator<Item = &'a Path> + Send + 'a> {
        match condition {
            Condition::Name(name) => {
                let folders = self.counts.keys().filter_map(move |folder| self.known_path(&format!("{folder}{name}")));
                Box::new(folders.filter(move |path| &***path >= start))
            }
            Condition::Label { .. } | Condition::Field { .. } => match &*self.index.lists(condition) {
                [] => Box::new(std::iter::empty()),
                [one] => Box::new(Paths::from(one, start)),
                several => Box::new(merged(several, start)),
            },
        }
    }
}

impl FromIterator<(Path, Arc<Item>)> for Objects {
    fn from_iter<T: IntoIterator<Item = (Path, Arc<Item>)>>(items: T) -> Self {
        let mut objects = Self::default();
        for (path, item) in items {
            objects.insert(&path, &item);
        }
        objects
    }
}

/// The part of a path that all of a namespace have; empty for cluster-scoped kinds.
fn folder(path: &str) -> &str {
    path.find('/').and_then(|end| path.get(..=end)).unwrap_or("")
}

#[cfg(test)]
pub(super) mod tests;
