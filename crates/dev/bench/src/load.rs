//! The steps that send requests and wait for answers: create, get, lists of every form, patch, apply.

use crate::Args;
use crate::process::{Cpu, Server};
use bytes::Bytes;
use futures::future::join_all;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) const COLLECTION: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances";
pub(crate) const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

pub(crate) async fn run(args: &Args, server: &Server) {
    let objects = args.objects;
    let create = |i: usize| Call { method: Method::POST, path: COLLECTION.into(), media: JSON, body: body(i) };
    step(args, server, "create", Until::Count(objects), create).await;

    let until = Until::Elapsed(Duration::from_secs_f64(args.seconds));
    let name = move |i: usize| format!("{COLLECTION}/bench-{:05}", i.wrapping_mul(7919) % objects);
    step(args, server, "get", until, move |i| Call::get(name(i), JSON)).await;
    for (what, query, media) in [
        (&*format!("list of {objects}"), "", JSON),
        ("page of 500", "limit=500", JSON),
        ("Table of 500", "limit=500", TABLE),
        ("PartialObjectMetadataList of 500", "limit=500", METADATA),
        ("label selector that selects nothing", "labelSelector=env%3Dnone", JSON),
        ("field selector that selects nothing", "fieldSelector=spec.clusterRef.cluster%3Dnone", JSON),
    ] {
        step(args, server, what, until, move |_| Call::get(format!("{COLLECTION}?{query}"), media)).await;
    }
    let patch = move |i: usize| Call {
        method: Method::PATCH,
        path: name(i),
        media: "application/merge-patch+json",
        body: json!({"spec": {"description": format!("patched {i}")}}).to_string().into(),
    };
    step(args, server, "merge patch", Until::Count(objects), patch).await;
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
    step(args, server, "apply", Until::Count(objects), apply).await;
}

struct Call {
    method: Method,
    path: String,
    media: &'static str,
    body: Bytes,
}

impl Call {
    fn get(path: String, media: &'static str) -> Self {
        Self { method: Method::GET, path, media, body: Bytes::new() }
    }
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
    let bytes = Arc::new(AtomicUsize::new(0));
    let (start, cpu) = (Instant::now(), server.cpu());
    let workers = connections.into_iter().map(|mut connection| {
        let (next, bytes) = (Arc::clone(&next), Arc::clone(&bytes));
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
                let (status, size) = connection.send(call.method, &call.path, call.media, call.body).await.unwrap();
                assert!(status < 300, "{} answered {status}", call.path);
                bytes.fetch_add(size, Ordering::Relaxed);
                latencies.push(sent.elapsed());
            }
        })
    });
    let mut latencies: Vec<Duration> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    let (elapsed, cpu) = (start.elapsed(), server.cpu() - cpu);
    let size = bytes.load(Ordering::Relaxed) / latencies.len();
    let count = latencies.len();
    row(&format!("{name} ({size} bytes)"), &mut latencies, elapsed, cpu, count);
}

/// One line of the table.
pub(crate) fn row(name: &str, latencies: &mut [Duration], elapsed: Duration, cpu: Cpu, operations: usize) {
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let count = operations as f64;
    let (rate, all, kernel) = (count / elapsed.as_secs_f64(), cpu.total() / count, cpu.system / count);
    println!("| {name} | {rate:.0} | {:.2} | {:.2} | {all:.4} | {kernel:.4} |", at(0.5), at(0.99));
}

/// An object of about 1.3 KB, as the command line of vcluster makes them.
pub(crate) fn body(i: usize) -> Bytes {
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
