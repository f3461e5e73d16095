//! Fenced writes: both or neither, and of those who saw one fence only one.

use super::*;
use crate::{Fence, FencedError, Hold};
use std::sync::Arc;

const FENCE: &str = "fences/ns";

fn fence(hold: Hold, expect: Expect) -> Vec<Fence> {
    vec![Fence { key: key(FENCE), expect, hold }]
}

/// What is expected of a key to be as it is now.
async fn as_it_is(store: &dyn Store, name: &str) -> Expect {
    read(store, name).await.map_or(Expect::Absent, |found| Expect::Revision(found.revision))
}

/// Everything that can be wrong with one of the two, and that a refused write changes nothing.
pub async fn fenced_put_expects_both(store: Arc<dyn Store>) {
    let (old, other) = (add(&*store, "pods/ns/foo", "0").await, add(&*store, "fences/other", "").await);
    for hold in [Hold::Exclusive, Hold::Shared] {
        let moved = as_it_is(&*store, FENCE).await;
        let now = match moved {
            Expect::Absent => add(&*store, FENCE, "1").await,
            Expect::Revision(revision) => replace(&*store, FENCE, "2", revision).await,
        };
        let (held, value) = (Expect::Revision(now), Expect::Revision(old));
        let table = [
            ("pods/ns/foo", value, moved, None),
            ("pods/ns/foo", value, Expect::Absent, None),
            ("pods/ns/foo", value, Expect::Revision(other), None),
            ("pods/ns/new", Expect::Absent, moved, None),
            ("pods/ns/foo", Expect::Absent, held, Some(Some(entry("pods/ns/foo", "0", old)))),
            ("pods/ns/foo", Expect::Revision(now), held, Some(Some(entry("pods/ns/foo", "0", old)))),
            ("pods/ns/new", Expect::Revision(now), held, Some(None)),
            ("pods/ns/new", Expect::Revision(now), moved, Some(None)),
        ];
        let before = range(&*store, "").await.entries;
        for (name, expect, fenced, want) in table {
            let found = match store.put_fenced(&key(name), bytes("x"), expect, &fence(hold, fenced)).await {
                Err(FencedError::Moved) => None,
                Err(FencedError::Write(error)) => Some(conflict(Err(error))),
                other => panic!("{name} {expect:?} {fenced:?}: {other:?}"),
            };
            assert_eq!(found, want, "{name} {expect:?} {fenced:?}");
        }
        assert_eq!(range(&*store, "").await.entries, before, "a refused write changed something");
        let two = [fence(hold, held), vec![Fence { key: key("fences/other"), expect: Expect::Absent, hold: Hold::Shared }]].concat();
        let refused = store.put_fenced(&key("pods/ns/new"), bytes("x"), Expect::Absent, &two).await;
        assert!(matches!(refused, Err(FencedError::Moved)), "one of two fences has moved: {refused:?}");
    }
}

/// An exclusive fence is written anew, a shared one stays; who has seen the fence's revision has seen the write.
pub async fn fenced_put_moves_the_fence(store: Arc<dyn Store>) {
    let mut values = store.watch("pods/", store.revision().await.unwrap()).await.unwrap();
    let mut last = 0;
    for number in 0..3 {
        let name = format!("pods/ns/{number}");
        let expect = as_it_is(&*store, FENCE).await;
        let revision = store.put_fenced(&key(&name), bytes("v"), Expect::Absent, &fence(Hold::Exclusive, expect)).await.unwrap();
        let moved = read(&*store, FENCE).await.unwrap();
        assert!(revision > last && moved.revision >= revision, "written at {revision}, fence at {}", moved.revision);
        assert!(moved.value.is_empty());
        let seen = range_at(&*store, "pods/", moved.revision).await.unwrap();
        assert_eq!(seen.entries.last(), Some(&entry(&name, "v", revision)));
        assert_eq!(brief(&events(&mut values, 1).await), [(revision, name.as_str(), Some(&b"v"[..]))]);
        last = moved.revision;
    }
    for number in 3..6 {
        let name = format!("pods/ns/{number}");
        store.put_fenced(&key(&name), bytes("v"), Expect::Absent, &fence(Hold::Shared, Expect::Revision(last))).await.unwrap();
    }
    assert_eq!(read(&*store, FENCE).await.map(|fence| fence.revision), Some(last));
    let plain = store.put_fenced(&key("pods/ns/6"), bytes("v"), Expect::Absent, &[]).await.unwrap();
    assert_eq!(read(&*store, "pods/ns/6").await, Some(entry("pods/ns/6", "v", plain)));
}

/// Those who count what is there and write with the fence that they read before never write too much, and whoever
/// looks meanwhile sees value and fence or neither.
pub async fn fenced_puts_keep_a_limit(store: Arc<dyn Store>) {
    const LIMIT: usize = 5;
    for round in 0..5 {
        let name = |writer: usize| format!("limited/{round}/pods/{writer}");
        let fence_name = format!("limited/{round}/fence");
        let writers = (0..16).map(|writer| {
            let (store, name, fence_name) = (store.clone(), name(writer), fence_name.clone());
            tokio::spawn(async move {
                loop {
                    let expect = as_it_is(&*store, &fence_name).await;
                    if range(&*store, &format!("limited/{round}/pods/")).await.entries.len() >= LIMIT {
                        return false;
                    }
                    let fence = [Fence { key: key(&fence_name), expect, hold: Hold::Exclusive }];
                    match store.put_fenced(&key(&name), bytes("v"), Expect::Absent, &fence).await {
                        Ok(_) => return true,
                        Err(FencedError::Moved) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let writers = tokio::spawn(futures::future::try_join_all(writers));
        while !writers.is_finished() {
            let found = range(&*store, &format!("limited/{round}/")).await.entries;
            let fence = found.iter().find(|entry| entry.key.as_str() == fence_name).map(|fence| fence.revision);
            let newest = found.iter().filter(|entry| entry.key.as_str() != fence_name).map(|entry| entry.revision).max();
            assert!(fence >= newest && fence.is_some() == newest.is_some(), "a write without its fence: {found:?}");
        }
        let won = writers.await.unwrap().unwrap().into_iter().filter(|won| *won).count();
        assert_eq!((won, range(&*store, &format!("limited/{round}/pods/")).await.entries.len()), (LIMIT, LIMIT));
    }
}
