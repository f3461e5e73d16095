//! The steps: create, get, list, page, patch, apply, watch fan-out.

use crate::Args;
use crate::process::Server;
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const COLLECTION: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances";
const JSON: &str = "application/json";

pub(crate) async fn run(args: &Args, server: &Server) {
    let objects = args.objects;
    let create = |i: usize| Call { method: Method::POST, path: COLLECTION.into(), media: JSON, body: body(i) };
    step(args, server, "create", Until::Count(objects), create).await;

    let until = Until::Elapsed(Duration::from_secs_f64(args.seconds));
    let name = move |i: usize| format!("{COLLECTION}/bench-{:05}", i.wrapping_mul(7919) % objects);
    let get = move |i: usize| Call { method: Method::GET, path: name(i), media: JSON, body: Bytes::new() };
    step(args, server, "get", until, get).await;
    let list = |_| Call { method: Method::GET, path: COLLECTION.into(), media: JSON, body: Bytes::new() };
    step(args, server, &format!("list of {objects}"), until, list).await;
    let page = |_| Call { method: Method::GET, path: format!("{COLLECTION}?limit=500"), media: JSON, body: Bytes::new() };
    step(args, server, "page of 500", until, page).await;
    let patch = move |i: usize| Call {
        method: Method::PATCH,
        path: name(i),
        media: "application/merge-patch+json",
        body: json!({"spec": {"description": format!("patched {i}")}}).to_string().into(),
    };
    step(args, server, "merge patch", until, patch).await;
    let apply = move |i: usize| {
        Call {
        method: Method::PATCH,
        path: format!("{}?fieldManager=bench-apply&force=true", name(i)),
        media: "application/apply-patch+yaml",
        body: json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "spec": {"description": format!("applied {i}")}})
            .to_string()
            .into(),
    }
    };
    step(args, server, "apply", until, apply).await;
    fan_out(args, server).await;
}

struct Call {
    method: Method,
    path: String,
    media: &'static str,
    body: Bytes,
}

#[derive(Clone, Copy)]
enum Until {
    Count(usize),
    Elapsed(Duration),
}

/// One row: many clients send one kind of call until it is enough.
async fn step(args: &Args, server: &Server, name: &str, until: Until, call: impl Fn(usize) -> Call + Copy + Send + 'static) {
    let next = Arc::new(AtomicUsize::new(0));
    let connections = join_all((0..args.clients).map(|_| server.connector.connect())).await;
    let (start, cpu) = (Instant::now(), server.cpu_ms());
    let workers = connections.into_iter().map(|mut connection| {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let enough = match until {
                    Until::Count(count) => i >= count,
                    Until::Elapsed(time) => start.elapsed() >= time,
                };
                if enough {
                    return latencies;
                }
                let call = call(i);
                let sent = Instant::now();
                let (status, _) = connection.send(call.method, &call.path, call.media, call.body).await.unwrap();
                assert!(status < 300, "{} answered {status}", call.path);
                latencies.push(sent.elapsed());
            }
        })
    });
    let mut latencies: Vec<Duration> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    let (elapsed, cpu) = (start.elapsed(), server.cpu_ms() - cpu);
    latencies.sort_unstable();
    row(name, &latencies, elapsed, cpu / latencies.len() as f64);
}

fn row(name: &str, latencies: &[Duration], elapsed: Duration, cpu: f64) {
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("| {name} | {:.0} | {:.2} | {:.2} | {cpu:.4} |", latencies.len() as f64 / elapsed.as_secs_f64(), at(0.5), at(0.99));
}

/// Patches objects one after the other while many watches look on; the row counts delivered events. What the
/// patches themselves cost was measured before and is taken off.
async fn fan_out(args: &Args, server: &Server) {
    const PATCHES: usize = 500;
    let mut alone = server.connector.connect().await;
    let patch = async |connection: &mut crate::client::Connection, i: usize, round: &str| {
        let path = format!("{COLLECTION}/bench-{:05}", i % args.objects);
        let body = json!({"spec": {"description": format!("{round} {i}")}}).to_string().into();
        let (status, _) = connection.send(Method::PATCH, &path, "application/merge-patch+json", body).await.unwrap();
        assert_eq!(status, 200);
    };
    let cpu = server.cpu_ms();
    for i in 0..PATCHES {
        patch(&mut alone, i, "unseen").await;
    }
    let patches_alone = server.cpu_ms() - cpu;

    let expected = PATCHES * args.watchers;
    let delivered = Arc::new(AtomicUsize::new(0));
    let opened = join_all((0..args.watchers).map(|_| async {
        let mut connection = server.connector.connect().await;
        let version = current_version(&mut connection).await;
        let path = format!("{COLLECTION}?watch=1&resourceVersion={version}&timeoutSeconds=600");
        let response = connection.open(Method::GET, &path, JSON, Bytes::new()).await.unwrap();
        (connection, response.into_body())
    }))
    .await;
    for (connection, mut body) in opened {
        let delivered = Arc::clone(&delivered);
        tokio::spawn(async move {
            let _open = connection;
            while let Some(Ok(frame)) = body.frame().await {
                let lines = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                delivered.fetch_add(lines, Ordering::Relaxed);
            }
        });
    }
    let (start, cpu) = (Instant::now(), server.cpu_ms());
    let mut latencies = Vec::new();
    for i in 0..PATCHES {
        let sent = Instant::now();
        patch(&mut alone, i, "seen").await;
        while delivered.load(Ordering::Relaxed) < (i + 1) * args.watchers {
            tokio::task::yield_now().await;
        }
        latencies.push(sent.elapsed());
    }
    let cpu = (server.cpu_ms() - cpu - patches_alone).max(0.0) / expected as f64;
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = expected as f64 / elapsed.as_secs_f64();
    println!(
        "| watch event (one of {} watchers; latency: until all have it) | {rate:.0} | {:.2} | {:.2} | {cpu:.4} |",
        args.watchers,
        at(0.5),
        at(0.99)
    );
}

async fn current_version(connection: &mut crate::client::Connection) -> String {
    let response = connection.open(Method::GET, &format!("{COLLECTION}?limit=1"), JSON, Bytes::new()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

/// An object of about 1.3 KB, as the command line of vcluster makes them.
fn body(i: usize) -> Bytes {
    let values =
        "controlPlane:\n  distro:\n    k8s:\n      enabled: true\nsync:\n  toHost:\n    ingresses:\n      enabled: true\n".repeat(5);
    json!({
        "apiVersion": "management.loft.sh/v1",
        "kind": "VirtualClusterInstance",
        "metadata": {
            "name": format!("bench-{i:05}"),
            "labels": {"loft.sh/project": "my-project", "env": if i.is_multiple_of(2) { "dev" } else { "prod" }},
            "annotations": {"sleepmode.loft.sh/timezone": "Europe/Berlin#3600"},
        },
        "spec": {
            "displayName": format!("benchmark {i}"),
            "owner": {"user": "my-user"},
            "parameters": values,
            "templateRef": {"name": "my-virtual-cluster-template", "version": "1.2.x"},
            "clusterRef": {},
        },
    })
    .to_string()
    .into()
}
