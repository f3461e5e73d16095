//! Somebody who writes and reads ten times a second through kube-apiserver, and remembers what was answered.

use crate::stand::{COLLECTION, PATIENCE, Stand, runtime};
use http::Method;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::nodes::NodeCluster;

const PERIOD: Duration = Duration::from_millis(100);
/// That many answers before what happens, and after it.
const ENOUGH: usize = 10;

/// What the probe has seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) reads: Answers,
    pub(super) writes: Answers,
    /// Names of objects of which kube-apiserver said that they are created.
    acknowledged: BTreeSet<String>,
}

/// The answers to requests of one kind.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) good: usize,
    pub(super) failures: Vec<String>,
    /// The longest time from one good answer to the next.
    pub(super) longest: Duration,
    last_good: Instant,
}

/// How many good answers there were, and whether that is enough.
#[derive(Debug, Default)]
struct Progress {
    reads: AtomicUsize,
    writes: AtomicUsize,
    stop: AtomicBool,
}

/// Lets something happen while the probe asks.
pub(super) fn during(stand: &Stand<'_>, happens: impl FnOnce()) -> Seen {
    let progress = Progress::default();
    // Also when what happens does not: the scope waits for the probe.
    struct Stop<'a>(&'a Progress);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.stop.store(true, Ordering::Relaxed);
        }
    }
    let seen = std::thread::scope(|scope| {
        let probe = scope.spawn(|| ask(stand.cluster, &progress));
        let stop = Stop(&progress);
        progress.await_more();
        happens();
        progress.await_more();
        drop(stop);
        probe.join().expect("the probe only looks")
    });
    seen.nothing_is_lost(stand);
    seen
}

impl Progress {
    fn await_more(&self) {
        let (start, count) = (Instant::now(), || [&self.reads, &self.writes].map(|count| count.load(Ordering::Relaxed)));
        let from = count();
        while count().iter().zip(from).any(|(now, from)| *now < from + ENOUGH) {
            assert!(start.elapsed() < PATIENCE, "no good answers within {PATIENCE:?}: {self:?}");
            std::thread::sleep(PERIOD);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn ask(cluster: &NodeCluster, progress: &Progress) -> Seen {
    cluster.enter();
    let asker = Rc::new(Asker {
        reader: cluster.admin(Protocol::Http2),
        writer: cluster.admin(Protocol::Http2),
        reads: RefCell::new(Answers::new()),
        writes: RefCell::new(Answers::new()),
        acknowledged: RefCell::default(),
    });
    LocalSet::new().block_on(&runtime(), async {
        let since = UNIX_EPOCH.elapsed().expect("a time").as_millis();
        let (mut ticks, mut asked) = (interval(PERIOD), JoinSet::new());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0.. {
            if progress.stopped() {
                break;
            }
            ticks.tick().await;
            // Whoever waits for an answer keeps nobody else from asking.
            asked.spawn_local(Rc::clone(&asker).write(format!("probe-{since}-{number}")));
            asked.spawn_local(Rc::clone(&asker).read());
            progress.reads.store(asker.reads.borrow().good, Ordering::Relaxed);
            progress.writes.store(asker.writes.borrow().good, Ordering::Relaxed);
        }
        asked.join_all().await;
    });
    let Asker { reads, writes, acknowledged, .. } = Rc::into_inner(asker).expect("all have their answers");
    Seen { reads: reads.into_inner(), writes: writes.into_inner(), acknowledged: acknowledged.into_inner().into_iter().collect() }
}

/// Who asks, and what the answers were.
struct Asker {
    reader: Client,
    writer: Client,
    reads: RefCell<Answers>,
    writes: RefCell<Answers>,
    acknowledged: RefCell<Vec<String>>,
}

impl Asker {
    /// Reads what was written last: an answer that does not know it is a failure.
    async fn read(self: Rc<Self>) {
        let Some(name) = self.acknowledged.borrow().last().cloned() else { return };
        let answer = request(&self.reader, Method::GET, &format!("{COLLECTION}/{name}"), String::new()).await;
        self.reads.borrow_mut().add(answer);
    }

    async fn write(self: Rc<Self>, name: String) {
        let answer = request(&self.writer, Method::POST, COLLECTION, instance(&name)).await;
        if answer.is_ok() {
            self.acknowledged.borrow_mut().push(name);
        }
        self.writes.borrow_mut().add(answer);
    }
}

fn instance(name: &str) -> String {
    json!({
        "apiVersion": "management.loft.sh/v1",
        "kind": "VirtualClusterInstance",
        "metadata": {"name": name},
        "spec": {"displayName": name, "templateRef": {"name": "t"}},
    })
    .to_string()
}

async fn request(client: &Client, method: Method, path: &str, body: String) -> Result<(), String> {
    let answer = client.try_request(method, path, Some("application/json"), body).await?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("{}: {:.120}", answer.status, answer.text().trim())) }
}

impl Answers {
    fn new() -> Self {
        Self { good: 0, failures: Vec::new(), longest: Duration::ZERO, last_good: Instant::now() }
    }

    fn add(&mut self, answer: Result<(), String>) {
        match answer {
            Ok(()) => {
                self.longest = self.longest.max(self.last_good.elapsed());
                self.last_good = Instant::now();
                self.good += 1;
            }
            Err(why) => self.failures.push(why),
        }
    }
}

impl Seen {
    /// The longest time without a good answer to a read, or to a write.
    pub(super) fn away(&self) -> Duration {
        self.reads.longest.max(self.writes.longest)
    }

    /// Why requests failed, each reason once.
    pub(super) fn failures(&self) -> BTreeSet<&str> {
        self.reads.failures.iter().chain(&self.writes.failures).map(String::as_str).collect()
    }

    fn nothing_is_lost(&self, stand: &Stand<'_>) {
        let list = stand.run(stand.admin.get(COLLECTION)).expect(200).json();
        let there: BTreeSet<&str> =
            list["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str()).collect();
        let lost: Vec<&String> = self.acknowledged.iter().filter(|name| !there.contains(name.as_str())).collect();
        assert!(lost.is_empty(), "of {} that were acknowledged these are gone: {lost:?}", self.acknowledged.len());
    }
}
