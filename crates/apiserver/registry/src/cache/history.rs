//! The events of the last minutes: what lets a watch resume and a list read the past.
//!
//! Kept by time, and bounded by number and bytes. Which revisions can be resumed from is answered exactly: those
//! at or above the floor.

use super::event::Event;
use super::objects::Objects;
use apiserver_store::Revision;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The bounds of a history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) age: Duration,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A place in the sequence of events, finer than a revision: one revision may change several objects.
pub(super) type Position = u64;

/// The position of the first event after the start. Those before it come later, and there is room for them.
const START: Position = 1 << 32;

#[derive(Debug)]
pub(super) struct History {
    bounds: Bounds,
    events: VecDeque<(Instant, Arc<Event>)>,
    /// The position of the first event kept.
    first: Position,
    bytes: usize,
    floor: Revision,
}

impl History {
    /// A history that begins behind `floor`.
    pub(super) fn new(bounds: Bounds, floor: Revision) -> Self {
        Self { bounds, events: VecDeque::new(), first: START, bytes: 0, floor }
    }

    /// The oldest revision that can be resumed from.
    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    /// The position behind the newest event.
    pub(super) fn end(&self) -> Position {
        self.first + self.events.len() as u64
    }

    /// Whether every change behind `revision` is known.
    pub(super) fn covers(&self, revision: Revision) -> bool {
        revision >= self.floor
    }

    /// The position of the first event behind a revision that is covered.
    pub(super) fn behind(&self, revision: Revision) -> Position {
        self.first + self.events.partition_point(|(_, event)| event.revision <= revision) as u64
    }

    /// The events at and behind a position; `None` when some of them are forgotten.
    pub(super) fn from(&self, position: Position) -> Option<impl Iterator<Item = &Arc<Event>>> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        Some(self.events.iter().skip(skip).map(|(_, event)| event))
    }

    /// The events that lead from the newest state back to the one at a covered revision, newest first.
    pub(super) fn undo(&self, revision: Revision) -> Vec<Arc<Event>> {
        self.events.iter().rev().map(|(_, event)| event).take_while(|event| event.revision > revision).cloned().collect()
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.weight();
        self.events.push_back((Instant::now(), event));
        self.trim();
    }

    /// Puts events in front of all others, which they lead to without a gap. The history begins behind `floor` then.
    pub(super) fn prepend(&mut self, events: VecDeque<Arc<Event>>, floor: Revision) {
        let now = Instant::now();
        self.first -= events.len() as u64;
        self.bytes += events.iter().map(|event| event.weight()).sum::<usize>();
        self.floor = floor;
        for event in events.into_iter().rev() {
            self.events.push_front((now, event));
        }
        self.trim();
    }

    /// Forgets what is over the bounds.
    pub(super) fn trim(&mut self) {
        let now = Instant::now();
        while let Some((at, event)) = self.events.front() {
            let over = self.events.len() > self.bounds.events || self.bytes > self.bounds.bytes;
            if !over && now.duration_since(*at) <= self.bounds.age {
                break;
            }
            self.bytes -= event.weight();
            self.floor = event.revision;
            self.first += 1;
            self.events.pop_front();
        }
    }

    /// Forgets everything up to a revision: nothing before it can be sent any more.
    pub(super) fn restart(&mut self, floor: Revision) {
        self.first = self.end() + 1;
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
    }
}

/// Takes events back, newest first.
pub(super) fn undo(mut objects: Objects, events: &[Arc<Event>]) -> Objects {
    for event in events {
        match &event.previous {
            Some(item) => objects.insert(&event.path, item),
            None => objects.remove(&event.path),
        };
    }
    objects
}

#[cfg(test)]
mod tests;
