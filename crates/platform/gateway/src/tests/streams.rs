//! Answers, bodies and connections that go on.

use super::rig::{OBJECT, PROXY, Rig, request};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use http::Response;
use http::header::UPGRADE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vci_testkit::wait_for;

const EXEC: &str = "/api/v1/namespaces/default/pods/x/exec?command=sh&stdin=true";

#[track_caller]
fn next(body: &mut Incoming) -> impl Future<Output = Option<Bytes>> {
    let place = std::panic::Location::caller();
    async move {
        let frame =
            tokio::time::timeout(vci_testkit::PATIENCE, body.frame()).await.unwrap_or_else(|_| panic!("no frame in time at {place}"));
        frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok())
    }
}

async fn watch(rig: &Rig, user: &str) -> Incoming {
    let response = rig.send(request("GET", user, &format!("{PROXY}/api/v1/pods?watch=1")).body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    response.into_body()
}

async fn upgrade(rig: &Rig, user: &str, protocol: &str) -> Response<Incoming> {
    let request = request("POST", user, &format!("{PROXY}{EXEC}"));
    let request =
        request.header("connection", "Upgrade").header("upgrade", protocol).header("x-stream-protocol-version", "v4.channel.k8s.io");
    rig.send(request.body(Body::empty()).unwrap()).await
}

/// Ways to lose access.
async fn lose(rig: &Rig, how: &str) {
    match how {
        "the rule goes" => rig.patch(OBJECT, &json!({"spec": {"extraAccessRules": null}})).await,
        "the role becomes another" => {
            rig.patch(OBJECT, &json!({"spec": {"extraAccessRules": [{"users": ["guest"], "clusterRole": "edit"}]}})).await
        }
        "the member goes" => rig.patch("/apis/management.loft.sh/v1/projects/blue", &json!({"spec": {"members": []}})).await,
        "the key goes" => drop(rig.client("root").delete("/apis/management.loft.sh/v1/ownedaccesskeys/guest").await.expect(200)),
        "the instance goes" => drop(rig.client("root").delete(OBJECT).await.expect(200)),
        other => panic!("{other}"),
    }
}

const WAYS: [&str; 5] = ["the rule goes", "the role becomes another", "the member goes", "the key goes", "the instance goes"];

async fn shared() -> Rig {
    let rig = Rig::start().await;
    rig.patch(OBJECT, &json!({"spec": {"extraAccessRules": [{"users": ["guest"], "clusterRole": "view"}]}})).await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_at_once_and_ends_with_its_client() {
    let rig = Rig::start().await;
    let mut body = watch(&rig, "owner").await;
    for line in ["one", "two"] {
        rig.cluster.say(line);
        assert_eq!(next(&mut body).await.unwrap(), format!("{line}\n"));
    }
    assert_eq!(rig.cluster.open(), 1);
    drop(body);
    wait_for("the end of the watch in the virtual cluster", || async { rig.cluster.open() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_given_up_is_given_up_in_the_virtual_cluster() {
    let rig = Arc::new(Rig::start().await);
    let asking = Arc::clone(&rig);
    let asked = tokio::spawn(async move { asking.client("owner").get(&format!("{PROXY}/slow")).await });
    wait_for("the request", || async { rig.cluster.open() == 1 }).await;
    asked.abort();
    wait_for("its end", || async { rig.cluster.open() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_access_loses_open_watches() {
    for way in WAYS {
        let rig = shared().await;
        let mut body = watch(&rig, "guest").await;
        let mut owners = watch(&rig, "owner").await;
        rig.cluster.say("one");
        assert_eq!(next(&mut body).await.unwrap(), "one\n", "{way}");
        assert_eq!(next(&mut owners).await.unwrap(), "one\n", "{way}");
        // Also those that have been open for a while.
        tokio::time::sleep(Duration::from_millis(700)).await;
        lose(&rig, way).await;
        assert_eq!(next(&mut body).await, None, "{way}");
        let left = if way == "the instance goes" || way == "the member goes" { 0 } else { 1 };
        wait_for("the end in the virtual cluster", || async { rig.cluster.open() == left }).await;
        if left == 1 {
            rig.cluster.say("two");
            assert_eq!(next(&mut owners).await.unwrap(), "two\n", "others go on: {way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_passes_bytes_both_ways() {
    let rig = Rig::start().await;
    for protocol in ["SPDY/3.1", "websocket"] {
        let response = upgrade(&rig, "owner", protocol).await;
        assert_eq!((response.status().as_u16(), response.headers()[UPGRADE].to_str().unwrap()), (101, protocol));
        assert_eq!(response.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
        let arrived = rig.cluster.last();
        assert_eq!((arrived.path_and_query(), arrived.impersonated().0.as_str()), (EXEC, "owner"));
        assert_eq!(
            (&arrived.headers["upgrade"], &arrived.headers["connection"]),
            (&protocol.parse().unwrap(), &"Upgrade".parse().unwrap())
        );
        assert!(!arrived.headers.contains_key("authorization") && arrived.by_certificate);
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        for said in ["ls\n", "pwd\n"] {
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut heard = vec![0; said.len()];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, said.as_bytes());
        }
        stream.write_all(b"bye").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye", "the end comes through");
        wait_for("the end of the stream", || async { rig.cluster.open() == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_access_loses_upgraded_connections() {
    for way in WAYS {
        let rig = shared().await;
        let response = upgrade(&rig, "guest", "SPDY/3.1").await;
        assert_eq!(response.status(), 101, "{way}");
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        stream.write_all(b"ls").await.unwrap();
        let mut heard = [0; 2];
        stream.read_exact(&mut heard).await.unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        lose(&rig, way).await;
        let end = tokio::time::timeout(vci_testkit::PATIENCE, stream.read(&mut heard)).await.expect("an end");
        assert!(matches!(end, Ok(0) | Err(_)), "{way}: {end:?}");
        wait_for("the end in the virtual cluster", || async { rig.cluster.open() == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_is_an_answer() {
    let rig = Rig::start().await;
    assert_eq!(upgrade(&rig, "guest", "SPDY/3.1").await.status(), 403);
    assert!(rig.cluster.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_with_the_server() {
    let rig = Rig::start().await;
    let mut body = watch(&rig, "owner").await;
    let upgraded = upgrade(&rig, "owner", "SPDY/3.1").await;
    let mut stream = TokioIo::new(hyper::upgrade::on(upgraded).await.unwrap());
    stream.write_all(b"ls").await.unwrap();
    stream.read_exact(&mut [0; 2]).await.unwrap();
    rig.stop().await;
    assert_eq!(next(&mut body).await, None);
    let end = tokio::time::timeout(vci_testkit::PATIENCE, stream.read(&mut [0; 2])).await.expect("an end");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    tokio::time::timeout(vci_testkit::PATIENCE, rig.ended).await.expect("the server's end").unwrap().unwrap();
}

/// A body of so many pieces, which counts those that were taken.
fn pieces(count: usize, taken: &Arc<AtomicUsize>) -> Body {
    let (piece, taken) = (Bytes::from(vec![1; 64 * 1024]), Arc::clone(taken));
    Body::from_stream(futures::stream::repeat(piece).take(count).map(move |piece| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(piece)
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_pass_and_are_not_kept() {
    let rig = Rig::start().await;
    let taken = Arc::new(AtomicUsize::new(0));
    rig.cluster.stop_reading();
    let sent = rig.send_h2(request("POST", "owner", &format!("{PROXY}/sink")).body(pieces(640, &taken)).unwrap());
    let answer = async {
        // The client sends until every buffer on the way is full.
        let mut before = usize::MAX;
        while before != taken.load(Ordering::SeqCst) {
            before = taken.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(before > 0 && before < 320, "{before} pieces of 640 are on the way while nobody reads");
        rig.cluster.read_on();
    };
    let (response, ()) = tokio::join!(sent, answer);
    let body = response.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, (640 * 64 * 1024).to_string(), "40 MiB, of a server that takes 3 MiB itself");
    assert_eq!(rig.cluster.received(), 640 * 64 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_waits_for_its_reader() {
    let rig = Rig::start().await;
    let response = rig.send_h2(request("GET", "owner", &format!("{PROXY}/big")).body(Body::empty()).unwrap()).await.unwrap();
    let mut body = response.into_body();
    let first = next(&mut body).await.unwrap().len();
    // Unread, it is not over in the virtual cluster.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.cluster.open(), 1);
    let mut bytes = first;
    while let Some(piece) = next(&mut body).await {
        bytes += piece.len();
    }
    assert_eq!(bytes, 64 * 1024 * 1024);
}
