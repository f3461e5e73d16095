//! The events that led to a state: told by the store, oldest first, without what was there before each.
//!
//! That follows from the events themselves, but for the first event of each object: there it is read from the store, as it was
//! where the events begin. No more is held than the history may hold, and of the newest version of an object only the state's own.

use super::event::{Event, OVERHEAD};
use super::history::Bounds;
use super::sharing::Sharing;
use super::snapshot::Snapshot;
use super::source::Source;
use super::state::{Change, Content};
use crate::item::Item;
use crate::keys::Path;
use apiserver_store::{Event as StoreEvent, Revision, StoreError};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// The events that led to a state, as far back as they can be sent.
#[derive(Debug)]
pub(super) struct Past {
    source: Arc<Source>,
    present: Arc<Snapshot>,
    bounds: Bounds,
    sharing: Sharing,
    /// They begin behind this one.
    floor: Revision,
    told: VecDeque<Told>,
    /// About how many bytes they weigh, without what was before the first event of an object.
    bytes: usize,
    /// What was there where the events begin, of what they change.
    base: HashMap<Path, Version>,
    base_bytes: usize,
}

/// What is under a path; `None`: something that cannot be read.
type Version = Option<Arc<Item>>;

/// One event.
#[derive(Debug)]
struct Told {
    revision: Revision,
    path: Path,
    /// `None`: it is gone.
    current: Option<Arc<Item>>,
    weight: usize,
}

impl Past {
    /// The past of a state from a revision on, before anything is known of it.
    pub(super) fn new(source: Arc<Source>, present: Arc<Snapshot>, bounds: Bounds, floor: Revision) -> Self {
        let (sharing, told, base) = (Sharing::default(), VecDeque::new(), HashMap::new());
        Self { source, present, bounds, sharing, floor, told, bytes: 0, base, base_bytes: 0 }
    }

    /// The revision behind which it begins.
    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    /// How many objects the state has.
    pub(super) fn objects_now(&self) -> usize {
        self.present.objects.len()
    }

    /// Takes over the next event. One of something that cannot be read is no cause for alarm: its key may be out of use for good
    /// reasons. But nobody can be told of it, so what goes on from before it cannot.
    pub(super) fn push(&mut self, told: StoreEvent) {
        let revision = told.revision;
        let Some(change) = self.source.change(told) else { return };
        let known = self.present.objects.get(&change.path).filter(|item| item.revision == revision);
        let (current, own) = match (known, change.content) {
            (Some(item), Content::Object(_)) => (Some(Arc::clone(item)), 0),
            (None, Content::Object(item)) => {
                let item = self.sharing.shared(item, &self.present.objects);
                let size = item.bytes.len();
                (Some(item), size)
            }
            (_, Content::Nothing) => (None, 0),
            (_, Content::Corrupt(_)) => return self.forget(revision),
        };
        let path = current.as_ref().map_or(change.path, |item| Arc::clone(&item.path));
        let weight = OVERHEAD + own;
        self.bytes += weight;
        self.told.push_back(Told { revision, path, current, weight });
        while self.told.len() > self.bounds.events || self.bytes > self.bounds.bytes {
            self.forget_first();
        }
    }

    /// Forgets everything up to a revision: nobody can go on from before it.
    pub(super) fn forget(&mut self, floor: Revision) {
        while self.told.front().is_some_and(|told| told.revision <= floor) {
            self.forget_first();
        }
        self.floor = self.floor.max(floor);
    }

    fn forget_first(&mut self) {
        let Some(told) = self.told.pop_front() else { return };
        self.bytes -= told.weight;
        self.floor = told.revision;
    }

    /// Forgets the older half.
    pub(super) fn forget_half(&mut self) {
        let middle = self.told.get(self.told.len() / 2).map(|told| told.revision);
        self.forget(middle.unwrap_or(self.present.revision));
    }

    /// The paths of the objects that changed, in order.
    pub(super) fn changed(&self) -> BTreeSet<Path> {
        self.told.iter().map(|told| Arc::clone(&told.path)).collect()
    }

    /// Takes over what was there where the events begin. Whether it is no more than the history may hold.
    pub(super) fn begin_with(&mut self, entries: Vec<Change>) -> bool {
        for Change { path, content, .. } in entries {
            let item = match content {
                Content::Object(item) => Some(self.sharing.shared(item, &self.present.objects)),
                Content::Corrupt(_) | Content::Nothing => None,
            };
            self.base_bytes += item.as_ref().map_or(0, |item| item.bytes.len());
            self.base.insert(path, item);
        }
        self.base_bytes <= self.bounds.bytes
    }

    /// Forgets what was there where the events began: they begin later now.
    pub(super) fn begin_anew(&mut self) {
        self.base.clear();
        self.base_bytes = 0;
    }

    /// The events, and the revision behind which they begin.
    ///
    /// # Errors
    /// They do not lead to the state.
    pub(super) fn into_events(self) -> Result<(VecDeque<Arc<Event>>, Revision), StoreError> {
        let changed = self.changed();
        let Self { present, mut floor, told, base: mut last, .. } = self;
        let mut events = VecDeque::with_capacity(told.len());
        for Told { revision, path, current, .. } in told {
            let previous = match &current {
                Some(item) => last.insert(Arc::clone(&path), Some(Arc::clone(item))),
                None => last.remove(&path),
            };
            match previous {
                None if current.is_none() => {}
                // Nobody can be told what became of it.
                Some(None) => {
                    events.clear();
                    floor = revision;
                }
                previous => events.push_back(Arc::new(Event::new(revision, path, previous.flatten(), current))),
            }
        }
        let leads_there = |path: &Path| {
            let reached = last.get(path).and_then(Option::as_ref);
            present.objects.get(path).map(|item| item.revision) == reached.map(|item| item.revision)
        };
        match changed.iter().all(leads_there) {
            true => Ok((events, floor)),
            false => Err(StoreError::Corrupt("what the store tells of the past does not lead to the present".into())),
        }
    }
}
