//! Power failure: a disk that keeps what was flushed and, of the rest, any part it likes.

use super::*;
use crate::{Guard, GuardMode, GuardedError};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Mutex, MutexGuard};

/// Bytes that a disk writes atomically.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// The content that readers see.
    cached: Vec<u8>,
    /// The content that was flushed.
    durable: Vec<u8>,
    /// Changes that were not flushed, in order.
    unflushed: Vec<Change>,
    /// How many changes and flushes go well before the power fails.
    left: Option<usize>,
    done: usize,
    /// Whether it says that it has no room.
    is_full: bool,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Content {
    fn step(&mut self) -> Result<()> {
        if self.left == Some(0) {
            return Err(Error::other("the power is gone"));
        }
        self.left = self.left.map(|left| left - 1);
        self.done += 1;
        Ok(())
    }
}

fn apply(change: &Change, bytes: &mut Vec<u8>, mut keep: impl FnMut() -> bool) {
    match change {
        Change::Length(length) => {
            if keep() {
                bytes.resize(*length, 0);
            }
        }
        Change::Bytes(offset, new) => {
            for (number, sector) in new.chunks(SECTOR).enumerate() {
                let start = offset + number * SECTOR;
                // What lies behind an end that was not kept is lost with it.
                if keep() && start + sector.len() <= bytes.len() {
                    bytes[start..start + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }
}

impl Disk {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    /// The disk after the power came back.
    fn after_failure(&self, dice: &mut impl FnMut() -> u64) -> Self {
        let content = self.content();
        let mut bytes = content.durable.clone();
        // From nearly nothing to nearly everything, by chance.
        let odds = dice() % 9;
        for change in &content.unflushed {
            apply(change, &mut bytes, || dice() % 8 < odds);
        }
        Self(Arc::new(Mutex::new(Content { cached: bytes.clone(), durable: bytes, ..Content::default() })))
    }

    fn fail_after(&self, steps: usize) {
        self.content().left = Some(steps);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.content().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let content = self.content();
        let start = offset as usize;
        out.copy_from_slice(content.cached.get(start..start + out.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<()> {
        let mut content = self.content();
        content.step()?;
        content.cached.resize(length as usize, 0);
        content.unflushed.push(Change::Length(length as usize));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut content = self.content();
        content.step()?;
        let Content { durable, unflushed, .. } = &mut *content;
        for change in unflushed.drain(..) {
            apply(&change, durable, || true);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut content = self.content();
        content.step()?;
        let change = Change::Bytes(offset as usize, data.to_vec());
        apply(&change, &mut content.cached, || true);
        content.unflushed.push(change);
        Ok(())
    }
}

impl Medium for Disk {
    fn open(&self) -> std::result::Result<(redb::Database, index::Index), StoreError> {
        file::open_backend(self.clone(), 1 << 20)
    }

    fn room(&self, _bytes: u64) -> std::result::Result<(), StoreError> {
        if self.content().is_full { Err(StoreError::Full("no room on purpose".into())) } else { Ok(()) }
    }

    fn probe(&self) -> std::result::Result<(), StoreError> {
        let failing = self.content().left == Some(0);
        if failing { Err(StoreError::Unavailable("the power is gone".into())) } else { Ok(()) }
    }
}

fn start(disk: &Disk) -> std::result::Result<EmbeddedStore, StoreError> {
    EmbeddedStore::start(Box::new(disk.clone()), &EmbeddedConfig::standard())
}

/// The acknowledged writes, and the one whose outcome is unknown.
struct Known {
    state: BTreeMap<String, (Revision, Vec<u8>)>,
    last: Revision,
    unknown: Option<(String, Option<Vec<u8>>, Fenced)>,
}

/// Whether a write moves the guard, which then has the revision behind its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fenced {
    Yes,
    No,
}

const FENCE: &str = "guard";

impl Known {
    fn expect(&self, name: &str) -> Expect {
        self.state.get(name).map_or(Expect::Absent, |(revision, _)| Expect::Revision(*revision))
    }

    /// Takes over a write.
    fn done(&mut self, revision: Revision, name: String, value: Option<Vec<u8>>, guarded: Fenced) {
        assert!(revision > self.last, "revision {revision} after {}", self.last);
        self.last = revision;
        match value {
            Some(value) => self.state.insert(name, (revision, value)),
            None => self.state.remove(&name),
        };
        if guarded == Fenced::Yes {
            self.last += 1;
            self.state.insert(FENCE.into(), (self.last, Vec::new()));
        }
    }
}

/// Writes until it is done or the power fails.
async fn work(store: &EmbeddedStore, known: &mut Known, dice: &mut impl FnMut() -> u64) {
    for number in 0..40 {
        let name = format!("pods/{}", dice() % 6);
        let value = (!dice().is_multiple_of(4)).then(|| vec![number; (dice() % 3000) as usize]);
        let guarded = if value.is_some() && dice().is_multiple_of(2) { Fenced::Yes } else { Fenced::No };
        let key = Key::new(name.as_str());
        let result = match (&value, known.expect(&name), guarded) {
            (Some(value), expect, Fenced::Yes) => {
                let guard = Guard { key: Key::new(FENCE), expect: known.expect(FENCE), mode: GuardMode::Exclusive };
                store.put_guarded(&key, value.clone().into(), expect, &[guard]).await
            }
            (Some(value), expect, Fenced::No) => store.put(&key, value.clone().into(), expect).await.map_err(Into::into),
            (None, Expect::Revision(revision), _) => store.delete(&key, revision).await.map_err(Into::into),
            (None, Expect::Absent, _) => continue,
        };
        match result {
            Ok(revision) => known.done(revision, name, value, guarded),
            Err(GuardedError::Write(WriteError::Store(StoreError::Unknown(_)))) => {
                known.unknown = Some((name, value, guarded));
                let refused = store.put(&key, "x".into(), Expect::Absent).await;
                assert!(matches!(refused, Err(WriteError::Store(_))), "writes go on after an unknown outcome: {refused:?}");
                return;
            }
            Err(GuardedError::Write(WriteError::Store(StoreError::Unavailable(_)))) => return,
            other => panic!("{other:?}"),
        }
        if number % 16 == 15 && store.compact(known.last).await.is_err() {
            return;
        }
    }
}

async fn check(store: &EmbeddedStore, known: &Known, context: &str) {
    let revision = store.revision().await.unwrap();
    assert!(revision >= known.last, "{context}: revision {revision} is behind {}", known.last);
    let mut want = Known { state: known.state.clone(), last: known.last, unknown: None };
    if revision > known.last {
        let (name, value, guarded) = known.unknown.clone().unwrap_or_else(|| panic!("{context}: a write that nobody made"));
        want.done(known.last + 1, name, value, guarded);
        // Of a guarded write there is all or nothing.
        assert_eq!(revision, want.last, "{context}");
    }
    let found = store.range(&everything()).await.unwrap().entries;
    let found: BTreeMap<_, _> = found.into_iter().map(|entry| (entry.key.to_string(), (entry.revision, entry.value.to_vec()))).collect();
    assert_eq!(found, want.state, "{context}");
}

/// The power fails at every single step of a workload, and once more while the file is repaired.
#[tokio::test]
async fn power_failure_at_every_step_loses_nothing_acknowledged() {
    let mut seed = 0_u64;
    let mut dice = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    for steps in 0.. {
        let disk = Disk::default();
        drop(start(&disk).unwrap()); // A new file gets its name when it is whole.
        disk.fail_after(steps);
        let mut known = Known { state: BTreeMap::new(), last: 1, unknown: None };
        if let Ok(store) = start(&disk) {
            work(&store, &mut known, &mut dice).await;
        }
        let finished = disk.content().left != Some(0);
        for attempt in 0..2 {
            let mut disk = disk.after_failure(&mut dice);
            disk.fail_after((dice() % 20) as usize);
            drop(start(&disk));
            disk = disk.after_failure(&mut dice);
            let context = format!("failure after {steps} steps, attempt {attempt}");
            let store = start(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            check(&store, &known, &context).await;
            let next = store.put(&Key::new("next"), "x".into(), Expect::Absent).await.unwrap();
            assert!(next > known.last, "{context}");
        }
        if finished {
            assert!(steps > 200, "the workload is too small: {steps} steps");
            return;
        }
    }
}

/// Nothing is begun that does not find room, so that nothing breaks and every outcome is known.
#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let disk = Disk::default();
    let store = start(&disk).unwrap();
    let (a, b) = (Key::new("a"), Key::new("b"));
    let revision = store.put(&a, "x".into(), Expect::Absent).await.unwrap();
    disk.content().is_full = true;
    let before = disk.content().done;
    for _ in 0..2 {
        let refused = store.put(&b, "x".into(), Expect::Absent).await;
        assert!(matches!(refused, Err(WriteError::Store(StoreError::Full(_)))), "{refused:?}");
        assert!(matches!(store.writable().await, Err(StoreError::Full(_))));
    }
    assert_eq!(disk.content().done, before, "the file is not touched");
    assert_eq!(store.get(&a).await.unwrap().unwrap().revision, revision);
    disk.content().is_full = false;
    // Seen without a write: nobody sends one to a server that is not ready.
    while store.writable().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(store.put(&b, "x".into(), Expect::Absent).await.unwrap(), revision + 1);
}

/// A commit that fails at any step: the store opens its file again by itself, and tells what it turned out to have written.
#[tokio::test]
async fn a_store_whose_disk_failed_goes_on_by_itself() {
    for steps in 0..12 {
        let disk = Disk::default();
        let store = start(&disk).unwrap();
        let (a, b) = (Key::new("a"), Key::new("b"));
        let first = store.put(&a, "1".into(), Expect::Absent).await.unwrap();
        let mut watch = store.watch("", first).await.unwrap();
        disk.fail_after(steps);
        let written = store.put(&b, "1".into(), Expect::Absent).await;
        disk.content().left = None;
        while store.writable().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let found = store.get(&b).await.unwrap();
        match written {
            Ok(revision) => assert_eq!(found.as_ref().unwrap().revision, revision, "{steps}"),
            Err(WriteError::Store(StoreError::Unknown(_))) => {}
            Err(other) => assert!(found.is_none(), "{steps}: told that it was not carried out: {other}"),
        }
        // What is there is what watchers hear of, once.
        let next = store.put(&a, "2".into(), Expect::Revision(first)).await.unwrap();
        let mut told = Vec::new();
        while told.last() != Some(&next) {
            if let Some(Ok(crate::WatchMessage::Events(events))) = futures::StreamExt::next(&mut watch).await {
                told.extend(events.iter().map(|event| event.revision));
            }
        }
        let want: Vec<_> = found.iter().map(|entry| entry.revision).chain([next]).collect();
        assert_eq!(told, want, "{steps}");
    }
}

/// A file that cannot be written is something that an operator hears of, until it is opened again.
#[tokio::test]
async fn a_failed_commit_is_told() {
    let disk = Disk::default();
    let store = start(&disk).unwrap();
    store.put(&Key::new("a"), "x".into(), Expect::Absent).await.unwrap();
    store.writable().await.unwrap();
    disk.fail_after(0);
    store.put(&Key::new("b"), "x".into(), Expect::Absent).await.unwrap_err();
    assert!(matches!(store.writable().await, Err(StoreError::Unavailable(_))));
    store.get(&Key::new("a")).await.unwrap().unwrap();
    drop(store);
    let store = start(&disk.after_failure(&mut || 0)).unwrap();
    store.writable().await.unwrap();
    store.put(&Key::new("b"), "x".into(), Expect::Absent).await.unwrap();
}
