//! A cache that is not what the store has, and a store that tells what cannot be.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, paths, widget};
use crate::cache::ConsistencyChecks;
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_store::{Event, Form, Key, RangeRequest, Revision, Store, StoreError, WatchMessage};
use serde_json::json;
use std::time::Duration;

/// Longer than the longest time between two comparisons.
const A_PERIOD: Duration = Duration::from_secs(460);

/// Forty objects of several pages, the last write is 40.
async fn rig() -> Rig {
    let rig = Rig::with(|config| config.min_watch = Duration::from_secs(100_000)).await;
    let large = "x".repeat(100_000);
    for n in 0..40 {
        rig.set_spec(&format!("ns/o{n:02}"), "", &json!({ "large": large }));
    }
    rig.reached(40).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn a_true_cache_stays() {
    let rig = rig().await;
    rig.set_raw("ns/unreadable", "{}");
    rig.reached(41).await;
    let mut watch = rig.watch("ns2", &at(41)).await;
    watch.is_silent().await;
    let before = rig.store.calls().ranges;
    tokio::time::sleep(A_PERIOD).await;
    assert_eq!(rig.cache.stats().checks, ConsistencyChecks { success: 1, ..ConsistencyChecks::default() });
    let read = rig.store.calls().ranges - before;
    assert!((4..=6).contains(&read), "four megabytes were read in {read} pages");
    watch.is_silent().await;
    assert_eq!(rig.cache.stats().watchers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_differs_is_loaded_again() {
    type Plant = fn(&Rig) -> Revision;
    let plants: [(&str, Plant); 5] = [
        ("an object was missed", |rig| rig.set("ns/missed", "")),
        ("a first one was missed", |rig| rig.set("a/missed", "")),
        ("a change was missed", |rig| rig.set("ns/o20", "missed=yes")),
        ("a deletion was missed", |rig| rig.delete("ns/o39")),
        ("the bytes differ", |rig| rig.store.tamper("example.com/widgets/ns/o07", &widget("ns/o07", "other=bytes", &json!({})))),
    ];
    for (what, plant) in plants {
        let rig = rig().await;
        let page = rig.list("ns", &ListOptions { limit: 1, ..ListOptions::default() }).await.unwrap();
        rig.store.fault(|faults| faults.lossy = true);
        plant(&rig);
        rig.store.fault(|faults| faults.lossy = false);
        let last = rig.write_elsewhere();
        let mut watch = rig.watch("ns", &at(40)).await;
        watch.is_silent().await;
        tokio::time::sleep(A_PERIOD).await;
        assert_eq!(rig.cache.stats().checks.mismatch, 1, "{what}");
        assert!(watch.next().await.unwrap().starts_with("ERROR 410"), "{what}");
        watch.is_over().await;
        let found = rig.store.range(&RangeRequest { prefix: "example.com/widgets/".into(), ..RangeRequest::default() }).await.unwrap();
        let list = rig.list("", &ListOptions::default()).await.unwrap();
        let revisions = |list: &crate::List| list.items.iter().map(|item| item.revision).collect::<Vec<_>>();
        assert_eq!(revisions(&list), found.entries.iter().map(|entry| entry.revision).collect::<Vec<_>>(), "{what}");
        let tampered = list.items.iter().any(|item| item.labels.iter().any(|(key, _)| &**key == "other"));
        assert_eq!(tampered, what == "the bytes differ");
        // What was read of the false state is not gone on from: the store itself is asked about its revision.
        let before = rig.store.calls().ranges;
        let rest = ListOptions { continue_token: page.continue_token.unwrap(), ..ListOptions::default() };
        assert_eq!(rig.list("ns", &rest).await.unwrap().items.len(), 39, "{what}");
        assert!(rig.store.calls().ranges > before, "{what}");
        // Now they are the same, and the watch goes on from here.
        let mut watch = rig.watch("ns", &at(last)).await;
        tokio::time::sleep(A_PERIOD).await;
        assert_eq!((rig.cache.stats().checks.success, rig.cache.stats().checks.mismatch), (1, 1), "{what}");
        watch.is_silent().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_proves_nothing() {
    let rig = rig().await;
    rig.store.fault(|faults| faults.is_down = true);
    tokio::time::sleep(A_PERIOD).await;
    assert_eq!(rig.cache.stats().checks, ConsistencyChecks { error: 1, ..ConsistencyChecks::default() });
    rig.store.fault(|faults| faults.is_down = false);
    tokio::time::sleep(A_PERIOD).await;
    assert_eq!(rig.cache.stats().checks, ConsistencyChecks { error: 1, success: 1, ..ConsistencyChecks::default() });
}

/// Progress behind what was told before: the stream cannot be believed, and the collection is read again.
#[tokio::test(start_paused = true)]
async fn progress_that_goes_back_is_a_fault() {
    let rig = rig().await;
    let mut watch = rig.watch("ns", &at(40)).await;
    watch.is_silent().await;
    rig.store.fault(|faults| faults.lossy = true);
    rig.set("ns/missed", "");
    rig.store.fault(|faults| faults.lossy = false);
    let before = rig.store.calls().ranges;
    rig.store.tell_all(&WatchMessage::Progress(39));
    watch.hears(&["ERROR 410 too old resource version: the store has no history of it"]).await;
    assert!(rig.store.calls().ranges > before);
    assert_eq!(rig.list("ns", &ListOptions::default()).await.unwrap().items.len(), 41);
    let mut watch = rig.watch("ns", &at(41)).await;
    rig.store.tell_all(&WatchMessage::Progress(41));
    rig.set("ns/next", "");
    watch.hears(&["ADDED ns/next@42"]).await;
}

/// An event that is not newer than what was told before is dropped.
#[tokio::test(start_paused = true)]
async fn events_that_go_back_are_dropped() {
    let rig = rig().await;
    let mut watch = rig.watch("ns", &at(40)).await;
    watch.is_silent().await;
    for revision in [1, 39, 40] {
        let event = Event { key: Key::new("example.com/widgets/ns/o01"), revision, value: None, form: Form::Current };
        rig.store.tell_all(&WatchMessage::Events(vec![event]));
    }
    watch.is_silent().await;
    rig.set("ns/next", "");
    watch.hears(&["ADDED ns/next@41"]).await;
    assert_eq!(rig.list("ns", &ListOptions::default()).await.unwrap().items.len(), 41);
}

/// What a list of the store told is a revision that watches and reads can name, though the cache has not heard of it.
#[tokio::test(start_paused = true)]
async fn revisions_that_only_the_store_knows() {
    let rig = rig().await;
    rig.store.fault(|faults| (faults.unreliable, faults.mute) = (true, true));
    assert_eq!(rig.write_elsewhere(), 41);
    let began = tokio::time::Instant::now();
    let mut watch = rig.watch("ns", &at(41)).await;
    watch.is_silent().await;
    let exactly = ListOptions { version_match: Some(VersionMatch::Exact), ..at(41) };
    assert_eq!(paths(&rig.list("ns", &exactly).await.unwrap()).len(), 40);
    assert!(rig.get("ns/o01", ResourceVersion::At(41)).await.is_ok());
    assert_eq!(rig.get("ns/o01", ResourceVersion::At(42)).await.unwrap_err().code(), 504);
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for what does not come");
    rig.set("ns/next", "");
    watch.hears(&["ADDED ns/next@42"]).await;
}

/// A watch that began ahead of the cache, in what the cache then missed, cannot be told what happened there; no watch can.
#[tokio::test(start_paused = true)]
async fn who_began_ahead_of_a_cache_that_loads_again_lists_again() {
    let rig = rig().await;
    rig.store.fault(|faults| (faults.unreliable, faults.silent) = (true, true));
    rig.set("ns/known", ""); // 41
    let list = rig.list("ns", &ListOptions::default()).await.unwrap();
    assert_eq!((list.items.len(), list.revision), (41, 41));
    let (mut ahead, mut behind) = (rig.watch("ns", &at(41)).await, rig.watch("ns", &at(40)).await);
    for watch in [&mut ahead, &mut behind] {
        watch.is_silent().await;
    }
    rig.delete("ns/known"); // 42
    rig.set("ns/after", ""); // 43
    rig.store.compact(43).await.unwrap();
    rig.store.break_watches(|| StoreError::Compacted { oldest: 43 });
    rig.store.fault(|faults| faults.silent = false);
    for watch in [&mut ahead, &mut behind] {
        assert!(watch.next().await.unwrap().starts_with("ERROR 410"));
        watch.is_over().await;
    }
}
