//! The paths of the objects that share a value, in order: persistent, and small while they are few.

use crate::keys::Path;
use imbl::OrdSet;
use imbl::ordset::RangedIter;
use imbl::shared_ptr::DefaultSharedPtr;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;

/// From how many paths on they are in a tree.
const MANY: usize = 16;

/// Paths in order, each once.
#[derive(Clone, Debug)]
pub(crate) enum Paths {
    /// So few that a change copies them.
    Few(Arc<[Path]>),
    Many(OrdSet<Path>),
}

impl Paths {
    pub(super) fn one(path: &Path) -> Self {
        Self::Few(Arc::new([Arc::clone(path)]))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(paths) => paths.len(),
            Self::Many(paths) => paths.len(),
        }
    }

    pub(super) fn insert(&mut self, path: &Path) {
        match self {
            Self::Few(paths) => {
                let Err(at) = paths.binary_search(path) else { return };
                let (before, behind) = paths.split_at(at);
                let all = before.iter().chain(std::iter::once(path)).chain(behind).cloned();
                *self = if paths.len() + 1 < MANY { Self::Few(all.collect()) } else { Self::Many(all.collect()) };
            }
            Self::Many(paths) => _ = paths.insert(Arc::clone(path)),
        }
    }

    pub(super) fn remove(&mut self, path: &Path) {
        match self {
            Self::Few(paths) => *paths = paths.iter().filter(|known| *known != path).cloned().collect(),
            Self::Many(paths) => {
                paths.remove(path);
                // Not at once, so that one object that comes and goes does not turn it over and over.
                if paths.len() < MANY / 2 {
                    *self = Self::Few(paths.iter().cloned().collect());
                }
            }
        }
    }

    /// The paths at and behind `start`.
    pub(crate) fn from(&self, start: &str) -> PathsFrom<'_> {
        match self {
            Self::Few(paths) => PathsFrom::Few(paths.get(paths.partition_point(|path| **path < *start)..).unwrap_or_default().iter()),
            Self::Many(paths) => PathsFrom::Many(paths.range::<_, str>((Bound::Included(start), Bound::Unbounded))),
        }
    }
}

impl FromIterator<Path> for Paths {
    fn from_iter<T: IntoIterator<Item = Path>>(paths: T) -> Self {
        let paths: OrdSet<Path> = paths.into_iter().collect();
        if paths.len() < MANY { Self::Few(paths.iter().cloned().collect()) } else { Self::Many(paths) }
    }
}

/// The rest of some paths.
pub(crate) enum PathsFrom<'a> {
    Few(std::slice::Iter<'a, Path>),
    Many(RangedIter<'a, Path, DefaultSharedPtr>),
}

impl<'a> Iterator for PathsFrom<'a> {
    type Item = &'a Path;

    fn next(&mut self) -> Option<&'a Path> {
        match self {
            Self::Few(paths) => paths.next(),
            Self::Many(paths) => paths.next(),
        }
    }
}

/// The paths of several lists at and behind `start`, in one order.
pub(crate) fn merged<'a>(lists: &[&'a Paths], start: &str) -> impl Iterator<Item = &'a Path> + Send + use<'a> {
    let mut rests: Vec<PathsFrom<'a>> = lists.iter().map(|paths| paths.from(start)).collect();
    let firsts = rests.iter_mut().enumerate().filter_map(|(list, rest)| rest.next().map(|path| Reverse((path, list))));
    let mut next: BinaryHeap<Reverse<(&'a Path, usize)>> = firsts.collect();
    std::iter::from_fn(move || {
        let Reverse((path, list)) = next.pop()?;
        next.extend(rests.get_mut(list).and_then(Iterator::next).map(|path| Reverse((path, list))));
        Some(path)
    })
}
