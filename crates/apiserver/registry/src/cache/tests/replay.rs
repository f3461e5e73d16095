//! What a cache knows of the time before it.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, fields, labels, paths, widget};
use super::store::MemoryStore;
use crate::cache::CacheConfig;
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_store::{Revision, Store, StoreError};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A store in which things have happened: revisions 1 to 9.
fn store_with_a_past() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let set = |path: &str, labels: &str, color: &str| {
        store.set(&format!("example.com/widgets/{path}"), Some(&widget(path, labels, &json!({ "color": color }))));
    };
    set("ns/old", "", "red");
    set("ns/a", "tier=gold", "red");
    set("ns/b", "tier=lead", "blue");
    set("ns/a", "tier=lead", "red");
    set("ns/b", "tier=gold", "red");
    store.set("example.com/widgets/ns/old", None);
    set("ns2/c", "tier=gold", "blue");
    set("ns2/c", "tier=gold", "green");
    store.set("example.com/gadgets/ns/x", Some("{}"));
    store
}

async fn ready(store: &Arc<MemoryStore>, change: impl FnOnce(&mut CacheConfig)) -> Rig {
    let rig = Rig::over(Arc::clone(store), change);
    rig.cache.ready().await;
    rig
}

async fn is_too_old(rig: &Rig, revision: Revision, floor: Revision) {
    let error = format!("ERROR 410 too old resource version: {revision} ({floor})");
    rig.watch("", &at(revision)).await.hears(&[&error]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_before_the_start_is_resumed() {
    let rig = ready(&store_with_a_past(), |_| {}).await;
    assert_eq!((rig.cache.stats().revision, rig.cache.stats().loads, rig.cache.is_ready()), (9, 1, true));
    let everything =
        ["ADDED ns/a@2", "ADDED ns/b@3", "MODIFIED ns/a@4", "MODIFIED ns/b@5", "DELETED ns/old@6", "ADDED ns2/c@7", "MODIFIED ns2/c@8"];
    let mut watches = Vec::new();
    for after in 1..=9 {
        let mut watch = rig.watch("", &at(after)).await;
        let missed = everything.iter().filter(|words| words.rsplit('@').next().unwrap().parse::<Revision>().unwrap() > after);
        watch.hears(&missed.copied().collect::<Vec<_>>()).await;
        watch.is_silent().await;
        watches.push(watch);
    }
    // And it goes on, by the stream that told the past: nothing was missed between the two.
    rig.set("ns/a", "");
    rig.delete("ns/b");
    for watch in &mut watches {
        watch.hears(&["MODIFIED ns/a@10", "DELETED ns/b@11"]).await;
    }
    rig.store.break_watches(|| StoreError::Unavailable("gone".into()));
    rig.set("ns/a", "n=1");
    for watch in &mut watches {
        watch.hears(&["MODIFIED ns/a@12"]).await;
    }
    assert_eq!((rig.store.calls().ranges, rig.cache.stats().loads), (1, 1), "the state is read once");
}

/// What enters or leaves a selection is known by what was there before.
#[tokio::test(start_paused = true)]
async fn a_selection_is_resumed_by_true_previous_states() {
    let rig = ready(&store_with_a_past(), |_| {}).await;
    let from = |revision, options| ListOptions { resource_version: ResourceVersion::At(revision), ..options };
    let gold = ["DELETED ns/a@4", "ADDED ns/b@5", "ADDED ns2/c@7", "MODIFIED ns2/c@8"];
    rig.watch("", &from(3, labels("tier=gold"))).await.hears(&gold).await;
    rig.watch("ns", &from(4, labels("tier=gold"))).await.hears(&gold[1..2]).await;
    rig.watch("", &from(3, fields("spec.color=blue"))).await.hears(&["DELETED ns/b@5", "ADDED ns2/c@7", "DELETED ns2/c@8"]).await;
    rig.watch("ns", &from(1, fields("metadata.name=old"))).await.hears(&["DELETED ns/old@6"]).await;
    // States of that time can be read as well.
    let then = ListOptions { version_match: Some(VersionMatch::Exact), ..at(5) };
    assert_eq!(paths(&rig.list("", &then).await.unwrap()), ["ns/a", "ns/b", "ns/old"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_history_is_too_old() {
    type Change = fn(&mut CacheConfig);
    // (compacted to, configuration, the oldest revision that is resumed from)
    let table: [(Revision, Change, Revision); 6] = [
        (0, |_| {}, 1),
        (5, |_| {}, 5),
        (9, |_| {}, 9),
        (0, |config| config.replay = 3, 6),
        (7, |config| config.replay = 3, 7),
        (0, |config| config.replay = 0, 9),
    ];
    for (compacted, change, floor) in table {
        let store = store_with_a_past();
        store.compact(compacted).await.unwrap();
        let rig = ready(&store, change).await;
        for revision in 1..floor {
            is_too_old(&rig, revision, floor).await;
        }
        let mut watch = rig.watch("", &at(floor)).await;
        rig.set("ns/end", "");
        let mut told = watch.next().await.unwrap();
        while told != "ADDED ns/end@10" {
            assert!(!told.starts_with("ERROR"), "{told}");
            told = watch.next().await.unwrap();
        }
    }
}

/// The history from before the start is held in the same bounds as any.
#[tokio::test(start_paused = true)]
async fn the_past_takes_no_more_memory_than_the_present() {
    // Seven changes are told from revision 1 on, each of which counts 600 bytes and some.
    type Change = fn(&mut CacheConfig);
    let bounds: [Change; 2] = [|config| config.history_events = 2, |config| config.history_bytes = 2000];
    for change in bounds {
        let rig = ready(&store_with_a_past(), change).await;
        is_too_old(&rig, 5, 6).await;
        rig.watch("", &at(6)).await.hears(&["ADDED ns2/c@7", "MODIFIED ns2/c@8"]).await;
        assert_eq!(rig.cache.items().len(), 3);
        tokio::time::sleep(Duration::from_secs(320)).await;
        is_too_old(&rig, 7, 8).await;
    }
}

#[tokio::test(start_paused = true)]
async fn history_that_is_forgotten_meanwhile_is_done_without() {
    let store = store_with_a_past();
    store.fault(|faults| faults.forgetful = true);
    let rig = ready(&store, |_| {}).await;
    assert_eq!((rig.cache.stats().revision, rig.cache.items().len(), store.calls().ranges), (9, 3, 2));
    is_too_old(&rig, 8, 9).await;
    rig.watch("", &at(9)).await.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_say_how_far_it_is_is_taken_as_it_is_now() {
    let store = store_with_a_past();
    store.fault(|faults| faults.unreliable = true);
    let rig = ready(&store, |_| {}).await;
    assert_eq!((rig.cache.stats().revision, store.calls().ranges), (9, 1));
    is_too_old(&rig, 8, 9).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_sees_the_past_while_it_is_told() {
    // The last write is elsewhere: only progress tells that nothing is missing.
    for answers in [true, false] {
        let store = store_with_a_past();
        store.fault(|faults| faults.mute = true);
        let rig = Rig::over(Arc::clone(&store), |_| {});
        tokio::time::sleep(Duration::from_secs(1)).await;
        let any = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
        assert_eq!(rig.list("", &any).await.unwrap_err().code(), 429);
        assert!(rig.cache.items().is_empty() && !rig.cache.is_ready());
        let begun = tokio::time::Instant::now();
        store.fault(|faults| faults.mute = !answers);
        rig.cache.ready().await;
        assert_eq!((rig.cache.stats().revision, rig.cache.items().len()), (9, 3));
        // One that does not answer is not waited for much longer.
        assert!(begun.elapsed() <= if answers { Duration::from_millis(200) } else { Duration::from_secs(3) });
        if answers {
            rig.watch("", &at(7)).await.hears(&["MODIFIED ns2/c@8"]).await;
        } else {
            is_too_old(&rig, 8, 9).await;
        }
    }
}

/// A key that went out of use leaves values that nobody can read any more. They are no damage, and what came after them is.
#[tokio::test(start_paused = true)]
async fn what_can_no_longer_be_read_is_resumed_from_after_it() {
    let store = store_with_a_past();
    let set = |path: &str, value: &str| store.set(&format!("example.com/widgets/{path}"), Some(value));
    set("ns/a", "unreadable"); // 10
    set("ns/gone", "unreadable"); // 11
    set("ns/a", &widget("ns/a", "tier=iron", &json!({}))); // 12
    store.set("example.com/widgets/ns/gone", None); // 13
    set("ns/b", &widget("ns/b", "", &json!({}))); // 14
    let rig = ready(&store, |_| {}).await;
    assert_eq!((rig.cache.stats().corrupt, rig.cache.stats().revision), (0, 14));
    // Who knew what was deleted at 13 could not be told so.
    is_too_old(&rig, 12, 13).await;
    rig.watch("", &at(13)).await.hears(&["MODIFIED ns/b@14"]).await;

    // What cannot be read to this day is told of, as ever.
    set("ns/b", "unreadable"); // 15
    store.set("example.com/gadgets/ns/x", None);
    let rig = ready(&store, |_| {}).await;
    assert_eq!((rig.cache.stats().corrupt, rig.cache.stats().revision), (1, 16));
    assert_eq!(rig.list("ns", &ListOptions::default()).await.unwrap_err().code(), 500);
    is_too_old(&rig, 15, 16).await;
}
