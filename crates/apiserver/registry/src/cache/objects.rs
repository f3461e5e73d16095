//! The objects of a collection in the order of their paths, and what spares looking at all of them: how many each namespace
//! has, and an index of what selectors ask for. Every version of the map has its own, so a page or a list of the past is answered
//! by what was true then.

use super::condition::Condition;
use super::filter::{Extent, Filter};
use super::index::{Index, Paths, Size, Term, merged};
use crate::item::{Fields, Item, Labels};
use crate::keys::Path;
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
    /// How many objects there were when the index was last searched for what has become rare among them.
    searched_at: usize,
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

    /// Replaces keys and values of labels by equal ones that others have.
    pub(super) fn intern_labels(&self, labels: &mut Labels) {
        self.index.intern_labels(labels);
    }

    /// Replaces values of selectable fields by equal ones that others have.
    pub(super) fn intern_fields(&self, fields: &mut Fields) {
        self.index.intern_fields(fields);
    }

    pub(super) fn insert(&mut self, path: &Path, item: &Arc<Item>) -> Option<Arc<Item>> {
        let previous = self.by_path.insert(Arc::clone(path), Arc::clone(item));
        let rare = self.index.replace(path, previous.as_deref(), Some(item), self.len());
        self.list_again(&rare);
        if previous.is_none() {
            match self.counts.get_mut(folder(path)) {
                Some(count) => *count += 1,
                None => _ = self.counts.insert(folder(path).into(), 1),
            }
            if self.len() > 2 * self.searched_at {
                self.searched_at = self.len();
                self.list_again(&self.index.rare(self.len()));
            }
        }
        previous
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<Arc<Item>> {
        let (path, item) = self.by_path.remove_with_key(path)?;
        let rare = self.index.replace(&path, Some(&item), None, self.len());
        self.list_again(&rare);
        if let Some(count) = self.counts.get_mut(folder(&path)) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(folder(&path));
            }
        }
        Some(item)
    }

    /// Lists the objects that have values which are not common any more. That takes a look at all objects, and comes after a number
    /// of changes that is a share of theirs.
    fn list_again(&mut self, terms: &[Term]) {
        for term in terms {
            let holders = self.by_path.iter().filter(|(_, item)| term.is_of(item)).map(|(path, _)| Arc::clone(path));
            self.index.list(term, holders.collect());
        }
    }

    /// The objects whose path is at or behind `start` and begins with `prefix`.
    pub(super) fn range<'a>(&'a self, prefix: &'a str, start: &'a str) -> impl Iterator<Item = (&'a Path, &'a Arc<Item>)> + Send {
        let behind = self.by_path.range::<_, str>((Bound::Included(start.max(prefix)), Bound::Unbounded));
        behind.take_while(move |(path, _)| path.starts_with(prefix))
    }

    /// The objects at or behind `start` that a filter may show: all those that it does, and as few others as the index knows.
    pub(super) fn candidates<'a>(&'a self, filter: &'a Filter, start: &'a str) -> Found<'a> {
        let (prefix, extent) = (filter.prefix(), self.count(&filter.extent));
        let costs = filter.conditions().iter().filter_map(|condition| Some((self.cost(condition)?, condition)));
        let paths = match costs.min_by_key(|(cost, _)| *cost) {
            Some((cost, condition)) if cost < extent => self.meeting(condition, start.max(prefix)),
            _ => None,
        };
        match paths {
            Some(paths) => {
                let paths = paths.take_while(move |path| path.starts_with(prefix));
                Box::new(paths.filter_map(|path| self.by_path.get_key_value(path)))
            }
            None => Box::new(self.range(prefix, start)),
        }
    }

    /// What it costs to look at all objects that meet a condition, in objects that a scan could look at meanwhile; `None` where the
    /// index does not know them.
    fn cost(&self, condition: &Condition) -> Option<usize> {
        /// An object that is looked up costs as much as so many that stand in a row.
        const LOOKUP: usize = 3;
        match condition {
            Condition::Name(_) => Some(LOOKUP * self.counts.len()),
            Condition::Label { .. } | Condition::Field { .. } => {
                let Size { lists, paths } = self.index.size(condition)?;
                Some(lists + LOOKUP * paths)
            }
        }
    }

    /// The paths of the objects that meet a condition, in order; `None` where the index does not know them.
    fn meeting<'a>(&'a self, condition: &'a Condition, start: &'a str) -> Option<Box<dyn Iterator<Item = &'a Path> + Send + 'a>> {
        Some(match condition {
            Condition::Name(name) => {
                let folders = self.counts.keys().filter_map(move |folder| self.known_path(&format!("{folder}{name}")));
                Box::new(folders.filter(move |path| &***path >= start))
            }
            Condition::Label { .. } | Condition::Field { .. } => match &*self.index.lists(condition)? {
                [] => Box::new(std::iter::empty()),
                [one] => Box::new(Paths::from(one, start)),
                several => Box::new(merged(several, start)),
            },
        })
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
