//! Watches that begin with the state, and bookmarks.
#![allow(clippy::unwrap_used)]

use super::rig::Rig;
use apiserver_meta::options::{ListOptions, ResourceVersion};
use std::time::Duration;

use ResourceVersion::{Any, At, Unset};

fn options(resource_version: ResourceVersion, bookmarks: bool, initial_events: Option<bool>) -> ListOptions {
    ListOptions { resource_version, bookmarks, initial_events, ..ListOptions::default() }
}

/// RunWatchSemantics: a, b and c are there at 3, the store is at 4; then d comes.
#[tokio::test(start_paused = true)]
async fn watch_semantics() {
    const STATE: &[&str] = &["ADDED ns/a@1", "ADDED ns/b@2", "ADDED ns/c@3"];
    const STATE_SYNCED: &[&str] = &["ADDED ns/a@1", "ADDED ns/b@2", "ADDED ns/c@3", "SYNCED 4"];
    let table: &[(ResourceVersion, bool, Option<bool>, &[&str])] = &[
        (Unset, true, Some(true), STATE_SYNCED),
        (Unset, false, Some(true), STATE),
        (Any, true, Some(true), STATE_SYNCED),
        (Any, false, Some(true), STATE),
        (At(1), true, Some(true), STATE_SYNCED),
        (At(1), false, Some(true), STATE),
        (At(4), true, Some(true), STATE_SYNCED),
        (At(4), false, Some(true), STATE),
        (Unset, true, Some(false), &[]),
        (Unset, false, Some(false), &[]),
        (Any, true, Some(false), &[]),
        (Any, false, Some(false), &[]),
        (At(1), true, Some(false), &["ADDED ns/b@2", "ADDED ns/c@3"]),
        (At(1), false, Some(false), &["ADDED ns/b@2", "ADDED ns/c@3"]),
        (At(4), true, Some(false), &[]),
        (At(4), false, Some(false), &[]),
        // Before sendInitialEvents.
        (Any, false, None, STATE),
        (Unset, false, None, STATE),
        (At(1), false, None, &["ADDED ns/b@2", "ADDED ns/c@3"]),
        (At(4), false, None, &[]),
    ];
    for (version, bookmarks, initial_events, expected) in table {
        let rig = Rig::new().await;
        for name in ["a", "b", "c"] {
            rig.set(&format!("ns/{name}"), "");
        }
        rig.write_elsewhere();
        rig.reached(4).await;
        let mut watch = rig.watch("ns", &options(*version, *bookmarks, *initial_events)).await;
        watch.hears(expected).await;
        watch.is_silent().await;
        rig.set("ns/d", "");
        watch.hears(&["ADDED ns/d@5"]).await;
        watch.is_silent().await;
    }
}

/// RunWatchSemanticInitialEventsExtended: the bookmark that ends the state has the store's revision, not the newest
/// object's, also of an empty collection.
#[tokio::test(start_paused = true)]
async fn watch_semantic_initial_events_extended() {
    let rig = Rig::new().await;
    rig.write_elsewhere();
    rig.watch("ns", &options(Unset, true, Some(true))).await.hears(&["SYNCED 1"]).await;
    rig.set("ns/a", "");
    rig.write_elsewhere();
    rig.watch("ns", &options(Unset, true, Some(true))).await.hears(&["ADDED ns/a@2", "SYNCED 3"]).await;
}

/// RunWatchListMatchSingle.
#[tokio::test(start_paused = true)]
async fn watch_list_match_single() {
    let rig = Rig::new().await;
    for name in ["a", "ab", "b"] {
        rig.set(&format!("ns/{name}"), "");
    }
    let one = ListOptions { fields: super::rig::fields("metadata.name=a").fields, ..options(Unset, true, Some(true)) };
    let mut watch = rig.watch("ns", &one).await;
    watch.hears(&["ADDED ns/a@1", "SYNCED 3"]).await;
    rig.set("ns/ab", "x=1");
    rig.set("ns/a", "x=1");
    watch.hears(&["MODIFIED ns/a@5"]).await;
}

