#![allow(clippy::unwrap_used)]
use super::*;
use crate::CacheConfig;
use crate::cache::tests::{MemoryStore, Widgets, widget};
use futures::stream;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

fn item(name: &str, revision: Revision, uid: &str) -> Arc<Item> {
    let bytes = json!({"metadata": {"name": name, "namespace": "ns", "uid": uid}}).to_string().into();
    Arc::new(Item { path: format!("ns/{name}").into(), revision, bytes, ..Item::default() })
}

fn event(kind: EventKind, item: Arc<Item>) -> Frame {
    Frame::Event { kind, item }
}

fn error(error: &ApiError) -> Frame {
    Frame::Error(Arc::new(error.status()))
}

/// Answers what it was given, in order; then it is silent.
#[derive(Default)]
struct Script {
    lists: Mutex<VecDeque<Result<List, ApiError>>>,
    watches: Mutex<VecDeque<Vec<Frame>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Source for &Script {
    async fn ready(&self) {}

    async fn list(&self) -> Result<List, ApiError> {
        self.asked.lock().unwrap().push("list".into());
        self.lists.lock().unwrap().pop_front().unwrap()
    }

    async fn watch(&self, after: Revision) -> Result<BoxStream<'static, Frame>, ApiError> {
        self.asked.lock().unwrap().push(format!("watch {after}"));
        Ok(match self.watches.lock().unwrap().pop_front() {
            Some(frames) => stream::iter(frames).boxed(),
            None => stream::pending().boxed(),
        })
    }
}

impl Script {
    /// What is told until nothing more happens.
    async fn tell(&self) -> Vec<String> {
        let mut told = Vec::new();
        let handle = |delta| {
            told.push(match delta {
                Delta::Added(item) => format!("added {}@{}", item.name(), item.revision),
                Delta::Updated { old, new } => format!("updated {}@{}-{}", new.name(), old.revision, new.revision),
                Delta::Deleted(last) => format!("deleted {}@{}", last.name(), last.revision),
                Delta::Gap => "gap".into(),
                Delta::Synced(revision) => format!("synced {revision}"),
            });
        };
        let informer = Informer { source: self, kind: "Widget", known: HashSet::new(), reached: None, is_told: false, failures: 0, handle };
        tokio::time::timeout(Duration::from_secs(3600), informer.run()).await.unwrap_err();
        told
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn list(items: Vec<Arc<Item>>, revision: Revision) -> Result<List, ApiError> {
    Ok(List { items, revision, continue_token: None, remaining: None })
}

#[tokio::test(start_paused = true)]
async fn after_a_watch_has_ended_the_next_goes_on_where_it_was() {
    let script = Script::default();
    script.lists.lock().unwrap().push_back(list(vec![item("a", 1, "a")], 5));
    script.watches.lock().unwrap().extend([
        vec![event(EventKind::Added, item("b", 7, "b"))],
        vec![],
        vec![Frame::Bookmark { revision: 9, initial_events_end: false }],
        vec![event(EventKind::Deleted, item("a", 10, "a")), event(EventKind::Modified, item("b", 11, "b"))],
    ]);
    let told = script.tell().await;
    assert_eq!(
        told,
        ["added a@1", "synced 5", "added b@7", "synced 7", "synced 9", "deleted a@1", "synced 10", "updated b@7-11", "synced 11"]
    );
    assert_eq!(script.asked(), ["list", "watch 5", "watch 7", "watch 7", "watch 9", "watch 11"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_watch_that_cannot_go_on_the_difference_is_told_and_what_is_gone_first() {
    for failure in [ApiError::expired("too old resource version: 5 (8)"), ApiError::internal("stored data cannot be read")] {
        let script = Script::default();
        let before = ["changed", "gone", "kept", "made-anew"].map(|name| item(name, 1, name)).to_vec();
        let after = vec![item("changed", 8, "changed"), item("kept", 1, "kept"), item("made-anew", 7, "other"), item("new", 6, "new")];
        script.lists.lock().unwrap().extend([list(before, 5), Err(ApiError::too_many_requests("not yet", 1)), list(after, 9)]);
        script.watches.lock().unwrap().extend([vec![error(&failure)], vec![]]);
        let mut told = script.tell().await;
        assert_eq!(
            told.split_off(5),
            ["deleted gone@1", "updated changed@1-8", "deleted made-anew@1", "added made-anew@7", "added new@6", "gap", "synced 9"]
        );
        assert_eq!(script.asked(), ["list", "watch 5", "list", "list", "watch 9", "watch 9"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_and_again_is_asked_for_less_and_less_often() {
    let script = Script::default();
    script.lists.lock().unwrap().extend((0..2000).map(|_| Err(ApiError::internal("no"))));
    script.tell().await;
    let count = script.asked().len();
    assert!((480..1000).contains(&count), "{count} times in an hour");
}

/// Over a real cache whose watches live for a moment and whose history is so short that some of them cannot go on.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_watches_end_all_the_time() {
    let store = Arc::new(MemoryStore::default());
    let config = CacheConfig { min_watch: Duration::from_millis(2), history_events: 3, ..CacheConfig::standard() };
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let shared: Arc<dyn apiserver_store::Store> = Arc::clone(&store) as _;
    let registry = Registry::start(Arc::new(Widgets::new()), shared, Vec::new(), config, stop.clone());
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let mirror = Arc::clone(&seen);
    tokio::spawn(follow(Arc::clone(&registry), stop, move |delta| {
        let mut mirror = mirror.lock().unwrap();
        match delta {
            Delta::Added(item) => assert!(mirror.insert(item.key(), item).is_none(), "it was there"),
            Delta::Updated { old, new } => assert_eq!(mirror.insert(new.key(), new).unwrap(), old),
            Delta::Deleted(last) => assert_eq!(mirror.remove(&last.key()).unwrap(), last),
            Delta::Gap | Delta::Synced(_) => {}
        }
    }));
    for round in 0..400u32 {
        let path = format!("ns/w{}", round * 7 % 23);
        let value = (round % 3 != 0).then(|| widget(&path, "", &json!({"round": round})));
        store.set(&format!("example.com/widgets/{path}"), value.as_deref());
        if round % 5 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let there = || registry.cache().items().into_iter().map(|item| (item.key(), item)).collect::<BTreeMap<_, _>>();
    let last = 400;
    while registry.cache().stats().revision < last || *seen.lock().unwrap() != there() {
        assert!(Instant::now() < deadline, "the follower is not told of everything");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
