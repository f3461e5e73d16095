//! Which revisions each key has: the only thing that is kept in memory of every key, as in etcd.
//!
//! With it a write touches one table of the file, a compare needs no read, and a range at an old revision costs what
//! one at the current revision costs. It is built from the log at start.

use crate::{Key, Revision};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Versions of keys, and what of them compaction may remove. Holds what is committed, nothing else.
#[derive(Debug)]
pub(super) struct Index {
    keys: BTreeMap<Key, Versions>,
    /// In order of `until`.
    superseded: VecDeque<Superseded>,
    /// The newest revision.
    pub current: Revision,
    /// The oldest revision at which the whole state can be read; 0: nothing was compacted.
    pub oldest: Revision,
}

/// The version of a key that one write left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Value(Revision),
    Deleted(Revision),
}

impl Version {
    fn revision(self) -> Revision {
        match self {
            Self::Value(revision) | Self::Deleted(revision) => revision,
        }
    }

    fn value(self) -> Option<Revision> {
        match self {
            Self::Value(revision) => Some(revision),
            Self::Deleted(_) => None,
        }
    }
}

#[derive(Debug)]
struct Versions {
    newest: Packed,
    /// In order; `None` for most keys.
    older: Option<Box<Older>>,
}

/// The versions before the newest one; never empty.
#[derive(Debug)]
struct Older(Vec<Packed>);

/// A version in eight bytes, because every key has one: the revision, and in the lowest bit whether it is a deletion. Revisions
/// count writes: none comes near 2^63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed(u64);

impl From<Version> for Packed {
    fn from(version: Version) -> Self {
        Self(version.revision() << 1 | u64::from(matches!(version, Version::Deleted(_))))
    }
}

impl From<Packed> for Version {
    fn from(Packed(bits): Packed) -> Self {
        if bits & 1 == 0 { Self::Value(bits >> 1) } else { Self::Deleted(bits >> 1) }
    }
}

/// A record that no state at or after `until` needs: a value from its successor on, a deletion from itself on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superseded {
    until: Revision,
    key: Key,
    /// The record's revision.
    pub revision: Revision,
}

impl Index {
    pub(super) fn new(oldest: Revision) -> Self {
        // Revision 1 is that of an empty store.
        Self { keys: BTreeMap::new(), superseded: VecDeque::new(), current: 1, oldest }
    }

    /// Takes over a committed write; writes come in order of revision.
    pub(super) fn apply(&mut self, key: &Key, version: Version) {
        let revision = version.revision();
        self.current = revision;
        match self.keys.get_mut(key) {
            None => {
                self.keys.insert(key.clone(), Versions { newest: version.into(), older: None });
            }
            Some(versions) => {
                if let Version::Value(former) = versions.supersede(version) {
                    self.superseded.push_back(Superseded { until: revision, key: key.clone(), revision: former });
                }
            }
        }
        if let Version::Deleted(_) = version {
            self.superseded.push_back(Superseded { until: revision, key: key.clone(), revision });
        }
    }

    /// The revision of the value that a key has now.
    pub(super) fn newest(&self, key: &Key) -> Option<Revision> {
        self.keys.get(key)?.newest().value()
    }

    /// Keys with a value at a revision, and the revision of that value, in order.
    pub(super) fn range<'a>(&'a self, prefix: &'a str, start: &'a str, at: Revision) -> impl Iterator<Item = (&'a Key, Revision)> {
        self.keys
            .range::<str, _>((Bound::Included(prefix.max(start)), Bound::Unbounded))
            .take_while(move |(key, _)| key.as_str().starts_with(prefix))
            .filter_map(move |(key, versions)| Some((key, versions.at(at)?.value()?)))
    }

    /// The revisions behind `after` and up to `until` that wrote keys under a prefix, in order; `None` when it has more than
    /// `limit` keys.
    pub(super) fn changes(&self, prefix: &str, after: Revision, until: Revision, limit: usize) -> Option<Vec<Revision>> {
        let mut changes = Vec::new();
        let keys = self.keys.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        for (count, (_, versions)) in keys.take_while(|(key, _)| key.as_str().starts_with(prefix)).enumerate() {
            if count >= limit {
                return None;
            }
            let revisions = versions.older().chain([versions.newest()]).map(Version::revision);
            changes.extend(revisions.filter(|revision| (after + 1..=until).contains(revision)));
        }
        changes.sort_unstable();
        Some(changes)
    }

    /// Some of what compaction to `self.oldest` may remove, at most `limit`. The newest record stays whatever it is:
    /// it is the file's memory of the revisions that were given out.
    pub(super) fn expired(&self, limit: usize) -> Vec<Superseded> {
        let gone = |superseded: &&Superseded| superseded.until <= self.oldest && superseded.revision != self.current;
        self.superseded.iter().take_while(gone).take(limit).cloned().collect()
    }

    /// Whether [`Self::expired`] has anything.
    pub(super) fn has_expired(&self) -> bool {
        !self.expired(1).is_empty()
    }

    /// Forgets what [`Self::expired`] gave.
    pub(super) fn forget(&mut self, expired: &[Superseded]) {
        self.superseded.drain(..expired.len());
        for Superseded { key, revision, .. } in expired {
            let Some(versions) = self.keys.get_mut(key) else { continue };
            versions.forget(*revision);
            if versions.newest().revision() == *revision {
                self.keys.remove(key);
            }
        }
    }
}

