//! What a write changes, as those who own fields see it.

use crate::compare::{Comparison, compare};
use crate::ignored::Ignored;
use crate::set::FieldSet;
use apiserver_meta::Schema;
use serde_json::{Map, Value};

/// What a write changes that can be owned.
pub(crate) struct Changes {
    /// Fields that get other values, or are new.
    pub(crate) gained: FieldSet,
    /// Fields that go.
    pub(crate) removed: FieldSet,
}

impl Changes {
    pub(crate) fn between(schema: &Schema, live: &Map<String, Value>, new: &Map<String, Value>, ignored: &Ignored) -> Self {
        let Comparison { mut removed, modified, added } = compare(schema, live, new);
        let mut gained = modified.union(added);
        ignored.strip(&mut gained);
        ignored.strip(&mut removed);
        Self { gained, removed }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.removed.is_empty()
    }

    /// Takes what changes from somebody who did not change it.
    pub(crate) fn take_from(&self, set: &mut FieldSet) {
        set.subtract(&self.gained);
        set.subtract(&self.removed);
    }
}
