//! Watches of what happens.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, fields, labels};
use apiserver_meta::options::{ListOptions, ResourceVersion};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;

fn from(revision: u64, options: ListOptions) -> ListOptions {
    ListOptions { resource_version: ResourceVersion::At(revision), ..options }
}

/// RunTestWatch: into a selection, inside of it, out of it, and away.
#[tokio::test(start_paused = true)]
async fn watch() {
    let rig = Rig::new().await;
    rig.set("ns/other", "");
    rig.reached(1).await;
    let mut all = rig.watch("", &at(1)).await;
    let mut blue = rig.watch("ns", &from(1, labels("color=blue"))).await;
    rig.set("ns/a", "color=red");
    rig.set("ns/a", "color=blue");
    rig.set("ns/a", "color=blue,size=1");
    rig.set("ns/a", "color=red");
    rig.set("ns/a", "color=blue");
    rig.delete("ns/a");
    blue.hears(&["ADDED ns/a@3", "MODIFIED ns/a@4", "DELETED ns/a@5", "ADDED ns/a@6", "DELETED ns/a@7"]).await;
    blue.is_silent().await;
    let mut heard = vec!["ADDED ns/a@2"];
    heard.extend(["MODIFIED ns/a@3", "MODIFIED ns/a@4", "MODIFIED ns/a@5", "MODIFIED ns/a@6", "DELETED ns/a@7"]);
    all.hears(&heard).await;
    all.is_silent().await;
}

/// What leaves a selection is told as it last was in it, with the revision of the change.
#[tokio::test(start_paused = true)]
async fn who_leaves_is_told_as_it_was() {
    let rig = Rig::new().await;
    let mut blue = rig.watch("ns", &from(0, labels("color=blue"))).await;
    rig.set("ns/a", "color=blue");
    rig.set("ns/a", "color=red");
    blue.hears(&["ADDED ns/a@1"]).await;
    let Some(crate::Frame::Event { item, .. }) = blue.0.next().await else { panic!() };
    assert_eq!(*item.labels, [("color".into(), "blue".into())]);
    assert_eq!(item.revision, 2);
}

/// RunTestWatchFromNonZero, RunTestDeleteTriggerWatch.
#[tokio::test(start_paused = true)]
async fn watch_from_non_zero() {
    let rig = Rig::new().await;
    for n in 0..4 {
        rig.set("ns/a", &format!("n={n}"));
    }
    rig.delete("ns/a");
    rig.reached(5).await;
    let mut early = rig.watch("ns", &at(2)).await;
    early.hears(&["MODIFIED ns/a@3", "MODIFIED ns/a@4", "DELETED ns/a@5"]).await;
    let mut late = rig.watch("ns", &at(5)).await;
    late.is_silent().await;
    rig.set("ns/a", "");
    early.hears(&["ADDED ns/a@6"]).await;
    late.hears(&["ADDED ns/a@6"]).await;
}

/// RunTestWatchFromZero: the state, then what happens; also of what happened before.
#[tokio::test(start_paused = true)]
async fn watch_from_zero() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    rig.reached(1).await;
    let options = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
    let mut watch = rig.watch("ns", &options).await;
    watch.hears(&["ADDED ns/a@1"]).await;
    rig.set("ns/a", "x=1");
    watch.hears(&["MODIFIED ns/a@2"]).await;
    rig.delete("ns/a");
    rig.set("ns/a", "");
    rig.reached(4).await;
    apiserver_store::Store::compact(&*rig.store, 4).await.unwrap();
    rig.watch("ns", &options).await.hears(&["ADDED ns/a@4"]).await;
    watch.hears(&["DELETED ns/a@3", "ADDED ns/a@4"]).await;
}

/// RunTestDelayedWatchDelivery: more than the queue holds, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn delayed_watch_delivery() {
    let rig = Rig::with(|config| config.watcher_queue = 3).await;
    let mut watch = rig.watch("ns", &at(0)).await;
    rig.set("ns/a", "");
    watch.hears(&["ADDED ns/a@1"]).await;
    watch.is_silent().await;
    for n in 0..1000 {
        rig.set(&format!("ns/o{n}"), if n % 2 == 0 { "even=yes" } else { "" });
    }
    rig.reached(1001).await;
    for n in 0..1000 {
        watch.hears(&[&format!("ADDED ns/o{n}@{}", n + 2)]).await;
    }
    watch.is_silent().await;
    assert!(rig.cache.stats().overruns > 0);
    rig.delete("ns/a");
    watch.hears(&["DELETED ns/a@1002"]).await;
}

