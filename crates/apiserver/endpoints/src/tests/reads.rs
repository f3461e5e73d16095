#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server, Watching};
use serde_json::{Value, json};
use std::io::Read;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

#[tokio::test]
async fn an_object_in_every_representation() {
    let server = Server::start().await;
    let made = server.create("one").await;
    let path = format!("{COLLECTION}/one");
    let plain = server.get(&path, &[]).await;
    assert_eq!(plain.json(), made);
    assert_eq!(plain.header("content-type"), "application/json");
    assert!(plain.text.ends_with("}\n") && !plain.text.contains("\n "), "compact, and one newline at the end");

    let pretty = server.get(&format!("{path}?pretty=true"), &[]).await;
    assert!(pretty.text.starts_with("{\n  \"apiVersion\": \"example.io/v1\",\n"));
    assert_eq!(pretty.json(), made);

    let yaml = server.get(&path, &[("accept", "application/yaml")]).await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(yaml.text.starts_with("apiVersion: example.io/v1\nkind: Widget\nmetadata:\n"), "{}", yaml.text);
    assert_eq!(apiserver_meta::decode::parse_yaml(&yaml.bytes).unwrap().value, made);

    let partial = server.get(&path, &[("accept", PARTIAL)]).await;
    let want = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"] });
    assert_eq!(partial.json(), want);

    let table = server.get(&path, &[("accept", TABLE)]).await.json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    assert_eq!(table["rows"], json!([{ "cells": ["one", 1], "object": want }]));

    let wrong = server.get(&path, &[("accept", PARTIAL_LIST)]).await;
    let message = "you requested PartialObjectMetadataList, but the requested object is not a list (Widget)";
    assert_eq!(wrong.failure(), (406, "NotAcceptable".into(), message.into()));
}

#[tokio::test]
async fn lists_and_pages() {
    let server = Server::start().await;
    let empty = server.get(COLLECTION, &[]).await;
    assert!(
        empty.text.starts_with(r#"{"kind":"WidgetList","apiVersion":"example.io/v1","metadata":{"resourceVersion":""#),
        "{}",
        empty.text
    );
    assert!(empty.text.ends_with("},\"items\":[]}\n"), "{}", empty.text);
    let mut made = Vec::new();
    for name in ["x", "y", "z"] {
        made.push(server.create(name).await);
    }
    let all = server.get(COLLECTION, &[]).await;
    assert_eq!(all.json()["items"], Value::from(made.clone()));
    assert_eq!(server.get("/apis/example.io/v1/widgets", &[]).await.json()["items"], Value::from(made.clone()));
    assert_eq!(server.get("/some/prefix/apis/example.io/v1/widgets/", &[]).await.json()["items"], Value::from(made.clone()));

    let page = server.get(&format!("{COLLECTION}?limit=2"), &[]).await.json();
    assert_eq!((&page["items"], &page["metadata"]["remainingItemCount"]), (&json!(made[..2]), &json!(1)));
    let token = page["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{COLLECTION}?limit=2&continue={token}"), &[]).await.json();
    assert_eq!((&rest["items"], rest["metadata"].get("continue")), (&json!(made[2..]), None));

    let table = server.get(&format!("{COLLECTION}?includeObject=None"), &[("accept", TABLE)]).await.json();
    let row = |name: &str| json!({ "cells": [name, 1], "object": null });
    assert_eq!(table["rows"], json!([row("x"), row("y"), row("z")]));
    let partial = server.get(COLLECTION, &[("accept", PARTIAL_LIST)]).await.json();
    assert_eq!((&partial["kind"], &partial["items"][1]["metadata"]), (&json!("PartialObjectMetadataList"), &made[1]["metadata"]));
    let unknown = server.get(&format!("{COLLECTION}?fieldSelector=spec.size%3D1"), &[]).await;
    assert_eq!(unknown.failure().2, r#""spec.size" is not a known field selector: only "metadata.name", "metadata.namespace""#);
    let wrong = server.get(COLLECTION, &[("accept", PARTIAL)]).await;
    assert_eq!(wrong.failure().2, "you requested PartialObjectMetadata, but the requested object is a list (WidgetList)");
}

#[tokio::test]
async fn large_lists_are_compressed_when_asked_for() {
    let server = Server::start().await;
    for name in 0..4 {
        let body = json!({ "metadata": { "name": format!("n{name}") }, "spec": { "text": "a".repeat(50_000) } });
        server.send("POST", COLLECTION, &[], body.to_string()).await;
    }
    let plain = server.get(COLLECTION, &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", ""));
    for query in ["", "?pretty=true"] {
        let plain = server.get(&format!("{COLLECTION}{query}"), &[]).await;
        let packed = server.get(&format!("{COLLECTION}{query}"), &[("accept-encoding", "deflate, gzip;q=1.0")]).await;
        assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "Accept-Encoding"), "{query}");
        assert!(packed.bytes.len() < plain.bytes.len() / 10);
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&*packed.bytes).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.text);
    }
    let one = server.get(&format!("{COLLECTION}/n1"), &[("accept-encoding", "gzip")]).await;
    assert_eq!(one.header("content-encoding"), "", "too small to be worth it");
}