impl Versions {
    fn newest(&self) -> Version {
        self.newest.into()
    }

    fn older(&self) -> impl DoubleEndedIterator<Item = Version> {
        self.older.iter().flat_map(|older| &older.0).map(|version| Version::from(*version))
    }

    fn at(&self, at: Revision) -> Option<Version> {
        let newest = self.newest();
        if newest.revision() <= at { Some(newest) } else { self.older().rev().find(|version| version.revision() <= at) }
    }

    /// Puts a version in the place of the newest one, which is returned.
    fn supersede(&mut self, version: Version) -> Version {
        let former = std::mem::replace(&mut self.newest, version.into());
        self.older.get_or_insert_with(|| Box::new(Older(Vec::new()))).0.push(former);
        former.into()
    }

    /// Forgets an older version.
    fn forget(&mut self, revision: Revision) {
        self.older = self.older.take().and_then(|mut older| {
            older.0.retain(|version| Version::from(*version).revision() != revision);
            (!older.0.is_empty()).then_some(older)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_version_is_the_version() {
        for version in [Version::Value(1), Version::Deleted(2), Version::Value(u64::MAX >> 1), Version::Deleted(u64::MAX >> 1)] {
            assert_eq!(Version::from(Packed::from(version)), version);
        }
    }

    type Writes<'a> = &'a [(&'a str, Version)];

    fn index(writes: Writes<'_>) -> Index {
        let mut index = Index::new(0);
        for (key, version) in writes {
            index.apply(&Key::new(*key), *version);
        }
        index
    }

    fn names(index: &Index, prefix: &str, start: &str, at: Revision) -> Vec<(String, Revision)> {
        index.range(prefix, start, at).map(|(key, revision)| (key.to_string(), revision)).collect()
    }

    #[test]
    fn compaction_removes_what_no_kept_state_needs() {
        use Version::{Deleted, Value};
        // (writes, compacted to, revisions of the records that go)
        let cases: [(Writes<'_>, Revision, &[Revision]); 6] = [
            (&[("a", Value(2)), ("a", Value(3)), ("a", Value(4))], 3, &[2]),
            (&[("a", Value(2)), ("a", Value(3)), ("a", Value(4))], 4, &[2, 3]),
            (&[("a", Value(2)), ("a", Deleted(3)), ("b", Value(4))], 2, &[]),
            (&[("a", Value(2)), ("a", Deleted(3)), ("b", Value(4))], 3, &[2, 3]),
            (&[("a", Value(2)), ("a", Deleted(3)), ("a", Value(4))], 4, &[2, 3]),
            // A deletion that is the newest record stays until something newer is there.
            (&[("a", Value(2)), ("a", Deleted(3))], 3, &[2]),
        ];
        for (writes, oldest, want) in cases {
            let mut index = index(writes);
            let before: Vec<_> = (oldest..=4).map(|at| names(&index, "", "", at)).collect();
            index.oldest = oldest;
            let expired = index.expired(100);
            assert_eq!(expired.iter().map(|superseded| superseded.revision).collect::<Vec<_>>(), want);
            index.forget(&expired);
            assert!(!index.has_expired());
            let after: Vec<_> = (oldest..=4).map(|at| names(&index, "", "", at)).collect();
            assert_eq!(after, before, "kept states change");
        }
    }

    #[test]
    fn changes_of_a_prefix_are_known_without_the_log() {
        use Version::{Deleted, Value};
        let index =
            index(&[("a/x", Value(2)), ("b/x", Value(3)), ("a/y", Value(4)), ("a/x", Deleted(5)), ("a/x", Value(6)), ("c", Value(7))]);
        for (prefix, after, until, want) in
            [("a/", 1, 7, &[2, 4, 5, 6][..]), ("a/", 2, 5, &[4, 5]), ("a/", 6, 7, &[]), ("b/", 1, 7, &[3]), ("d/", 1, 7, &[])]
        {
            assert_eq!(index.changes(prefix, after, until, 2).as_deref(), Some(want), "{prefix} {after} {until}");
        }
        assert_eq!(index.changes("a/", 1, 7, 1), None, "two keys");
    }

    #[test]
    fn a_forgotten_key_takes_no_memory() {
        let mut index = index(&[("a", Version::Value(2)), ("a", Version::Deleted(3)), ("b", Version::Value(4))]);
        index.oldest = 4;
        index.forget(&index.expired(1));
        index.forget(&index.expired(1));
        assert_eq!((index.keys.len(), index.superseded.len()), (1, 0));
    }

    #[test]
    fn a_start_before_the_prefix_is_the_prefix() {
        let index = index(&[("a", Version::Value(2)), ("b/x", Version::Value(3)), ("b/y", Version::Value(4)), ("c", Version::Value(5))]);
        for (start, want) in [("", 2), ("a", 2), ("b/y", 1), ("c", 0)] {
            assert_eq!(names(&index, "b/", start, 5).len(), want, "start {start:?}");
        }
    }
}
