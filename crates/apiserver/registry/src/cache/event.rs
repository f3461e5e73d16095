//! One change: kept by the history and handed to watchers, the same one for all of them.
//!
//! A watch holds references to events and objects, never bytes of its own: those are made where a response is written.

use crate::frame::{EventKind, Frame};
use crate::item::Item;
use crate::keys::Path;
use apiserver_store::Revision;
use std::sync::{Arc, OnceLock};

/// How many objects or events a watch looks at before it lets others run.
pub(super) const STRIDE: usize = 256;

/// About how many bytes an event costs beside those of an object: its path, the object's key, labels and access facts.
pub(super) const OVERHEAD: usize = 600;

/// A change of one object.
#[derive(Debug)]
pub(super) struct Event {
    /// The revision of the change.
    pub(super) revision: Revision,
    /// Of which object.
    pub(super) path: Path,
    /// The object before; `None`: it was not there.
    pub(super) previous: Option<Arc<Item>>,
    /// The object after; `None`: it is gone.
    pub(super) current: Option<Arc<Item>>,
    /// The object before, as a DELETED event shows it; made for the first watcher that is sent it.
    deleted: OnceLock<Arc<Item>>,
}

impl Event {
    pub(super) fn new(revision: Revision, path: Path, previous: Option<Arc<Item>>, current: Option<Arc<Item>>) -> Self {
        Self { revision, path, previous, current, deleted: OnceLock::new() }
    }

    /// The object, as it is or was.
    pub(super) fn subject(&self) -> Option<&Arc<Item>> {
        self.current.as_ref().or(self.previous.as_ref())
    }

    /// The kind of event that it is to those who see every object; `None`: nothing has changed.
    pub(super) fn kind(&self) -> Option<EventKind> {
        self.kind_where(|_| true)
    }

    /// The kind of event that it is to those who see these objects.
    pub(super) fn kind_where(&self, shows: impl Fn(&Item) -> bool) -> Option<EventKind> {
        let shows = |item: &Option<Arc<Item>>| item.as_ref().is_some_and(|item| shows(item));
        match (shows(&self.previous), shows(&self.current)) {
            (false, true) => Some(EventKind::Added),
            (true, true) => Some(EventKind::Modified),
            (true, false) => Some(EventKind::Deleted),
            (false, false) => None,
        }
    }

    /// About how many bytes are kept only because the event is. The object after it is not counted: it is the newest
    /// one, or the one before a later event.
    pub(super) fn weight(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, |item| item.bytes.len());
        // A deletion is sent with bytes of its own.
        let copies = if self.current.is_none() { 2 } else { 1 };
        previous * copies + OVERHEAD
    }

    /// The frame for those to whom the change is one of this kind; `None` when it cannot be one.
    pub(super) fn frame(&self, kind: EventKind) -> Option<Frame> {
        let item = match kind {
            EventKind::Added | EventKind::Modified => self.current.as_ref()?,
            EventKind::Deleted => {
                let previous = self.previous.as_ref()?;
                self.deleted.get_or_init(|| Arc::new(previous.at_revision(self.revision)))
            }
        };
        Some(frame(kind, item))
    }
}

pub(super) fn frame(kind: EventKind, item: &Arc<Item>) -> Frame {
    Frame::Event { kind, item: Arc::clone(item) }
}
