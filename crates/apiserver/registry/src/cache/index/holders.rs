//! The objects that have one value of a label or field.

use super::paths::Paths;
use crate::keys::Path;

/// Up to so many objects are listed, however few there are in all.
const FEW: usize = if cfg!(test) { 8 } else { 256 };
/// From this share of all objects on, looking them up saves nothing over looking at all: they are only counted.
const COMMON: usize = 4;
/// Below this share they are listed again. The two are apart so that an object that comes and goes does not turn them over and over.
const RARE: usize = 8;

/// The objects that have a value.
#[derive(Clone, Debug)]
pub(crate) enum Holders {
    /// Their paths.
    Listed(Paths),
    /// So many of all objects have it that only their number is kept.
    Counted(usize),
}

impl Holders {
    pub(super) fn one(path: &Path) -> Self {
        Self::Listed(Paths::one(path))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Listed(paths) => paths.len(),
            Self::Counted(count) => *count,
        }
    }

    pub(super) fn listed(&self) -> Option<&Paths> {
        match self {
            Self::Listed(paths) => Some(paths),
            Self::Counted(_) => None,
        }
    }

    /// An object has it that had not; there are so many objects in all.
    pub(super) fn add(&mut self, path: &Path, total: usize) {
        match self {
            Self::Listed(paths) => {
                paths.insert(path);
                if paths.len() > FEW && paths.len() * COMMON > total {
                    *self = Self::Counted(paths.len());
                }
            }
            Self::Counted(count) => *count += 1,
        }
    }

    /// An object has it no longer.
    pub(super) fn remove(&mut self, path: &Path) {
        match self {
            Self::Listed(paths) => paths.remove(path),
            Self::Counted(count) => *count -= 1,
        }
    }

    /// Whether they are only counted though they are a small share of all objects.
    pub(super) fn is_to_be_listed(&self, total: usize) -> bool {
        match self {
            Self::Listed(_) => false,
            Self::Counted(count) => *count <= FEW || count * RARE < total,
        }
    }
}
