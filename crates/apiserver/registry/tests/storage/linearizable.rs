//! Many writers, readers and watchers at once, over a store that refuses, loses answers and breaks watches: every read is
//! of one true moment that is not before what was acknowledged when it began, and every watch tells what happened.

use crate::rig::{Rig, context};
use apiserver_meta::options::{DeleteOptions, ListOptions};
use apiserver_meta::{ObjectFilter, Reason};
use apiserver_registry::{EventKind, Frame};
use apiserver_store::flaky::{Calls, Fault};
use apiserver_store::{Revision, Store, WatchMessage};
use futures::StreamExt;
use futures::future::join_all;
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: u64 = 4;
const WRITES: usize = 60;
const READERS: u64 = 4;
const WATCHERS: u64 = 4;

/// A small generator of numbers that look random (splitmix64), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn path(&mut self) -> String {
        format!("{}/o{}", ["ns", "ns-x", "ns2"][self.roll(3)], self.roll(4))
    }
}

/// Each object's revision.
type State = BTreeMap<String, Revision>;

/// What the writers were told, and what the readers saw.
#[derive(Default)]
struct Notes {
    newest: AtomicU64,
    /// For each path a revision that was acknowledged; nothing older may be read any more.
    acknowledged: Mutex<State>,
    /// States that were read.
    seen: Mutex<Vec<(Revision, State)>>,
    /// Paths that were not found, though this revision of them was acknowledged before.
    missing: Mutex<Vec<(String, Revision)>>,
    is_over: AtomicBool,
}

impl Notes {
    fn acknowledge(&self, path: &str, revision: Revision) {
        self.newest.fetch_max(revision, Ordering::SeqCst);
        let mut acknowledged = self.acknowledged.lock().unwrap();
        let known = acknowledged.entry(path.to_owned()).or_default();
        *known = revision.max(*known);
    }

    fn floor(&self, path: &str) -> Revision {
        self.acknowledged.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

fn is_outage(reason: Reason) -> bool {
    matches!(reason, Reason::ServerTimeout | Reason::Timeout)
}

async fn write(rig: &Rig, notes: &Notes, mut dice: Dice) {
    for _ in 0..WRITES {
        let path = dice.path();
        let current = rig.get(&path, ["", "0"][dice.roll(2)]).await;
        let result = match current {
            Ok(current) if dice.roll(4) == 0 => {
                let deleted = rig.try_delete(&path, &DeleteOptions::default()).await;
                deleted.map(|_| current.resource_version().parse().unwrap_or(0))
            }
            Ok(mut current) => {
                current.0.insert("spec".into(), serde_json::json!({ "nodeName": dice.roll(1000).to_string() }));
                rig.try_update(&current).await.map(|object| object.resource_version().parse().unwrap_or(0))
            }
            Err(_) => rig.try_create(rig.body(&path, "", "")).await.map(|object| object.resource_version().parse().unwrap_or(0)),
        };
        match result {
            Ok(revision) => notes.acknowledge(&path, revision),
            Err(error) if matches!(error.reason, Reason::Conflict | Reason::AlreadyExists | Reason::NotFound) => {}
            Err(error) => assert!(is_outage(error.reason), "{error}"),
        }
        if dice.roll(3) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.roll(3000) as u64)).await;
        }
    }
}

async fn read(rig: &Rig, notes: &Notes, mut dice: Dice) {
    while !notes.is_over.load(Ordering::SeqCst) {
        let path = dice.path();
        if dice.roll(3) == 0 {
            let floor = notes.floor(&path);
            match rig.get(&path, "").await {
                Ok(object) => assert!(object.resource_version().parse::<Revision>().unwrap() >= floor, "{path} is older than {floor}"),
                Err(error) if error.reason == Reason::NotFound => notes.missing.lock().unwrap().push((path, floor)),
                Err(error) => assert!(is_outage(error.reason), "{error}"),
            }
        } else if let Some((revision, state)) = pages(rig, notes, [0, 1, 2, 5][dice.roll(4)]).await {
            notes.seen.lock().unwrap().push((revision, state));
        }
        tokio::time::sleep(Duration::from_micros(dice.roll(2000) as u64)).await;
    }
}

/// A whole list, all pages of it; `None` when the store was away for one of them.
async fn pages(rig: &Rig, notes: &Notes, limit: usize) -> Option<(Revision, State)> {
    let floor = notes.newest.load(Ordering::SeqCst);
    let mut options = ListOptions { limit, ..ListOptions::default() };
    let (mut revision, mut state) = (None, State::new());
    loop {
        let page = match rig.registry.list(&context(), "", &options, &ObjectFilter::All).await {
            Ok(page) => page,
            Err(error) => {
                assert!(is_outage(error.reason), "{error}");
                return None;
            }
        };
        assert!(page.revision >= floor, "a list at {} does not know {floor}", page.revision);
        assert_eq!(*revision.get_or_insert(page.revision), page.revision, "all pages are of one moment");
        state.extend(page.items.iter().map(|item| (item.key().to_string(), item.revision)));
        match page.continue_token {
            Some(token) => options.continue_token = token,
            None => return Some((page.revision, state)),
        }
    }
}

