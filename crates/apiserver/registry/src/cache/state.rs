//! The state of a cache, and the one place where a change of it becomes visible: first to the history and the queues of
//! watchers, then in the snapshot that readers and bookmarks go by.

use super::event::Event;
use super::history::{Bounds, History};
use super::hub::{Hub, Wakes};
use super::load::Loaded;
use super::sharing::Sharing;
use super::snapshot::Snapshot;
use super::snapshots::Snapshots;
use crate::item::Item;
use crate::keys::Path;
use apiserver_meta::ApiError;
use apiserver_store::{Revision, StoreError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{SetOnce, watch};

/// One entry as the store has it from a revision on.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: Revision,
    pub(super) path: Path,
    pub(super) content: Content,
}

/// The content of a path.
#[derive(Debug)]
pub(super) enum Content {
    /// An object.
    Object(Arc<Item>),
    /// Something that cannot be read, and why.
    Corrupt(StoreError),
    /// Nothing.
    Nothing,
}

/// The parts that change together; guarded by one short lock.
#[derive(Debug)]
pub(super) struct Feed {
    /// The newest state; the published snapshot is a copy of it.
    pub(super) newest: Snapshot,
    pub(super) history: History,
    pub(super) hub: Hub,
    sharing: Sharing,
    /// Nothing changes any more: watches end.
    pub(super) stopped: bool,
}

/// The state of a cache.
#[derive(Debug)]
pub(super) struct State {
    bounds: Bounds,
    feed: Mutex<Feed>,
    /// `None` until the first load is done.
    published: watch::Sender<Option<Arc<Snapshot>>>,
    pub(super) snapshots: Snapshots,
    /// Whether all is there of the history from before the start that ever will be.
    past_settled: SetOnce<()>,
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (newest, history, hub) = (Snapshot::default(), History::new(bounds, 0), Hub::default());
        let feed = Feed { newest, history, hub, sharing: Sharing::default(), stopped: false };
        Self {
            bounds,
            feed: Mutex::new(feed),
            published: watch::Sender::new(None),
            snapshots: Snapshots::default(),
            past_settled: SetOnce::new(),
        }
    }

    /// The published snapshot, which readers see; `None` until the first load is done. Its revision is never ahead of the events in
    /// the queues of watchers.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.published.borrow().clone()
    }

    /// Follows the published snapshot.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.published.subscribe()
    }

    /// The lock is short: nothing under it waits, decodes or encodes an object.
    pub(super) fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bounds of the history.
    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The first load, or another one after the store lost what happened since. What came of it is known then, but not
    /// what happened when: all watches end, and none is resumed from before.
    pub(super) fn load(&self, loaded: Loaded) {
        let revision = loaded.snapshot.revision;
        // Dropped behind the lock.
        let mut wakes = Wakes::default();
        let mut feed = self.feed();
        if revision < feed.newest.revision {
            tracing::error!(cached = feed.newest.revision, store = revision, "the store went back in time, all watches end");
            // They are of a time that has not been.
            self.snapshots.clear();
        }
        let former = feed.replace(loaded, &mut wakes);
        self.publish(&feed);
        drop(feed);
        // Perhaps the last that has all these objects.
        drop(former);
    }

    /// Puts events from before the load at revision `at` in front of the history. They are refused when it does not begin there
    /// any more.
    pub(super) fn join_past(&self, events: VecDeque<Arc<Event>>, begin: Revision, at: Revision) -> bool {
        let mut feed = self.feed();
        let is_whole = feed.history.floor() == at;
        if is_whole {
            feed.history.prepend(events, begin);
        }
        is_whole
    }

    /// From here on the history does not begin earlier than it does now.
    pub(super) fn settle_past(&self) {
        // Once is enough.
        let _ = self.past_settled.set(());
    }

    /// Waits until the history begins as early as it ever will, if it does not cover a revision yet.
    pub(super) async fn covers_soon(&self, revision: Revision) {
        let is_covered = self.feed().history.covers(revision);
        if !is_covered {
            self.past_settled.wait().await;
        }
    }

    /// Applies changes of the store, in order, each revision whole. One that is not newer than the state is dropped: the store should
    /// not send it.
    pub(super) fn apply(&self, changes: Vec<Change>) {
        // Dropped behind the lock.
        let mut wakes = Wakes::default();
        let mut feed = self.feed();
        let known = feed.newest.revision;
        let mut last = known;
        for change in changes {
            if change.revision <= known || change.revision < last {
                tracing::error!(revision = change.revision, known = last, path = &*change.path, "the store told an old change, dropped");
                continue;
            }
            last = change.revision;
            feed.apply(change, &mut wakes);
        }
        feed.newest.revision = last;
        self.publish(&feed);
    }

    /// Nothing at or below the revision is missing.
    pub(super) fn progress(&self, revision: Revision) {
        let mut feed = self.feed();
        feed.history.trim();
        if revision > feed.newest.revision {
            feed.newest.revision = revision;
            self.publish(&feed);
        }
    }

    /// Nothing here is true any more: readers wait for the next load, which ends all watches.
    pub(super) fn purge(&self) {
        self.published.send_replace(None);
        self.snapshots.clear();
    }

    /// Asks every view again; see [`Hub::reevaluate`].
    pub(super) fn reevaluate(&self) {
        // Dropped behind the lock.
        let mut wakes = Wakes::default();
        let mut feed = self.feed();
        let Feed { newest, hub, .. } = &mut *feed;
        hub.reevaluate(&newest.objects, newest.revision, &mut wakes);
    }

    /// Ends every watch. What was read stays readable.
    pub(super) fn stop(&self) {
        let mut feed = self.feed();
        feed.stopped = true;
        feed.hub.clear();
        drop(feed);
        self.settle_past();
    }

    fn publish(&self, feed: &Feed) {
        self.published.send_replace(Some(Arc::new(feed.newest.clone())));
    }
}

