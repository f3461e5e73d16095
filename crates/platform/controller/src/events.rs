//! Events on instances: what `kubectl describe` shows of what has happened.
//!
//! They are written to the host cluster, into the project's namespace. An event that cannot be written is logged, and nothing else
//! depends on it.

use crate::api::Instance;
use crate::names::CONTROLLER;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::fmt;

/// The longest note of an event, in bytes, as Kubernetes allows.
const LONGEST_NOTE: usize = 1024;

/// Writes events.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

impl Events {
    /// Writes them to this cluster, as this process.
    pub(crate) fn new(host: kube::Client, identity: &str) -> Self {
        Self(Recorder::new(host, Reporter { controller: CONTROLLER.into(), instance: Some(identity.into()) }))
    }

    /// Tells of something that went as it should.
    pub(crate) async fn normal(&self, instance: &Instance, reason: &str, note: &str) {
        self.publish(instance, EventType::Normal, reason, note).await;
    }

    /// Tells of something that did not.
    pub(crate) async fn warning(&self, instance: &Instance, reason: &str, note: &str) {
        self.publish(instance, EventType::Warning, reason, note).await;
    }

    async fn publish(&self, instance: &Instance, type_: EventType, reason: &str, note: &str) {
        let note = Some(cut(note).to_owned());
        let event = Event { type_, reason: reason.into(), note, action: "Reconcile".into(), secondary: None };
        if let Err(error) = self.0.publish(&event, &instance.object_ref(&())).await {
            tracing::debug!(%error, instance = instance.name(), reason, "an event was not written");
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// As much of a note as an event may hold.
fn cut(note: &str) -> &str {
    let mut end = note.len().min(LONGEST_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    &note[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(600);
        assert_eq!(cut(&long).len(), 1024);
        let odd = format!("x{long}");
        assert_eq!(cut(&odd).len(), 1023);
    }
}