#[tokio::test]
async fn watches() {
    let server = Server::start().await;
    let made = server.create("one").await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let streaming = format!("{COLLECTION}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let response = server.open("GET", &streaming, &[], "").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut watch = Watching::new(response);
    assert_eq!(watch.next().await, json!({ "type": "ADDED", "object": made }));
    let end = watch.next().await;
    let metadata =
        json!({ "resourceVersion": end["object"]["metadata"]["resourceVersion"], "annotations": { "k8s.io/initial-events-end": "true" } });
    assert_eq!(end, json!({ "type": "BOOKMARK", "object": { "kind": "Widget", "apiVersion": "example.io/v1", "metadata": metadata } }));

    let mut watch =
        Watching::new(server.open("GET", &format!("{COLLECTION}?watch=true&resourceVersion=0"), &[("accept", TABLE)], "").await);
    let first = watch.next().await;
    assert_eq!((&first["object"]["kind"], &first["object"]["columnDefinitions"][0]["name"]), (&json!("Table"), &json!("Name")));
    server.create("two").await;
    let second = watch.next().await;
    assert_eq!(second["object"]["columnDefinitions"], Value::Null, "columns come once");
    assert_eq!(second["object"]["rows"][0]["cells"], json!(["two", 1]));

    let table_without = [("accept", TABLE)];
    let mut watch = Watching::new(server.open("GET", &format!("{streaming}&includeObject=None"), &table_without, "").await);
    assert_eq!(watch.next().await["object"]["rows"][0]["object"], Value::Null);
    watch.next().await;
    let end = watch.next().await;
    let marked = &end["object"]["rows"][0]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!((&end["type"], &end["object"]["kind"], marked), (&json!("BOOKMARK"), &json!("Table"), &json!("true")));

    let path = "/apis/example.io/v1/watch/namespaces/a/widgets/one?resourceVersion=0";
    let mut watch = Watching::new(server.open("GET", path, &[("accept", PARTIAL)], "").await);
    let first = watch.next().await;
    assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("PartialObjectMetadata")));
    let path = format!("{COLLECTION}/one");
    server.send("PATCH", &path, &[("content-type", "application/merge-patch+json")], r#"{"spec":{"size":2}}"#).await;
    assert_eq!(watch.next().await["type"], "MODIFIED");
    server.send("DELETE", &path, &[], "").await;
    assert_eq!(watch.next().await["type"], "DELETED");

    let over =
        server.get(&format!("{COLLECTION}?watch=1&resourceVersion={version}&timeoutSeconds=1&fieldSelector=metadata.name=none"), &[]).await;
    assert_eq!(over.text, "", "ends by itself");
    let refused = server.get(&format!("{COLLECTION}?watch=1"), &[("accept", "application/yaml")]).await;
    assert!(
        refused.text.contains("message: \"only the following media types are accepted: application/json;stream=watch\"\n"),
        "{}",
        refused.text
    );
    let contradiction = server.get("/apis/example.io/v1/watch/namespaces/a/widgets/one?fieldSelector=metadata.name=two", &[]).await;
    assert_eq!(contradiction.failure().2, "fieldSelector metadata.name doesn't match requested name");
}
