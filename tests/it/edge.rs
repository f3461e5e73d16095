//! Clients that do not read, do not end, or come by the hundred: others do not notice.

mod frames;

use crate::bad_input::connect;
use crate::common::{BINARY, COLLECTION, MERGE, instance};
use frames::{Frames, GOAWAY, HEADERS, RST_STREAM, reset};
use http::Method;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use vci_testkit::client::Protocol;
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

/// Clients of which each always has a heavy request under way: every other one a write, the rest lists.
const HEAVY: usize = 24;
/// A user who is no administrator: the limits of those hold for them.
const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ann}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  requireTemplate: {disabled: true}
  members:
  - {kind: User, group: storage.loft.sh, name: ann, clusterRole: loft-management-project-admin}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ann}
spec: {user: ann, key: the-key-of-ann-which-is-long}
";
const KEY: &str = "the-key-of-ann-which-is-long";
const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";

async fn start(flags: &[&str]) -> TestServer {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    options.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    TestServer::start(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_given_up_at_once_do_not_end_a_shared_connection() {
    let server = start(&[]).await;
    for count in [21, 300] {
        let mut connection = Frames::connect(&server, 65_535).await;
        let mut burst = Vec::new();
        for _ in 0..count {
            let (id, request) = connection.get(BLUE, KEY);
            burst.extend([request, reset(id)].concat());
        }
        let (last, request) = connection.get(BLUE, KEY);
        burst.extend(request);
        connection.write(&burst).await;
        connection.until("the answer of another", |seen| seen.get(&last).is_some_and(|frames| frames.contains(&HEADERS))).await;
        assert!(!connection.seen[&0].contains(&GOAWAY), "after {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_give_their_permits_back() {
    let server = start(&["--request-timeout", "1s", "--max-requests-inflight", "4"]).await;
    let ann = server.anonymous(Protocol::Http1).bearer(KEY);
    ann.get(BLUE).await.expect(200);
    let mut connection = Frames::connect(&server, 0).await;
    let (ids, requests): (Vec<_>, Vec<_>) = (0..2).map(|_| connection.get(BLUE, KEY)).unzip();
    connection.write(&requests.concat()).await;
    connection.until("both heads", |seen| ids.iter().all(|id| seen.get(id).is_some_and(|frames| frames.contains(&HEADERS)))).await;
    ann.get(BLUE).await.expect(429);
    let is_reset = |id: &u32, seen: &std::collections::BTreeMap<u32, Vec<u8>>| seen[id].contains(&RST_STREAM);
    connection.until("the streams to be reset", |seen| ids.iter().all(|id| is_reset(id, seen))).await;
    wait_for("the permits", async || ann.get(BLUE).await.status == 200).await;
    assert!(!connection.seen[&0].contains(&GOAWAY), "the connection is that of others too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_over_http_1_ends_with_its_connection() {
    let server = start(&["--request-timeout", "1s", "--max-requests-inflight", "2"]).await;
    let ann = server.anonymous(Protocol::Http1).bearer(KEY);
    let padding = "x".repeat(200 * 1024);
    // More than the buffers of both sides of a socket take.
    for number in 0..60 {
        let mut object = instance(&format!("big-{number}"));
        object["metadata"]["annotations"] = json!({ "padding": padding });
        ann.post(BLUE, &object).await.expect(201);
    }
    let mut stream = connect(&server).await;
    let head = format!("GET {BLUE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.expect("the server reads");
    // Another request of the same user could take the permit first, and this one would be refused.
    let mut status = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut status).await.expect("the answer begins");
    assert_eq!(status.as_slice(), b"HTTP/1.1 200");
    wait_for("the permit to be taken", async || ann.get(BLUE).await.status == 429).await;
    wait_for("the permit to be free", async || ann.get(BLUE).await.status == 200).await;
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_nobody_reads_ends_and_one_that_is_read_goes_on() {
    let server = start(&["--request-timeout", "1s"]).await;
    let ann = server.anonymous(Protocol::Http2).bearer(KEY);
    ann.post(BLUE, &instance("one")).await.expect(201);
    let path = format!("{BLUE}?watch=1&resourceVersion=0&timeoutSeconds=300");
    let mut read = ann.watch(&path).await;
    assert_eq!(read.next().await.expect("an event")["type"], "ADDED");
    let mut connection = Frames::connect(&server, 0).await;
    let (id, request) = connection.get(&path, KEY);
    connection.write(&request).await;
    connection.until("the watch to be reset", |seen| seen.get(&id).is_some_and(|frames| frames.contains(&RST_STREAM))).await;
    ann.patch(&format!("{BLUE}/one"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
    assert_eq!(read.next().await.expect("an event")["type"], "MODIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_give_way_when_files_run_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("server");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 64\nexec {BINARY} \"$@\"\n")).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let server = TestServer::start(ServerOptions::new(script)).await;
    let mut silent = Vec::new();
    for _ in 0..52 {
        silent.push(connect(&server).await);
    }
    let address = server.base_url().trim_start_matches("https://").to_owned();
    // These do not even begin a handshake.
    let mut unshaken = Vec::new();
    for _ in 0..52 {
        unshaken.push(tokio::net::TcpStream::connect(&address).await.expect("a connection"));
    }
    server.anonymous(Protocol::Http1).get("/livez").await.expect(200);
    let admin = server.admin(Protocol::Http2);
    admin.post(COLLECTION, &instance("one")).await.expect(201);
    let mut watch = admin.watch(&format!("{COLLECTION}?watch=1&resourceVersion=0")).await;
    watch.next().await.expect("an event");
    for _ in 0..52 {
        silent.push(connect(&server).await);
    }
    admin.patch(&format!("{COLLECTION}/one"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
    assert_eq!(watch.next().await.expect("a connection in use stays")["type"], "MODIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_on_new_connections_while_a_user_asks_for_much() {
    let server = start(&[]).await;
    let ann = server.anonymous(Protocol::Http2).bearer(KEY);
    for number in 0..200 {
        ann.post(BLUE, &instance(&format!("one-{number}"))).await.expect(201);
    }
    let mut object = instance("big");
    object["metadata"]["finalizers"] = (0..60_000).map(|number| format!("example.com/finalizer-{number:020}")).collect();
    let body = object.to_string();
    assert!(body.len() < 3 << 20, "it is read");
    let mut heavy = Vec::new();
    let answered = Arc::new(AtomicUsize::new(0));
    for number in 0..HEAVY {
        let (ann, body, answered) = (ann.clone(), body.clone(), Arc::clone(&answered));
        let tables = ann.header(http::header::ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io");
        heavy.push(tokio::spawn(async move {
            loop {
                let answer = match number % 2 {
                    0 => ann.try_request(Method::POST, &format!("{BLUE}?dryRun=All"), Some("application/json"), body.clone()).await,
                    _ => tables.try_request(Method::GET, BLUE, None, "").await,
                };
                let code = answer.expect("an answer").status.as_u16();
                assert!([200, 201, 422, 429].contains(&code), "{code}");
                answered.fetch_add(usize::from(number % 2 == 0 && code != 429), Ordering::Relaxed);
            }
        }));
    }
    wait_for("heavy requests to be under way", async || answered.load(Ordering::Relaxed) > HEAVY).await;
    let (mut times, mut overtaken) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let (begun, before) = (Instant::now(), answered.load(Ordering::Relaxed));
        server.anonymous(Protocol::Http1).get("/livez").await.expect(200);
        times.push(begun.elapsed());
        overtaken.push(answered.load(Ordering::Relaxed) - before);
    }
    assert!(heavy.iter().all(|task| !task.is_finished()), "a heavy request was answered otherwise");
    heavy.iter().for_each(tokio::task::JoinHandle::abort);
    times.sort();
    overtaken.sort_unstable();
    eprintln!("health on new connections: median {:?}, slowest {:?}; overtaken by {overtaken:?}", times[20], times[39]);
    // One that waits for its turn behind the writes that are there is overtaken by all of them, however fast the machine is.
    assert!(overtaken[20] < HEAVY / 2, "{overtaken:?}");
}
