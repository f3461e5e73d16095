//! What a cache knows of the time before it.
#![allow(clippy::unwrap_used)]

use super::random::Dice;
use super::rig::{Rig, at, fields, labels, paths, widget};
use super::store::MemoryStore;
use crate::cache::CacheConfig;
use crate::cache::event::Event as CacheEvent;
use crate::cache::history::Bounds;
use crate::cache::load::Loaded;
use crate::cache::snapshot::Snapshot;
use crate::cache::state::{Change, Content, State};
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_store::{Event, Form, Key, Revision, Store, StoreError, WatchMessage};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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

fn from(revision: Revision, options: ListOptions) -> ListOptions {
    ListOptions { resource_version: ResourceVersion::At(revision), ..options }
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
    // And it goes on: nothing is missed between the past and what comes.
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
    // Besides, whether the past is still there.
    assert_eq!((rig.store.calls().ranges, rig.cache.stats().loads), (2, 1), "the state is read once");
}

/// What enters or leaves a selection is known by what was there before.
#[tokio::test(start_paused = true)]
async fn a_selection_is_resumed_by_true_previous_states() {
    let rig = ready(&store_with_a_past(), |_| {}).await;
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
    assert_eq!((rig.cache.stats().revision, rig.cache.items().len(), store.calls().ranges), (9, 3, 1));
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

/// Nobody waits for the past but a watch that goes on from there.
#[tokio::test(start_paused = true)]
async fn readers_do_not_wait_for_the_past() {
    for answers in [true, false] {
        // The last write is elsewhere: only progress tells that nothing is missing.
        let store = store_with_a_past();
        store.fault(|faults| faults.mute = true);
        let begun = Instant::now();
        let rig = ready(&store, |_| {}).await;
        let any = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
        assert_eq!(paths(&rig.list("", &any).await.unwrap()), ["ns/a", "ns/b", "ns2/c"]);
        assert!(rig.cache.is_ready() && begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
        let (mut resumed, mut new) = (rig.watch("", &at(7)).await, rig.watch("", &at(9)).await);
        resumed.is_silent().await;
        let mut impatient = rig.watch("", &ListOptions { timeout_seconds: Some(1), ..at(7) }).await;
        impatient.is_over().await;
        store.fault(|faults| faults.mute = !answers);
        if answers {
            resumed.hears(&["MODIFIED ns2/c@8"]).await;
            rig.delete("ns/b");
            resumed.hears(&["DELETED ns/b@10"]).await;
            new.hears(&["DELETED ns/b@10"]).await;
        } else {
            // One that tells nothing is not waited for much longer.
            resumed.hears(&["ERROR 410 too old resource version: 7 (9)"]).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

/// What happens between the load and the arrival of the past is neither lost nor told twice, and in its order.
#[tokio::test(start_paused = true)]
async fn the_present_goes_on_while_the_past_is_told() {
    let store = store_with_a_past();
    store.fault(|faults| faults.mute = true);
    let rig = ready(&store, |_| {}).await;
    let mut early = rig.watch("ns", &from(3, labels("tier=gold"))).await;
    rig.set("ns/b", "tier=lead");
    rig.set("ns/d", "tier=gold");
    rig.reached(11).await;
    store.fault(|faults| faults.mute = false);
    let told = ["DELETED ns/a@4", "ADDED ns/b@5", "DELETED ns/b@10", "ADDED ns/d@11"];
    early.hears(&told).await;
    rig.watch("ns", &from(3, labels("tier=gold"))).await.hears(&told).await;
    rig.watch("ns", &from(9, labels("tier=gold"))).await.hears(&told[2..]).await;
    let then = ListOptions { version_match: Some(VersionMatch::Exact), ..at(5) };
    assert_eq!(paths(&rig.list("", &then).await.unwrap()), ["ns/a", "ns/b", "ns/old"]);
}

/// A history that has forgotten its beginning by then does not begin before it.
#[tokio::test(start_paused = true)]
async fn the_past_is_not_put_in_front_of_a_gap() {
    let event = |revision| Arc::new(CacheEvent::new(revision, "ns/a".into(), None, Some(Arc::default())));
    let change = |revision| Change { revision, path: "ns/a".into(), content: Content::Object(Arc::default()) };
    let past = || [7, 8].map(event).into();
    for (later, joined, floor) in [(vec![], true, 5), (vec![10, 11], true, 5), (vec![10, 11, 12, 13, 14], false, 10)] {
        let state = State::new(Bounds { age: Duration::from_secs(300), events: 4, bytes: 1 << 20 });
        state.load(Loaded { snapshot: Snapshot { revision: 9, ..Snapshot::default() }, ..Loaded::default() });
        state.apply(later.into_iter().map(change).collect());
        assert_eq!((state.join_past(past(), 5, 9), state.feed().history.floor()), (joined, floor));
    }
}

/// Where the store forgets meanwhile, an event may not say what was there before it.
#[tokio::test(start_paused = true)]
async fn what_is_forgotten_while_it_is_told_is_not_resumed_from() {
    let store = store_with_a_past();
    store.fault(|faults| faults.mute = true);
    let rig = ready(&store, |_| {}).await;
    let mut watch = rig.watch("", &at(6)).await;
    watch.is_silent().await;
    store.compact(6).await.unwrap();
    store.fault(|faults| faults.mute = false);
    watch.hears(&["ADDED ns2/c@7", "MODIFIED ns2/c@8"]).await;
    is_too_old(&rig, 5, 6).await;
}

/// A store that tells of the past what cannot be true is not believed.
#[tokio::test(start_paused = true)]
async fn a_past_that_does_not_lead_to_the_present_is_refused() {
    let new = widget("ns/new", "", &json!({}));
    for (path, value) in [("ns/a", None), ("ns/new", Some(new))] {
        let store = store_with_a_past();
        store.fault(|faults| faults.mute = true);
        let rig = ready(&store, |_| {}).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (key, value) = (Key::new(format!("example.com/widgets/{path}")), value.map(Bytes::from));
        store.tell_all(&WatchMessage::Events(vec![Event { key, revision: 8, value, form: Form::Current }]));
        store.fault(|faults| faults.mute = false);
        is_too_old(&rig, 8, 9).await;
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

/// Whatever has happened: who goes on from a time before the start is told what he would have been told without it.
#[tokio::test(start_paused = true)]
async fn the_past_is_what_it_was() {
    // With few other objects all are read as they were, with many those that changed.
    for (seed, others) in [(1, 0), (2, 3), (3, 400), (4, 400)] {
        let mut dice = Dice(seed);
        let live = Rig::new().await;
        for n in 0..others {
            live.set(&format!("other/o{n:03}"), "tier=gold");
        }
        let begin = live.write_elsewhere();
        for _ in 0..150 {
            let path = format!("ns/{}", dice.roll(8));
            match dice.roll(6) {
                0 => _ = live.write_elsewhere(),
                1 => _ = live.delete(&path),
                tier => _ = live.set(&path, if tier < 4 { "tier=gold" } else { "tier=lead" }),
            }
        }
        let again = ready(&live.store, |config| config.replay = 140).await;
        let end = live.set("ns/end", "tier=gold");
        for revision in end - 140..end {
            for selection in [ListOptions::default(), labels("tier=gold"), fields("metadata.name=3")] {
                let selection = from(revision, ListOptions { timeout_seconds: Some(1), ..selection });
                let (mut one, mut other) = (live.watch("ns", &selection).await, again.watch("ns", &selection).await);
                loop {
                    let told = one.next().await;
                    assert_eq!(other.next().await, told, "seed {seed}, from {revision}");
                    if told.is_none() {
                        break;
                    }
                }
            }
            let then = ListOptions { version_match: Some(VersionMatch::Exact), ..at(revision) };
            let (one, other) = (live.list("ns", &then).await.unwrap(), again.list("ns", &then).await.unwrap());
            assert_eq!(one.items, other.items, "seed {seed} at {revision}");
        }
        assert!(begin < end);
    }
}

/// What was there before may be far more than is held: then less of it is asked for.
#[tokio::test(start_paused = true)]
async fn a_past_that_is_too_large_begins_later() {
    let store = Arc::new(MemoryStore::default());
    let spec = json!({ "text": "x".repeat(10_000) });
    for n in 0..64 {
        store.set(&format!("example.com/widgets/ns/{n}"), Some(&widget(&format!("ns/{n}"), "", &spec)));
    }
    for n in 0..64 {
        store.set(&format!("example.com/widgets/ns/{n}"), None);
    }
    store.set("example.com/widgets/ns/end", Some(&widget("ns/end", "", &json!({}))));
    // An object that is deleted counts twice.
    let rig = ready(&store, |config| (config.replay, config.history_bytes) = (65, 100_000)).await;
    is_too_old(&rig, 64, 124).await;
    rig.watch("", &at(124))
        .await
        .hears(&["DELETED ns/60@125", "DELETED ns/61@126", "DELETED ns/62@127", "DELETED ns/63@128", "ADDED ns/end@129"])
        .await;
}
