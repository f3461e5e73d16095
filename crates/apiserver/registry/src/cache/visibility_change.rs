//! Changes of what a watch shows of a namespace, on their way to the client: objects appear, and objects disappear.

use super::event::{STRIDE, frame};
use super::filter::{Filter, ScopeChange};
use super::objects::Objects;
use crate::frame::{EventKind, Frame};
use apiserver_store::Revision;
use std::sync::Arc;

/// About how many bytes that no other watch shares may be made before they are asked for.
const COPIES: usize = 16 << 10;

/// A change of a caller's scope, and how much of it was sent.
#[derive(Debug)]
pub(super) struct VisibilityChange {
    change: ScopeChange,
    objects: Objects,
    revision: Revision,
    /// The prefix of the namespace's paths.
    prefix: String,
    /// The path to go on from; `None` when everything was sent.
    next: Option<String>,
}

impl VisibilityChange {
    /// A change at a revision, with the objects as they are there.
    pub(super) fn new(change: ScopeChange, objects: Objects, revision: Revision) -> Self {
        let prefix = if change.namespace.is_empty() { String::new() } else { format!("{}/", change.namespace) };
        Self { change, objects, revision, next: Some(prefix.clone()), prefix }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.next.is_none()
    }

    /// Frames for some of the objects that are shown from now on, or no longer. An object that appears has its own revision,
    /// which a client may write against; one that disappears has a revision that is not behind what was `sent`.
    pub(super) fn frames(&mut self, filter: &Filter, sent: Revision) -> Vec<Frame> {
        let Some(next) = self.next.take() else { return Vec::new() };
        let mut rows = self.objects.range(&self.prefix, &next);
        let (mut frames, mut copied) = (Vec::new(), 0);
        for (path, item) in rows.by_ref().take(STRIDE) {
            if !filter.spans(path) {
                continue;
            }
            match filter.classify_change(&self.change, item) {
                Some(EventKind::Deleted) => {
                    let gone = Arc::new(item.at_revision(sent.max(self.revision)));
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
