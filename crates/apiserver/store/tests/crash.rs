//! A process that writes is killed at random moments, again and again on one file. Nothing acknowledged may be
//! missing afterwards, no revision may be given out twice, and the file must always open.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Entry, Event, Expect, Form, Key, RangeRequest, Revision, Store, StoreError, WatchMessage};
use bytes::Bytes;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const KILLS: u64 = 100;
const WRITERS: u64 = 6;
const KEYS: u64 = 4;
/// Names the file to the process that is killed.
const CHILD: &str = "STORE_CRASH_FILE";
/// The only test.
const TEST: &str = "a_killed_process_loses_nothing_acknowledged";

/// A line of the child's output.
#[derive(Debug)]
enum Line {
    /// Said before a deletion: if no answer follows, the key may be there or not.
    Deleting(String),
    Done(Done),
}

/// One acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    key: String,
    revision: Revision,
    /// `None`: deleted.
    hash: Option<u64>,
}

impl Line {
    /// One write call a line: a line is whole or the last one.
    fn say(&self) {
        let text = match self {
            Self::Deleting(key) => format!("{key} deleting\n"),
            Self::Done(Done { key, revision, hash: Some(hash) }) => format!("{key} {revision} {hash}\n"),
            Self::Done(Done { key, revision, hash: None }) => format!("{key} {revision} deleted\n"),
        };
        std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
    }

    /// `None` for a line that the kill cut off.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_suffix('\n')?.split(' ');
        let (key, second) = (fields.next()?.to_owned(), fields.next()?);
        if second == "deleting" {
            return Some(Self::Deleting(key));
        }
        Some(Self::Done(Done { key, revision: second.parse().ok()?, hash: fields.next()?.parse().ok() }))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The process that is killed: this test again, which then only writes.
async fn child(path: &str) {
    // Short enough for compaction to be among what is interrupted.
    let config = EmbeddedConfig { history: Duration::from_millis(60), ..EmbeddedConfig::standard() };
    let store = Arc::new(EmbeddedStore::open(path, &config).unwrap());
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(tokio::spawn(write_for_ever(store.clone(), writer)));
    }
    futures::future::join_all(writers).await;
}

async fn write_for_ever(store: Arc<EmbeddedStore>, writer: u64) {
    for number in u64::from(std::process::id()).. {
        // Every key has one writer, so that the last acknowledged write of a key is known.
        let name = format!("pods/{writer}/{}", number % KEYS);
        let key = Key::new(name.as_str());
        let current = store.get(&key).await.unwrap().map(|entry| entry.revision);
        let value = (number % 7 > 0).then(|| format!("{name} {number} ").repeat((number % 90) as usize));
        let revision = match (&value, current) {
            (Some(value), current) => {
                let expect = current.map_or(Expect::Absent, Expect::Revision);
                store.put(&key, Bytes::copy_from_slice(value.as_bytes()), expect).await
            }
            (None, Some(current)) => {
                Line::Deleting(name.clone()).say();
                store.delete(&key, current).await
            }
            (None, None) => continue,
        };
        Line::Done(Done { key: name, revision: revision.unwrap(), hash: value.map(|value| hash(value.as_bytes())) }).say();
    }
}

/// Lets the child say so many lines and then go on for a time, kills it, and tells what it said.
fn run_and_kill(path: &Path, least: usize, time: Duration) -> Vec<Line> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let reader = std::thread::spawn(move || lines(output, &counted));
    while count.load(Ordering::Relaxed) < least && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(time);
    child.kill().unwrap(); // SIGKILL
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the child ended by itself");
    reader.join().unwrap()
}

fn lines(mut output: impl BufRead, count: &AtomicUsize) -> Vec<Line> {
    let mut said = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The test harness says some lines too, and begins the first of ours: "test NAME ... pods/...".
        said.extend(line.find("pods/").and_then(|start| Line::parse(&line[start..])));
        count.store(said.len(), Ordering::Relaxed);
        line.clear();
    }
    said
}

/// What must be in the file.
#[derive(Default)]
struct Known {
    /// The last acknowledged write of each key.
    last: BTreeMap<String, Done>,
    /// Keys whose deletion was begun and not acknowledged.
    deleting: BTreeSet<String>,
    /// All revisions acknowledged since the file was last checked.
    acknowledged: BTreeSet<Revision>,
    /// The newest revision when the file was last checked.
    newest: Revision,
}

