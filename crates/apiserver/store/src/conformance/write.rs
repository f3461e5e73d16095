//! Writes: what they expect, what they answer, what they leave.

use super::*;
use std::sync::Arc;

/// Create: the value is there, under the revision that was answered.
pub async fn create(store: Arc<dyn Store>) {
    let before = store.revision().await.unwrap();
    assert!(before > 0, "revision 0 is not for use");
    let revision = add(&*store, "pods/ns/foo", "bar").await;
    assert!(revision > before);
    assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", "bar", revision)));
}

/// CreateWithKeyExist: refused, with the current value; nothing changes.
pub async fn create_with_key_exist(store: Arc<dyn Store>) {
    let revision = add(&*store, "pods/ns/foo", "bar").await;
    let found = conflict(store.put(&key("pods/ns/foo"), bytes("other"), Expect::Absent).await);
    assert_eq!(found, Some(entry("pods/ns/foo", "bar", revision)));
    assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", "bar", revision)));
}

/// A key that was deleted is free again, and what was expected of its former life does not hold for its new one.
pub async fn create_after_delete(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "one").await;
    let deleted = remove(&*store, "pods/ns/foo", first).await;
    let second = add(&*store, "pods/ns/foo", "one").await;
    assert!(first < deleted && deleted < second);
    for stale in [first, deleted] {
        let found = conflict(store.put(&key("pods/ns/foo"), bytes("x"), Expect::Revision(stale)).await);
        assert_eq!(found, Some(entry("pods/ns/foo", "one", second)));
        let found = conflict(store.delete(&key("pods/ns/foo"), stale).await);
        assert_eq!(found, Some(entry("pods/ns/foo", "one", second)));
    }
}

/// GuaranteedUpdate: each update has its own, greater revision, even when the bytes stay the same.
pub async fn update(store: Arc<dyn Store>) {
    let mut revision = add(&*store, "pods/ns/foo", "0").await;
    for value in ["1", "2", "2"] {
        let next = replace(&*store, "pods/ns/foo", value, revision).await;
        assert!(next > revision);
        revision = next;
        assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", value, revision)));
    }
}

/// An update of what is not there finds nothing.
pub async fn update_missing(store: Arc<dyn Store>) {
    let current = store.revision().await.unwrap();
    assert_eq!(conflict(store.put(&key("pods/ns/foo"), bytes("x"), Expect::Revision(current)).await), None);
    assert_eq!(read(&*store, "pods/ns/foo").await, None);
    let revision = add(&*store, "pods/ns/foo", "bar").await;
    remove(&*store, "pods/ns/foo", revision).await;
    assert_eq!(conflict(store.put(&key("pods/ns/foo"), bytes("x"), Expect::Revision(revision)).await), None);
}

/// GuaranteedUpdateWithConflict: the loser gets the winner's value and succeeds on top of it.
pub async fn update_with_conflict(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "0").await;
    let second = replace(&*store, "pods/ns/foo", "winner", first).await;
    let found = conflict(store.put(&key("pods/ns/foo"), bytes("loser"), Expect::Revision(first)).await).unwrap();
    assert_eq!(found, entry("pods/ns/foo", "winner", second));
    let third = replace(&*store, "pods/ns/foo", "winner, loser", found.revision).await;
    assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", "winner, loser", third)));
}

/// ConditionalDelete: what was expected is deleted, and only that key.
pub async fn conditional_delete(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "bar").await;
    let other = add(&*store, "pods/ns/foo2", "bar").await;
    let deleted = remove(&*store, "pods/ns/foo", first).await;
    assert!(deleted > other);
    assert_eq!(read(&*store, "pods/ns/foo").await, None);
    assert_eq!(names(&range(&*store, "pods/ns/").await), ["pods/ns/foo2"]);
    assert!(store.revision().await.unwrap() >= deleted, "a deletion has a revision too");
}

/// DeleteWithConflict: the update in between wins, and the refusal tells its value.
pub async fn delete_with_conflict(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "0").await;
    let second = replace(&*store, "pods/ns/foo", "1", first).await;
    assert_eq!(conflict(store.delete(&key("pods/ns/foo"), first).await), Some(entry("pods/ns/foo", "1", second)));
    assert_eq!(read(&*store, "pods/ns/foo").await, Some(entry("pods/ns/foo", "1", second)));
}

