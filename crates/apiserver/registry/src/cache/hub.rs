//! The watchers that wait for events: found by the part of the collection they watch and by what their selectors ask for, not
//! tried one by one.

mod queue;
mod shelf;

use super::event::Event;
use super::filter::{Extent, Filter, ScopeChange};
use super::history::{Position, undo};
use super::objects::Objects;
use super::visibility_change::VisibilityChange;
use crate::frame::EventKind;
use apiserver_meta::Status;
use apiserver_store::Revision;
pub(super) use queue::{Receiver, Wakes};
use queue::{Refused, Sender, queue};
use shelf::Shelf;
use std::collections::HashMap;
use std::sync::Arc;

/// One entry of a watcher's queue.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A change of an object that it shows.
    Event { event: Arc<Event>, kind: EventKind, position: Position },
    /// Its caller's scope in a namespace is no longer what it was.
    ScopeChange(Box<VisibilityChange>),
    /// It cannot go on.
    Failed(Arc<Status>),
}

/// Names one watcher for as long as the cache lives. Those of one connection are neighbours: an event comes to them in the same breath,
/// and the connection is written to once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WatcherId {
    connection: u64,
    sequence: u64,
}

#[derive(Debug)]
struct Watcher {
    filter: Arc<Filter>,
    /// The filter shows everything: it is not looked at, and not brought into the processor's cache, for each event.
    shows_all: bool,
    queue: Sender<Delivery>,
}

impl Watcher {
    /// A change that finds the queue full is taken back: the watcher finds it again when it has caught up.
    fn send_scope_change(&self, change: ScopeChange, objects: &Objects, revision: Revision, wakes: &mut Wakes) -> Result<(), Refused> {
        let delivery = Delivery::ScopeChange(Box::new(VisibilityChange::new(change.clone(), objects.clone(), revision)));
        self.queue.try_send(delivery, wakes).inspect_err(|_| self.filter.restore(change))
    }
}

/// The watchers that have seen everything so far.
#[derive(Debug, Default)]
pub(super) struct Hub {
    all: Shelf,
    namespaces: HashMap<String, Shelf>,
    objects: HashMap<String, Shelf>,
    /// How many watchers there were.
    added: u64,
    /// How often a watcher's queue was full.
    overruns: u64,
    /// How many events were published.
    events: u64,
}

impl Hub {
    /// From here on the watcher gets what its filter lets through, until its queue is full or closed.
    pub(super) fn add(&mut self, filter: Arc<Filter>, connection: u64, capacity: usize) -> (WatcherId, Receiver<Delivery>) {
        let (sender, receiver) = queue(capacity);
        self.added += 1;
        let id = WatcherId { connection, sequence: self.added };
        let shelf = match &filter.extent {
            Extent::All => &mut self.all,
            Extent::Namespace(namespace) => self.namespaces.entry(namespace.clone()).or_default(),
            Extent::Object(path) => self.objects.entry(path.clone()).or_default(),
            // No event is looked up on this shelf: no object has an empty path.
            Extent::Nothing => self.objects.entry(String::new()).or_default(),
        };
        shelf.add(id, Watcher { shows_all: filter.is_plain(), filter, queue: sender });
        (id, receiver)
    }

    /// Forgets a watcher; one that is not there any more is fine.
    pub(super) fn remove(&mut self, id: WatcherId, extent: &Extent) {
        match extent {
            Extent::All => self.all.remove(id),
            Extent::Namespace(namespace) => remove_from(&mut self.namespaces, namespace, id),
            Extent::Object(path) => remove_from(&mut self.objects, path, id),
            Extent::Nothing => remove_from(&mut self.objects, "", id),
        }
    }

