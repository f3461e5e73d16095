#![allow(clippy::unwrap_used)]

use super::*;
use crate::cache::tests::MemoryStore;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A reader that comes while the store is being asked does not take that answer: it may be older than what the
/// reader wrote.
#[tokio::test(start_paused = true)]
async fn who_comes_late_waits_for_the_next_answer() {
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.slow_revision = true);
    let check = Arc::new(RevisionReader::new(Arc::clone(&store) as Arc<dyn Store>));
    let ask = || {
        tokio::spawn({
            let check = Arc::clone(&check);
            async move { check.current().await.unwrap() }
        })
    };
    let early = ask();
    tokio::task::yield_now().await;
    let written = store.set("k", Some("v"));
    let late: Vec<_> = (0..100).map(|_| ask()).collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        store.let_revision_go.notify_one();
    }
    assert_eq!(early.await.unwrap(), written - 1);
    for reader in late {
        assert_eq!(reader.await.unwrap(), written);
    }
    assert_eq!(store.calls().revisions, 2, "all late readers share one question");
}

/// Readers that give up take nobody with them.
#[tokio::test(start_paused = true)]
async fn a_cancelled_reader_leaves_the_others() {
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.slow_revision = true);
    let check = Arc::new(RevisionReader::new(Arc::clone(&store) as Arc<dyn Store>));
    let ask = || {
        tokio::spawn({
            let check = Arc::clone(&check);
            async move { check.current().await.unwrap() }
        })
    };
    let (first, second) = (ask(), ask());
    tokio::task::yield_now().await;
    let third = ask();
    tokio::task::yield_now().await;
    first.abort();
    second.abort();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        store.let_revision_go.notify_one();
    }
    assert_eq!(third.await.unwrap(), 0);
    // And the next one finds the way free.
    store.fault(|faults| faults.slow_revision = false);
    assert_eq!(ask().await.unwrap(), 0);
}

/// The answer is all that wakes the readers who wait for it, not each step on its way.
#[tokio::test(start_paused = true)]
async fn readers_are_woken_once() {
    const READERS: usize = 10;
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.slow_revision = true);
    let check = Arc::new(RevisionReader::new(Arc::clone(&store) as Arc<dyn Store>));
    let polls = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (check, polls) = (Arc::clone(&check), Arc::clone(&polls));
        tokio::spawn(async move {
            let mut asked = std::pin::pin!(check.current());
            let answer = poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                asked.as_mut().poll(cx)
            });
            answer.await.unwrap()
        })
    };
    let first = ask();
    tokio::task::yield_now().await;
    polls.store(0, Ordering::Relaxed);
    let readers: Vec<_> = (0..READERS).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    store.let_revision_go.notify_one();
    first.await.unwrap();
    polls.fetch_sub(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1)).await;
    store.let_revision_go.notify_one();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(polls.load(Ordering::Relaxed), 2 * READERS, "when it asks, and when it is answered");
}
