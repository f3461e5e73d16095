//! Bad input: a clear Status each, nothing stored, memory flat.

use crate::common::{COLLECTION, GROUP, embedded, instance, path};
use http::Method;
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol, Response};

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
    let nested = format!("{{\"spec\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let table: Vec<(&str, &str, String, u16, &str)> = vec![
        ("cut JSON", JSON, "{".into(), 400, "BadRequest"),
        ("no JSON", JSON, "hello".into(), 400, "BadRequest"),
        ("empty", JSON, String::new(), 400, "BadRequest"),
        ("a list", JSON, "[]".into(), 400, "BadRequest"),
        ("two documents", JSON, format!("{}{}", instance("a"), instance("b")), 400, "BadRequest"),
        ("bad YAML", YAML, "a: [1".into(), 400, "BadRequest"),
        ("10,000 nested arrays", JSON, nested.clone(), 400, "BadRequest"),
        ("10,000 nested arrays in YAML", YAML, nested, 400, "BadRequest"),
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