    /// Sends an event to every watcher that shows it. `after` is the collection with it. Never waits: a watcher whose
    /// queue is full is forgotten here, and catches up from the history when it has read what it was given.
    pub(super) fn publish(&mut self, event: &Arc<Event>, position: Position, after: &Objects, wakes: &mut Wakes) {
        let Some(subject) = event.subject() else { return };
        self.events += 1;
        let mut round = Round { event, position, after, wakes, overruns: 0 };
        round.send_to_all(&mut self.all);
        if let Some(shelf) = self.namespaces.get_mut(subject.namespace()) {
            round.send_to_all(shelf);
        }
        if let Some(shelf) = self.objects.get_mut(&*event.path) {
            round.send_to_all(shelf);
        }
        self.overruns += round.overruns;
    }

    /// Ends every watch here whose filter the condition holds for. One whose queue is full has to find out by itself.
    pub(super) fn fail(&mut self, status: &Arc<Status>, wakes: &mut Wakes, condition: impl Fn(&Filter) -> bool) {
        self.retain(|watcher| {
            let fails = condition(&watcher.filter);
            if fails {
                let _ = watcher.queue.try_send(Delivery::Failed(Arc::clone(status)), wakes);
            }
            !fails
        });
    }

    /// Reads every watcher's scopes anew, and sends each watcher what of its namespaces it shows from now on, or no longer.
    pub(super) fn reevaluate(&mut self, objects: &Objects, revision: Revision, wakes: &mut Wakes) {
        let mut overruns = 0;
        self.retain(|watcher| {
            let mut keep = true;
            for change in watcher.filter.refresh_all() {
                keep &= watcher.send_scope_change(change, objects, revision, wakes).is_ok();
            }
            overruns += u64::from(!keep);
            keep
        });
        self.overruns += overruns;
    }

    /// Forgets every watcher.
    pub(super) fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// How many watchers there are.
    pub(super) fn len(&self) -> usize {
        let count = |shelves: &HashMap<String, Shelf>| shelves.values().map(Shelf::len).sum::<usize>();
        self.all.len() + count(&self.namespaces) + count(&self.objects)
    }

    /// How often a watcher's queue was full.
    pub(super) fn overruns(&self) -> u64 {
        self.overruns
    }

    /// How many events were published, with or without watchers.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    fn retain(&mut self, mut keep: impl FnMut(&Watcher) -> bool) {
        self.all.retain(&mut keep);
        for shelves in [&mut self.namespaces, &mut self.objects] {
            shelves.retain(|_, shelf| {
                shelf.retain(&mut keep);
                shelf.len() > 0
            });
        }
    }
}

fn remove_from(shelves: &mut HashMap<String, Shelf>, name: &str, id: WatcherId) {
    let Some(shelf) = shelves.get_mut(name) else { return };
    shelf.remove(id);
    if shelf.len() == 0 {
        shelves.remove(name);
    }
}

/// One event on its round.
struct Round<'a> {
    event: &'a Arc<Event>,
    position: Position,
    after: &'a Objects,
    wakes: &'a mut Wakes,
    overruns: u64,
}

impl Round<'_> {
    fn send_to_all(&mut self, shelf: &mut Shelf) {
        let event = self.event;
        shelf.retain_concerned(event, |watcher| match self.send(watcher) {
            Ok(()) => true,
            Err(Refused::Full) => {
                self.overruns += 1;
                false
            }
            Err(Refused::Closed) => false,
        });
    }

    fn send(&mut self, watcher: &Watcher) -> Result<(), Refused> {
        let kind = if watcher.shows_all { self.event.kind() } else { self.kind_through(watcher)? };
        let Some(kind) = kind else { return Ok(()) };
        watcher.queue.try_send(Delivery::Event { event: Arc::clone(self.event), kind, position: self.position }, self.wakes)
    }

    /// The kind of event that it is to the watcher, behind what its caller may see by now.
    fn kind_through(&mut self, watcher: &Watcher) -> Result<Option<EventKind>, Refused> {
        if let Some(subject) = self.event.subject()
            && let Some(change) = watcher.filter.refresh(subject.namespace())
        {
            let before = undo(self.after.clone(), std::slice::from_ref(self.event));
            watcher.send_scope_change(change, &before, self.event.revision.saturating_sub(1), self.wakes)?;
        }
        Ok(watcher.filter.classify(self.event))
    }
}

#[cfg(test)]
mod tests;
