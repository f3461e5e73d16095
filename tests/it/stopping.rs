//! SIGTERM, under load: nothing that was acknowledged is lost, nothing that was begun is cut off.

use crate::bad_input::connect;
use crate::common::{BINARY, COLLECTION, GROUP, every_store, instance, path};
use http::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

fn with(flags: &[&str]) -> ServerOptions {
    let mut options = ServerOptions::new(BINARY);
    options.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    options
}

/// The names of what one writer has sent.
#[derive(Default)]
struct Sent {
    acknowledged: Vec<String>,
    /// The server has said in its last GOAWAY frame that it did not look at this (RFC 9113, 6.8).
    refused: Option<String>,
}

/// A client that sends while GOAWAY with NO_ERROR is on its way finds its request among those that were not looked at. Of one
/// that was, h2 would say that the connection broke.
const GOAWAY: &str = "connection error received: not a result of an error";

/// Writes until nobody takes anything any more.
async fn write_until_the_end(client: Client, writer: usize, done: Arc<AtomicUsize>) -> Sent {
    let mut all = Sent::default();
    for i in 0.. {
        let name = format!("w{writer}-{i}");
        let sent = client.try_request(Method::POST, COLLECTION, Some("application/json"), instance(&name).to_string()).await;
        match sent {
            Ok(response) => {
                response.expect(201);
                all.acknowledged.push(name);
                done.fetch_add(1, Ordering::Relaxed);
            }
            // Nothing was sent: there was no connection, or it was closing and took no new request.
            Err(why) if why.contains("(Connect)") || why.contains("operation was canceled") => break,
            Err(why) if why.contains(GOAWAY) => {
                all.refused = Some(name);
                break;
            }
            Err(why) => panic!("a request was cut off: {why}"),
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing() {
    for mut stand in every_store().await {
        let server = &mut stand.server;
        let done = Arc::new(AtomicUsize::new(0));
        // Half of them on one connection, as a front proxy's clients are.
        let shared = server.admin(Protocol::Http2);
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let client = if writer % 2 == 0 { shared.clone() } else { server.admin(Protocol::Http2) };
                tokio::spawn(write_until_the_end(client, writer, Arc::clone(&done)))
            })
            .collect();
        let mut watches = Vec::new();
        for _ in 0..10 {
            watches.push(server.admin(Protocol::Http2).watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=300")).await);
        }
        let watchers: Vec<_> = watches
            .into_iter()
            .map(|mut watch| {
                tokio::spawn(async move {
                    let mut told = 0;
                    while watch.line().await.expect("an orderly end").is_some() {
                        told += 1;
                    }
                    told
                })
            })
            .collect();
        wait_for("some writes", async || done.load(Ordering::Relaxed) > 100).await;
        assert!(server.stop().await.success(), "on {}", stand.label);
        for watcher in watchers {
            assert!(watcher.await.expect("a watcher") > 0, "on {}", stand.label);
        }
        let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
        for writer in writers {
            let sent = writer.await.expect("a writer");
            acknowledged.extend(sent.acknowledged);
            refused.extend(sent.refused);
        }
        server.restart().await;
        let list = server.admin(Protocol::Http2).get(COLLECTION).await.expect(200).json();
        let names: Vec<_> = list["items"].as_array().expect("items").iter().map(|item| &item["metadata"]["name"]).collect();
        let is_there = |name: &String| names.contains(&&name.as_str().into());
        let done: Vec<_> = refused.iter().filter(|name| is_there(name)).collect();
        assert!(done.is_empty(), "said not to be looked at, and carried out on {}: {done:?}", stand.label);
        let lost: Vec<_> = acknowledged.iter().filter(|name| !is_there(name)).collect();
        assert!(lost.is_empty(), "acknowledged and lost on {}: {lost:?}", stand.label);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_answered_during_the_delay() {
    let mut server = TestServer::start(with(&["--shutdown-delay-duration", "10m"])).await;
    let (admin, anonymous) = (server.admin(Protocol::Http2), server.anonymous(Protocol::Http1));
    let mut watch = admin.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=300")).await;
    server.terminate();
    wait_for("the server to be ready no more", async || anonymous.get("/readyz").await.status == 500).await;
    let unready = anonymous.get("/readyz?verbose").await.expect(500).text();
    assert!(unready.contains("[-]shutdown failed: reason withheld") && unready.contains("[+]store ok"), "{unready}");
    anonymous.get("/livez").await.expect(200);
    admin.post(COLLECTION, &instance("late")).await.expect(201);
    assert_eq!(watch.next().await.expect("the watch goes on")["object"]["metadata"]["name"], "late");
    // The second signal does not wait for the rest of the delay.
    assert_eq!(server.stop().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_is_told_to_try_again() {
    let flags = ["--shutdown-send-retry-after", "--shutdown-watch-termination-grace-period", "100ms"];
    let mut server = TestServer::start(with(&flags)).await;
    let (admin, anonymous) = (server.admin(Protocol::Http2), server.anonymous(Protocol::Http1));
    let mut watch = admin.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=300")).await;
    // A request whose body is still to come.
    let body = instance("slow").to_string();
    let mut slow = connect(&server).await;
    let head = format!(
        "POST {COLLECTION} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        server.admin_token(),
        body.len()
    );
    slow.write_all(head.as_bytes()).await.expect("a server");
    slow.read_exact(&mut [0; 12]).await.expect("100 Continue");

    server.terminate();
    wait_for("newcomers to be refused", async || anonymous.get(GROUP).await.status == 429).await;
    for client in [&anonymous, &admin] {
        let refused = client.get(COLLECTION).await.expect(429);
        assert_eq!(refused.header("retry-after"), "5");
        assert_eq!(refused.json()["message"], "The apiserver is shutting down, please try again later.");
    }
    assert_eq!(anonymous.get(GROUP).await.header("connection"), "close");
    anonymous.get("/livez").await.expect(200);
    anonymous.get("/readyz").await.expect(500);
    assert_eq!(watch.line().await, Ok(None), "watches end meanwhile");

    slow.write_all(body.as_bytes()).await.expect("a server");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("an answer, and its end");
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    assert!(server.ended().await.success());
    server.restart().await;
    server.admin(Protocol::Http1).get(&path("slow")).await.expect(200);
}
