//! Bad input: a clear Status each, nothing stored, memory flat.

use crate::common::{BINARY, COLLECTION, GROUP, embedded, instance, path};
use base64::Engine as _;
use http::Method;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vci_testkit::client::{Client, Protocol, Response};
use vci_testkit::server::{ServerOptions, TestServer};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

async fn post(client: &Client, media: &str, body: impl Into<bytes::Bytes>) -> Response {
    client.request(Method::POST, COLLECTION, Some(media), body).await
}

fn assert_status(response: &Response, code: u16, reason: &str, what: &str) {
    let status = response.json();
    assert_eq!(response.status.as_u16(), code, "{what}: {status}");
    assert_eq!(status["kind"], "Status", "{what}: {status}");
    assert_eq!(status["status"], "Failure", "{what}");
    assert_eq!(status["code"], code, "{what}");
    assert_eq!(status["reason"], reason, "{what}: {status}");
    assert!(status["message"].as_str().is_some_and(|m| !m.is_empty()), "{what} has no message");
}

fn with(pointer: &str, value: Value) -> String {
    let mut object = instance("bad");
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).and_then(Value::as_object_mut).expect("a parent").insert(field.into(), value);
    object.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_body_gets_its_status_and_stores_nothing() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let reference = |fields: Value| with("/metadata/ownerReferences", json!([fields]));
    let nest = |levels: usize| format!("{{\"spec\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let nested = nest(10_000);
    let table: Vec<(&str, &str, String, u16, &str)> = vec![
        ("cut JSON", JSON, "{".into(), 400, "BadRequest"),
        ("no JSON", JSON, "hello".into(), 400, "BadRequest"),
        ("empty", JSON, String::new(), 400, "BadRequest"),
        ("a list", JSON, "[]".into(), 400, "BadRequest"),
        ("two documents", JSON, format!("{}{}", instance("a"), instance("b")), 400, "BadRequest"),
        ("bad YAML", YAML, "a: [1".into(), 400, "BadRequest"),
        ("10,000 nested arrays", JSON, nested.clone(), 400, "BadRequest"),
        ("10,000 nested arrays in YAML", YAML, nested, 400, "BadRequest"),
        ("129 nested arrays in YAML", YAML, nest(129), 400, "BadRequest"),
        ("60 nested arrays in YAML", YAML, format!("# YAML\n{}", nest(60)), 400, "BadRequest"),
        ("wrong kind", JSON, with("/kind", json!("Pod")), 400, "BadRequest"),
        ("wrong version", JSON, with("/apiVersion", json!("storage.loft.sh/v1")), 400, "BadRequest"),
        ("other namespace", JSON, with("/metadata/namespace", json!("loft-p-other")), 400, "BadRequest"),
        ("wrong type", JSON, with("/spec/displayName", json!(5)), 400, "BadRequest"),
        ("no name", JSON, json!({"spec": {}}).to_string(), 422, "Invalid"),
        ("bad name", JSON, with("/metadata/name", json!("Bad_Name")), 422, "Invalid"),
        ("slash in a name", JSON, with("/metadata/name", json!("a/b")), 422, "Invalid"),
        ("dots as a name", JSON, with("/metadata/name", json!("..")), 422, "Invalid"),
        ("long name", JSON, with("/metadata/name", json!("a".repeat(254))), 422, "Invalid"),
        ("bad label", JSON, with("/metadata/labels", json!({"-bad-": "ok"})), 422, "Invalid"),
        ("bad label value", JSON, with("/metadata/labels", json!({"ok": "not ok!"})), 422, "Invalid"),
        ("bad annotation", JSON, with("/metadata/annotations", json!({"sp ace": "x"})), 422, "Invalid"),
        ("huge annotations", JSON, with("/metadata/annotations", json!({"a": "x".repeat(300_000)})), 422, "Invalid"),
        ("bad finalizer", JSON, with("/metadata/finalizers", json!(["not a name"])), 422, "Invalid"),
        ("bad owner reference", JSON, reference(json!({"apiVersion": "v1", "kind": "", "name": "", "uid": ""})), 422, "Invalid"),
        ("both templates", JSON, with("/spec/template", json!({})), 422, "Invalid"),
        ("bad template version", JSON, with("/spec/templateRef", json!({"name": "t", "version": "1.2"})), 422, "Invalid"),
        ("rule without role", JSON, with("/spec/extraAccessRules", json!([{"users": ["a"]}])), 422, "Invalid"),
        ("unknown media type", "text/plain", "hello".into(), 415, "UnsupportedMediaType"),
        ("a form", "application/x-www-form-urlencoded", instance("a").to_string(), 415, "UnsupportedMediaType"),
    ];
    for (what, media, body, code, reason) in table {
        assert_status(&post(&client, media, body).await, code, reason, what);
    }
    let list = client.get(COLLECTION).await.expect(200).json();
    assert_eq!(list["items"], json!([]), "something was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn field_validation_says_what_is_unknown_and_double() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let body = r#"{"apiVersion":"management.loft.sh/v1","kind":"VirtualClusterInstance","metadata":{"name":"dup"},
        "spec":{"displayName":"a","displayName":"b","nope":1,"access":[{"verbs":["get"],"extra":true}]}}"#;
    let send = async |validation: &str| {
        client.request(Method::POST, &format!("{COLLECTION}?dryRun=All&fieldValidation={validation}"), Some(JSON), body).await
    };
    let strict = send("Strict").await;
    assert_status(&strict, 400, "BadRequest", "strict");
    let message = strict.json()["message"].as_str().expect("a message").to_owned();
    for part in ["unknown field \"spec.nope\"", "unknown field \"spec.access[0].extra\"", "duplicate field \"spec.displayName\""] {
        assert!(message.contains(part), "no {part} in {message}");
    }
    let warned = send("Warn").await.expect(201);
    let warnings: Vec<_> = warned.headers.get_all("warning").iter().filter_map(|w| w.to_str().ok()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|w| w.starts_with("299 - \"")), "{warnings:?}");
    assert!(warned.json()["spec"].get("nope").is_none(), "an unknown field was kept");
    assert!(send("Ignore").await.expect(201).headers.get("warning").is_none());
    assert_status(&send("Maybe").await, 422, "Invalid", "a wrong fieldValidation");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_and_alias_bombs_cost_nothing() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    client.post(COLLECTION, &instance("witness")).await.expect(201);
    let before = resident_kib(server.pid());

    let over = format!("{{\"spec\":{{\"parameters\":\"{}\"}}}}", "x".repeat(3 * 1024 * 1024));
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")));
    }
    for _ in 0..20 {
        assert_status(&post(&client, JSON, over.clone()).await, 413, "RequestEntityTooLarge", "over 3 MiB");
        assert_status(&post(&client, YAML, bomb.clone()).await, 400, "BadRequest", "alias bomb");
    }
    let after = resident_kib(server.pid());
    assert!(after < before + 64 * 1024, "resident memory went from {before} to {after} KiB");
    client.get(&path("witness")).await.expect(200);
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_paths_and_methods_are_told_apart() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    client.post(COLLECTION, &instance("one")).await.expect(201);
    let table = [
        (Method::GET, format!("{GROUP}/namespaces/loft-p-my-project/unknowns"), 404),
        (Method::GET, "/apis/unknown.loft.sh/v1".to_owned(), 404),
        (Method::GET, "/nowhere".to_owned(), 404),
        (Method::GET, path("one/nothing"), 404),
        (Method::POST, path("one"), 405),
        (Method::PUT, COLLECTION.to_owned(), 405),
        (Method::DELETE, path("one/status"), 405),
        (Method::GET, format!("{COLLECTION}?labelSelector=!!"), 400),
        (Method::GET, format!("{COLLECTION}?fieldSelector=spec.nope=1"), 400),
        (Method::GET, format!("{COLLECTION}?resourceVersion=abc"), 400),
        (Method::GET, format!("{COLLECTION}?continue=abc"), 400),
        (Method::GET, format!("{COLLECTION}?resourceVersionMatch=Exact"), 422),
        (Method::GET, path("one?resourceVersion=abc"), 400),
        (Method::GET, path("%2e%2e"), 404),
    ];
    for (method, path, code) in table {
        let response = client.request(method.clone(), &path, Some(JSON), "").await;
        assert_eq!(response.status.as_u16(), code, "{method} {path}: {}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_headers_wish_is_refused_and_not_passed_over() {
    let server = embedded().await;
    let admin = server.admin(Protocol::Http2);
    let dry = format!("{COLLECTION}?dryRun=All");
    for (encoding, code) in [("identity", 201), ("gzip", 415), ("br", 415), ("identity, gzip", 415)] {
        let response = admin.header(http::header::CONTENT_ENCODING, encoding).post(&dry, &instance("e")).await;
        assert_eq!(response.status.as_u16(), code, "{encoding}: {}", response.text());
    }
    for name in ["impersonate-group", "impersonate-joined-group", "impersonate-uid", "impersonate-extra-scopes", "impersonate-more"] {
        let response = admin.header(http::HeaderName::from_static(name), "somebody").get(COLLECTION).await;
        assert_status(&response, 400, "BadRequest", name);
    }
    let response = admin.header(http::HeaderName::from_static("impersonate-user"), "somebody").get(COLLECTION).await;
    assert_status(&response, 403, "Forbidden", "acting for somebody without rights");
    assert!(response.text().contains("User \\\"somebody\\\" cannot list"), "{}", response.text());
    let nobody = server.anonymous(Protocol::Http1);
    for name in ["x-remote-user", "x-remote-group", "x-remote-uid", "x-remote-extra-scopes"] {
        let response = nobody.header(http::HeaderName::from_static(name), "system:masters").get(COLLECTION).await;
        assert_status(&response, 401, "Unauthorized", name);
    }
}

/// A bare TLS connection.
pub(crate) async fn connect(server: &TestServer) -> TlsStream<TcpStream> {
    connect_for(server, &[]).await
}

/// A bare TLS connection that offers these protocols.
pub(crate) async fn connect_for(server: &TestServer, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(server.ca_pem().as_bytes()) {
        roots.add(root.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let address = server.base_url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = "127.0.0.1".try_into().expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
}

/// What raw bytes are answered: the status, or 0 when there is none.
async fn answer_to(server: &TestServer, request: &[u8]) -> u16 {
    let mut stream = connect(server).await;
    // The server may answer, and close, before it has read everything.
    let _ = stream.write_all(request).await;
    let mut read = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), async {
        while read.len() < 12 && stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    String::from_utf8_lossy(&read).split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_servers_could_read_differently_are_refused() {
    let server = embedded().await;
    let token = server.admin_token();
    let one = format!("Host: x\r\nAuthorization: Bearer {token}\r\n");
    let get = |rest: &str| format!("GET {COLLECTION} HTTP/1.1\r\n{one}{rest}\r\n");
    let post = |rest: &str| format!("POST {COLLECTION}?dryRun=All HTTP/1.1\r\n{one}Content-Type: application/json\r\n{rest}");
    let body = r#"{"metadata":{"name":"raw"}}"#;
    let cases = [
        ("nothing odd", get(""), 200),
        ("a body", post(&format!("Content-Length: {}\r\n\r\n{body}", body.len())), 201),
        ("a second key", get(&format!("Authorization: Bearer {token}\r\n")), 401),
        ("a folded header", get("X: a\r\n b\r\n"), 400),
        ("a space before the colon", get("X : a\r\n"), 400),
        ("NUL in a header", get("X: a\0b\r\n"), 400),
        ("two lengths", post(&format!("Content-Length: {}\r\nContent-Length: 2\r\n\r\n{body}", body.len())), 400),
        ("a signed length", post(&format!("Content-Length: +{}\r\n\r\n{body}", body.len())), 400),
        ("an unknown transfer encoding", post(&format!("Transfer-Encoding: xchunked\r\n\r\n{body}")), 400),
        ("a chunk too long to count", post(&format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{body}")), 400),
        ("very many headers", get(&"X: y\r\n".repeat(5000)), 431),
        ("a very large header", get(&format!("X: {}\r\n", "y".repeat(2 << 20))), 431),
        ("a very long query", format!("GET {COLLECTION}?labelSelector={} HTTP/1.1\r\n{one}\r\n", "a".repeat(200_000)), 414),
        ("HTTP/0.9", "GET /version\r\n\r\n".to_owned(), 400),
    ];
    for (what, request, want) in cases {
        assert_eq!(answer_to(&server, request.as_bytes()).await, want, "{what}");
    }
    server.admin(Protocol::Http2).get(COLLECTION).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_queries_have_no_back_doors() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(
        "{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: eve}}\n---\n\
         {apiVersion: management.loft.sh/v1, kind: Project, metadata: {name: eves}, spec: {members: [{kind: User, name: eve, clusterRole: viewer}]}}\n---\n\
         {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: eve}, spec: {user: eve, key: key-of-eve}}\n"
            .into(),
    );
    let server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http2);
    admin.post(COLLECTION, &instance("secret")).await.expect(201);
    let foreign = admin.get(&format!("{COLLECTION}?limit=1")).await.expect(200).json();
    let revision = foreign["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned();
    let own = format!("{GROUP}/namespaces/loft-p-eves/virtualclusterinstances");
    let token = |start: &str| {
        let json = json!({"v": "meta.k8s.io/v1", "rv": revision.parse::<u64>().expect("a number"), "start": start});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string())
    };
    let many = (0..2000).map(|n| format!("k{n}+in+(a,b,c)")).collect::<Vec<_>>().join(",");
    let paths = [
        format!("{own}/../../loft-p-my-project/virtualclusterinstances/secret"),
        format!("{own}/%2e%2e/%2e%2e/loft-p-my-project/virtualclusterinstances/secret"),
        format!("{own}/..%2f..%2floft-p-my-project%2fvirtualclusterinstances%2fsecret"),
        format!("{GROUP}/namespaces/loft-p-eves%2F..%2Floft-p-my-project/virtualclusterinstances"),
        format!("{GROUP}/namespaces//virtualclusterinstances"),
        format!("{own}/a%00b"),
        format!("{own}/%ff"),
        format!("{own}/a%"),
        format!("/healthz/..{GROUP}/ownedaccesskeys"),
        format!("/healthz/..%2f{}/ownedaccesskeys", &GROUP[1..]),
        format!("/openapi/../{}/ownedaccesskeys", &GROUP[1..]),
        format!("/kubernetes/management/kubernetes/management{GROUP}/ownedaccesskeys"),
        format!("//{}/ownedaccesskeys", &GROUP[1..]),
        format!("{GROUP}/watch/users"),
        format!("{GROUP}/proxy/ownedaccesskeys"),
        format!("{GROUP}/namespaces/loft-p-eves/ownedaccesskeys"),
        format!("{GROUP}/ownedaccesskeys?fieldSelector=metadata.name=eve"),
        format!("{GROUP}/users/admin"),
        format!("{own}?continue={}", token("loft-p-my-project/secret")),
        format!("{own}?fieldSelector=metadata.namespace=loft-p-my-project"),
        format!("{own}?labelSelector={many}"),
        format!("{GROUP}/virtualclusterinstances?continue={}", token("loft-p-my-project/secret")),
        format!("{GROUP}/virtualclusterinstances?fieldSelector=metadata.namespace=loft-p-my-project"),
        format!("/{}", "a/".repeat(20_000)),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let eve = server.anonymous(protocol).bearer("key-of-eve");
        for path in &paths {
            let shown: String = path.chars().take(120).collect();
            let response = eve.get(path).await;
            let text = response.text();
            assert!(!text.contains("\"displayName\""), "{shown}: {text}");
            // Of all that is there she has one key.
            let hers =
                |item: &Value| item["metadata"]["name"] == "eve" && item["spec"]["user"] == "eve" && item["kind"] == "OwnedAccessKey";
            let items = || response.json()["items"].as_array().is_some_and(|items| items.iter().all(hers));
            let harmless = response.status.is_client_error() || items();
            assert!(harmless, "{shown}: {} {text}", response.status);
        }
    }
    assert!(!server.logs().contains("panic"), "{}", server.logs());
}