/// RunTestWatcherTimeout: who does not read stops nobody, and is told when it cannot go on.
#[tokio::test(start_paused = true)]
async fn watcher_timeout() {
    let rig = Rig::with(|config| (config.watcher_queue, config.history_events) = (2, 10)).await;
    let (mut stuck, mut reader) = (rig.watch("ns", &at(0)).await, rig.watch("ns", &at(0)).await);
    rig.set("ns/o0", "");
    for watch in [&mut stuck, &mut reader] {
        watch.hears(&["ADDED ns/o0@1"]).await;
        watch.is_silent().await;
    }
    for n in 1..100 {
        rig.set(&format!("ns/o{n}"), "");
        reader.hears(&[&format!("ADDED ns/o{n}@{}", n + 1)]).await;
    }
    assert_eq!(rig.cache.stats().watchers, 1, "the stuck one costs nothing any more");
    stuck.hears(&["ADDED ns/o1@2", "ADDED ns/o2@3", "ERROR 410 too old resource version: 3 (90)"]).await;
    stuck.is_over().await;
}

/// RunTestWatchDeleteEventObjectHaveLatestRV.
#[tokio::test(start_paused = true)]
async fn watch_delete_event_object_have_latest_rv() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    rig.write_elsewhere();
    let mut watch = rig.watch("ns", &at(1)).await;
    rig.delete("ns/a");
    watch.hears(&["DELETED ns/a@3"]).await;
}

