//! Snapshots that lists go on from. One that is forgotten is made again from the history, or read from the store.

use super::snapshot::Snapshot;
use apiserver_store::Revision;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most snapshots that are held.
const CAPACITY: usize = 32;

/// Snapshots, and when they were last gone on from; the oldest first.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<VecDeque<(Instant, Arc<Snapshot>)>>);

impl Snapshots {
    /// Holds a snapshot for the pages that follow.
    pub(super) fn keep(&self, snapshot: &Arc<Snapshot>) {
        let mut snapshots = self.lock();
        snapshots.retain(|(_, other)| other.revision != snapshot.revision);
        if snapshots.len() >= CAPACITY {
            snapshots.pop_front();
        }
        snapshots.push_back((Instant::now(), Arc::clone(snapshot)));
    }

    pub(super) fn find(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        self.lock().iter().find(|(_, snapshot)| snapshot.revision == revision).map(|(_, snapshot)| Arc::clone(snapshot))
    }

    /// Forgets those that no list has gone on from for so long.
    pub(super) fn forget(&self, age: Duration) {
        self.lock().retain(|(at, _)| at.elapsed() <= age);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<Snapshot>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
