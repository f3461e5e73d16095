//! The frames of a watch.

use crate::item::Item;
use apiserver_store::Revision;
use std::sync::Arc;

/// The kind of a watch event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One frame of a watch.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A change.
    Event {
        /// The kind, as seen through the watch's selectors and view.
        kind: EventKind,
        /// The object after it (before it, with the revision of the event, for [`EventKind::Deleted`]), shared by all
        /// watchers.
        item: Arc<Item>,
    },
    /// Nothing at or below `revision` is missing.
    Bookmark {
        /// Up to where.
        revision: Revision,
        /// Whether it ends the initial events of a streaming list.
        initial_events_end: bool,
    },
    /// The watch cannot go on; nothing follows.
    Error(Arc<apiserver_meta::Status>),
}