/// RunTestWatchContextCancel: who goes away leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn watch_context_cancel() {
    let rig = Rig::new().await;
    for options in [at(0), from(0, fields("metadata.name=a")), from(0, fields("metadata.namespace=other"))] {
        for namespace in ["", "ns"] {
            let mut watch = rig.watch(namespace, &options).await;
            watch.is_silent().await;
            assert_eq!(rig.cache.stats().watchers, 1);
            drop(watch);
            assert_eq!(rig.cache.stats().watchers, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_cache_stops_watches_end() {
    let rig = Rig::new().await;
    let mut watch = rig.watch("ns", &at(0)).await;
    watch.is_silent().await;
    rig.stop.cancel();
    watch.is_over().await;
    rig.watch("ns", &at(0)).await.is_over().await;
    assert!(!rig.cache.is_ready());
}

/// RunTestNamespaceScopedWatch, RunTestClusterScopedWatch: each change reaches exactly those whose scope it is in.
#[tokio::test(start_paused = true)]
async fn namespace_scoped_watch() {
    let rig = Rig::new().await;
    let table: &[(&str, ListOptions, &[&str])] = &[
        ("", ListOptions::default(), &["ns/a", "ns/b", "ns2/a", "ns-x/a"]),
        ("ns", ListOptions::default(), &["ns/a", "ns/b"]),
        ("ns", fields("metadata.name=a"), &["ns/a"]),
        ("", fields("metadata.name=a"), &["ns/a", "ns2/a", "ns-x/a"]),
        ("", fields("metadata.namespace=ns2"), &["ns2/a"]),
        ("", fields("metadata.name=b,metadata.namespace=ns"), &["ns/b"]),
        ("ns", fields("metadata.namespace=ns2"), &[]),
        ("", fields("spec.color=red"), &["ns/b"]),
        ("ns", fields("spec.color!=red"), &["ns/a"]),
        ("ns2", labels("app"), &["ns2/a"]),
        ("ns2", labels("!app"), &[]),
    ];
    let mut watches = Vec::new();
    for (namespace, options, _) in table {
        watches.push(rig.watch(namespace, &from(0, options.clone())).await);
    }
    for path in ["ns/a", "ns/b", "ns2/a", "ns-x/a"] {
        rig.set_spec(path, "app=x", &json!({"color": if path == "ns/b" { "red" } else { "blue" }}));
        rig.delete(path);
    }
    rig.reached(8).await;
    for (watch, (namespace, options, expected)) in watches.iter_mut().zip(table) {
        let mut heard = Vec::new();
        while let Ok(Some(frame)) = tokio::time::timeout(Duration::from_millis(100), watch.0.next()).await {
            heard.push(super::rig::words(&frame));
        }
        let words: Vec<String> = expected
            .iter()
            .flat_map(|path| {
                let written = 1 + 2 * ["ns/a", "ns/b", "ns2/a", "ns-x/a"].iter().position(|p| p == path).unwrap();
                [format!("ADDED {path}@{written}"), format!("DELETED {path}@{}", written + 1)]
            })
            .collect();
        assert_eq!(heard, words, "{namespace:?} {:?}", options.fields);
    }
}

#[tokio::test(start_paused = true)]
async fn too_old_and_too_new_are_told_in_the_stream() {
    let rig = Rig::with(|config| config.history_events = 3).await;
    for n in 1..=9 {
        rig.set("ns/a", &format!("n={n}"));
    }
    rig.reached(9).await;
    let mut old = rig.watch("ns", &at(5)).await;
    old.hears(&["ERROR 410 too old resource version: 5 (6)"]).await;
    old.is_over().await;
    rig.watch("ns", &at(6)).await.hears(&["MODIFIED ns/a@7"]).await;
    let mut new = rig.watch("ns", &at(11)).await;
    new.hears(&["ERROR 504 Timeout: Too large resource version: 11, current: 9"]).await;
    new.is_over().await;
    // A little ahead is waited for.
    let mut ahead = rig.watch("ns", &at(11)).await;
    ahead.is_silent().await;
    for n in 10..=12 {
        rig.set("ns/a", &format!("n={n}"));
    }
    ahead.hears(&["MODIFIED ns/a@12"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_after_its_time() {
    let rig = Rig::new().await;
    let began = tokio::time::Instant::now();
    let mut watch = rig.watch("ns", &ListOptions { timeout_seconds: Some(7), ..at(0) }).await;
    watch.is_over().await;
    assert_eq!(began.elapsed().as_secs(), 7);
    for (timeout_seconds, lasts) in [(None, 1800..=3600), (Some(0), 0..=0)] {
        let began = tokio::time::Instant::now();
        rig.watch("ns", &ListOptions { timeout_seconds, ..at(0) }).await.is_over().await;
        assert!(lasts.contains(&began.elapsed().as_secs()));
    }
}

/// However much waits to be read, and whatever else was due before.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_behind_ends_after_its_time() {
    let rig = Rig::new().await;
    let mut watch = rig.watch("ns", &ListOptions { timeout_seconds: Some(10), bookmarks: true, ..at(0) }).await;
    watch.is_silent().await;
    (1..=5).for_each(|n| _ = rig.set("ns/a", &format!("n={n}")));
    rig.reached(5).await;
    tokio::time::sleep(Duration::from_millis(7500)).await;
    watch.hears(&["ADDED ns/a@1", "MODIFIED ns/a@2"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    watch.is_over().await;
}

/// What the next frame's object is made of.
async fn bytes(watch: &mut super::rig::Tape) -> *const u8 {
    let Some(crate::Frame::Event { item, .. }) = watch.0.next().await else { panic!() };
    item.bytes.as_ptr()
}

/// All who are told of an object share its bytes, as it happens, from the history, and in the state.
#[tokio::test(start_paused = true)]
async fn watches_share_the_bytes_of_objects() {
    let rig = Rig::new().await;
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(rig.watch("ns", &at(0)).await);
        watches.last_mut().unwrap().is_silent().await;
    }
    rig.set("ns/a", "");
    rig.reached(1).await;
    let state = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
    watches.push(rig.watch("ns", &state).await);
    let mut told = Vec::new();
    for watch in &mut watches {
        told.push(bytes(watch).await);
    }
    rig.delete("ns/a");
    rig.reached(2).await;
    let mut gone = Vec::new();
    for watch in &mut watches {
        gone.push(bytes(watch).await);
    }
    let mut late = rig.watch("ns", &at(0)).await;
    told.push(bytes(&mut late).await);
    gone.push(bytes(&mut late).await);
    for shared in [told, gone] {
        assert!(shared.iter().all(|bytes| *bytes == shared[0]));
    }
}

/// A watch that was read once and then no more makes no bytes that others do not have.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_not_read_copies_nothing() {
    let rig = Rig::new().await;
    let large = json!({ "large": "x".repeat(10_000) });
    for n in 0..300 {
        rig.set_spec(&format!("ns/o{n}"), "", &large);
    }
    rig.reached(300).await;
    let state = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
    for options in [state, at(0)] {
        let mut watches = Vec::new();
        let before: usize = rig.cache.items().iter().map(std::sync::Arc::strong_count).sum();
        for _ in 0..3 {
            let mut watch = rig.watch("ns", &options).await;
            let Some(crate::Frame::Event { item, .. }) = watch.0.next().await else { panic!() };
            let at_hand = rig.cache.items().into_iter().find(|known| known.path == item.path).unwrap();
            assert!(std::sync::Arc::ptr_eq(&at_hand, &item));
            watches.push(watch);
        }
        let after: usize = rig.cache.items().iter().map(std::sync::Arc::strong_count).sum();
        assert!(after - before <= 3 * 256, "{} references to objects wait", after - before);
    }
}