/// DeleteWithSuggestionOfDeletedObject: what is gone cannot be deleted again; this is no success.
pub async fn delete_missing(store: Arc<dyn Store>) {
    let current = store.revision().await.unwrap();
    assert_eq!(conflict(store.delete(&key("pods/ns/foo"), current).await), None);
    let revision = add(&*store, "pods/ns/foo", "bar").await;
    let deleted = remove(&*store, "pods/ns/foo", revision).await;
    for expect in [revision, deleted] {
        assert_eq!(conflict(store.delete(&key("pods/ns/foo"), expect).await), None);
    }
}

/// A refused write takes no revision that a watch or a list could wait for in vain.
pub async fn refused_writes_tell_nothing(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "0").await;
    let mut watch = store.watch("pods/", first).await.unwrap();
    conflict(store.put(&key("pods/ns/foo"), bytes("x"), Expect::Absent).await);
    conflict(store.put(&key("pods/ns/bar"), bytes("x"), Expect::Revision(first)).await);
    conflict(store.delete(&key("pods/ns/bar"), first).await);
    let last = replace(&*store, "pods/ns/foo", "1", first).await;
    assert_eq!(brief(&events(&mut watch, 1).await), [(last, "pods/ns/foo", Some(&b"1"[..]))]);
}

/// Revisions are one growing sequence over all keys and kinds of writes.
pub async fn revisions_are_shared_over_keys(store: Arc<dyn Store>) {
    let mut last = store.revision().await.unwrap();
    for round in 0..10 {
        let (pod, node) = (format!("pods/ns/foo{round}"), format!("nodes/bar{round}"));
        let steps = [add(&*store, &pod, "1").await, add(&*store, &node, "1").await];
        let steps = [steps[0], steps[1], replace(&*store, &pod, "2", steps[0]).await, remove(&*store, &node, steps[1]).await];
        for revision in steps {
            assert!(revision > last, "{revision} after {last}");
            last = revision;
        }
        assert!(store.revision().await.unwrap() >= last);
    }
}

/// Values are bytes: zero bytes, no bytes, no UTF-8.
pub async fn values_with_arbitrary_bytes(store: Arc<dyn Store>) {
    let all: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 5] = [b"", b"\0", b"\0\0a\0", &[0xff, 0xfe, 0xc0], &all];
    for (number, value) in values.into_iter().enumerate() {
        let name = format!("pods/ns/{number}");
        let revision = add(&*store, &name, value).await;
        assert_eq!(read(&*store, &name).await, Some(entry(&name, value, revision)));
    }
    let found = range(&*store, "pods/").await;
    assert_eq!(found.entries.iter().map(|entry| &entry.value[..]).collect::<Vec<_>>(), values);
}

/// Keys keep every character that a name may have, and many that it may not.
pub async fn keys_with_unusual_characters(store: Arc<dyn Store>) {
    for name in ["pods/ns/a.b-c", "pods/ns/%2F", "pods/ns/a:b", "pods/ns/é", "pods/ns/\u{10FFFF}", "pods/ns/a b\n"] {
        let revision = add(&*store, name, name).await;
        assert_eq!(read(&*store, name).await, Some(entry(name, name, revision)));
        assert_eq!(names(&range(&*store, name).await), [name]);
    }
}

/// A value of 1 MiB is an ordinary value; one of 2 MiB is refused and leaves nothing behind.
pub async fn big_values(store: Arc<dyn Store>) {
    let big = vec![b'x'; 1 << 20];
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("pods/", start).await.unwrap();
    let first = add(&*store, "pods/ns/big", &big).await;
    let second = replace(&*store, "pods/ns/big", &big, first).await;
    let told = events(&mut watch, 2).await;
    assert_eq!(told[1].value.as_deref(), Some(&big[..]));
    assert_eq!(read(&*store, "pods/ns/big").await, Some(entry("pods/ns/big", &big, second)));

    let result = store.put(&key("pods/ns/bigger"), bytes(vec![b'x'; 2 << 20]), Expect::Absent).await;
    assert!(matches!(result, Err(WriteError::Store(StoreError::TooLarge { .. }))), "got {result:?}");
    assert_eq!(read(&*store, "pods/ns/bigger").await, None);
}

/// A store that knows its size takes at least what was written, as soon as that is on its disk.
pub async fn size_holds_what_was_written(store: Arc<dyn Store>) {
    const SIZE: usize = 1 << 20;
    add(&*store, "pods/ns/foo", vec![b'x'; SIZE]).await;
    let holds = async {
        while store.size().await.unwrap().is_some_and(|size| size < SIZE as u64) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.unwrap();
}
