//! Many writers, many watchers who come and go: each ends with exactly what the server has.
#![allow(clippy::unwrap_used)]

use super::rig::{Widgets, context, key, labels, widget};
use super::store::MemoryStore;
use crate::cache::{Cache, CacheConfig};
use crate::{EventKind, Frame, Item, collection_prefix, storage_key};
use apiserver_meta::options::{ListOptions, ResourceVersion};
use apiserver_meta::{ObjectFilter, ObjectKey, Status};
use apiserver_store::{Expect, RangeRequest, Revision, Store, StoreError, WriteError};
use futures::StreamExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

const WRITERS: u64 = 4;
const WRITES: u64 = 400;
const WATCHERS: u64 = 24;
const NAMESPACES: [&str; 3] = ["ns", "ns-x", "ns2"];
const SELECTORS: [&str; 5] = ["", "color=red", "color!=red", "size", "color in (red,blue),size!=1"];

/// A small generator of numbers that look random (splitmix64), so that a failure can be repeated.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

/// The cache that clients go to.
type Server = tokio::sync::watch::Receiver<Arc<Cache>>;

/// What a watcher knows: each object's revision.
type Known = BTreeMap<ObjectKey, Revision>;

async fn write(store: Arc<dyn Store>, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..WRITES {
        let path = format!("{}/o{}", NAMESPACES[dice.roll(3)], dice.roll(8));
        let at = storage_key(&super::WIDGETS, &key(&path));
        let current = store.get(&at).await.unwrap().map(|entry| entry.revision);
        let labels = ["", "color=red", "color=blue", "color=red,size=1", "size=2"][dice.roll(5)];
        let value = widget(&path, labels, &json!({ "n": dice.roll(1000) }));
        let result = match current {
            Some(revision) if dice.roll(4) == 0 => store.delete(&at, revision).await,
            Some(revision) => store.put(&at, value.into(), Expect::Revision(revision)).await,
            None => store.put(&at, value.into(), Expect::Absent).await,
        };
        match result {
            Ok(_) | Err(WriteError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if dice.roll(3) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.roll(3000) as u64)).await;
        }
    }
}

/// How a watch went on until it was left.
enum End {
    /// It had told everything up to this revision.
    Synced,
    Left(Revision),
    Expired,
}

struct Client {
    /// The server of the hour.
    cache: Server,
    store: Arc<dyn Store>,
    namespace: &'static str,
    options: ListOptions,
    dice: Dice,
}

impl Client {
    async fn run(mut self, finished: tokio::sync::watch::Receiver<Option<Revision>>) {
        let mut known = Known::new();
        let mut resume = None;
        loop {
            if resume.is_none() {
                known.clear();
            }
            match self.follow(&mut known, resume, &finished).await {
                End::Synced => break,
                End::Left(revision) => resume = Some(revision),
                End::Expired => resume = None,
            }
        }
        assert_eq!(known, self.stored().await, "{:?} {:?}", self.namespace, self.options.labels);
    }

    /// What the store itself has.
    async fn stored(&self) -> Known {
        let request = RangeRequest { prefix: collection_prefix(&super::WIDGETS, self.namespace), ..RangeRequest::default() };
        let entries = self.store.range(&request).await.unwrap().entries;
        let items = entries.iter().map(|entry| Item::from_entry(&Widgets::new(), entry).unwrap());
        items.filter(|item| self.options.labels.matches(&item.labels)).map(|item| (item.key(), item.revision)).collect()
    }

    async fn follow(
        &mut self,
        known: &mut Known,
        resume: Option<Revision>,
        finished: &tokio::sync::watch::Receiver<Option<Revision>>,
    ) -> End {
        let resource_version = resume.map_or([ResourceVersion::Unset, ResourceVersion::Any][self.dice.roll(2)], ResourceVersion::At);
        let options = ListOptions { resource_version, bookmarks: true, ..self.options.clone() };
        let cache = self.cache.borrow().clone();
        let mut watch = cache.watch(&context(), self.namespace, &options, &ObjectFilter::All).await.unwrap();
        let patience = 1 + self.dice.roll(60);
        let mut reached = resume.unwrap_or(0);
        let mut is_state = resume.is_none();
        let mut frames = 0;
        loop {
            let Ok(frame) = tokio::time::timeout(Duration::from_secs(20), watch.next()).await else { panic!("nothing was told") };
            match frame {
                Some(Frame::Event { kind, item, .. }) => {
                    match (kind, known.get(&item.key())) {
                        (EventKind::Added, None) | (EventKind::Modified | EventKind::Deleted, Some(_)) => {}
                        (kind, known) => panic!("{kind:?} {}@{} though {known:?} was known", item.key(), item.revision),
                    }
                    assert!(is_state || item.revision > reached, "{}@{} behind {reached}", item.key(), item.revision);
                    if !is_state {
                        reached = item.revision;
                    }
                    match kind {
                        EventKind::Added | EventKind::Modified => drop(known.insert(item.key(), item.revision)),
                        EventKind::Deleted => drop(known.remove(&item.key())),
                    }
                }
                Some(Frame::Bookmark { revision, initial_events_end }) => {
                    assert!(initial_events_end == is_state && revision >= reached);
                    is_state = false;
                    reached = revision;
                }
                Some(Frame::Error(status)) => {
                    let Status { code, message, .. } = &*status;
                    assert_eq!(*code, 410, "{message}");
                    return End::Expired;
                }
                None => return if is_state { End::Expired } else { End::Left(reached) },
            }
            if finished.borrow().is_some_and(|last| !is_state && reached >= last) {
                return End::Synced;
            }
            frames += 1;
            if frames > patience && !is_state && finished.borrow().is_none() {
                return End::Left(reached);
            }
            if self.dice.roll(20) == 0 {
                tokio::time::sleep(Duration::from_micros(self.dice.roll(3000) as u64)).await;
            }
        }
    }
}

