//! What a change costs for each of many watches that see it.

use crate::Args;
use crate::client::Connection;
use crate::load::{COLLECTION, JSON, row};
use crate::process::{Cpu, Server};
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many changes a row is made of.
const PATCHES: usize = 500;
/// How many connections write at a time in the second row.
const WRITERS: usize = 8;

/// Two rows that count delivered events. In the first a patch waits until everybody has seen the one before, so every
/// event is written on its own; in the second several connections write as fast as they can, so events gather. What
/// the patches themselves cost is measured before and taken off.
pub(crate) async fn run(args: &Args, server: &Server) {
    let mut writers = join_all((0..WRITERS).map(|_| server.connector.connect())).await;
    let cpu = server.cpu();
    for i in 0..PATCHES {
        patch(&mut writers[0], args, i).await;
    }
    let alone = server.cpu() - cpu;
    let cpu = server.cpu();
    writers = at_once(writers, args).await;
    let together = server.cpu() - cpu;

    let delivered = Arc::new(AtomicUsize::new(0));
    let bodies = join_all((0..args.watchers).map(|_| watch(server))).await;
    for (connection, mut body) in bodies {
        let delivered = Arc::clone(&delivered);
        tokio::spawn(async move {
            let _open = connection;
            while let Some(Ok(frame)) = body.frame().await {
                let lines = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                delivered.fetch_add(lines, Ordering::Relaxed);
            }
        });
    }
    let all_have = async |patches: usize| {
        while delivered.load(Ordering::Relaxed) < patches * args.watchers {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };

    let (start, cpu) = (Instant::now(), server.cpu());
    let mut latencies = Vec::new();
    for i in 0..PATCHES {
        let sent = Instant::now();
        patch(&mut writers[0], args, i).await;
        all_have(i + 1).await;
        latencies.push(sent.elapsed());
    }
    tell("one writer; latency: until all have it", args, &mut latencies, start, server.cpu() - cpu - alone);

    let (start, cpu) = (Instant::now(), server.cpu());
    at_once(writers, args).await;
    all_have(2 * PATCHES).await;
    let mut latencies = [start.elapsed()];
    tell(&format!("{WRITERS} writers; latency: of all"), args, &mut latencies, start, server.cpu() - cpu - together);
}

fn tell(what: &str, args: &Args, latencies: &mut [Duration], start: Instant, cpu: Cpu) {
    row(&format!("watch event for one of {} watchers ({what})", args.watchers), latencies, start.elapsed(), cpu, PATCHES * args.watchers);
}

/// All patches, by all connections together.
async fn at_once(writers: Vec<Connection>, args: &Args) -> Vec<Connection> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = writers.into_iter().map(|mut writer| {
        let (next, args) = (Arc::clone(&next), args.clone());
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= PATCHES {
                    return writer;
                }
                patch(&mut writer, &args, i).await;
            }
        })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Changes an object to something that it never was before.
async fn patch(connection: &mut Connection, args: &Args, i: usize) {
    static CHANGES: AtomicUsize = AtomicUsize::new(0);
    let change = CHANGES.fetch_add(1, Ordering::Relaxed);
    let path = format!("{COLLECTION}/bench-{:05}", i % args.objects);
    let body = json!({"spec": {"description": format!("change {change}")}}).to_string().into();
    let (status, _) = connection.send(Method::PATCH, &path, "application/merge-patch+json", body).await.unwrap();
    assert_eq!(status, 200);
}

async fn watch(server: &Server) -> (Connection, hyper::body::Incoming) {
    let mut connection = server.connector.connect().await;
    let response = connection.open(Method::GET, &format!("{COLLECTION}?limit=1"), JSON, Bytes::new()).await.unwrap();
    let list = response.into_body().collect().await.unwrap().to_bytes();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{COLLECTION}?watch=1&resourceVersion={version}&timeoutSeconds=600");
    let response = connection.open(Method::GET, &path, JSON, Bytes::new()).await.unwrap();
    (connection, response.into_body())
}
