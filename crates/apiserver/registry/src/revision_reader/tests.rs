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

/// Readers and writers at random: nobody is told less than was acknowledged when he came. That is what an answer would be whose
/// question was sent before the reader was there.
#[tokio::test(start_paused = true)]
async fn no_answer_is_older_than_its_reader() {
    const READERS: u64 = 20;
    const READS: usize = 200;
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.late_revision = Duration::from_millis(20));
    let reader = Arc::new(RevisionReader::new(Arc::clone(&store) as Arc<dyn Store>));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (1..=READERS)
        .map(|number| {
            let (reader, acknowledged) = (Arc::clone(&reader), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for read in 0..READS as u64 {
                    let least = acknowledged.load(Ordering::Relaxed) as Revision;
                    let told = reader.current().await.unwrap();
                    assert!(told >= least, "told {told}, and {least} was acknowledged before");
                    tokio::time::sleep(Duration::from_millis((number * 7 + read * 13) % 31)).await;
                }
            })
        })
        .collect();
    let writer = tokio::spawn(async move {
        loop {
            let revision = store.set("k", Some("v"));
            acknowledged.store(revision as usize, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(revision % 5)).await;
        }
    });
    for reader in readers {
        reader.await.unwrap();
    }
    writer.abort();
}

/// The task that asks for others may end with its runtime; whoever waits elsewhere is told so, and the next one asks anew.
#[tokio::test]
async fn a_question_that_is_lost_leaves_nobody_waiting() {
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.slow_revision = true);
    let reader = Arc::new(RevisionReader::new(Arc::clone(&store) as Arc<dyn Store>));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ask = || {
        let reader = Arc::clone(&reader);
        async move { reader.current().await }
    };
    // The first asks for itself; the task that it leaves behind asks for the second, here, and is lost.
    let first = runtime.spawn(ask());
    while store.calls().revisions < 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = tokio::spawn(ask());
    tokio::task::yield_now().await;
    store.let_revision_go.notify_one();
    first.await.unwrap().unwrap();
    while store.calls().revisions < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let third = tokio::spawn(ask());
    tokio::task::yield_now().await;
    runtime.shutdown_background();
    for lost in [second, third] {
        let answer = tokio::time::timeout(Duration::from_secs(10), lost).await.unwrap().unwrap();
        assert!(matches!(&answer, Err(error) if matches!(**error, StoreError::Unavailable(_))), "{answer:?}");
    }
    store.fault(|faults| faults.slow_revision = false);
    assert_eq!(ask().await.unwrap(), 0);
}
