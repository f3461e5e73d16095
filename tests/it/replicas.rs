//! Two servers on one etcd: each serves the other's writes, conflicts and watches.

use crate::common::{COLLECTION, MERGE, instance, on_etcd, path};
use serde_json::json;
use vci_testkit::client::Protocol;
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_one_api() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        // The first admin's key lives where the first server keeps it; a key from a file opens both.
        options.bootstrap = Some(
            "{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: root}, spec: {groups: [\"system:masters\"]}}\n---\n\
             {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: root}, spec: {user: root, key: root-key}}\n"
                .into(),
        );
        let (one, two) = (TestServer::start(options.clone()).await, TestServer::start(options).await);
        let (a, b) = (one.anonymous(Protocol::Http2).bearer("root-key"), two.anonymous(Protocol::Http2).bearer("root-key"));

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