async fn start(store: &Arc<dyn Store>) -> (Arc<Cache>, DropGuard) {
    let stop = CancellationToken::new();
    let config =
        CacheConfig { watcher_queue: 5, history_events: 200, bookmark_period: Duration::from_millis(20), ..CacheConfig::standard() };
    let cache = Cache::start(Arc::new(Widgets::new()), Arc::clone(store), config, stop.clone());
    cache.ready().await;
    (cache, stop.drop_guard())
}

/// Starts a server from time to time and stops the one before it.
async fn replace_servers(store: Arc<dyn Store>, servers: tokio::sync::watch::Sender<Arc<Cache>>, mut stop: DropGuard, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let (cache, guard) = start(&store).await;
        servers.send_replace(cache);
        // Its watches end, and go on at the new one.
        drop(std::mem::replace(&mut stop, guard));
    }
}

async fn reconstruct(store: Arc<dyn Store>, seed: u64, restarts: Duration) {
    let (cache, stop) = start(&store).await;
    let (servers, server) = tokio::sync::watch::channel(cache);
    let restarting = tokio::spawn(replace_servers(Arc::clone(&store), servers, stop, restarts));
    let (done, finished) = tokio::sync::watch::channel(None);
    let clients: Vec<_> = (0..WATCHERS)
        .map(|n| {
            let mut dice = Dice(seed ^ (n << 32));
            let namespace = ["", "ns", "ns-x", "ns2"][dice.roll(4)];
            let options = labels(SELECTORS[dice.roll(SELECTORS.len())]);
            let (cache, store) = (server.clone(), Arc::clone(&store));
            tokio::spawn(Client { cache, store, namespace, options, dice }.run(finished.clone()))
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(Arc::clone(&store), seed + n))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.send_replace(Some(store.revision().await.unwrap()));
    for client in clients {
        client.await.unwrap();
    }
    restarting.abort();
}

/// No server is replaced.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_reconstruct_the_servers_set() {
    for seed in 0..4 {
        reconstruct(Arc::new(MemoryStore::default()), seed, NEVER).await;
    }
}

/// A server that begins in the middle tells the same events as the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_reconstruct_the_set_of_servers_that_restart() {
    for seed in 20..23 {
        reconstruct(Arc::new(MemoryStore::default()), seed, Duration::from_millis(70)).await;
    }
}

/// Ends the store's watches, now with its history whole, now with a part of it never told.
async fn sabotage(store: Arc<MemoryStore>, seed: u64) {
    let mut dice = Dice(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(20 + dice.roll(60) as u64)).await;
        if dice.roll(2) == 0 {
            store.break_watches(|| StoreError::Unavailable("sabotage".into()));
            continue;
        }
        store.fault(|faults| faults.silent = true);
        tokio::time::sleep(Duration::from_millis(dice.roll(10) as u64)).await;
        store.break_watches(|| StoreError::Compacted { oldest: 1 });
        store.fault(|faults| faults.silent = false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_reconstruct_the_set_of_a_faulty_server() {
    for seed in 10..13 {
        let store = Arc::new(MemoryStore::default());
        let saboteur = tokio::spawn(sabotage(Arc::clone(&store), seed));
        reconstruct(store, seed, NEVER).await;
        saboteur.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_reconstruct_the_embedded_servers_set() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        apiserver_store::embedded::EmbeddedStore::open(folder.path().join("db"), &apiserver_store::embedded::EmbeddedConfig::standard())
            .unwrap();
    reconstruct(Arc::new(store), 7, NEVER).await;
}
