//! `/metrics`, as a scraper sees it.

mod page;

use crate::common::{BINARY, COLLECTION, GROUP, MERGE, embedded, every_store, instance, path};
use http::Method;
use page::Page;
use serde_json::json;
use std::io::Write as _;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

const METRICS: &str = "/metrics";
const RESOURCE: (&str, &str) = ("resource", "virtualclusterinstances");

async fn scrape(client: &Client) -> Page {
    let response = client.get(METRICS).await.expect(200);
    assert!(response.header("content-type").starts_with("text/plain; version=0.0.4"), "{}", response.header("content-type"));
    Page::parse(&response.text())
}

/// Requests for instances with this verb, scope, dry run and code.
fn requests(page: &Page, verb: &str, scope: &str, dry_run: &str, code: &str) -> f64 {
    let labels = [RESOURCE, ("verb", verb), ("scope", scope), ("dry_run", dry_run), ("code", code), ("subresource", "")];
    page.value("apiserver_request_total", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_what_was_counted() {
    for stand in every_store().await {
        let (client, anonymous) = (stand.server.admin(Protocol::Http2), stand.server.anonymous(Protocol::Http1));
        let before = scrape(&client).await;
        client.post(COLLECTION, &instance("a")).await.expect(201);
        client.post(COLLECTION, &instance("a")).await.expect(409);
        client.post(&format!("{COLLECTION}?dryRun=All"), &instance("b")).await.expect(201);
        client.post(&format!("{COLLECTION}?dryRun=Some"), &instance("b")).await.expect(422);
        for _ in 0..3 {
            client.get(&path("a")).await.expect(200);
        }
        client.get(&path("missing")).await.expect(404);
        client.get(COLLECTION).await.expect(200);
        client.get(&format!("{COLLECTION}?limit=1&fieldSelector=metadata.name%3Da")).await.expect(200);
        client.get(&format!("{GROUP}/virtualclusterinstances")).await.expect(200);
        let whole = client.get(&path("a")).await.expect(200).json();
        client.put(&path("a"), &whole).await.expect(200);
        client.patch(&path("a"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
        let applied = json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "spec": {"description": "x"}});
        client.patch(&format!("{}?fieldManager=m", path("a")), "application/apply-patch+yaml", &applied).await.expect(200);
        client.get(&format!("{}/status", path("a"))).await.expect(200);
        anonymous.get(&path("a")).await.expect(401);
        client.request(Method::OPTIONS, COLLECTION, None, "").await.expect(405);
        client.delete(&path("a")).await.expect(200);
        client.delete(COLLECTION).await.expect(200);
        for n in 0..5 {
            client.get(&format!("/apis/made.up/v{n}/things-{n}")).await.expect(404);
            client.get(&format!("{GROUP}/things-{n}")).await.expect(404);
        }
        let page = scrape(&client).await;
        for (verb, scope, dry_run, code, count) in [
            ("POST", "resource", "", "201", 1.0),
            ("POST", "resource", "", "409", 1.0),
            ("POST", "resource", "All", "201", 1.0),
            ("POST", "resource", "invalid", "422", 1.0),
            ("GET", "resource", "", "200", 4.0),
            ("GET", "resource", "", "404", 1.0),
            ("GET", "resource", "", "401", 1.0),
            ("LIST", "namespace", "", "200", 2.0),
            ("LIST", "cluster", "", "200", 1.0),
            ("PUT", "resource", "", "200", 1.0),
            ("PATCH", "resource", "", "200", 1.0),
            ("APPLY", "resource", "", "200", 1.0),
            ("DELETE", "resource", "", "200", 1.0),
            ("DELETE", "namespace", "", "200", 1.0),
            ("other", "namespace", "", "405", 1.0),
        ] {
            assert_eq!(requests(&page, verb, scope, dry_run, code), count, "{verb} {scope} {dry_run:?} {code} on {}", stand.label);
        }
        let all = page.value("apiserver_request_total", &[RESOURCE]);
        assert_eq!(all, 20.0, "on {}", stand.label);
        assert_eq!(page.value("apiserver_request_duration_seconds_count", &[RESOURCE]), all);
        let elsewhere = [("resource", ""), ("subresource", ""), ("code", "404")];
        assert_eq!(page.value("apiserver_request_total", &elsewhere), 10.0, "made-up names have no series of their own");
        assert_eq!(page.value("apiserver_request_total", &[("subresource", METRICS)]), 1.0, "the page before this one");
        let bodies = |verb| page.value("apiserver_request_body_size_bytes_count", &[RESOURCE, ("verb", verb)]);
        assert_eq!([bodies("create"), bodies("update"), bodies("patch")], [3.0, 1.0, 2.0], "on {}", stand.label);
        let grown = |name: &str, labels: &[(&str, &str)]| page.value(name, labels) - before.value(name, labels);
        // This page's own caller was known before it was written.
        assert_eq!(grown("authentication_attempts", &[("result", "success")]), 31.0, "on {}", stand.label);
        assert_eq!(grown("authorization_attempts_total", &[("result", "no-opinion")]), 1.0);
        assert_eq!(grown("authenticated_user_requests", &[("username", "admin")]), 30.0);
        let stored = |operation| page.value("etcd_requests_total", &[RESOURCE, ("operation", operation)]);
        assert_eq!([stored("create"), stored("delete")], [2.0, 1.0], "one of them found the name taken, on {}", stand.label);
        assert!(stored("update") >= 2.0);
        assert!(page.value("apiserver_storage_size_bytes", &[]) > 0.0, "on {}", stand.label);
        let events = page.value("apiserver_watch_cache_events_dispatched_total", &[RESOURCE]);
        assert_eq!(events, 1.0 + stored("update") + 1.0, "on {}", stand.label);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_count_while_they_are_open_and_when_they_end() {
    for stand in every_store().await {
        let client = stand.server.admin(Protocol::Http2);
        client.post(COLLECTION, &instance("w")).await.expect(201);
        let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=60";
        let mut watch = client.watch(&format!("{COLLECTION}?{query}")).await;
        let added = watch.next().await.expect("an event");
        watch.next().await.expect("a bookmark");
        let open = [RESOURCE, ("verb", "WATCH"), ("scope", "namespace")];
        let page = scrape(&client).await;
        assert_eq!(page.value("apiserver_longrunning_requests", &open), 1.0, "on {}", stand.label);
        assert_eq!(page.value("apiserver_watch_list_duration_seconds_count", &[RESOURCE, ("scope", "namespace")]), 1.0);
        assert_eq!(page.value("apiserver_watch_events_total", &[RESOURCE]), 2.0);
        assert!(page.value("apiserver_watch_events_sizes_sum", &[RESOURCE]) > added.to_string().len() as f64 / 2.0);
        assert_eq!(page.value("apiserver_init_events_total", &[RESOURCE]), 1.0);
        assert_eq!(page.value("apiserver_current_inflight_requests", &[("request_kind", "readOnly")]), 1.0, "the scrape alone");
        assert_eq!(requests(&page, "WATCH", "namespace", "", "200"), 0.0);
        drop(watch);
        wait_for("the end of the watch", async || {
            let page = scrape(&client).await;
            let ended = requests(&page, "WATCH", "namespace", "", "200");
            ended == 1.0 && page.value("apiserver_longrunning_requests", &open) == 0.0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_labels_are_upstreams() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    client.post(COLLECTION, &instance("n")).await.expect(201);
    client.get(COLLECTION).await.expect(200);
    client.get(&path("n")).await.expect(200);
    let mut watch = client.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=60")).await;
    watch.next().await.expect("an event");
    let page = scrape(&client).await;
    for (name, labels) in [
        ("apiserver_request_total", "code component dry_run group resource scope subresource verb version"),
        ("apiserver_request_duration_seconds", "component dry_run group resource scope subresource verb version"),
        ("apiserver_request_sli_duration_seconds", "component group resource scope subresource verb version"),
        ("apiserver_response_sizes", "component group resource scope subresource verb version"),
        ("apiserver_longrunning_requests", "component group resource scope subresource verb version"),
        ("apiserver_current_inflight_requests", "request_kind"),
        ("apiserver_request_body_size_bytes", "group resource verb"),
        ("apiserver_watch_events_total", "group resource version"),
        ("apiserver_watch_events_sizes", "group resource version"),
        ("apiserver_storage_objects", "resource"),
        ("apiserver_resource_objects", "group resource"),
        ("apiserver_storage_consistency_checks_total", "group resource status"),
        ("apiserver_storage_size_bytes", "storage_cluster_id"),
        ("apiserver_watch_cache_consistent_read_total", "fallback group resource success"),
        ("apiserver_watch_cache_events_dispatched_total", "group resource"),
        ("apiserver_watch_cache_read_wait_seconds", "group resource"),
        ("apiserver_watch_cache_resource_version", "group resource"),
        ("apiserver_cache_list_total", "group index resource"),
        ("apiserver_terminated_watchers_total", "group resource"),
        ("watch_cache_capacity", "group resource"),
        ("apiserver_admission_controller_admission_duration_seconds", "name operation rejected type"),
        ("apiserver_admission_step_admission_duration_seconds", "operation rejected type"),
        ("etcd_request_duration_seconds", "group operation resource"),
        ("etcd_requests_total", "group operation resource"),
        ("authentication_attempts", "result"),
        ("authentication_duration_seconds", "result"),
        ("authenticated_user_requests", "username"),
        ("authorization_attempts_total", "result"),
        ("authorization_duration_seconds", "result"),
        ("process_cpu_seconds_total", ""),
        ("process_resident_memory_bytes", ""),
        ("process_open_fds", ""),
        ("process_max_fds", ""),
        ("process_start_time_seconds", ""),
        ("apiserver_tls_handshake_errors_total", ""),
        ("kubernetes_build_info", "build_date compiler git_commit git_tree_state git_version go_version major minor platform"),
    ] {
        assert!(page.names().contains(&name), "no {name} among {:?}", page.names());
        assert_eq!(page.labels(name).join(" "), labels, "{name}");
    }
    assert_eq!(page.value("apiserver_storage_objects", &[("resource", "virtualclusterinstances.management.loft.sh")]), 1.0);
    let paths = client.get("/").await.expect(200).json();
    assert!(paths["paths"].as_array().is_some_and(|paths| paths.contains(&json!(METRICS))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_is_counted() {
    let server = embedded().await;
    let address = server.base_url().trim_start_matches("https://").to_owned();
    let plain = std::net::TcpStream::connect(address).expect("a connection");
    (&plain).write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("is sent");
    let client = server.admin(Protocol::Http1);
    wait_for("the count", async || scrape(&client).await.value("apiserver_tls_handshake_errors_total", &[]) == 1.0).await;
}

const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: una}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: una}
spec: {user: una, key: key-of-una}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: scraper}
spec: {user: admin, key: key-of-scraper, scope: {roles: [{role: metrics-reader}]}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_for_those_who_may_see_it() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.into());
    let server = TestServer::start(options).await;
    let anonymous = server.anonymous(Protocol::Http2);
    let with = |key| anonymous.bearer(key);
    anonymous.get(METRICS).await.expect(401);
    with("made-up").get(METRICS).await.expect(401);
    with("key-of-una").get(METRICS).await.expect(403);
    let scraper = with("key-of-scraper");
    Page::parse(&scraper.get(METRICS).await.expect(200).text());
    scraper.get(COLLECTION).await.expect(403);
    let admin = server.admin(Protocol::Http2);
    admin.post(METRICS, &json!({})).await.expect(405);
    admin.get("/kubernetes/management/metrics").await.expect(200);
    admin.get("/metrics/slis").await.expect(404);
    let head = admin.request(Method::HEAD, METRICS, None, "").await.expect(200);
    assert!(head.body.is_empty());
}
