//! Two servers on one etcd: each serves the other's writes, conflicts and watches, also of what it did not see happen.

use crate::common::{COLLECTION, MERGE, instance, on_etcd, path};
use apiserver_store::{ProgressSupport, Store};
use apiserver_store_etcd::{EtcdConfig, EtcdStore, Timeouts};
use serde_json::json;
use std::time::Duration;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::proxy::{Network, Proxy};
use vci_testkit::server::TestServer;

/// The first admin's key lives where the first server keeps it; a key from a file opens both.
const ROOT: &str = "{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: root}, spec: {groups: [\"system:masters\"]}}\n---\n\
    {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: root}, spec: {user: root, key: root-key}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_one_api() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        options.bootstrap = Some(ROOT.into());
        let (one, two) = (TestServer::start(options.clone()).await, TestServer::start(options).await);
        let (a, b) = (root(&one), root(&two));

        let mut watch = b.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=60")).await;
        for i in 0..50 {
            let name = format!("r{i}");
            let (writer, reader) = if i % 2 == 0 { (&a, &b) } else { (&b, &a) };
            let created = writer.post(COLLECTION, &instance(&name)).await.expect(201).json();
            // A read without a resourceVersion is never older than a write that was answered, whoever answered it.
            let read = reader.get(&path(&name)).await.expect(200).json();
            assert_eq!(read, created, "on {label}");
            let list = reader.get(COLLECTION).await.expect(200).json();
            assert_eq!(list["items"].as_array().map(Vec::len), Some(i + 1), "on {label}");
            writer.patch(&path(&name), MERGE, &json!({"spec": {"displayName": "x"}})).await.expect(200);
            let stale = reader.put(&path(&name), &created).await.expect(409).json();
            assert_eq!(stale["reason"], "Conflict");
        }
        let mut events = Vec::new();
        while events.len() < 100 {
            let event = watch.next().await.expect("the watch goes on");
            events.push((
                event["type"].as_str().unwrap_or("").to_owned(),
                event["object"]["metadata"]["name"].as_str().unwrap_or("").to_owned(),
            ));
        }
        let expected: Vec<_> =
            (0..50).flat_map(|i| [("ADDED".to_owned(), format!("r{i}")), ("MODIFIED".to_owned(), format!("r{i}"))]).collect();
        assert_eq!(events, expected, "on {label}");
    }
}

fn root(server: &TestServer) -> Client {
    server.anonymous(Protocol::Http2).bearer("root-key")
}

async fn revision(client: &Client) -> String {
    let list = client.get(COLLECTION).await.expect(200).json();
    list["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned()
}

async fn store(etcd: &Etcd) -> EtcdStore {
    let config =
        EtcdConfig { endpoints: vec![etcd.endpoint().into()], prefix: "/registry".into(), tls: None, timeouts: Timeouts::default() };
    EtcdStore::connect(&config).await.expect("an etcd")
}

/// A server has from the store what happened before it was there: clients of another one go on at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_resumes_the_watches_of_another() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        options.bootstrap = Some(ROOT.into());
        let one = TestServer::start(options.clone()).await;
        let a = root(&one);
        a.post(COLLECTION, &instance("kept")).await.expect(201);
        a.post(COLLECTION, &instance("gone")).await.expect(201);
        let first = revision(&a).await;
        a.patch(&path("kept"), MERGE, &json!({"spec": {"displayName": "changed"}})).await.expect(200);
        let second = revision(&a).await;
        a.delete(&path("gone")).await.expect(200);
        a.post(COLLECTION, &instance("new")).await.expect(201);

        let two = TestServer::start(options.clone()).await;
        let b = root(&two);
        let from = |revision: &str| format!("{COLLECTION}?watch=1&timeoutSeconds=60&resourceVersion={revision}");
        if store(&etcd).await.progress_support() == ProgressSupport::Unreliable {
            // Such an etcd cannot say when its history is told to the end.
            assert_eq!(b.watch(&from(&first)).await.next().await.expect("an error")["object"]["code"], 410, "on {label}");
            continue;
        }
        let all = [("MODIFIED", "kept"), ("DELETED", "gone"), ("ADDED", "new")];
        for (revision, missed) in [(&first, &all[..]), (&second, &all[1..])] {
            // The two tell the same, to the byte.
            let (mut at_one, mut at_two) = (a.watch(&from(revision)).await, b.watch(&from(revision)).await);
            for (kind, name) in missed {
                let event = at_two.next().await.expect("an event");
                assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!(kind), &json!(name)), "on {label}: {event}");
                assert_eq!(at_one.next().await, Some(event), "on {label}");
            }
        }

        // What the store has forgotten, nobody who comes later can know.
        store(&etcd).await.compact(second.parse().expect("a number")).await.expect("a compaction");
        let three = TestServer::start(options).await;
        let c = root(&three);
        let refused = c.watch(&from(&first)).await.next().await.expect("an error");
        assert_eq!((&refused["type"], &refused["object"]["code"]), (&json!("ERROR"), &json!(410)), "on {label}: {refused}");
        let event = c.watch(&from(&second)).await.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("gone")), "on {label}: {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_missed_what_was_compacted_ends_its_watches() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let authority = etcd.endpoint().trim_start_matches("http://");
        let proxy = Proxy::to(authority).await;
        let mut options = on_etcd(&etcd);
        options.bootstrap = Some(ROOT.into());
        let one = TestServer::start(options.clone()).await;
        options.flags = vec!["--etcd-servers".into(), format!("http://{}", proxy.authority())];
        let two = TestServer::start(options).await;
        let (a, b) = (root(&one), root(&two));
        a.post(COLLECTION, &instance("gone")).await.expect(201);
        a.post(COLLECTION, &instance("kept")).await.expect(201);
        let before = revision(&b).await;
        let mut watch = b.watch(&format!("{COLLECTION}?watch=1&resourceVersion={before}")).await;
        assert_eq!(watch.within(Duration::from_millis(200)).await, None);

        proxy.turn(Network::Down);
        a.delete(&path("gone")).await.expect(200);
        a.patch(&path("kept"), MERGE, &json!({"spec": {"displayName": "changed"}})).await.expect(200);
        let store = store(&etcd).await;
        store.compact(store.revision().await.expect("a revision")).await.expect("a compaction");
        proxy.turn(Network::Up);

        let event = watch.next().await.expect("the watch tells why it ends");
        let (kind, status) = (&event["type"], &event["object"]);
        assert_eq!(
            (kind.as_str(), status["code"].as_u64(), status["reason"].as_str()),
            (Some("ERROR"), Some(410), Some("Expired")),
            "on {label}"
        );
        assert!(status["message"].as_str().is_some_and(|text| text.contains("too old resource version")), "{status}");
        assert_eq!(watch.next().await, None);
        // Who lists again knows what is there, and goes on from there at either server.
        let list = b.get(COLLECTION).await.expect(200).json();
        let names: Vec<_> = list["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]["name"]).collect();
        assert_eq!((names, &list["items"][0]["spec"]["displayName"]), (vec![&json!("kept")], &json!("changed")), "on {label}");
        let resumed = format!("{COLLECTION}?watch=1&resourceVersion={}", revision(&b).await);
        let mut watches = [a.watch(&resumed).await, b.watch(&resumed).await];
        b.post(COLLECTION, &instance("new")).await.expect(201);
        for watch in &mut watches {
            assert_eq!(watch.next().await.expect("an event")["object"]["metadata"]["name"], "new", "on {label}");
        }
    }
}
