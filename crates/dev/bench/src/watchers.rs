//! Many watches that cost the client little: one task for each connection, which counts lines.

use crate::client::Connector;
use crate::failure::fail;
use crate::target::Target;
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many connections are opened at a time.
const OPENING: usize = 64;
/// How long nothing may arrive before what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Open watches; they end when this is dropped.
pub(crate) struct Watchers {
    pub(crate) arrivals: Arc<Arrivals>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    /// Opens watches of what comes from now on: this many on a connection of each connector. Of so many changes, sent one
    /// after the other, it is noted when each arrives.
    pub(crate) async fn open(target: &Target, connectors: &[Connector], on_each: usize, changes: usize) -> Self {
        let version = target.version().await;
        let (arrivals, opening) = (Arc::new(Arrivals::new(connectors.len() * on_each, changes)), Arc::new(Semaphore::new(OPENING)));
        let mut tasks = JoinSet::new();
        for (i, connector) in connectors.iter().cloned().enumerate() {
            let (api, version, arrivals, opening) = (Arc::clone(&target.api), version.clone(), Arc::clone(&arrivals), Arc::clone(&opening));
            tasks.spawn(async move {
                let permit = opening.acquire_owned().await.unwrap();
                let (mut connection, driver) = connector.connect_undriven().await;
                let watches = async {
                    let mut bodies = Vec::new();
                    for _ in 0..on_each {
                        bodies.push(connection.open(api.watch(&version)).await);
                    }
                    drop(permit);
                    arrivals.opened.fetch_add(on_each, Ordering::Relaxed);
                    join_all(bodies.into_iter().enumerate().map(|(n, body)| arrivals.read(i * on_each + n, body))).await;
                };
                tokio::select! {
                    () = driver => {}
                    () = watches => {}
                }
                arrivals.ended.store(true, Ordering::Relaxed);
            });
        }
        arrivals.wait("watches to be open", &arrivals.opened, connectors.len() * on_each).await;
        Self { arrivals, _tasks: tasks }
    }
}

/// What has arrived.
pub(crate) struct Arrivals {
    opened: AtomicUsize,
    delivered: AtomicUsize,
    /// The server has ended a watch.
    ended: AtomicBool,
    start: Instant,
    /// When each change was sent, in microseconds after the start.
    sent: Vec<AtomicU32>,
    /// How long each change took to each watcher, in microseconds; 0: it has not arrived.
    latencies: Vec<AtomicU32>,
}

impl Arrivals {
    fn new(watchers: usize, changes: usize) -> Self {
        let zeros = |count| std::iter::repeat_with(AtomicU32::default).take(count).collect();
        let (opened, delivered, ended) = Default::default();
        Self { opened, delivered, ended, start: Instant::now(), sent: zeros(changes), latencies: zeros(watchers * changes) }
    }

    async fn read(&self, watcher: usize, mut body: Incoming) {
        let mut own = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let lines = frame.data_ref().map_or(0, |data: &Bytes| data.iter().filter(|byte| **byte == b'\n').count());
            let now = self.micros();
            for change in own..(own + lines).min(self.sent.len()) {
                let latency = now.saturating_sub(self.sent[change].load(Ordering::Relaxed));
                self.latencies[watcher * self.sent.len() + change].store(latency.max(1), Ordering::Relaxed);
            }
            own += lines;
            self.delivered.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// The change is sent now.
    pub(crate) fn sending(&self, change: usize) {
        self.sent[change].store(self.micros(), Ordering::Relaxed);
    }

    /// The latencies of all events that have arrived, sorted, in microseconds.
    pub(crate) fn latencies(&self) -> Vec<u32> {
        let mut latencies: Vec<u32> = self.latencies.iter().map(|latency| latency.load(Ordering::Relaxed)).filter(|l| *l > 0).collect();
        latencies.sort_unstable();
        latencies
    }

    /// How many events have arrived.
    pub(crate) fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Waits until so many events have arrived.
    pub(crate) async fn all(&self, events: usize) {
        self.wait("events", &self.delivered, events).await;
    }

    /// Waits until so many events have arrived, or none come any more.
    pub(crate) async fn as_many_as_come(&self, events: usize) {
        let _ = self.wait_while_they_come(&self.delivered, events).await;
    }

    async fn wait(&self, what: &str, count: &AtomicUsize, want: usize) {
        if let Err(have) = self.wait_while_they_come(count, want).await {
            fail(&format!("waited in vain for {want} {what}: {have} came"));
        }
    }

    async fn wait_while_they_come(&self, count: &AtomicUsize, want: usize) -> Result<(), usize> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let have = count.load(Ordering::Relaxed);
            if have >= want {
                return Ok(());
            }
            if have > last {
                (last, since) = (have, Instant::now());
            }
            if self.ended.load(Ordering::Relaxed) {
                fail(&format!("the server has ended a watch, after {have} of all {want}"));
            }
            if since.elapsed() > PATIENCE {
                return Err(have);
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }

    fn micros(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_micros()).unwrap_or(u32::MAX)
    }
}
