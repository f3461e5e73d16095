//! What the cache makes of a store that fails.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, fields, paths, widget};
use super::store::MemoryStore;
use apiserver_meta::Reason;
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_store::{Store, StoreError};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn compacted() -> StoreError {
    StoreError::Compacted { oldest: 100 }
}

/// The store lost its history while the cache did not hear it: nobody can say what happened when, so watches end, and
/// clients list again.
#[tokio::test(start_paused = true)]
async fn what_a_compaction_hides_ends_all_watches() {
    let rig = Rig::new().await;
    for path in ["ns/kept", "ns/changed", "ns/gone", "ns/anew"] {
        rig.set(path, "");
    }
    rig.reached(4).await;
    let mut watch = rig.watch("ns", &at(4)).await;
    watch.is_silent().await;
    rig.store.fault(|faults| faults.silent = true);
    rig.set("ns/changed", "n=1"); // 5
    rig.set("ns/changed", "n=2"); // 6
    rig.delete("ns/gone"); // 7
    rig.set("ns/new", ""); // 8
    rig.delete("ns/anew"); // 9
    rig.set_raw("ns/anew", &widget("ns/anew", "", &json!({})).replace("uid-of-anew", "another-uid")); // 10
    rig.write_elsewhere(); // 11
    rig.store.compact(11).await.unwrap();
    rig.store.break_watches(compacted);
    rig.store.fault(|faults| faults.silent = false);
    rig.reached(11).await;
    watch.hears(&["ERROR 410 too old resource version: the store has no history of it"]).await;
    watch.is_over().await;
    let list = rig.list("ns", &ListOptions::default()).await.unwrap();
    assert_eq!((paths(&list), list.revision), (["ns/anew", "ns/changed", "ns/kept", "ns/new"].map(str::to_owned).to_vec(), 11));
    let mut relisted = rig.watch("ns", &at(list.revision)).await;
    rig.set("ns/kept", "n=1");
    relisted.hears(&["MODIFIED ns/kept@12"]).await;
    // Nothing from before can be resumed or read, also not what the cache knew then.
    for revision in [4, 7, 10] {
        rig.watch("ns", &at(revision)).await.hears(&[&format!("ERROR 410 too old resource version: {revision} (11)")]).await;
        let exactly = ListOptions { version_match: Some(VersionMatch::Exact), ..at(revision) };
        assert_eq!(rig.list("ns", &exactly).await.unwrap_err().reason, Reason::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_leaves_no_gap() {
    let rig = Rig::new().await;
    let mut watch = rig.watch("ns", &at(0)).await;
    rig.set("ns/a", "");
    watch.hears(&["ADDED ns/a@1"]).await;
    rig.store.fault(|faults| faults.is_down = true);
    rig.store.break_watches(|| StoreError::Unavailable("gone".into()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!rig.cache.is_ready());
    rig.set("ns/a", "n=1");
    rig.delete("ns/a");
    rig.store.fault(|faults| faults.is_down = false);
    watch.hears(&["MODIFIED ns/a@2", "DELETED ns/a@3"]).await;
    assert!(rig.cache.is_ready());
    assert_eq!(rig.store.calls().ranges, 1, "nothing was loaded again");
}

#[tokio::test(start_paused = true)]
async fn a_store_put_back_in_time_ends_all_watches() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    rig.set("ns/b", "");
    rig.set("ns/a", "n=1");
    rig.reached(3).await;
    let mut watch = rig.watch("ns", &at(3)).await;
    watch.is_silent().await;
    rig.store.go_back_to(1);
    rig.store.break_watches(|| StoreError::Unavailable("restored".into()));
    assert!(watch.next().await.unwrap().starts_with("ERROR 410 too old resource version"));
    watch.is_over().await;
    let list = rig.list("ns", &ListOptions::default()).await.unwrap();
    assert_eq!((paths(&list), list.revision), (vec!["ns/a".to_owned()], 1));
    assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap(), "ns/a@1");
}

/// RunTestWatchError, RunWatchErrorIsBlockingFurtherEvents, RunTestTransformationFailure: what cannot be read fails
/// those reads that would have to show it, and no others.
#[tokio::test(start_paused = true)]
async fn watch_error() {
    let rig = Rig::new().await;
    rig.set("ns/a", "");
    rig.set("ns/b", "");
    rig.reached(2).await;
    let (mut touched, mut other) = (rig.watch("ns", &at(2)).await, rig.watch("ns2", &at(2)).await);
    let mut sibling = rig.watch("ns", &ListOptions { fields: fields("metadata.name=b").fields, ..at(2) }).await;
    for watch in [&mut touched, &mut other, &mut sibling] {
        watch.is_silent().await;
    }
    rig.set_raw("ns/a", "not json");
    rig.set("ns/b", "n=1");
    rig.set("ns2/c", "");
    touched.hears(&["ERROR 500 Internal error occurred: stored data cannot be read"]).await;
    touched.is_over().await;
    other.hears(&["ADDED ns2/c@5"]).await;
    sibling.hears(&["MODIFIED ns/b@4"]).await;

    let anything = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
    for namespace in ["", "ns"] {
        assert_eq!(rig.list(namespace, &anything).await.unwrap_err().code(), 500);
        rig.watch(namespace, &anything).await.hears(&["ERROR 500 Internal error occurred: stored data cannot be read"]).await;
    }
    assert_eq!(paths(&rig.list("ns2", &anything).await.unwrap()), ["ns2/c"]);
    assert_eq!(paths(&rig.list("ns", &fields("metadata.name=b")).await.unwrap()), ["ns/b"]);
    for version in [ResourceVersion::Any, ResourceVersion::Unset] {
        let error = rig.get("ns/a", version).await.unwrap_err();
        assert_eq!(error.message, "Internal error occurred: stored data cannot be read");
        assert!(error.source.unwrap().to_string().contains("example.com/widgets/ns/a"));
    }
    assert_eq!(rig.cache.stats().corrupt, 1);

    // Mended, everything is as before.
    rig.set("ns/a", "n=2");
    assert_eq!(paths(&rig.list("ns", &ListOptions::default()).await.unwrap()), ["ns/a", "ns/b"]);
    rig.watch("ns", &anything).await.hears(&["ADDED ns/a@6", "ADDED ns/b@4"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_gone_when_it_is_deleted() {
    let store = Arc::new(MemoryStore::default());
    store.set("example.com/widgets/ns/a", Some("{}"));
    let rig = Rig::over(Arc::clone(&store), |_| {});
    rig.cache.ready().await;
    assert_eq!(rig.list("ns", &ListOptions::default()).await.unwrap_err().code(), 500);
    rig.delete("ns/a");
    assert!(rig.list("ns", &ListOptions::default()).await.unwrap().items.is_empty());
    assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap_err().code(), 404);
}

/// The first load reads page by page, all of one revision.
#[tokio::test(start_paused = true)]
async fn a_large_collection_is_loaded_in_pages() {
    let store = Arc::new(MemoryStore::default());
    for n in 0..1201 {
        let path = format!("ns/o{n:04}");
        store.set(&format!("example.com/widgets/{path}"), Some(&widget(&path, "", &json!({}))));
    }
    store.set("example.com/widgetsmore/ns/x", Some("{}"));
    store.compact(1202).await.unwrap();
    let rig = Rig::over(Arc::clone(&store), |_| {});
    rig.cache.ready().await;
    assert!(rig.cache.items().iter().map(|item| &*item.path).eq((0..1201).map(|n| format!("ns/o{n:04}"))));
    assert_eq!(rig.cache.stats().revision, 1202);
    // One tells how large the entries are; the rest fits on the next one.
    assert_eq!(store.calls().ranges, 2);
}
