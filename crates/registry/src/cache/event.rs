//! One change: as the history keeps it, and as it goes to watchers, encoded once for all of them.

use super::snapshot::Path;
use crate::{EventKind, Frame, Item};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use vci_store::Revision;

/// What an event costs beside the bytes of an object, about: its path, the object's key, labels and access facts.
const OVERHEAD: usize = 600;

/// What happened to one object.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The revision of the change.
    pub(super) revision: Revision,
    /// Of which object.
    pub(super) path: Path,
    /// The object before; `None`: it was not there.
    pub(super) previous: Option<Arc<Item>>,
    /// The object after; `None`: it is gone.
    pub(super) current: Option<Arc<Item>>,
}

impl Event {
    /// The object, as it is or was.
    pub(super) fn subject(&self) -> Option<&Arc<Item>> {
        self.current.as_ref().or(self.previous.as_ref())
    }

    /// About how many bytes are kept only because the event is. The object after it is not counted: it is the newest
    /// one, or the one before a later event.
    pub(super) fn weight(&self) -> usize {
        self.previous.as_ref().map_or(0, |item| item.bytes.len()) + OVERHEAD
    }
}

/// The object that a watch tells, and its encoded line.
type Line = (Arc<Item>, Bytes);

/// An event on its way to watchers. It lives as long as one of them waits for it: the history keeps no lines.
#[derive(Debug)]
pub(super) struct Broadcast {
    event: Event,
    lines: [OnceLock<Option<Line>>; 3],
}

impl Broadcast {
    pub(super) fn new(event: Event) -> Self {
        Self { event, lines: [const { OnceLock::new() }; 3] }
    }

    /// The event's revision.
    pub(super) fn revision(&self) -> Revision {
        self.event.revision
    }

    /// The frame for those to whom the change is one of this kind; `None` when it cannot be one.
    pub(super) fn frame(&self, kind: EventKind) -> Option<Frame> {
        let slot = match kind {
            EventKind::Added => &self.lines[0],
            EventKind::Modified => &self.lines[1],
            EventKind::Deleted => &self.lines[2],
        };
        let told = slot.get_or_init(|| {
            let item = match kind {
                EventKind::Added | EventKind::Modified => Arc::clone(self.event.current.as_ref()?),
                EventKind::Deleted => Arc::new(self.event.previous.as_ref()?.at_revision(self.event.revision)),
            };
            let line = line(kind, &item);
            Some((item, line))
        });
        let (item, line) = told.as_ref()?;
        Some(Frame::Event { kind, item: Arc::clone(item), line: line.clone() })
    }
}

/// A frame that only one watcher gets.
pub(super) fn frame(kind: EventKind, item: &Arc<Item>) -> Frame {
    Frame::Event { kind, item: Arc::clone(item), line: line(kind, item) }
}

fn line(kind: EventKind, item: &Item) -> Bytes {
    let head: &[u8] = match kind {
        EventKind::Added => br#"{"type":"ADDED","object":"#,
        EventKind::Modified => br#"{"type":"MODIFIED","object":"#,
        EventKind::Deleted => br#"{"type":"DELETED","object":"#,
    };
    let mut line = Vec::with_capacity(head.len() + item.bytes.len() + 2);
    line.extend_from_slice(head);
    line.extend_from_slice(&item.bytes);
    line.extend_from_slice(b"}\n");
    line.into()
}
