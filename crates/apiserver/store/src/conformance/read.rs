//! Reads: one key, ranges, and the state at a revision.

use super::*;
use std::sync::Arc;

/// Get: nothing before the create, the value after it, nothing after the delete.
pub async fn get(store: Arc<dyn Store>) {
    assert_eq!(read(&*store, "pods/ns/foo").await, None);
    let revision = add(&*store, "pods/ns/foo", "bar").await;
    assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", "bar", revision)));
    assert_eq!(read(&*store, "pods/ns/fo").await, None, "a key is no prefix");
    assert_eq!(read(&*store, "pods/ns/foo2").await, None);
    remove(&*store, "pods/ns/foo", revision).await;
    assert_eq!(read(&*store, "pods/ns/foo").await, None);
}

/// Every read after an answered write sees it, with a revision that is not older.
pub async fn read_your_writes(store: Arc<dyn Store>) {
    let mut revision = add(&*store, "pods/ns/foo", "0").await;
    for round in 1..30 {
        revision = replace(&*store, "pods/ns/foo", round.to_string(), revision).await;
        assert!(store.revision().await.unwrap() >= revision);
        assert_eq!(read(&*store, "pods/ns/foo").await.unwrap().revision, revision);
        let found = range(&*store, "pods/").await;
        assert!(found.revision >= revision);
        assert_eq!(found.entries, [entry("pods/ns/foo", round.to_string(), revision)]);
    }
}

/// GetListRecursivePrefix: a prefix that ends with `/` takes one namespace, not its neighbours.
pub async fn range_prefix_boundaries(store: Arc<dyn Store>) {
    for name in ["pods/ns/a", "pods/ns/b", "pods/ns-2/a", "pods/ns2/a", "pods/ns/deep/er", "podsets/ns/a", "pod/ns/a"] {
        add(&*store, name, "x").await;
    }
    let wants: [(&str, &[&str]); 7] = [
        ("pods/ns/", &["pods/ns/a", "pods/ns/b", "pods/ns/deep/er"]),
        ("pods/ns", &["pods/ns-2/a", "pods/ns/a", "pods/ns/b", "pods/ns/deep/er", "pods/ns2/a"]),
        ("pods/", &["pods/ns-2/a", "pods/ns/a", "pods/ns/b", "pods/ns/deep/er", "pods/ns2/a"]),
        ("pod", &["pod/ns/a", "pods/ns-2/a", "pods/ns/a", "pods/ns/b", "pods/ns/deep/er", "pods/ns2/a", "podsets/ns/a"]),
        ("pods/ns/a", &["pods/ns/a"]),
        ("pods/ns3/", &[]),
        ("pods/ns/a/", &[]),
    ];
    for (prefix, want) in wants {
        let found = range(&*store, prefix).await;
        assert_eq!(names(&found), want, "prefix {prefix}");
        assert!(!found.more);
    }
}

/// An empty range has a revision all the same: a watch begins there.
pub async fn range_of_nothing(store: Arc<dyn Store>) {
    let revision = store.revision().await.unwrap();
    let found = range(&*store, "pods/").await;
    assert!(found.entries.is_empty() && !found.more);
    assert!(found.revision >= revision && found.revision > 0);
}

/// Limit and more: exactly the first entries, whether others follow and, if it is told, how many.
pub async fn range_limit(store: Arc<dyn Store>) {
    for name in ["pods/ns/a", "pods/ns/b", "pods/ns/c", "pods/ns2/z"] {
        add(&*store, name, "x").await;
    }
    let wants: [(usize, &[&str], u64); 5] = [
        (0, &["pods/ns/a", "pods/ns/b", "pods/ns/c"], 0),
        (1, &["pods/ns/a"], 2),
        (2, &["pods/ns/a", "pods/ns/b"], 1),
        (3, &["pods/ns/a", "pods/ns/b", "pods/ns/c"], 0),
        (4, &["pods/ns/a", "pods/ns/b", "pods/ns/c"], 0),
    ];
    for (limit, want, remaining) in wants {
        let found = store.range(&RangeRequest { limit, ..under("pods/ns/") }).await.unwrap();
        assert_eq!((names(&found).as_slice(), found.more), (want, remaining > 0), "limit {limit}");
        let told = found.remaining;
        assert!(told == Some(remaining) || (told.is_none() && found.more), "limit {limit}: {told:?} remaining");
    }
}

/// A deleted key neither counts against the limit nor as "more".
pub async fn range_limit_skips_deleted(store: Arc<dyn Store>) {
    for name in ["pods/ns/b", "pods/ns/d"] {
        add(&*store, name, "x").await;
    }
    for name in ["pods/ns/a", "pods/ns/c", "pods/ns/e"] {
        let revision = add(&*store, name, "x").await;
        remove(&*store, name, revision).await;
    }
    let found = store.range(&RangeRequest { limit: 2, ..under("pods/ns/") }).await.unwrap();
    assert_eq!((names(&found).as_slice(), found.more), (&["pods/ns/b", "pods/ns/d"][..], false));
}

