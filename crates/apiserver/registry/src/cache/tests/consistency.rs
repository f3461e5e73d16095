//! Get, and how fresh reads are.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, context, key, paths};
use super::store::MemoryStore;
use apiserver_meta::Reason;
use apiserver_meta::options::{GetOptions, ListOptions, ResourceVersion};
use apiserver_meta::{ObjectFilter, ObjectKey};
use std::sync::Arc;
use std::time::Duration;

/// RunTestGet.
#[tokio::test(start_paused = true)]
async fn get() {
    let rig = Rig::new().await;
    let first = rig.set("ns/a", "v=1");
    let second = rig.set("ns/a", "v=2");
    let current = rig.write_elsewhere();
    rig.reached(current).await;
    for version in [ResourceVersion::Unset, ResourceVersion::Any, ResourceVersion::At(first), ResourceVersion::At(current)] {
        assert_eq!(rig.get("ns/a", version).await.unwrap(), format!("ns/a@{second}"), "{version:?}");
    }
    let error = rig.get("ns/a", ResourceVersion::At(current + 1)).await.unwrap_err();
    assert_eq!((error.code(), error.message.as_str()), (504, "Timeout: Too large resource version: 4, current: 3"));
    for version in [ResourceVersion::Unset, ResourceVersion::Any, ResourceVersion::At(first)] {
        let error = rig.get("ns/b", version).await.unwrap_err();
        assert_eq!(error.message, "widgets.example.com \"b\" not found", "{version:?}");
    }
}

/// RunTestConsistentList: what was written before is seen, and the cache answers it.
#[tokio::test(start_paused = true)]
async fn consistent_reads_see_what_was_written_before() {
    let rig = Rig::new().await;
    let before = rig.store.calls();
    for n in 0..50 {
        let revision = rig.set("ns/a", &format!("n={n}"));
        assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap(), format!("ns/a@{revision}"));
        rig.write_elsewhere();
        let list = rig.list("ns", &ListOptions::default()).await.unwrap();
        assert_eq!(list.items[0].revision, revision);
        assert_eq!(list.revision, revision + 1);
    }
    let after = rig.store.calls();
    assert_eq!((before.ranges, before.gets), (after.ranges, after.gets), "the store was read");
}

#[tokio::test(start_paused = true)]
async fn a_read_of_what_has_not_changed_asks_no_progress() {
    let rig = Rig::new().await;
    let revision = rig.set("ns/a", "");
    rig.reached(revision).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = rig.store.calls();
    for _ in 0..10 {
        rig.get("ns/a", ResourceVersion::Unset).await.unwrap();
    }
    let after = rig.store.calls();
    assert_eq!(after.progress_requests, before.progress_requests);
    assert_eq!(after.revisions, before.revisions + 10);
}

#[tokio::test(start_paused = true)]
async fn an_unreliable_store_is_read_itself() {
    let rig = Rig::new().await;
    rig.store.fault(|faults| (faults.unreliable, faults.silent) = (true, true));
    let revision = rig.set("ns/a", "");
    rig.set("ns/b", "");
    assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap(), format!("ns/a@{revision}"));
    let page = rig.list("ns", &ListOptions { limit: 1, ..ListOptions::default() }).await.unwrap();
    assert_eq!((paths(&page), page.revision), (vec!["ns/a".to_owned()], 2));
    // The cache has not heard of them.
    assert!(
        rig.list("ns", &ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() }).await.unwrap().items.is_empty()
    );
    // The rest of that list, from the revision of its beginning.
    rig.set("ns/c", "");
    rig.store.fault(|faults| faults.silent = false);
    let rest = ListOptions { limit: 1, continue_token: page.continue_token.unwrap(), ..ListOptions::default() };
    let rest = rig.list("ns", &rest).await.unwrap();
    assert_eq!((paths(&rest), rest.revision, rest.continue_token), (vec!["ns/b".to_owned()], 2, None));
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_lags_too_long_gives_way_to_the_store() {
    let rig = Rig::new().await;
    rig.store.fault(|faults| faults.silent = true);
    let revision = rig.set("ns/a", "");
    assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap(), format!("ns/a@{revision}"));
    assert_eq!(paths(&rig.list("", &ListOptions::default()).await.unwrap()), ["ns/a"]);
    assert!(rig.store.calls().progress_requests >= 20, "it was asked again and again");
}

#[tokio::test(start_paused = true)]
async fn reads_before_the_first_load_are_asked_to_come_back() {
    let store = Arc::new(MemoryStore::default());
    store.fault(|faults| faults.is_down = true);
    let rig = Rig::over(Arc::clone(&store), |_| {});
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!rig.cache.is_ready());
    let (ctx, options) = (context(), ListOptions::default());
    let errors = [
        rig.cache.get(&ctx, &key("ns/a"), &GetOptions::default(), &ObjectFilter::All).await.unwrap_err(),
        rig.cache.list(&ctx, "ns", &options, &ObjectFilter::All).await.unwrap_err(),
        rig.cache.watch(&ctx, "ns", &options, &ObjectFilter::All).await.err().unwrap(),
    ];
    for error in errors {
        assert_eq!((error.reason, error.message.as_str()), (Reason::TooManyRequests, "storage is (re)initializing"));
        assert_eq!(error.details.unwrap().retry_after_seconds, 1);
    }
    assert_eq!(rig.cache.cached_existing(&ObjectKey::new("ns", "a")), None);
    store.fault(|faults| faults.is_down = false);
    rig.cache.ready().await;
    rig.set("ns/a", "");
    assert_eq!(rig.get("ns/a", ResourceVersion::Unset).await.unwrap(), "ns/a@1");
    assert!(rig.cache.is_ready());
}

#[tokio::test(start_paused = true)]
async fn without_the_store_cached_reads_go_on() {
    let rig = Rig::new().await;
    let revision = rig.set("ns/a", "");
    rig.reached(revision).await;
    rig.store.fault(|faults| faults.is_down = true);
    assert_eq!(rig.get("ns/a", ResourceVersion::Any).await.unwrap(), "ns/a@1");
    assert_eq!(rig.get("ns/a", ResourceVersion::At(1)).await.unwrap(), "ns/a@1");
    let error = rig.get("ns/a", ResourceVersion::Unset).await.unwrap_err();
    assert_eq!(error.reason, Reason::ServerTimeout);
    assert_eq!(error.message, "The get operation against widgets.example.com could not be completed at this time, please try again.");
    assert_eq!(error.details.unwrap().retry_after_seconds, 2);
    assert_eq!(rig.list("ns", &ListOptions::default()).await.unwrap_err().reason, Reason::ServerTimeout);
}
