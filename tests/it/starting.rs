//! What a server answers that has no store: yet, or for the moment.

use crate::common::{COLLECTION, GROUP, instance, on_etcd, path};
use http::header::{ACCEPT, HeaderName};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vci_testkit::certs::Authority;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::TestServer;
use vci_testkit::wait_for;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What a cluster and its operators ask a server for, whatever is going on.
async fn answers_from_memory(client: &Client) {
    for path in ["/apis", "/apis/management.loft.sh", GROUP, "/version", "/livez", "/healthz", "/"] {
        client.get(path).await.expect(200);
    }
    let kinds = client.get(GROUP).await.expect(200).json();
    assert!(kinds["resources"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["name"] == "virtualclusterinstances")));
    let groups = client.header(ACCEPT, AGGREGATED).get("/apis").await.expect(200).json();
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_etcd_is_still_to_come_says_so() {
    for (label, binary) in etcd::available() {
        let mut etcd = Etcd::spawn(&binary).await;
        let proxies = Authority::new("proxies");
        let mut options = on_etcd(&etcd);
        options.flags.extend(["--requestheader-client-ca-file".into(), proxies.file().display().to_string()]);
        let mut server = TestServer::start(options).await;
        let admin = server.admin(Protocol::Http2);
        let kept = admin.post(COLLECTION, &instance("kept")).await.expect(201).json();
        server.stop().await;
        etcd.stop().await;

        server.restart_unready().await;
        let (admin, anonymous) = (server.admin(Protocol::Http2), server.anonymous(Protocol::Http2));
        answers_from_memory(&anonymous).await;
        // A cluster's proxy is known without the store: by its certificate.
        let proxy = Client::with_certificate(server.base_url(), &server.ca_pem(), Protocol::Http2, &proxies.client("front-proxy", &[]));
        let aggregator = proxy.header(HeaderName::from_static("x-remote-user"), "system:aggregator");
        answers_from_memory(&aggregator).await;
        for path in ["/openapi/v2", "/openapi/v3"] {
            aggregator.get(path).await.expect(200);
        }
        let unready = anonymous.get("/readyz").await.expect(500).text();
        for check in ["etcd", "poststarthook/storage-readiness", "poststarthook/first-objects"] {
            assert!(unready.contains(&format!("[-]{check} failed")), "{label}: {unready}");
        }
        let object = path("kept");
        for (path, client) in [(COLLECTION, &admin), (&object, &admin), (COLLECTION, &anonymous), ("/openapi/v3", &admin)] {
            let answer = client.get(path).await.expect(503);
            assert_eq!((answer.json()["reason"].as_str(), answer.header("retry-after")), (Some("ServiceUnavailable"), "1"), "{path}");
        }
        admin.post(COLLECTION, &instance("early")).await.expect(503);
        assert!(server.logs().contains("waiting for etcd"), "{}", server.logs());

        etcd.start().await;
        wait_for("the server to be ready", async || anonymous.get("/readyz").await.status == 200).await;
        assert_eq!(admin.get(&object).await.expect(200).json(), kept, "on {label}");
        admin.get("/openapi/v3").await.expect(200);
        admin.get(&path("early")).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_etcd_hangs_under_load_is_still_there() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let server = TestServer::start(on_etcd(&etcd)).await;
        let admin = server.admin(Protocol::Http2);
        admin.get(COLLECTION).await.expect(200);
        etcd.freeze();
        // More than one connection carries without waiting, if its server lets it have as many as Go's do.
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let writers: Vec<_> = (0..400)
            .map(|writer| {
                let (admin, begun, ended) = (admin.clone(), Arc::clone(&begun), Arc::clone(&ended));
                tokio::spawn(async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let answer = admin.post(&format!("{COLLECTION}?timeout=20s"), &instance(&format!("w{writer}"))).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                    answer.status.as_u16()
                })
            })
            .collect();
        wait_for("all writers to be under way", async || begun.load(Ordering::Relaxed) == writers.len()).await;
        // On the writers' connection, and on one of its own.
        answers_from_memory(&admin).await;
        answers_from_memory(&server.anonymous(Protocol::Http2)).await;
        admin.get("/openapi/v3").await.expect(200);
        assert_eq!(ended.load(Ordering::Relaxed), 0, "on {label}: the writers were to hang");
        etcd.thaw();
        for writer in writers {
            let code = writer.await.expect("a writer");
            assert!([201, 500, 503, 504].contains(&code), "{code} on {label}");
        }
    }
}