/// The start key: itself, the next one behind it, never anything outside the prefix.
pub async fn range_start(store: Arc<dyn Store>) {
    for name in ["pods/m/a", "pods/ns/a", "pods/ns/b", "pods/ns/c", "pods/o/a"] {
        add(&*store, name, "x").await;
    }
    let wants: [(&str, &[&str]); 7] = [
        ("", &["pods/ns/a", "pods/ns/b", "pods/ns/c"]),
        ("pods/ns/b", &["pods/ns/b", "pods/ns/c"]),
        ("pods/ns/b\0", &["pods/ns/c"]),
        ("pods/ns/aa", &["pods/ns/b", "pods/ns/c"]),
        ("pods/ns/d", &[]),
        ("pods/a", &["pods/ns/a", "pods/ns/b", "pods/ns/c"]),
        ("pods/z", &[]),
    ];
    for (start, want) in wants {
        let found = store.range(&RangeRequest { start: start.into(), ..under("pods/ns/") }).await.unwrap();
        assert_eq!(names(&found), want, "start {start:?}");
    }
}

/// ListContinuation: pages at one revision fit together, whatever is written meanwhile.
pub async fn range_pages_at_one_revision(store: Arc<dyn Store>) {
    let mut want = Vec::new();
    for number in 0..25 {
        let name = format!("pods/ns/{number:02}");
        let revision = add(&*store, &name, &name).await;
        want.push(entry(&name, &name, revision));
    }
    let first = store.range(&RangeRequest { limit: 4, ..under("pods/ns/") }).await.unwrap();
    let at = first.revision;
    let (mut pages, mut more) = (first.entries, first.more);
    while more {
        let last = pages.last().unwrap().key.clone();
        if let Some(victim) = want.iter().find(|entry| entry.key > last) {
            let changed = replace(&*store, victim.key.as_str(), "changed", victim.revision).await;
            remove(&*store, victim.key.as_str(), changed).await;
        }
        add(&*store, &format!("{last}-new"), "new").await;
        let request = RangeRequest { prefix: "pods/ns/".into(), start: format!("{last}\0"), at: Some(at), limit: 4, entry_size: 0 };
        let page = store.range(&request).await.unwrap();
        assert_eq!(page.revision, at);
        assert!(page.entries.len() == 4 || !page.more);
        pages.extend(page.entries);
        more = page.more;
    }
    assert_eq!(pages, want);
}

/// The state at an old revision: old values, what is deleted since, nothing of what came later.
pub async fn range_at_old_revision(store: Arc<dyn Store>) {
    let a = add(&*store, "pods/ns/a", "1").await;
    let b = add(&*store, "pods/ns/b", "1").await;
    let a2 = replace(&*store, "pods/ns/a", "2", a).await;
    let gone = remove(&*store, "pods/ns/b", b).await;
    let b2 = add(&*store, "pods/ns/b", "2").await;
    let c = add(&*store, "pods/ns/c", "1").await;
    let wants = [
        (a, vec![entry("pods/ns/a", "1", a)]),
        (b, vec![entry("pods/ns/a", "1", a), entry("pods/ns/b", "1", b)]),
        (a2, vec![entry("pods/ns/a", "2", a2), entry("pods/ns/b", "1", b)]),
        (gone, vec![entry("pods/ns/a", "2", a2)]),
        (b2, vec![entry("pods/ns/a", "2", a2), entry("pods/ns/b", "2", b2)]),
        (c, vec![entry("pods/ns/a", "2", a2), entry("pods/ns/b", "2", b2), entry("pods/ns/c", "1", c)]),
    ];
    for (at, want) in wants {
        let found = range_at(&*store, "pods/", at).await.unwrap();
        assert_eq!(found, RangeResponse { entries: want, more: false, remaining: Some(0), revision: at });
    }
}

/// A revision that nothing has yet is an error, not the newest state.
pub async fn range_at_future_revision(store: Arc<dyn Store>) {
    let revision = add(&*store, "pods/ns/a", "1").await;
    let result = range_at(&*store, "pods/", revision + 1_000_000).await;
    let Err(StoreError::Future { requested, current }) = result else { panic!("want Future, got {result:?}") };
    assert_eq!(requested, revision + 1_000_000);
    assert!(current >= revision);
}

/// A collection of several MiB comes whole and in order.
pub async fn range_of_many(store: Arc<dyn Store>) {
    let value = vec![b'v'; 1300];
    let writers = (0..16).map(|writer| {
        let (store, value) = (store.clone(), value.clone());
        tokio::spawn(async move {
            for number in 0..300 {
                add(&*store, &format!("pods/ns/{number:03}-{writer:02}"), &value).await;
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let found = range(&*store, "pods/").await;
    assert_eq!(found.entries.len(), 4800);
    assert!(found.entries.is_sorted_by(|a, b| a.key < b.key));
    assert!(found.entries.iter().all(|entry| entry.value == value));
}
