//! Things to be done, each on its own: one that fails is tried again later and later, and holds up no other.
//!
//! As client-go's rate-limited work queues: an item waits at most once, is worked on at most once at a time, and one that
//! is added while it is worked on comes again. A failure is logged when it says something new. Refused: order, and memory
//! of what is done.

use crate::backoff::Backoff;
use futures::{StreamExt, stream};
use std::collections::{BTreeSet, HashMap};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The pauses before an item that failed is tried again.
const RETRY: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(300) };

/// Items of one kind of work.
#[derive(Debug)]
pub struct WorkQueue<K> {
    /// The name of the work, in logs.
    name: &'static str,
    state: Mutex<State<K>>,
    added: Notify,
}

#[derive(Debug)]
struct State<K> {
    /// Those that wait and are not worked on, by when they are due.
    due: BTreeSet<(Instant, K)>,
    items: HashMap<K, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// When it is due; `None`: it is worked on, and nobody has added it since.
    due: Option<Instant>,
    is_running: bool,
    failures: u32,
    last_failure: String,
}

impl<K: Clone + Debug + Eq + Hash + Ord> WorkQueue<K> {
    /// An empty queue; `name` says in logs what the work is.
    pub fn new(name: &'static str) -> Self {
        Self { name, state: Mutex::new(State { due: BTreeSet::new(), items: HashMap::new() }), added: Notify::new() }
    }

    /// The item is to be worked on, at once.
    pub fn add(&self, key: K) {
        self.add_after(key, Duration::ZERO);
    }

    /// The item is to be worked on after some time; one that is due earlier stays so.
    pub fn add_after(&self, key: K, rest: Duration) {
        self.lock().add(key, Instant::now() + rest);
        self.added.notify_one();
    }

    /// If the item waits for another try, it need not any longer: something has changed.
    pub fn hurry(&self, key: &K) {
        let mut state = self.lock();
        if state.items.get(key).is_some_and(|entry| entry.failures > 0) {
            state.add(key.clone(), Instant::now());
            drop(state);
            self.added.notify_one();
        }
    }

    /// How many items wait or are worked on.
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Works on items as they become due, so many at a time. Never ends.
    pub async fn run<E: Display, F: Future<Output = Result<(), E>>>(&self, at_a_time: usize, work: impl Fn(K) -> F) {
        let due = stream::unfold((), |()| async { Some((self.next().await, ())) });
        due.for_each_concurrent(at_a_time, |key| async {
            let result = work(key.clone()).await;
            self.finish(key, result);
        })
        .await;
    }

    async fn next(&self) -> K {
        loop {
            let next = self.lock().take_due(Instant::now());
            match next {
                Ok(key) => return key,
                Err(None) => self.added.notified().await,
                Err(Some(due)) => tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.added.notified() => {}
                },
            }
        }
    }

    fn finish<E: Display>(&self, key: K, result: Result<(), E>) {
        let mut state = self.lock();
        let Some(entry) = state.items.get_mut(&key) else { return };
        entry.is_running = false;
        let again = match result {
            Ok(()) => {
                (entry.failures, entry.last_failure) = (0, String::new());
                entry.due
            }
            Err(failure) => {
                entry.failures = entry.failures.saturating_add(1);
                let (pause, text) = (RETRY.pause(entry.failures), failure.to_string());
                if entry.last_failure == text {
                    tracing::debug!(work = self.name, item = ?key, %failure, "failed again");
                } else {
                    tracing::warn!(work = self.name, item = ?key, %failure, "failed, is tried again");
                    entry.last_failure = text;
                }
                let retry = Instant::now() + pause;
                Some(entry.due.map_or(retry, |due| due.min(retry)))
            }
        };
        entry.due = None;
        match again {
            Some(due) => {
                state.add(key, due);
                drop(state);
                self.added.notify_one();
            }
            None => drop(state.items.remove(&key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    fn add(&mut self, key: K, due: Instant) {
        let entry = self.items.entry(key.clone()).or_default();
        if entry.due.is_some_and(|earlier| earlier <= due) {
            return;
        }
        let later = entry.due.replace(due);
        if !entry.is_running {
            if let Some(later) = later {
                self.due.remove(&(later, key.clone()));
            }
            self.due.insert((due, key));
        }
    }

    /// The first item that is due; otherwise when one will be.
    fn take_due(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        match self.due.first() {
            None => Err(None),
            Some((due, _)) if *due > now => Err(Some(*due)),
            Some(_) => {
                let (_, key) = self.due.pop_first().ok_or(None)?;
                if let Some(entry) = self.items.get_mut(&key) {
                    (entry.due, entry.is_running) = (None, true);
                }
                Ok(key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_item_that_fails_holds_up_no_other_and_is_tried_less_and_less_often() {
        let queue = Arc::new(WorkQueue::new("test"));
        let (bad, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
        (0..100).for_each(|item| queue.add(item));
        let work = queue.run(1, |item| {
            let count = if item == 7 { &bad } else { &good };
            count.fetch_add(1, Ordering::Relaxed);
            async move { if item == 7 { Err("no") } else { Ok(()) } }
        });
        tokio::select! {
            () = work => unreachable!("it never ends"),
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
        assert_eq!((good.load(Ordering::Relaxed), queue.len()), (99, 1));
        let tries = bad.load(Ordering::Relaxed);
        assert!((15..=30).contains(&tries), "{tries} tries in an hour");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_added_while_it_is_worked_on_comes_again_and_waits_once() {
        let queue = Arc::new(WorkQueue::new("test"));
        let runs = AtomicUsize::new(0);
        (0..5).for_each(|_| queue.add("a"));
        let work = queue.run(4, |item| {
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                queue.add_after(item, Duration::from_secs(60));
                queue.add(item);
            }
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, &str>(())
            }
        });
        tokio::select! {
            () = work => unreachable!("it never ends"),
            () = tokio::time::sleep(Duration::from_secs(600)) => {}
        }
        assert_eq!((runs.load(Ordering::Relaxed), queue.is_empty()), (2, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_ends_the_wait_for_another_try() {
        let queue = Arc::new(WorkQueue::new("test"));
        let runs = AtomicUsize::new(0);
        queue.add("a");
        let work = queue.run(4, |_| {
            let is_good = runs.fetch_add(1, Ordering::Relaxed) >= 11;
            async move { if is_good { Ok(()) } else { Err("no") } }
        });
        let change = async {
            queue.hurry(&"b");
            while runs.load(Ordering::Relaxed) < 11 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let then = Instant::now();
            queue.hurry(&"a");
            while !queue.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(then.elapsed() < Duration::from_secs(1), "{:?}", then.elapsed());
        };
        tokio::select! {
            () = work => unreachable!("it never ends"),
            () = change => {}
        }
    }
}
