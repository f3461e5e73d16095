//! Fenced writes: both or neither, and of those who saw one guard only one.

use super::*;
use crate::{Guard, GuardMode, GuardedError};
use std::sync::Arc;

const FENCE: &str = "guards/ns";

fn guard(mode: GuardMode, expect: Expect) -> Vec<Guard> {
    vec![Guard { key: key(FENCE), expect, mode }]
}

/// Returns the expectation that a key is unchanged.
async fn as_it_is(store: &dyn Store, name: &str) -> Expect {
    read(store, name).await.map_or(Expect::Absent, |found| Expect::Revision(found.revision))
}

/// Everything that can be wrong with one of the two, and that a refused write changes nothing.
pub async fn guarded_put_expects_both(store: Arc<dyn Store>) {
    let (old, other) = (add(&*store, "pods/ns/foo", "0").await, add(&*store, "guards/other", "").await);
    for mode in [GuardMode::Exclusive, GuardMode::Shared] {
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
        for (name, expect, guarded, want) in table {
            let found = match store.put_guarded(&key(name), bytes("x"), expect, &guard(mode, guarded)).await {
                Err(GuardedError::GuardFailed) => None,
                Err(GuardedError::Write(error)) => Some(conflict(Err(error))),
                other => panic!("{name} {expect:?} {guarded:?}: {other:?}"),
            };
            assert_eq!(found, want, "{name} {expect:?} {guarded:?}");
        }
        assert_eq!(range(&*store, "").await.entries, before, "a refused write changed something");
        let two = [guard(mode, held), vec![Guard { key: key("guards/other"), expect: Expect::Absent, mode: GuardMode::Shared }]].concat();
        let refused = store.put_guarded(&key("pods/ns/new"), bytes("x"), Expect::Absent, &two).await;
        assert!(matches!(refused, Err(GuardedError::GuardFailed)), "one of two guards has moved: {refused:?}");
    }
}

/// An exclusive guard is written anew, a shared one stays; who has seen the guard's revision has seen the write.
pub async fn guarded_put_moves_the_guard(store: Arc<dyn Store>) {
    let mut values = store.watch("pods/", store.revision().await.unwrap()).await.unwrap();
    let mut last = 0;
    for number in 0..3 {
        let name = format!("pods/ns/{number}");
        let expect = as_it_is(&*store, FENCE).await;
        let revision = store.put_guarded(&key(&name), bytes("v"), Expect::Absent, &guard(GuardMode::Exclusive, expect)).await.unwrap();
        let moved = read(&*store, FENCE).await.unwrap();
        assert!(revision > last && moved.revision >= revision, "written at {revision}, guard at {}", moved.revision);
        assert!(moved.value.is_empty());
        let seen = range_at(&*store, "pods/", moved.revision).await.unwrap();
        assert_eq!(seen.entries.last(), Some(&entry(&name, "v", revision)));
        assert_eq!(brief(&events(&mut values, 1).await), [(revision, name.as_str(), Some(&b"v"[..]))]);
        last = moved.revision;
    }
    for number in 3..6 {
        let name = format!("pods/ns/{number}");
        store.put_guarded(&key(&name), bytes("v"), Expect::Absent, &guard(GuardMode::Shared, Expect::Revision(last))).await.unwrap();
    }
    assert_eq!(read(&*store, FENCE).await.map(|guard| guard.revision), Some(last));
    let plain = store.put_guarded(&key("pods/ns/6"), bytes("v"), Expect::Absent, &[]).await.unwrap();
    assert_eq!(read(&*store, "pods/ns/6").await, Some(entry("pods/ns/6", "v", plain)));
}

/// Those who count what is there and write with the guard that they read before never write too much, and whoever
/// looks meanwhile sees value and guard or neither.
pub async fn guarded_puts_keep_a_limit(store: Arc<dyn Store>) {
    const LIMIT: usize = 5;
    for round in 0..5 {
        let name = |writer: usize| format!("limited/{round}/pods/{writer}");
        let guard_name = format!("limited/{round}/guard");
        let writers = (0..16).map(|writer| {
            let (store, name, guard_name) = (store.clone(), name(writer), guard_name.clone());
            tokio::spawn(async move {
                loop {
                    let expect = as_it_is(&*store, &guard_name).await;
                    if range(&*store, &format!("limited/{round}/pods/")).await.entries.len() >= LIMIT {
                        return false;
                    }
                    let guard = [Guard { key: key(&guard_name), expect, mode: GuardMode::Exclusive }];
                    match store.put_guarded(&key(&name), bytes("v"), Expect::Absent, &guard).await {
                        Ok(_) => return true,
                        Err(GuardedError::GuardFailed) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let writers = tokio::spawn(futures::future::try_join_all(writers));
        while !writers.is_finished() {
            let found = range(&*store, &format!("limited/{round}/")).await.entries;
            let guard = found.iter().find(|entry| entry.key.as_str() == guard_name).map(|guard| guard.revision);
            let newest = found.iter().filter(|entry| entry.key.as_str() != guard_name).map(|entry| entry.revision).max();
            assert!(guard >= newest && guard.is_some() == newest.is_some(), "a write without its guard: {found:?}");
        }
        let won = writers.await.unwrap().unwrap().into_iter().filter(|won| *won).count();
        assert_eq!((won, range(&*store, &format!("limited/{round}/pods/")).await.entries.len()), (LIMIT, LIMIT));
    }
}