impl Known {
    fn hear(&mut self, line: Line) {
        match line {
            Line::Deleting(key) => {
                self.deleting.insert(key);
            }
            Line::Done(done) => {
                assert!(done.revision > self.newest, "{done:?} takes a revision from before {}", self.newest);
                assert!(self.acknowledged.insert(done.revision), "{done:?} takes a revision twice");
                self.deleting.remove(&done.key);
                let former = self.last.insert(done.key.clone(), done.clone());
                assert!(former.as_ref().is_none_or(|former| former.revision < done.revision), "{done:?} comes after {former:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_acknowledged() {
    if let Ok(path) = std::env::var(CHILD) {
        return child(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let mut known = Known::default();
    let (mut writes, mut compacted) = (0, 0);
    let mut dice = 7_u64;
    for round in 0..KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let time = Duration::from_micros((dice >> 33) % 250_000);
        // Now and then before there is a file; over all, however slow the machine is, more than is asserted below.
        for line in run_and_kill(&path, (dice >> 33) as usize % 10, time) {
            known.hear(line);
        }
        writes += known.acknowledged.len();
        // Killed before there was a file, perhaps.
        if path.exists() {
            let store = EmbeddedStore::open(&path, &EmbeddedConfig::standard()).unwrap_or_else(|error| panic!("round {round}: {error}"));
            check_state(&store, &known).await;
            compacted = check_history(&store, &known).await;
            known = take_over(&store).await;
        }
    }
    println!("{writes} acknowledged writes over {KILLS} kills, history compacted up to {compacted}");
    assert!(writes > 300 && compacted > 0, "too little was written to show anything");
}

async fn everything(store: &EmbeddedStore, at: Option<Revision>) -> Result<Vec<Entry>, StoreError> {
    Ok(store.range(&RangeRequest { at, ..RangeRequest::default() }).await?.entries)
}

/// Every acknowledged write is there, or one by the same writer after it that was not acknowledged in time.
async fn check_state(store: &EmbeddedStore, known: &Known) {
    let current = store.revision().await.unwrap();
    let entries = everything(store, None).await.unwrap();
    for (key, done) in &known.last {
        assert!(done.revision <= current, "{done:?} is missing, the store is at {current}");
        match (entries.iter().find(|entry| entry.key.as_str() == key), done.hash) {
            (Some(entry), _) if entry.revision > done.revision => {}
            (Some(entry), want) => assert_eq!((entry.revision, Some(hash(&entry.value))), (done.revision, want), "{key}"),
            (None, None) => {}
            (None, Some(_)) => assert!(known.deleting.contains(key), "{done:?} is missing"),
        }
    }
}

/// What a watch tells of the kept history, put on the state where it begins, gives the state now; and of each writer
/// at most its last write was not acknowledged. Tells where history begins.
async fn check_history(store: &EmbeddedStore, known: &Known) -> Revision {
    let oldest = match everything(store, Some(0)).await {
        Ok(_) => 0,
        Err(StoreError::Compacted { oldest }) => oldest,
        Err(error) => panic!("{error}"),
    };
    let start = everything(store, Some(oldest)).await.unwrap();
    let mut replayed: BTreeMap<Key, Entry> = start.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    let mut unacknowledged = BTreeSet::new();
    for Event { key, revision, value, .. } in history(store, oldest).await {
        match value {
            Some(value) => replayed.insert(key.clone(), Entry { key: key.clone(), value, revision, form: Form::Current }),
            None => replayed.remove(&key),
        };
        if let Some(done) = known.last.get(key.as_str()).filter(|done| done.revision == revision) {
            assert_eq!(replayed.get(&key).map(|entry| hash(&entry.value)), done.hash, "{done:?}");
        }
        assert!(replayed.values().eq(&everything(store, Some(revision)).await.unwrap()), "the state at {revision} is another");
        if revision > known.newest && !known.acknowledged.contains(&revision) {
            let writer = key.as_str().rsplit_once('/').unwrap().0.to_owned();
            assert!(unacknowledged.insert(writer), "{key} at {revision} is the writer's second write without an answer");
        }
    }
    assert!(replayed.values().eq(&everything(store, None).await.unwrap()), "history and state differ");
    oldest
}

async fn history(store: &EmbeddedStore, after: Revision) -> Vec<Event> {
    let mut watch = store.watch("", after).await.unwrap();
    store.request_progress().await.unwrap();
    let mut told: Vec<Event> = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap().unwrap() {
            WatchMessage::Events(events) => told.extend(events),
            WatchMessage::Progress(revision) => {
                assert_eq!(revision, store.revision().await.unwrap());
                assert!(told.is_sorted_by(|a, b| a.revision < b.revision), "history is out of order");
                return told;
            }
        }
    }
}

/// Takes the file as it is for the next round. A probe takes a revision and leaves a deletion as the last write.
async fn take_over(store: &EmbeddedStore) -> Known {
    let current = store.revision().await.unwrap();
    let done = everything(store, None).await.unwrap().into_iter().map(|entry| {
        let done = Done { key: entry.key.to_string(), revision: entry.revision, hash: Some(hash(&entry.value)) };
        (done.key.clone(), done)
    });
    let last = done.collect();
    let probe = Key::new("probe");
    let put = store.put(&probe, "x".into(), Expect::Absent).await.unwrap();
    assert!(put > current);
    let newest = store.delete(&probe, put).await.unwrap();
    Known { last, newest, ..Known::default() }
}
