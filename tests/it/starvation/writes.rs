//! Bodies that are all faults, or stand for much more than they are: each gets its answer, short and soon.

use crate::common::{COLLECTION, GROUP, JSON_PATCH, MERGE, embedded, instance, path};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use vci_testkit::client::{Client, Protocol, Response};
use vci_testkit::server::TestServer;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The processor time that a process has used.
pub(super) fn cpu(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux");
    let fields: Vec<&str> = text.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
    // A hundred ticks a second, on every machine that there is.
    Duration::from_millis(ticks * 10)
}

pub(super) fn resident_mib(pid: u32) -> u64 {
    status_mib(pid, "VmRSS:")
}

fn most_resident_mib(pid: u32) -> u64 {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("a number") / 1024
}

/// Asks for `/livez` all the time, each time when the answer is there, and counts the answers.
pub(super) fn keep_asking(server: &TestServer, stop: &Arc<AtomicBool>) -> (Arc<AtomicU32>, tokio::task::JoinHandle<()>) {
    let (client, stop, answers) = (server.admin(Protocol::Http1), Arc::clone(stop), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&answers);
    let task = tokio::spawn(async move {
        while !stop.load(Ordering::Acquire) {
            client.get("/livez").await.expect(200);
            count.fetch_add(1, Ordering::AcqRel);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    (answers, task)
}

fn assert_refused(response: &Response, code: u16, what: &str, want: &str) {
    let status = response.json();
    let message = status["message"].as_str().unwrap_or_default();
    assert_eq!(response.status.as_u16(), code, "{what}: {message:.300}");
    assert!(message.contains(want), "{what}: no {want:?} in {message:.500}");
    assert!(response.body.len() < 160 * 1024, "{what}: an answer of {} bytes", response.body.len());
    assert!(status["details"]["causes"].as_array().is_none_or(|causes| causes.len() <= 100), "{what}");
}

fn with(pointer: &str, value: Value) -> String {
    let mut object = instance("bad");
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).and_then(Value::as_object_mut).expect("a parent").insert(field.into(), value);
    object.to_string()
}

/// A merge key of 264 bytes that stands for 59,049 objects.
fn merge_bomb() -> String {
    let level = |n: usize| format!("b{n}: &b{n} {{<<: [{}]}}\n", vec![format!("*b{}", n - 1); 9].join(", "));
    std::iter::once("b0: &b0 {x: 1}\n".to_owned()).chain((1..6).map(level)).collect()
}

/// Bodies of creates, and what is wrong with them.
fn bad_objects() -> Vec<(&'static str, &'static str, String, u16, &'static str)> {
    let finalizers: Vec<String> = (0..100_000).map(|index| format!("x{index}")).collect();
    let labels: serde_json::Map<_, _> = (0..50_000).map(|index| (format!("-{index}"), Value::from("-"))).collect();
    let unknown: serde_json::Map<_, _> = (0..100_000).map(|index| (format!("f{index}"), Value::from(1))).collect();
    let conditions = vec![json!({"type": "Ready"}); 50_000];
    let references: Vec<Value> = (0..20_000)
        .map(|index| json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": index.to_string(), "controller": true}))
        .collect();
    let aliases = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(10_000), "*a,".repeat(100_000));
    vec![
        (
            "finalizers",
            JSON,
            with("/metadata/finalizers", finalizers.into()),
            422,
            "metadata.finalizers: Too many: 100000: must have at most 256 items",
        ),
        (
            "rules without a role",
            JSON,
            with("/spec/extraAccessRules", vec![json!({}); 1_000_000].into()),
            422,
            "spec.extraAccessRules: Too many: 1000000: must have at most 1000 items",
        ),
        ("labels", JSON, with("/metadata/labels", labels.into()), 422, "and more than these "),
        ("unknown fields", JSON, with("/spec", unknown.into()), 400, "strict decoding error: unknown field "),
        ("owner references", JSON, with("/metadata/ownerReferences", references.into()), 422, "must have at most 1000 items"),
        ("a long name", JSON, with("/metadata/name", "n".repeat(2 << 20).into()), 422, "must be no more than 253 characters"),
        ("conditions", JSON, with("/status", json!({ "conditions": conditions })), 0, ""),
        ("merge keys", YAML, merge_bomb(), 400, "merge keys (<<) are not of the data model of JSON"),
        ("aliases", YAML, aliases, 400, "document contains excessive aliasing"),
    ]
}

/// Patches of an object that is there, and what is wrong with them.
fn bad_patches() -> Vec<(&'static str, &'static str, String, u16, &'static str)> {
    let add = |index: usize| json!({"op": "add", "path": format!("/metadata/labels/l{index}"), "value": "v"});
    let operations: Vec<Value> = (0..10_001).map(add).collect();
    let mut copies = vec![json!({"op": "add", "path": "/spec/parameters", "value": "p".repeat(1 << 20)})];
    copies.extend((0..1000).map(|index| json!({"op": "copy", "from": "/spec", "path": format!("/x{index}")})));
    let below: serde_json::Map<_, _> = (0..30_000).map(|index| (format!("m{index}"), json!({"a": 1}))).collect();
    vec![
        (
            "operations",
            JSON_PATCH,
            Value::from(operations).to_string(),
            413,
            "The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        ("copies", JSON_PATCH, Value::from(copies).to_string(), 422, "the limit is 3145728"),
        ("members below a long key", STRATEGIC, json!({"k".repeat(1 << 20): below}).to_string(), 200, ""),
        (
            "a wrong type",
            MERGE,
            json!({"spec": {"displayName": {"a": "b".repeat(1 << 20)}}}).to_string(),
            422,
            "cannot unmarshal object into field spec.displayName",
        ),
    ]
}

async fn create(client: &Client, media: &str, body: String) -> Response {
    client.request(Method::POST, &format!("{COLLECTION}?dryRun=All&fieldValidation=Strict"), Some(media), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_take_little_and_leave_the_server_to_others() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    client.post(COLLECTION, &instance("there")).await.expect(201);
    let (objects, patches) = (bad_objects(), bad_patches());
    let stop = Arc::new(AtomicBool::new(false));
    let (answers, asking) = keep_asking(&server, &stop);
    let before = cpu(server.pid());
    for (what, media, body, code, want) in objects {
        let (used, heard) = (cpu(server.pid()), answers.load(Ordering::Acquire));
        let response = create(&client, media, body).await;
        match code {
            0 => assert_eq!(response.status, 201, "{what}: the status is not the client's to say"),
            code => assert_refused(&response, code, what, want),
        }
        eprintln!(
            "{what}: {:?}, {} MiB, {} answers",
            cpu(server.pid()) - used,
            resident_mib(server.pid()),
            answers.load(Ordering::Acquire) - heard
        );
    }
    for (what, media, body, code, want) in patches {
        let used = cpu(server.pid());
        let response = client.request(Method::PATCH, &path("there"), Some(media), body).await;
        if code == 200 {
            response.expect(200);
        } else {
            assert_refused(&response, code, what, want);
        }
        eprintln!("{what}: {:?}, {} MiB", cpu(server.pid()) - used, resident_mib(server.pid()));
    }
    let bombs = (0..30).map(|_| create(&client, YAML, merge_bomb()));
    for response in futures::future::join_all(bombs).await {
        assert_refused(&response, 400, "merge keys, thirty times", "merge keys");
    }
    let used = cpu(server.pid()) - before;
    // Without bounds some of these took minutes each.
    assert!(used < Duration::from_secs(30), "{used:?} of processor time");
    assert!(resident_mib(server.pid()) < 500, "{} MiB", resident_mib(server.pid()));
    stop.store(true, Ordering::Release);
    asking.await.expect("every answer was 200");
    assert!(answers.load(Ordering::Acquire) > 20, "{} answers of /livez meanwhile", answers.load(Ordering::Acquire));
}

/// Sixteen at once: decoded, each is some thirty times as large, and so they are decoded one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_bodies_share_the_memory_of_a_few() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let body = bytes::Bytes::from(with("/spec/extraAccessRules", vec![json!({}); 900_000].into()));
    let send = || async {
        let response = client.request(Method::POST, &format!("{COLLECTION}?dryRun=All"), Some(JSON), body.clone()).await;
        assert_refused(&response, 422, "rules", "must have at most 1000 items");
    };
    let small = async {
        for _ in 0..20 {
            client.post(&format!("{COLLECTION}?dryRun=All"), &instance("small")).await.expect(201);
        }
    };
    futures::future::join(futures::future::join_all((0..16).map(|_| send())), small).await;
    eprintln!("{} MiB", most_resident_mib(server.pid()));
    assert!(most_resident_mib(server.pid()) < 400, "{} MiB", most_resident_mib(server.pid()));
}

/// The description of a key is read by people, and all keys are in the memory of every server.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_key_is_small() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let key = |spec: Value| json!({"metadata": {"name": "k"}, "spec": spec});
    let keys = format!("{GROUP}/ownedaccesskeys");
    let response = client.post(&keys, &key(json!({"user": "admin", "description": "d".repeat(1_400_000)}))).await;
    assert_refused(&response, 422, "a long description", "spec.description: Too long: may not be more than 4096 bytes");
    client.post(&keys, &key(json!({"user": "admin", "description": "d".repeat(4096)}))).await.expect(201);
    let response = client.patch(&format!("{keys}/k"), MERGE, &json!({"spec": {"displayName": "d".repeat(257)}})).await;
    assert_refused(&response, 422, "a long name for people", "spec.displayName: Too long: may not be more than 256 bytes");
}
