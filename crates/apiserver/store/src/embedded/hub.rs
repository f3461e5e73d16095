//! Where committed events meet open watches. A watcher has a bounded queue; what does not fit is remembered as a
//! [`Gap`] of revisions and read from the file when the watcher gets there. So writers never wait, memory is bounded,
//! and an event is told exactly once: it is in the queue or in a gap, never in both.

use super::shared::event_size;
use crate::{Event, Revision, WatchMessage};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Limits of the queue of one watcher: events, and bytes of the values that they keep in memory.
const QUEUE_EVENTS: usize = 1024;
const QUEUE_BYTES: usize = 4 << 20;
/// How many events one message carries at most.
const MESSAGE_EVENTS: usize = 128;

/// Revisions `after < r <= until`, to be read from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub after: Revision,
    pub until: Revision,
}

#[derive(Debug)]
pub(super) struct Hub(Mutex<Watchers>);

#[derive(Debug)]
struct Watchers {
    open: Vec<Arc<Watcher>>,
    /// Everything up to here was handed to those who were open.
    published: Revision,
}

impl Hub {
    pub(super) fn new(published: Revision) -> Self {
        Self(Mutex::new(Watchers { open: Vec::new(), published }))
    }

    /// Opens a watch; what happened between `after` and now is its first gap.
    pub(super) fn open(&self, prefix: &str, after: Revision) -> Arc<Watcher> {
        let mut watchers = lock(&self.0);
        let published = watchers.published;
        let watcher = Arc::new(Watcher::new(prefix, after, published));
        watchers.open.push(watcher.clone());
        watcher
    }

    pub(super) fn leave(&self, watcher: &Arc<Watcher>) {
        lock(&self.0).open.retain(|other| !Arc::ptr_eq(other, watcher));
    }

    pub(super) fn publish(&self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let mut watchers = lock(&self.0);
        watchers.published = last.revision;
        for watcher in &watchers.open {
            watcher.push(events, last.revision);
        }
    }

    pub(super) fn request_progress(&self) {
        for watcher in &lock(&self.0).open {
            watcher.wake(|queue| queue.progress_owed = true);
        }
    }

    /// Ends every watch.
    pub(super) fn close(&self) {
        for watcher in lock(&self.0).open.drain(..) {
            watcher.wake(|queue| queue.closed = true);
        }
    }
}

/// One open watch.
#[derive(Debug)]
pub(super) struct Watcher {
    pub prefix: String,
    /// Only events behind this revision are wanted.
    after: Revision,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// Everything up to here went through this queue or was of no concern.
    seen: Revision,
    progress_owed: bool,
    closed: bool,
}

#[derive(Debug)]
enum Item {
    Event(Event),
    Gap(Gap),
}

/// The next step of a watcher.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Tell(WatchMessage),
    Read(Gap),
    Wait,
    End,
}

impl Watcher {
    fn new(prefix: &str, after: Revision, published: Revision) -> Self {
        let mut queue = Queue { seen: published, ..Queue::default() };
        if after < published {
            queue.items.push_back(Item::Gap(Gap { after, until: published }));
        }
        Self { prefix: prefix.to_owned(), after, queue: Mutex::new(queue), changed: Notify::new() }
    }

    fn push(&self, events: &[Event], last: Revision) {
        let mut queue = lock(&self.queue);
        queue.seen = last;
        let before = (queue.items.len(), queue.bytes);
        for event in events {
            if event.revision > self.after && event.key.as_str().starts_with(&self.prefix) {
                queue.push(event);
            }
        }
        if before != (queue.items.len(), queue.bytes) {
            // Who hears of a write hears with it that the guard behind it is of no concern, and need not ask.
            queue.progress_owed |= events.last().is_some_and(|event| !event.key.as_str().starts_with(&self.prefix));
            self.changed.notify_one();
        }
    }

