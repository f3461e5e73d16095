//! Watches over HTTP.

use crate::common::{COLLECTION, MERGE, embedded, every_store, instance, path};
use serde_json::{Value, json};
use vci_testkit::client::{Protocol, Watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_every_change_in_order() {
    for stand in every_store().await {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = stand.server.admin(protocol);
            let start = client.get(COLLECTION).await.expect(200).json();
            let from = start["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
            // Headers come at once, though there is nothing to tell.
            let mut quiet = client.watch(&format!("{COLLECTION}?watch=true&resourceVersion={from}&timeoutSeconds=30")).await;
            client.post(COLLECTION, &instance("w")).await.expect(201);
            assert_eq!(quiet.next().await.expect("an event")["type"], "ADDED");
            let mut watch = client.watch(&format!("{COLLECTION}?watch=true&resourceVersion={from}&timeoutSeconds=30")).await;
            client.patch(&path("w"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
            client.delete(&path("w")).await.expect(200);
            let mut told = Vec::new();
            for _ in 0..3 {
                let event = watch.next().await.expect("an event");
                told.push(event["type"].as_str().unwrap_or("").to_owned());
            }
            assert_eq!(told, ["ADDED", "MODIFIED", "DELETED"], "on {}", stand.label);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_list_ends_its_state_with_a_bookmark() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30";
    for count in [0, 3] {
        for i in 0..count {
            client.post(COLLECTION, &instance(&format!("s{i}"))).await.expect(201);
        }
        let mut watch = client.watch(&format!("{COLLECTION}?{query}")).await;
        for i in 0..count {
            let event = watch.next().await.expect("an event");
            assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(format!("s{i}"))));
        }
        let end = watch.next().await.expect("a bookmark");
        assert_eq!(end["type"], "BOOKMARK");
        assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_turn_changes_into_arrivals_and_departures() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let mut watch = client.watch(&format!("{COLLECTION}?watch=1&labelSelector=tier%3Dgold&timeoutSeconds=30")).await;
    client.post(COLLECTION, &instance("sel")).await.expect(201);
    for tier in [json!("gold"), json!("lead")] {
        client.patch(&path("sel"), MERGE, &json!({"metadata": {"labels": {"tier": tier}}})).await.expect(200);
    }
    let current = client.get(&path("sel")).await.expect(200).json();
    let (arrives, leaves) = (watch.next().await.expect("an event"), watch.next().await.expect("an event"));
    assert_eq!((&arrives["type"], &leaves["type"]), (&json!("ADDED"), &json!("DELETED")));
    assert_eq!(leaves["object"]["metadata"]["labels"]["tier"], "gold", "a departure shows the object as it was");
    assert_eq!(leaves["object"]["metadata"]["resourceVersion"], current["metadata"]["resourceVersion"], "at the revision of the change");
}

/// The store still has what a client missed, so nobody lists again because of a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_leaves_no_gap_in_a_watch() {
    let mut server = embedded().await;
    for killed in [false, true] {
        let client = server.admin(Protocol::Http2);
        for name in ["kept", "gone"] {
            let labelled = json!({"metadata": {"name": name, "labels": {"tier": "gold"}}, "spec": instance(name)["spec"]});
            client.post(COLLECTION, &labelled).await.expect(201);
        }
        let known = version(&client.get(COLLECTION).await.expect(200).json());
        client.patch(&path("kept"), MERGE, &json!({"metadata": {"labels": {"tier": "lead"}}})).await.expect(200);
        client.delete(&path("gone")).await.expect(200);
        let last = version(&client.post(COLLECTION, &instance("new")).await.expect(201).json());
        if !killed {
            assert!(server.stop().await.success());
        }
        server.restart().await;

        let client = server.admin(Protocol::Http2);
        let from = |selector: &str, at: &str| format!("{COLLECTION}?watch=1&timeoutSeconds=60&resourceVersion={at}{selector}");
        let mut all = client.watch(&from("", &known)).await;
        let mut gold = client.watch(&from("&labelSelector=tier%3Dgold", &known)).await;
        let mut nothing = client.watch(&from("", &last)).await;
        client.post(COLLECTION, &instance("later")).await.expect(201);
        assert_eq!(words(&mut all, 4).await, ["MODIFIED kept", "DELETED gone", "ADDED new", "ADDED later"]);
        assert_eq!(words(&mut gold, 2).await, ["DELETED kept", "DELETED gone"], "what left the selection, and what was deleted");
        assert_eq!(words(&mut nothing, 1).await, ["ADDED later"]);
        for name in ["kept", "new", "later"] {
            client.delete(&path(name)).await.expect(200);
        }
    }
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
}

async fn words(watch: &mut Watch, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..count {
        let event = watch.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or("");
        told.push(format!("{} {name}", event["type"].as_str().unwrap_or("")));
    }
    told
}

/// The aggregation layer sends the requests of all users over one connection, and a watch holds a stream of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watches_share_a_connection() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let from = client.get(COLLECTION).await.expect(200).json()["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let url = format!("{COLLECTION}?watch=true&resourceVersion={from}&timeoutSeconds=60");
    let mut watches = Vec::new();
    for _ in 0..999 {
        watches.push(client.watch(&url).await);
    }
    client.post(COLLECTION, &instance("w")).await.expect(201);
    for watch in &mut watches {
        assert_eq!(watch.next().await.expect("an event")["object"]["metadata"]["name"], "w");
    }
}
