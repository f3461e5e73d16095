//! etcd goes away under load and comes back: clear errors meanwhile, work afterwards, and no gap in any watch.

use crate::common::{COLLECTION, instance, on_etcd, path};
use http::Method;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use vci_testkit::client::Protocol;
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::TestServer;
use vci_testkit::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn etcd_may_stop_and_start_under_load() {
    for (label, binary) in etcd::available() {
        let mut etcd = Etcd::spawn(&binary).await;
        let server = TestServer::start(on_etcd(&etcd)).await;
        let client = server.admin(Protocol::Http2);
        let mut watch = client.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=300")).await;

        let (stop, sent, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (client, stop, sent, failed) = (client.clone(), Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&failed));
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let name = format!("w{writer}-{}", sent.fetch_add(1, Ordering::Relaxed));
                        let body = instance(&name).to_string();
                        let response =
                            client.request(Method::POST, &format!("{COLLECTION}?timeout=5s"), Some("application/json"), body).await;
                        match response.status.as_u16() {
                            201 => acknowledged.push(name),
                            code => {
                                let status = response.json();
                                assert_eq!(status["kind"], "Status", "{code} {status}");
                                assert!([500, 503, 504].contains(&code), "{code} {status}");
                                failed.fetch_add(1, Ordering::Relaxed);
                                tokio::time::sleep(Duration::from_millis(50)).await;
                            }
                        }
                    }
                    acknowledged
                })
            })
            .collect();

        wait_for("some writes", async || sent.load(Ordering::Relaxed) > 50).await;
        etcd.stop().await;
        wait_for("writes to fail", async || failed.load(Ordering::Relaxed) > 0).await;
        // What the cache holds can still be read by those who say that it may be old.
        client.get(&format!("{COLLECTION}?resourceVersion=0")).await.expect(200);
        let ready = client.get("/readyz").await;
        assert_eq!(ready.status.as_u16(), 500, "readiness on {label}: {}", ready.text());
        etcd.start().await;
        let seen = sent.load(Ordering::Relaxed);
        wait_for("writes to work again", async || {
            client.post(COLLECTION, &instance(&format!("after-{}", sent.fetch_add(1, Ordering::Relaxed)))).await.status == 201
                && sent.load(Ordering::Relaxed) > seen + 50
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = BTreeSet::new();
        for writer in writers {
            acknowledged.extend(writer.await.expect("a writer"));
        }
        client.post(COLLECTION, &instance("last")).await.expect(201);

        let (mut added, mut version) = (BTreeSet::new(), 0);
        loop {
            let event = watch.next().await.expect("the watch goes on");
            assert_eq!(event["type"], "ADDED", "{event}");
            let metadata = &event["object"]["metadata"];
            let at: u64 = metadata["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a version");
            assert!(at > version, "events go backwards on {label}");
            version = at;
            let name = metadata["name"].as_str().unwrap_or("").to_owned();
            if name == "last" {
                break;
            }
            assert!(added.insert(name), "an event came twice on {label}");
        }
        let lost: Vec<_> = acknowledged.difference(&added).collect();
        assert!(lost.is_empty(), "acknowledged but never told on {label}: {lost:?}");
        client.get(&path("last")).await.expect(200);
    }
}
