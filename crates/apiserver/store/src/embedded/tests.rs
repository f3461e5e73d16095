#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Event, WatchMessage};
use futures::StreamExt;
use tempfile::TempDir;

mod power;

fn fresh() -> (Arc<dyn Store>, TempDir) {
    let (store, _, folder) = at_path();
    (Arc::new(store), folder)
}

fn at_path() -> (EmbeddedStore, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    (open(&path).unwrap(), path, folder)
}

fn open(path: &Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(path, &EmbeddedConfig::standard())
}

crate::conformance_suite!(async { fresh() });

async fn add(store: &EmbeddedStore, key: &str, value: &str) -> Revision {
    store.put(&Key::new(key), Bytes::copy_from_slice(value.as_bytes()), Expect::Absent).await.unwrap()
}

async fn events(store: &EmbeddedStore, prefix: &str, after: Revision, count: usize) -> Vec<Event> {
    let mut watch = store.watch(prefix, after).await.unwrap();
    let mut told = Vec::new();
    while told.len() < count {
        match watch.next().await.unwrap().unwrap() {
            WatchMessage::Events(events) => told.extend(events),
            WatchMessage::Progress(_) => {}
        }
    }
    told
}

fn everything() -> RangeRequest {
    RangeRequest::default()
}

#[tokio::test]
async fn a_reopened_store_has_state_history_and_revisions() {
    let (store, path, _folder) = at_path();
    let a = add(&store, "a", "1").await;
    let b = add(&store, "b", "1").await;
    let gone = store.delete(&Key::new("b"), b).await.unwrap();
    drop(store);

    let store = open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), gone, "also a deletion as the last write is remembered");
    let told = events(&store, "", 0, 3).await;
    assert_eq!(told.iter().map(|event| event.revision).collect::<Vec<_>>(), [a, b, gone]);
    assert_eq!(store.range(&RangeRequest { at: Some(b), ..everything() }).await.unwrap().entries.len(), 2);
    assert!(add(&store, "c", "1").await > gone);
}

/// History is found by the keys of a prefix where these are few, and by what was written where they are many.
#[tokio::test]
async fn history_of_few_keys_and_of_many_is_told_alike() {
    for count in [600_u64, 1200] {
        let (store, path, _folder) = at_path();
        let names: Vec<_> = (0..count).flat_map(|number| [format!("many/{number:04}"), format!("other/{number:04}")]).collect();
        futures::future::join_all(names.iter().map(|name| add(&store, name, "1"))).await;
        let first = store.get(&Key::new("many/0000")).await.unwrap().unwrap().revision;
        let again = store.put(&Key::new("many/0000"), "2".into(), Expect::Revision(first)).await.unwrap();
        let gone = store.delete(&Key::new("many/0000"), again).await.unwrap();
        drop(store);
        let store = open(&path).unwrap();
        let told = events(&store, "many/", 1, usize::try_from(count).unwrap() + 2).await;
        assert!(told.iter().all(|event| event.key.as_str().starts_with("many/")));
        assert!(told.is_sorted_by(|one, next| one.revision < next.revision), "{count}");
        let last: Vec<_> = told[told.len() - 2..].iter().map(|event| (event.revision, event.value.as_deref())).collect();
        assert_eq!(last, [(again, Some(&b"2"[..])), (gone, None)]);
    }
}

#[tokio::test]
async fn compaction_survives_a_restart_and_gives_no_revision_out_again() {
    let (store, path, _folder) = at_path();
    let mut last = 0;
    for number in 0..300 {
        let first = add(&store, &format!("a{number}"), "1").await;
        last = store.delete(&Key::new(format!("a{number}")), first).await.unwrap();
    }
    store.compact(last).await.unwrap();
    drop(store); // Most of the 600 records are not removed yet.

    let store = open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), last);
    assert!(matches!(store.range(&RangeRequest { at: Some(last - 1), ..everything() }).await, Err(StoreError::Compacted { .. })));
    assert!(matches!(store.watch("", last - 1).await, Err(StoreError::Compacted { .. })));
    wait_for(|| records(&store) == 1, "the rest but the last deletion is removed after the restart").await;
    assert_eq!(add(&store, "b", "1").await, last + 1);
    add(&store, "c", "1").await;
    wait_for(|| records(&store) == 2, "the deletion goes when something newer is there").await;
}

