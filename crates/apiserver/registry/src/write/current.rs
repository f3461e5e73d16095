//! The object that a change starts from, and whether it is still, or again, what is stored.

use super::encoded::Encoded;
use crate::admission::Consistency;
use crate::item::{Item, splice};
use apiserver_meta::Object;
use apiserver_store::{Entry, Form, Revision};
use bytes::Bytes;

/// The object that a change starts from.
pub(super) struct Current {
    /// As stored, with the resourceVersion that a client would see.
    pub(super) object: Object,
    /// The revision that wrote it.
    pub(super) revision: Revision,
    /// How fresh the object is, and everything else must be that decides about the change.
    pub(super) consistency: Consistency,
    bytes: CurrentBytes,
    /// Not known of a cached object: the store has to confirm that nothing changes.
    form: Form,
}

enum CurrentBytes {
    /// As the cache shows them: with their resourceVersion.
    Shown(Bytes),
    /// As the store has them.
    Stored(Bytes),
}

impl Current {
    /// The object of a cached item, which may be stale.
    pub(super) fn cached(object: Object, item: &Item) -> Self {
        let bytes = CurrentBytes::Shown(item.bytes.clone());
        Self { object, revision: item.revision, bytes, form: Form::Current, consistency: Consistency::Cached }
    }

    /// The object of an entry that was just read.
    pub(super) fn live(object: Object, entry: &Entry) -> Self {
        let bytes = CurrentBytes::Stored(entry.value.clone());
        Self { object, revision: entry.revision, bytes, form: entry.form, consistency: Consistency::Linearizable }
    }

    /// Whether a write of this would leave everything as it is.
    pub(super) fn is(&self, next: &Encoded) -> bool {
        let is_same = match &self.bytes {
            CurrentBytes::Shown(shown) => next.is_shown_as(shown, self.revision),
            CurrentBytes::Stored(stored) => next.stored() == stored,
        };
        is_same && self.form == Form::Current
    }

    /// Whether this is what the store was found to have.
    pub(super) fn is_still(&self, live: &Self) -> bool {
        let is_same = match (&self.bytes, &live.bytes) {
            (CurrentBytes::Shown(cached), CurrentBytes::Stored(stored)) => splice(stored, live.revision).is_ok_and(|shown| shown == cached),
            (CurrentBytes::Stored(old) | CurrentBytes::Shown(old), CurrentBytes::Stored(new) | CurrentBytes::Shown(new)) => old == new,
        };
        is_same && self.revision == live.revision && self.form == live.form
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        let (CurrentBytes::Shown(bytes) | CurrentBytes::Stored(bytes)) = &self.bytes;
        bytes.len()
    }
}
