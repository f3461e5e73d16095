//! Counters of a cache since its start, for metrics. Counting costs an addition; a clock is read only by those who wait anyway.

use apiserver_store::Revision;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which times of waiting [`ReadStats::waits`] tells apart: upper bounds, of which each belongs to its own part.
pub const WAIT_BOUNDS: [Duration; 13] = [
    Duration::from_millis(5),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(600),
    Duration::from_millis(800),
    Duration::from_millis(1000),
    Duration::from_millis(1250),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
    Duration::from_millis(3000),
];

/// How reads came by a state that is fresh enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Consistent reads that the cache answered.
    pub consistent: u64,
    /// Consistent reads for which the cache was not fresh in time, so that the store was read.
    pub fallbacks: u64,
    /// How many reads waited for the cache at most as long as each of [`WAIT_BOUNDS`] and longer than the one before; last,
    /// how many waited longer than all of them.
    pub waits: [u64; WAIT_BOUNDS.len() + 1],
    /// How long they all waited.
    pub waited: Duration,
}

/// The cost of lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListStats {
    /// Lists and pages answered from the cache.
    pub lists: u64,
    /// Objects looked at for them.
    pub fetched: u64,
    /// Objects in the answers.
    pub returned: u64,
}

/// How often a cache was compared with its store, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsistencyChecks {
    /// They were the same.
    pub success: u64,
    /// They differed, and the cache was loaded again.
    pub mismatch: u64,
    /// The store could not be read.
    pub error: u64,
}

/// The counters behind [`ConsistencyChecks`].
#[derive(Debug, Default)]
pub(super) struct ConsistencyCounters {
    pub(super) success: AtomicU64,
    pub(super) mismatch: AtomicU64,
    pub(super) error: AtomicU64,
}

impl ConsistencyCounters {
    pub(super) fn counts(&self) -> ConsistencyChecks {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConsistencyChecks { success: count(&self.success), mismatch: count(&self.mismatch), error: count(&self.error) }
    }
}

/// The state of a cache, for metrics and health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Objects held.
    pub objects: usize,
    /// The revision that readers see.
    pub revision: Revision,
    /// Watches that wait for events.
    pub watchers: usize,
    /// How often a watch was too slow for its queue.
    pub overruns: u64,
    /// How often an entry was found that cannot be read.
    pub corrupt: u64,
    /// How often the cache was compared with the store.
    pub checks: ConsistencyChecks,
    /// How many events are kept at most.
    pub capacity: usize,
    /// Changes of the store, each of which was published to those who watch it.
    pub events: u64,
    /// How often the store said how far it is without a change.
    pub progress: u64,
    /// How often the whole collection was loaded.
    pub loads: u64,
    /// Objects sent as the beginning of watches.
    pub initial_events: u64,
    /// Watches that ended because they were read too slowly.
    pub terminated: u64,
    /// How reads came by a fresh state.
    pub reads: ReadStats,
    /// The cost of lists.
    pub lists: ListStats,
}

/// The counters behind [`CacheStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    consistent: AtomicU64,
    fallbacks: AtomicU64,
    waits: [AtomicU64; WAIT_BOUNDS.len() + 1],
    waited_nanos: AtomicU64,
    lists: AtomicU64,
    fetched: AtomicU64,
    returned: AtomicU64,
    /// Objects sent as the beginning of watches.
    pub(super) initial_events: AtomicU64,
    /// Watches that ended because they were read too slowly.
    pub(super) terminated: AtomicU64,
}

impl Counters {
    /// A consistent read is answered, by the cache or, when that is not fresh in time, by the store.
    pub(super) fn consistent_read(&self, from_cache: bool) {
        let counter = if from_cache { &self.consistent } else { &self.fallbacks };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A read has waited this long for the cache.
    pub(super) fn wait(&self, time: Duration) {
        let place = WAIT_BOUNDS.iter().position(|bound| time <= *bound).unwrap_or(WAIT_BOUNDS.len());
        if let Some(counter) = self.waits.get(place) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if !time.is_zero() {
            self.waited_nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// A list is made.
    pub(super) fn list(&self, fetched: usize, returned: usize) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.fetched.fetch_add(fetched as u64, Ordering::Relaxed);
        self.returned.fetch_add(returned as u64, Ordering::Relaxed);
    }

    pub(super) fn reads(&self) -> ReadStats {
        let mut waits = [0; WAIT_BOUNDS.len() + 1];
        for (wait, counter) in waits.iter_mut().zip(&self.waits) {
            *wait = counter.load(Ordering::Relaxed);
        }
        ReadStats {
            consistent: self.consistent.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            waits,
            waited: Duration::from_nanos(self.waited_nanos.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn lists(&self) -> ListStats {
        ListStats {
            lists: self.lists.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            returned: self.returned.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_part() {
        for (millis, place) in [(0, 0), (5, 0), (6, 1), (3000, 12), (3001, 13)] {
            let counters = Counters::default();
            counters.wait(Duration::from_millis(millis));
            let stats = counters.reads();
            assert_eq!((stats.waits.iter().position(|count| *count == 1), stats.waited.as_millis()), (Some(place), millis.into()));
        }
    }
}