#[tokio::test]
async fn history_is_forgotten_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { history: Duration::from_millis(300), ..EmbeddedConfig::standard() };
    let store = EmbeddedStore::open(folder.path().join("store.redb"), &config).unwrap();
    let mut revision = add(&store, "a", "0").await;
    for _ in 0..500 {
        revision = store.put(&Key::new("a"), "x".into(), Expect::Revision(revision)).await.unwrap();
    }
    wait_for(|| records(&store) == 1, "only the newest value remains").await;
    assert_eq!(store.range(&everything()).await.unwrap().entries.len(), 1);
    assert_eq!(store.shared.index().oldest, revision);
}

fn records(store: &EmbeddedStore) -> u64 {
    use redb::ReadableTableMetadata;
    store.shared.snapshot().unwrap().len().unwrap()
}

async fn wait_for(condition: impl Fn() -> bool, what: &str) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

#[tokio::test]
async fn a_file_that_is_open_cannot_be_opened_again() {
    let (store, path, _folder) = at_path();
    let error = open(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("store is unavailable: {}: another process has it open", path.display()));
    drop(store);
    open(&path).unwrap();
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "a text of some length, and not a database at all").unwrap();
    let other = folder.path().join("other.redb");
    let db = redb::Database::create(&other).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(db);
    for (path, want) in [(text, "text"), (other, "some other program")] {
        let before = std::fs::read(&path).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(want)), "got {error}");
        if want == "text" {
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(open(&nowhere), Err(StoreError::Unavailable(text)) if text.contains("no/such/folder")));
}

/// Flipped bytes anywhere are found when the file is opened, or lie where nothing is.
#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_panic() {
    let (store, path, _folder) = at_path();
    for number in 0..200 {
        add(&store, &format!("pods/{number}"), &"v".repeat(1300)).await;
    }
    let want = store.range(&everything()).await.unwrap();
    drop(store);
    let sound = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for place in (0..sound.len()).step_by(4096).flat_map(|page| [page + 1, page + 100, page + 2000]) {
        let mut damaged = sound.clone();
        damaged[place] ^= 0x55;
        std::fs::write(&path, damaged).unwrap();
        match open(&path) {
            Ok(store) => assert_eq!(store.range(&everything()).await.unwrap(), want, "damage at {place} goes unnoticed"),
            Err(StoreError::Corrupt(_)) => refused += 1,
            Err(error) => panic!("damage at {place}: {error}"),
        }
    }
    assert!(refused > 100, "only {refused}");
    std::fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Corrupt(_))), "half a file");
}

#[tokio::test]
async fn closing_ends_watches_and_keeps_what_was_queued() {
    let (store, path, _folder) = at_path();
    let store = Arc::new(store);
    let mut watch = store.watch("", 1).await.unwrap();
    // Polled once, so that they are queued, then forgotten.
    for number in 0..50 {
        let key = Key::new(format!("{number}"));
        let mut write = store.put(&key, "x".into(), Expect::Absent);
        assert!(futures::poll!(&mut write).is_pending());
    }
    drop(Arc::into_inner(store).unwrap());
    loop {
        match watch.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break assert!(matches!(error, StoreError::Unavailable(_)), "got {error}"),
        }
    }
    assert!(watch.next().await.is_none());
    assert_eq!(open(&path).unwrap().range(&everything()).await.unwrap().entries.len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_big_writes_wait_for_room_and_all_come_through() {
    let (store, _, _folder) = at_path();
    let store = Arc::new(store);
    let value = Bytes::from(vec![0; MAX_VALUE]);
    let writes = (0..40).map(|number| {
        let (store, value) = (store.clone(), value.clone());
        tokio::spawn(async move { store.put(&Key::new(number.to_string()), value, Expect::Absent).await })
    });
    for result in futures::future::try_join_all(writes).await.unwrap() {
        result.unwrap();
    }
    assert_eq!(store.room.available_permits(), QUEUE_BYTES, "some room is not given back");
    let result = store.put(&Key::new("x"), vec![0; MAX_VALUE + 1].into(), Expect::Absent).await;
    assert!(matches!(result, Err(WriteError::Store(StoreError::TooLarge { size })) if size == MAX_VALUE + 1));
}

#[tokio::test]
async fn a_file_that_lost_bytes_is_not_taken_for_a_store() {
    let (store, path, _folder) = at_path();
    for number in 0..50 {
        add(&store, &format!("key-{number}"), &"x".repeat(1000)).await;
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 9, 320, 4096, 8192, whole.len() / 2] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = open(&path).map(drop).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("store.redb")), "{length}: {error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), length, "what is left is left as it is");
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(open(&path).unwrap().get(&Key::new("key-49")).await.unwrap().is_some());
}
