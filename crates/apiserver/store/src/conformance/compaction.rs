//! Compaction: what is forgotten is refused, never answered wrongly.

use super::*;
use std::sync::Arc;

/// CompactRevision: older states are refused, the state at the revision and later ones stay.
pub async fn compact_revision(store: Arc<dyn Store>) {
    let a = add(&*store, "pods/ns/a", "1").await;
    let b = add(&*store, "pods/ns/b", "1").await;
    let a2 = replace(&*store, "pods/ns/a", "2", a).await;
    let gone = remove(&*store, "pods/ns/b", b).await;
    let a3 = replace(&*store, "pods/ns/a", "3", a2).await;
    store.compact(a2).await.unwrap();

    for at in [a, b] {
        let result = range_at(&*store, "pods/", at).await;
        let Err(StoreError::Compacted { oldest }) = result else { panic!("want Compacted, got {result:?}") };
        assert!(oldest > at);
    }
    let wants = [
        (a2, vec![entry("pods/ns/a", "2", a2), entry("pods/ns/b", "1", b)]),
        (gone, vec![entry("pods/ns/a", "2", a2)]),
        (a3, vec![entry("pods/ns/a", "3", a3)]),
    ];
    for (at, want) in wants {
        assert_eq!(range_at(&*store, "pods/", at).await.unwrap().entries, want, "at {at}");
    }
    assert_eq!(read(&*store, "pods/ns/a").await, Some(entry("pods/ns/a", "3", a3)));
}

/// Old and unchanged values survive every compaction.
pub async fn compact_keeps_current_values(store: Arc<dyn Store>) {
    let old = add(&*store, "pods/ns/old", "rock").await;
    let mut busy = add(&*store, "pods/ns/busy", "0").await;
    for number in 0..300 {
        busy = replace(&*store, "pods/ns/busy", number.to_string(), busy).await;
        if number % 100 == 50 {
            store.compact(busy).await.unwrap();
        }
    }
    store.compact(busy).await.unwrap();
    let want = [entry("pods/ns/busy", "299", busy), entry("pods/ns/old", "rock", old)];
    assert_eq!(range(&*store, "pods/").await.entries, want);
    assert_eq!(range_at(&*store, "pods/", busy).await.unwrap().entries, want);
    replace(&*store, "pods/ns/old", "still", old).await;
}

/// A deleted key stays deleted, its revision is not given out again, and a new life under it is a new one.
pub async fn compact_after_delete(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let deleted = remove(&*store, "pods/ns/foo", first).await;
    store.compact(deleted).await.unwrap();
    assert_eq!(read(&*store, "pods/ns/foo").await, None);
    assert!(range(&*store, "pods/").await.entries.is_empty());
    assert!(store.revision().await.unwrap() >= deleted);
    assert_eq!(conflict(store.put(&key("pods/ns/foo"), bytes("x"), Expect::Revision(first)).await), None);
    let second = add(&*store, "pods/ns/foo", "2").await;
    assert!(second > deleted);
    assert_eq!(range_at(&*store, "pods/", second).await.unwrap().entries, [entry("pods/ns/foo", "2", second)]);
}

/// Forgetting twice, or less than is forgotten already, changes nothing.
pub async fn compact_again(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let third = replace(&*store, "pods/ns/foo", "3", second).await;
    for revision in [second, second, first] {
        store.compact(revision).await.unwrap();
        assert_compacted(&range_at(&*store, "pods/", first).await);
        assert_eq!(range_at(&*store, "pods/", second).await.unwrap().entries, [entry("pods/ns/foo", "2", second)]);
    }
    assert_eq!(range(&*store, "pods/").await.entries, [entry("pods/ns/foo", "3", third)]);
}

/// Compaction of a revision of the future is refused.
pub async fn compact_future(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let result = store.compact(first + 1_000_000).await;
    assert!(matches!(result, Err(StoreError::Future { .. })), "got {result:?}");
    assert_eq!(range_at(&*store, "pods/", first).await.unwrap().entries, [entry("pods/ns/foo", "1", first)]);
}

/// The oldest revision is exactly the one that was compacted to: its state is there and all changes behind it, and nothing older.
pub async fn oldest_revision(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let oldest = store.oldest_revision().await.unwrap();
    assert!((1..=first).contains(&oldest), "{oldest}, and {first} was just written");
    assert!(range_at(&*store, "pods/", oldest).await.is_ok());
    assert_eq!(events(&mut store.watch("pods/", oldest.min(first - 1)).await.unwrap(), 1).await[0].revision, first);

    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let third = remove(&*store, "pods/ns/foo", second).await;
    let fourth = add(&*store, "pods/ns/foo", "3").await;
    // To a value, to less than is forgotten already, to a deletion, to the newest.
    for (to, oldest) in [(second, second), (first, second), (third, third), (fourth, fourth)] {
        store.compact(to).await.unwrap();
        assert_eq!(store.oldest_revision().await.unwrap(), oldest);
        assert!(range_at(&*store, "pods/", oldest).await.is_ok());
        assert_compacted(&range_at(&*store, "pods/", oldest - 1).await);
        let behind: Vec<_> = [third, fourth].into_iter().filter(|revision| *revision > oldest).collect();
        let told = events(&mut store.watch("pods/", oldest).await.unwrap(), behind.len()).await;
        assert_eq!(told.iter().map(|event| event.revision).collect::<Vec<_>>(), behind);
    }
}

/// A watch that would have to tell forgotten changes ends with Compacted; one from the compacted revision on is whole.
pub async fn watch_after_compaction(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let third = replace(&*store, "pods/ns/foo", "3", second).await;
    let fourth = remove(&*store, "pods/ns/foo", third).await;
    store.compact(third).await.unwrap();
    for after in [0, first] {
        let outcome = match store.watch("pods/", after).await {
            Ok(mut watch) => {
                let outcome = message(&mut watch).await;
                assert!(watch.next().await.is_none(), "nothing follows an error");
                outcome
            }
            Err(error) => Err(error),
        };
        assert_compacted(&outcome);
    }
    let told = events(&mut store.watch("pods/", third).await.unwrap(), 1).await;
    assert_eq!(brief(&told), [(fourth, "pods/ns/foo", None)]);
}

/// A watch that follows closely does not notice compaction, however quiet its prefix is.
pub async fn watch_over_compaction(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut quiet = store.watch("quiet/", start).await.unwrap();
    let mut busy = store.watch("pods/", start).await.unwrap();
    let mut revision = add(&*store, "pods/ns/foo", "0").await;
    events(&mut busy, 1).await;
    // A watch is followed from when it has told something: before that it may not have begun.
    let heard = add(&*store, "quiet/bar", "x").await;
    assert_eq!(brief(&events(&mut quiet, 1).await), [(heard, "quiet/bar", Some(&b"x"[..]))]);
    for number in 1..20 {
        revision = replace(&*store, "pods/ns/foo", number.to_string(), revision).await;
        assert_eq!(events(&mut busy, 1).await[0].revision, revision);
        store.compact(revision).await.unwrap();
    }
    let last = add(&*store, "quiet/foo", "x").await;
    assert_eq!(brief(&events(&mut quiet, 1).await), [(last, "quiet/foo", Some(&b"x"[..]))]);
}
