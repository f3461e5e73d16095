//! Permits for requests under way: a bound for all callers, and for each, so that a noisy caller does not starve the others.
//!
//! A user may hold as many permits as are free (the dynamic thresholds of Choudhury and Hahne, 1998, for buffers that many
//! flows share). A lone user gets half of them. Of n users who want all there is, each gets one part of n + 1, and one part stays
//! free: a newcomer finds a permit, without a share being set aside for users who do not come.
//!
//! A watch is held for long, and each costs memory that its client may leave unread, so that of watches a user has a fixed
//! number at most as well: far more than the informers of a controller with many replicas need.
//!
//! A permit is held until the answer was read to its end, so that it also bounds the answers that nobody reads. A request without a
//! permit is told to come back. Nothing waits here, as in upstream's limits: a queue would only hide from clients that they are too
//! many. Group `system:masters` needs no permit, nor does an answer from memory: with these an overloaded server is looked after, and
//! by discovery a cluster decides whether it is there at all.

use crate::config::{InFlight, Limits};
use crate::request_info::RequestInfo;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The permits of this server, for each sort of requests.
#[derive(Debug)]
pub(crate) struct Permits {
    reads: Arc<Pool>,
    writes: Arc<Pool>,
    watches: Arc<Pool>,
}

impl Permits {
    pub(crate) fn new(limits: &Limits) -> Self {
        let pool = |limit, of_user| Arc::new(Pool { limit, of_user, taken: Mutex::default() });
        Self {
            reads: pool(limits.reads, usize::MAX),
            writes: pool(limits.writes, usize::MAX),
            watches: pool(limits.watches, limits.watches_of_user),
        }
    }

    /// Takes a permit for a request of this user; `None` when there is none left for them.
    pub(crate) fn take(&self, info: &RequestInfo, user: &str) -> Option<Permit> {
        let pool = match &*info.verb {
            _ if info.is_long_running() => &self.watches,
            "get" | "list" | "head" => &self.reads,
            _ => &self.writes,
        };
        pool.take(user)
    }
}

/// Permits for one sort of requests.
#[derive(Debug)]
struct Pool {
    limit: InFlight,
    /// Of one user, however many are free.
    of_user: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_user: HashMap<String, usize>,
}

impl Pool {
    fn take(self: &Arc<Self>, user: &str) -> Option<Permit> {
        let mut taken = self.taken();
        let own = taken.by_user.get(user).copied().unwrap_or(0);
        let free = match self.limit {
            InFlight::Unlimited => usize::MAX,
            InFlight::AtMost(limit) => limit.saturating_sub(taken.all),
        };
        if own >= free.min(self.of_user) {
            return None;
        }
        taken.all += 1;
        taken.by_user.insert(user.to_owned(), own + 1);
        Some(Permit { pool: Arc::clone(self), user: user.to_owned() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit: one request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    pool: Arc<Pool>,
    user: String,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.pool.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.by_user.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.by_user.remove(&self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(limit: InFlight) -> Arc<Pool> {
        Arc::new(Pool { limit, of_user: usize::MAX, taken: Mutex::default() })
    }

    /// As many permits as a user can get.
    fn all_that(user: &str, pool: &Arc<Pool>) -> Vec<Permit> {
        std::iter::from_fn(|| pool.take(user)).take(1000).collect()
    }

    #[test]
    fn who_is_noisy_leaves_permits_for_others() {
        // noisy users one after the other, and how many permits each gets
        for (all, want) in [(400, &[200, 100, 50, 25][..]), (3, &[2, 1]), (2, &[1, 1]), (1, &[1, 0]), (0, &[0])] {
            let pool = pool(InFlight::AtMost(all));
            let held: Vec<Vec<Permit>> = (0..want.len()).map(|user| all_that(&user.to_string(), &pool)).collect();
            assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), want, "{all}");
        }
    }

    #[test]
    fn of_many_who_want_all_each_gets_the_same_and_one_more_finds_a_place() {
        let pool = pool(InFlight::AtMost(400));
        let users: Vec<String> = (0..9).map(|user| user.to_string()).collect();
        let mut held: Vec<Permit> = Vec::new();
        for _ in 0..400 {
            held.extend(users.iter().filter_map(|user| pool.take(user)));
        }
        assert!(pool.taken().by_user.values().all(|own| (39..=41).contains(own)), "{:?}", pool.taken().by_user);
        assert!(pool.take("late").is_some());
    }

    #[test]
    fn a_user_has_a_fixed_number_of_watches_at_most() {
        let limits = Limits { watches: InFlight::AtMost(1000), watches_of_user: 30, ..Limits::standard() };
        let permits = Permits::new(&limits);
        let held = ["ann", "bob"].map(|user| all_that(user, &permits.watches));
        assert_eq!(held.each_ref().map(Vec::len), [30, 30]);
        assert_eq!(all_that("ann", &permits.reads).len(), 200, "reads are over in a moment");
    }

    #[test]
    fn permits_are_given_back() {
        let pool = pool(InFlight::AtMost(4));
        let ann = all_that("ann", &pool);
        assert_eq!(ann.len(), 2);
        drop(ann);
        assert_eq!(all_that("ann", &pool).len(), 2);
        assert!(pool.taken().all == 0 && pool.taken().by_user.is_empty(), "nothing is left behind");
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(all_that("ann", &pool(InFlight::Unlimited)).len(), 1000);
    }
}