/// What a watch told, and what the store tells: the kind of change, the object, the revision.
type History = Vec<(EventKind, String, Revision)>;

/// Follows from the beginning, resuming now and then, until the last write was told.
async fn watch(rig: &Rig, mut dice: Dice) -> History {
    let (mut told, mut resume) = (History::new(), rig.revision(0));
    loop {
        let options = rig.options(&format!("watch rv={} bookmarks", resume - rig.revision(0)).replace("rv=0", "rv=#0")).unwrap();
        let mut watch = rig.registry.watch(&context(), "", &options, &ObjectFilter::All).await.unwrap();
        for _ in 0..1 + dice.roll(60) {
            match tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap() {
                Frame::Event { kind, item, .. } => {
                    resume = item.revision;
                    told.push((kind, item.key().to_string(), item.revision));
                    if item.name() == "end" {
                        return told;
                    }
                }
                Frame::Bookmark { revision, .. } => resume = revision,
                Frame::Error(status) => panic!("{}", status.message),
            }
            if dice.roll(10) == 0 {
                tokio::time::sleep(Duration::from_micros(dice.roll(3000) as u64)).await;
            }
        }
    }
}

/// What happened, as the store itself tells it.
async fn history(rig: &Rig) -> History {
    let prefix = "example.com/pods/";
    let mut watch = rig.store.watch(prefix, rig.revision(0)).await.unwrap();
    let (mut told, mut there) = (History::new(), HashSet::new());
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap().unwrap();
        let WatchMessage::Events(events) = message else { continue };
        for event in events {
            let path = event.key.as_str()[prefix.len()..].to_owned();
            let kind = match &event.value {
                None => EventKind::Deleted,
                Some(_) if there.contains(&path) => EventKind::Modified,
                Some(_) => EventKind::Added,
            };
            if kind == EventKind::Deleted {
                there.remove(&path)
            } else {
                there.insert(path.clone())
            };
            let is_end = path.ends_with("/end");
            told.push((kind, path, event.revision));
            if is_end {
                return told;
            }
        }
    }
}

/// Breaks something now and then.
async fn sabotage(rig: &Rig, mut dice: Dice) {
    loop {
        tokio::time::sleep(Duration::from_millis(5 + dice.roll(30) as u64)).await;
        match dice.roll(6) {
            0 => rig.store.end_watches(),
            1 => rig.store.plan(Calls::Writes, dice.roll(3), Fault::Refused),
            2 => rig.store.plan(Calls::Writes, dice.roll(3), Fault::ReplyLost),
            3 => rig.store.plan(Calls::Writes, dice.roll(3), Fault::Delayed(Duration::from_millis(10))),
            4 => rig.store.plan(Calls::Reads, dice.roll(3), Fault::Refused),
            _ => rig.store.plan(Calls::Reads, dice.roll(3), Fault::Delayed(Duration::from_millis(10))),
        }
    }
}

pub(crate) async fn linearizable(rig: Rig) {
    let notes = Notes::default();
    let dice = |number: u64| Dice(number << 32 | 17);
    let work = async {
        join_all((0..WRITERS).map(|number| write(&rig, &notes, dice(number)))).await;
        notes.is_over.store(true, Ordering::SeqCst);
    };
    let reading = join_all((0..READERS).map(|number| read(&rig, &notes, dice(100 + number))));
    let watching = join_all((0..WATCHERS).map(|number| watch(&rig, dice(200 + number))));
    let faulty = async {
        tokio::select! {
            ((), _) = async { tokio::join!(work, reading) } => {}
            () = sabotage(&rig, dice(300)) => {}
        }
        // The plan may hold a fault or two more: what matters is that it is there, and who reads next is not refused.
        while rig.get("ns/end", "").await.is_err() {
            let _ = rig.try_create(rig.body("ns/end", "", "")).await;
        }
        rig.store.forget_plan();
    };
    let ((), watched) = tokio::join!(faulty, watching);

    let mut history = history(&rig).await;
    for told in watched {
        assert!(told == history, "a watch told {} changes of {}", told.len(), history.len());
    }
    for (path, floor) in notes.missing.into_inner().unwrap() {
        let was_deleted = history.iter().any(|(kind, key, revision)| *kind == EventKind::Deleted && *key == path && *revision > floor);
        assert!(floor == 0 || was_deleted, "{path} was not found after {floor} was acknowledged");
    }
    let mut seen = notes.seen.into_inner().unwrap();
    assert!(seen.len() > 20, "only {} lists", seen.len());
    seen.sort_by_key(|(revision, _)| *revision);
    let (mut state, mut events) = (State::new(), history.drain(..).peekable());
    for (revision, read) in seen {
        while let Some((kind, path, at)) = events.next_if(|(_, _, at)| *at <= revision) {
            match kind {
                EventKind::Deleted => drop(state.remove(&path)),
                EventKind::Added | EventKind::Modified => drop(state.insert(path, at)),
            }
        }
        assert_eq!(read, state, "the list at {revision}");
    }
}