impl Feed {
    /// Everything anew, and no watch goes on. Returns what was there before.
    fn replace(&mut self, loaded: Loaded, wakes: &mut Wakes) -> (Snapshot, Sharing) {
        let former = (std::mem::replace(&mut self.newest, loaded.snapshot), std::mem::replace(&mut self.sharing, loaded.sharing));
        self.history.restart(self.newest.revision);
        let status = ApiError::expired("too old resource version: the store has no history of it").status();
        self.hub.fail(&Arc::new(status), wakes, |_| true);
        former
    }

    fn apply(&mut self, change: Change, wakes: &mut Wakes) {
        let Change { revision, path, content } = change;
        // One path for all versions of an object: the history keeps thousands of them.
        let path = self.newest.objects.known_path(&path).map_or(path, Arc::clone);
        let was_corrupt = self.newest.corrupt.remove(&*path).is_some();
        let current = match content {
            Content::Object(item) => Some(self.sharing.shared(item, &self.newest.objects)),
            Content::Nothing => None,
            Content::Corrupt(_) => return self.corrupt(path, revision, wakes),
        };
        let previous = match &current {
            Some(item) => self.newest.objects.insert(&path, item),
            None => self.newest.objects.remove(&path),
        };
        if was_corrupt {
            // What was there before is not known here, but perhaps to somebody who would resume from before it.
            self.history.restart(revision);
        }
        if previous.is_none() && current.is_none() {
            return;
        }
        let event = Arc::new(Event::new(revision, path, previous, current));
        self.hub.publish(&event, self.history.end(), &self.newest.objects, wakes);
        self.history.push(event);
    }

    /// An entry that cannot be read: watches that would have to send it cannot go on, and nobody resumes from before.
    fn corrupt(&mut self, path: Path, revision: Revision, wakes: &mut Wakes) {
        self.newest.objects.remove(&path);
        let status = Arc::new(ApiError::internal("stored data cannot be read").status());
        self.hub.fail(&status, wakes, |filter| filter.spans(&path));
        self.newest.corrupt.insert(path);
        self.history.restart(revision);
    }
}