/// RunSendInitialEventsBackwardCompatibility: who asks for a state that is not there yet waits, then hears 504.
#[tokio::test(start_paused = true)]
async fn a_state_of_the_future_is_waited_for() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    let mut watch = rig.watch("ns", &options(At(2), true, Some(true))).await;
    watch.is_silent().await;
    rig.set("ns/b", "");
    watch.hears(&["ADDED ns/a@1", "ADDED ns/b@2", "SYNCED 2"]).await;
    let mut never = rig.watch("ns", &options(At(9), true, Some(true))).await;
    never.hears(&["ERROR 504 Timeout: Too large resource version: 9, current: 2"]).await;
    never.is_over().await;
}

/// More state than is told at once, while it changes: nothing is missing, nothing is told twice.
#[tokio::test(start_paused = true)]
async fn a_long_state_and_what_happens_meanwhile() {
    let rig = Rig::with(|config| config.watcher_queue = 10).await;
    for n in 0..1000 {
        rig.set(&format!("ns/o{n:03}"), "");
    }
    rig.reached(1000).await;
    let mut watch = rig.watch("ns", &options(Unset, true, Some(true))).await;
    for n in 0..1000 {
        watch.hears(&[&format!("ADDED ns/o{n:03}@{}", n + 1)]).await;
        rig.set("ns/o000", &format!("n={n}"));
    }
    watch.hears(&["SYNCED 1000"]).await;
    for n in 0..1000 {
        watch.hears(&[&format!("MODIFIED ns/o000@{}", n + 1001)]).await;
    }
    watch.is_silent().await;
}

/// RunTestWatchDispatchBookmarkEvents: about every period, and two seconds before the end.
#[tokio::test(start_paused = true)]
async fn watch_dispatch_bookmark_events() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    rig.reached(1).await;
    let mut watch = rig.watch("ns", &ListOptions { timeout_seconds: Some(200), ..options(At(1), true, None) }).await;
    let began = tokio::time::Instant::now();
    let mut last = began;
    for _ in 0..2 {
        watch.hears(&["BOOKMARK 1"]).await;
        assert!((59..=76).contains(&last.elapsed().as_secs()), "{:?}", last.elapsed());
        last = tokio::time::Instant::now();
    }
    let mut ends = Vec::new();
    while let Some(words) = watch.next().await {
        assert_eq!(words, "BOOKMARK 1");
        ends.push(began.elapsed().as_secs());
    }
    assert!(ends.contains(&198), "{ends:?}");
    assert_eq!(began.elapsed().as_secs(), 200);
    // Who does not want any gets none.
    let mut without = rig.watch("ns", &ListOptions { timeout_seconds: Some(200), ..options(At(1), false, None) }).await;
    without.is_over().await;
}

/// Bookmarks follow the store, also while the collection is quiet.
#[tokio::test(start_paused = true)]
async fn progress_notify() {
    let rig = Rig::new().await;
    let mut watch = rig.watch("ns", &options(At(0), true, None)).await;
    watch.is_silent().await;
    for _ in 0..5 {
        rig.write_elsewhere();
    }
    watch.hears(&["BOOKMARK 5"]).await;
}

/// RunTestOptionalWatchBookmarksWithCorrectResourceVersion: no bookmark is ahead of an event that comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_bookmarks_with_correct_resource_version() {
    let rig = Rig::with(|config| config.bookmark_period = Duration::from_micros(300)).await;
    let writer = {
        let store = std::sync::Arc::clone(&rig.store);
        tokio::spawn(async move {
            for n in 0..500 {
                let path = format!("example.com/widgets/ns/o{}", n % 7);
                store.set(&path, Some(&super::rig::widget(&format!("ns/o{}", n % 7), "", &serde_json::json!({"n": n}))));
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        })
    };
    let mut watch = rig.watch("ns", &options(At(0), true, None)).await;
    let (mut told, mut bookmarks) = (0, 0);
    while told < 500 {
        let words = watch.next().await.unwrap();
        match words.strip_prefix("BOOKMARK ") {
            Some(revision) => {
                let revision: u64 = revision.parse().unwrap();
                assert!(revision >= told, "bookmark {revision} behind {told}");
                told = revision;
                bookmarks += 1;
            }
            None => {
                let revision: u64 = words.rsplit_once('@').unwrap().1.parse().unwrap();
                assert!(revision > told, "event {revision} behind {told}");
                told = revision;
            }
        }
    }
    assert!(bookmarks > 0);
    writer.await.unwrap();
}
