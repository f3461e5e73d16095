//! What a change costs for each of many watches that see it.

use crate::api::Api;
use crate::client::Connection;
use crate::failure::all;
use crate::figures::Measured;
use crate::process::Cpu;
use crate::step::Run;
use crate::watchers::Watchers;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How many changes a row is made of, if there are as many objects.
const CHANGES: usize = 500;
/// How many connections write at a time in the second row.
const WRITERS: usize = 8;

/// The connections that write, and what the changes cost without any watch.
pub(crate) struct Writers {
    changes: usize,
    connections: Vec<Connection>,
    alone: Cpu,
    together: Cpu,
}

impl Writers {
    /// To be called before there are watches.
    pub(crate) async fn new(run: &Run<'_>) -> Self {
        let mut connections = join_all((0..WRITERS).map(|_| run.target.connector.connect())).await;
        let (process, changes) = (run.target.process, run.objects.min(CHANGES));
        let cpu = process.cpu();
        for i in 0..changes {
            connections[0].send(run.target.api.merge_patch(i)).await;
        }
        let alone = process.cpu() - cpu;
        let cpu = process.cpu();
        let connections = at_once(connections, &run.target.api, changes).await;
        Self { changes, connections, alone, together: process.cpu() - cpu }
    }
}

/// Two rows that count delivered events. In the first a patch waits until everybody has seen the one before, so every
/// event is written on its own; in the second several connections write as fast as they can, so events gather. What
/// the patches themselves cost is taken off.
pub(crate) async fn run(run: &mut Run<'_>, writers: Writers, watchers: &Watchers) {
    let Writers { changes, mut connections, alone, together } = writers;
    let (process, count) = (run.target.process, run.args.watchers);
    let (start, cpu) = (Instant::now(), process.cpu());
    let mut latencies = Vec::new();
    for i in 0..changes {
        let sent = Instant::now();
        connections[0].send(run.target.api.merge_patch(i)).await;
        watchers.arrivals.all((i + 1) * count).await;
        latencies.push(sent.elapsed());
    }
    let mut measured = Measured { latencies, elapsed: start.elapsed(), cpu: process.cpu() - cpu - alone, operations: changes * count };
    run.row("watch event, one writer", &format!(" ({count} watchers; latency: until all have it)"), &mut measured);

    let (start, cpu) = (Instant::now(), process.cpu());
    at_once(connections, &run.target.api, changes).await;
    watchers.arrivals.all(2 * changes * count).await;
    let (latencies, elapsed) = (vec![start.elapsed()], start.elapsed());
    let mut measured = Measured { latencies, elapsed, cpu: process.cpu() - cpu - together, operations: changes * count };
    run.row(&format!("watch event, {WRITERS} writers"), &format!(" ({count} watchers; latency: of all)"), &mut measured);
}

/// All changes, by all connections together.
async fn at_once(writers: Vec<Connection>, api: &Arc<Api>, changes: usize) -> Vec<Connection> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = writers.into_iter().map(|mut writer| {
        let (next, api) = (Arc::clone(&next), Arc::clone(api));
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= changes {
                    return writer;
                }
                writer.send(api.merge_patch(i)).await;
            }
        })
    });
    all(tasks).await
}
