//! What the embedded store costs: `cargo run --release -p apiserver-store --example store_bench [folder]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Expect, Key, RangeRequest, Store};
use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OBJECTS: usize = 3000;

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let path = std::path::Path::new(&folder).join(format!("store-bench-{}.redb", std::process::id()));
    let value = Bytes::from(vec![b'v'; 1300]);
    let store = Arc::new(EmbeddedStore::open(&path, &EmbeddedConfig::standard()).unwrap());
    let mut watches: Vec<_> =
        futures::future::join_all((0..10).map(|number| store.watch(if number == 0 { "pods/" } else { "other/" }, 1))).await;
    let reader = tokio::spawn({
        let mut watch = watches.remove(0).unwrap();
        async move { while watch.next().await.is_some() {} }
    });

    let mut revisions = Vec::new();
    let mut latencies = Vec::new();
    let all = Measure::start("sequential create", OBJECTS);
    for number in 0..OBJECTS {
        let start = Instant::now();
        revisions.push(store.put(&name(number), value.clone(), Expect::Absent).await.unwrap());
        latencies.push(start.elapsed());
    }
    all.end();
    latencies.sort();
    println!("    latency p50 {:?} p99 {:?} max {:?}", latencies[OBJECTS / 2], latencies[OBJECTS * 99 / 100], latencies[OBJECTS - 1]);

    let all = Measure::start("sequential update", OBJECTS);
    for (number, revision) in revisions.iter_mut().enumerate() {
        *revision = store.put(&name(number), value.clone(), Expect::Revision(*revision)).await.unwrap();
    }
    all.end();

    if std::env::args().nth(2).is_some() {
        return;
    }
    let all = Measure::start("range of all", 1);
    let found = store.range(&RangeRequest { prefix: "pods/".into(), ..RangeRequest::default() }).await.unwrap();
    all.end();
    assert_eq!(found.entries.len(), OBJECTS);
    let all = Measure::start("range of all again", 20);
    for _ in 0..20 {
        store.range(&RangeRequest { prefix: "pods/".into(), ..RangeRequest::default() }).await.unwrap();
    }
    all.end();
    let all = Measure::start("get", 10_000);
    for number in 0..10_000 {
        store.get(&name(number % OBJECTS)).await.unwrap().unwrap();
    }
    all.end();

    for width in [8, 32, 128] {
        let each = 20_000 / width;
        let all = Measure::start(&format!("{width}-way update"), width * each);
        let writers = (0..width).map(|writer| {
            let (store, value) = (store.clone(), value.clone());
            tokio::spawn(async move {
                let mut revision = store.get(&name(writer)).await.unwrap().unwrap().revision;
                for _ in 0..each {
                    revision = store.put(&name(writer), value.clone(), Expect::Revision(revision)).await.unwrap();
                }
            })
        });
        futures::future::try_join_all(writers).await.unwrap();
        all.end();
    }
    println!("file {} MiB", std::fs::metadata(&path).unwrap().len() >> 20);
    let all = Measure::start("compact all", 1);
    store.compact(store.revision().await.unwrap()).await.unwrap();
    all.end();
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(watches);
    drop(Arc::into_inner(store).unwrap());
    reader.await.unwrap();
    let all = Measure::start("open", 1);
    let store = EmbeddedStore::open(&path, &EmbeddedConfig::standard()).unwrap();
    all.end();
    println!("file {} MiB, resident {}", std::fs::metadata(&path).unwrap().len() >> 20, resident());
    drop(store);
    std::fs::remove_file(path).unwrap();
}

fn name(number: usize) -> Key {
    Key::new(format!("pods/namespace/name-{number:06}"))
}

struct Measure {
    what: String,
    count: usize,
    start: Instant,
    cpu: (Duration, Duration),
}

impl Measure {
    fn start(what: &str, count: usize) -> Self {
        Self { what: what.into(), count, start: Instant::now(), cpu: cpu() }
    }

    fn end(self) {
        let now = cpu();
        let (time, cpu) = (self.start.elapsed(), (now.0 - self.cpu.0, now.1 - self.cpu.1));
        let each = |duration: Duration| duration.as_micros() as usize / self.count;
        let rate = self.count as f64 / time.as_secs_f64();
        println!("{}: {} us each, CPU {} us user + {} us system each, {rate:.0}/s", self.what, each(time), each(cpu.0), each(cpu.1));
    }
}

/// CPU time of this process, user and system, to 10 ms.
fn cpu() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let time = |field: usize| Duration::from_millis(fields[field].parse::<u64>().unwrap() * 10);
    (time(11), time(12))
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned()
}