    fn wake(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut lock(&self.queue));
        self.changed.notify_one();
    }

    /// Takes what is first in the queue. Progress is told only when nothing is left that it could overtake.
    pub(super) fn next(&self) -> Next {
        let mut queue = lock(&self.queue);
        match queue.items.front() {
            Some(Item::Gap(gap)) => {
                let gap = *gap;
                queue.items.pop_front();
                Next::Read(gap)
            }
            Some(Item::Event(_)) => Next::Tell(WatchMessage::Events(queue.events())),
            None if queue.closed => Next::End,
            None if queue.progress_owed && queue.seen >= self.after => {
                queue.progress_owed = false;
                Next::Tell(WatchMessage::Progress(queue.seen))
            }
            None => Next::Wait,
        }
    }

    /// Waits until [`Self::next`] may have something new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Queue {
    fn push(&mut self, event: &Event) {
        let size = event_size(event);
        if self.items.len() < QUEUE_EVENTS && self.bytes + size <= QUEUE_BYTES {
            self.bytes += size;
            self.items.push_back(Item::Event(event.clone()));
            return;
        }
        match self.items.back_mut() {
            Some(Item::Gap(gap)) => gap.until = event.revision,
            _ => self.items.push_back(Item::Gap(Gap { after: event.revision - 1, until: event.revision })),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < MESSAGE_EVENTS {
            match self.items.pop_front() {
                Some(Item::Event(event)) => {
                    self.bytes -= event_size(&event);
                    events.push(event);
                }
                Some(gap) => {
                    self.items.push_front(gap);
                    break;
                }
                None => break,
            }
        }
        events
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Form, Key};
    use bytes::Bytes;

    fn event(revision: Revision, key: &str, size: usize) -> Event {
        Event { key: Key::new(key), revision, value: Some(Bytes::from(vec![0; size])), form: Form::Current }
    }

    fn told(watcher: &Watcher) -> Vec<Revision> {
        match watcher.next() {
            Next::Tell(WatchMessage::Events(events)) => events.iter().map(|event| event.revision).collect(),
            other => panic!("want events, got {other:?}"),
        }
    }

    #[test]
    fn what_does_not_fit_becomes_one_gap_and_what_follows_it_waits_behind_it() {
        for (size, fits) in [(0, QUEUE_EVENTS as u64), (1 << 20, 4)] {
            let hub = Hub::new(1);
            let watcher = hub.open("a/", 1);
            for revision in 2..2 + fits + 3 {
                hub.publish(&[event(revision, "a/x", size)]);
            }
            let last = 1 + fits + 3;
            let mut seen = told(&watcher);
            hub.publish(&[event(last + 1, "a/x", size)]);
            while seen.len() < fits as usize {
                seen.extend(told(&watcher));
            }
            assert!(seen.into_iter().eq(2..2 + fits));
            assert_eq!(watcher.next(), Next::Read(Gap { after: 1 + fits, until: last }));
            assert_eq!(told(&watcher), [last + 1]);
            assert_eq!(watcher.next(), Next::Wait);
        }
    }

    #[test]
    fn progress_waits_for_the_queue_and_is_told_once() {
        let hub = Hub::new(5);
        let watcher = hub.open("a/", 3);
        hub.request_progress();
        hub.publish(&[event(6, "a/x", 0), event(7, "b/x", 0)]);
        hub.request_progress();
        assert_eq!(watcher.next(), Next::Read(Gap { after: 3, until: 5 }));
        assert_eq!(told(&watcher), [6]);
        assert_eq!(watcher.next(), Next::Tell(WatchMessage::Progress(7)));
        assert_eq!(watcher.next(), Next::Wait);
    }

    #[test]
    fn a_write_with_a_fence_behind_it_brings_progress_with_it() {
        let hub = Hub::new(1);
        let watcher = hub.open("a/", 1);
        hub.publish(&[event(2, "a/x", 0), event(3, "guard", 0)]);
        assert_eq!(told(&watcher), [2]);
        assert_eq!(watcher.next(), Next::Tell(WatchMessage::Progress(3)));
        hub.publish(&[event(4, "b/x", 0)]);
        hub.publish(&[event(5, "b/x", 0), event(6, "a/x", 0)]);
        assert_eq!(told(&watcher), [6]);
        assert_eq!(watcher.next(), Next::Wait);
    }

    #[test]
    fn a_watch_from_the_future_is_silent_until_then() {
        let hub = Hub::new(5);
        let watcher = hub.open("a/", 7);
        hub.request_progress();
        hub.publish(&[event(6, "a/x", 0), event(7, "a/x", 0)]);
        assert_eq!(watcher.next(), Next::Tell(WatchMessage::Progress(7)));
        hub.publish(&[event(8, "a/x", 0)]);
        assert_eq!(told(&watcher), [8]);
    }

    #[test]
    fn whoever_leaves_or_is_closed_gets_nothing_more() {
        let hub = Hub::new(1);
        let (left, closed) = (hub.open("", 1), hub.open("", 1));
        hub.leave(&left);
        hub.close();
        hub.publish(&[event(2, "a", 0)]);
        assert_eq!((left.next(), closed.next()), (Next::Wait, Next::End));
    }
}
