//! A change of what a watch's view shows of a namespace, on its way to the client: what appears, and what disappears.

use super::event::frame;
use super::filter::{Filter, Shift};
use super::snapshot::{Objects, range};
use super::watch::{COPIES, STRIDE};
use crate::{EventKind, Frame};
use apiserver_store::Revision;
use std::sync::Arc;

/// A shift, and how much of it was told.
#[derive(Debug)]
pub(super) struct Shifting {
    shift: Shift,
    objects: Objects,
    revision: Revision,
    /// What the paths of the namespace begin with.
    prefix: String,
    /// The path to go on from; `None` when everything was told.
    next: Option<String>,
}

impl Shifting {
    /// A shift at a revision, with the objects as they are there.
    pub(super) fn new(shift: Shift, objects: Objects, revision: Revision) -> Self {
        let prefix = if shift.namespace.is_empty() { String::new() } else { format!("{}/", shift.namespace) };
        Self { shift, objects, revision, next: Some(prefix.clone()), prefix }
    }

    pub(super) fn is_told(&self) -> bool {
        self.next.is_none()
    }

    /// Some of what is seen of the namespace from now on, or no longer. What appears has its own revision, which a
    /// client may write against; what disappears has one that is not behind what was told.
    pub(super) fn tell(&mut self, filter: &Filter, told: Revision) -> Vec<Frame> {
        let Some(next) = self.next.take() else { return Vec::new() };
        let mut rows = range(&self.objects, &self.prefix, &next);
        let (mut frames, mut copied) = (Vec::new(), 0);
        for (path, item) in rows.by_ref().take(STRIDE) {
            if !filter.spans(path) {
                continue;
            }
            match filter.shifts(&self.shift, item) {
                Some(EventKind::Deleted) => {
                    let gone = Arc::new(item.at_revision(told.max(self.revision)));
                    copied += gone.bytes.len();
                    frames.push(frame(EventKind::Deleted, &gone));
                    if copied >= COPIES {
                        break;
                    }
                }
                Some(kind @ (EventKind::Added | EventKind::Modified)) => frames.push(frame(kind, item)),
                None => {}
            }
        }
        self.next = rows.next().map(|(path, _)| path.to_string());
        frames
    }
}
