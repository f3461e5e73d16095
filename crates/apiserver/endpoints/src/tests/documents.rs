//! Discovery, version and OpenAPI.
#![allow(clippy::unwrap_used)]

use super::fixture::Server;
use http::StatusCode;
use serde_json::{Value, json};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn discovery_in_three_documents() {
    let server = Server::start().await;
    let version = json!({ "groupVersion": "example.io/v1", "version": "v1" });
    let group = json!({ "name": "example.io", "versions": [version], "preferredVersion": version });
    let groups = server.get("/apis", &[]).await.json();
    assert_eq!((&groups["kind"], &groups["apiVersion"], &groups["groups"][0]), (&json!("APIGroupList"), &json!("v1"), &group));
    let names: Vec<&Value> = groups["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(names, ["example.io", "authentication.k8s.io", "authorization.k8s.io"]);
    let alone = server.get("/apis/example.io/", &[]).await.json();
    assert_eq!((&alone["kind"], &alone["preferredVersion"]), (&json!("APIGroup"), &version));
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let want = json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "example.io/v1",
        "resources": [
            { "name": "widgets", "singularName": "widget", "namespaced": true, "kind": "Widget", "verbs": verbs, "shortNames": ["wi"],
              "categories": ["all"], "storageVersionHash": "DXvJ0HW2fFE=" },
            { "name": "widgets/status", "singularName": "", "namespaced": true, "kind": "Widget", "verbs": ["get", "patch", "update"] },
            { "name": "widgets/size", "singularName": "", "namespaced": true, "kind": "WidgetSize", "verbs": ["get"] },
        ],
    });
    let mut found = server.get("/apis/example.io/v1", &[]).await.json();
    let hash = found["resources"][0]["storageVersionHash"].take();
    assert_eq!(hash.as_str().unwrap().len(), 12);
    found["resources"][0]["storageVersionHash"] = want["resources"][0]["storageVersionHash"].clone();
    assert_eq!(found, want);
    assert_eq!(server.get("/api", &[]).await.json()["versions"], json!(["v1"]));
    assert_eq!(server.get("/api/v1", &[]).await.json()["resources"][0]["name"], "namespaces");
    let paths = server.get("/", &[]).await.json();
    for path in ["/apis/example.io/v1", "/readyz/warm", "/openapi/v3", "/version"] {
        assert!(paths["paths"].as_array().unwrap().contains(&json!(path)), "{path}");
    }
}

#[tokio::test]
async fn discovery_in_one_document() {
    let server = Server::start().await;
    let old = AGGREGATED.replace("v=v2", "v=v2beta1");
    let accept = format!("{AGGREGATED},{old},application/json");
    for path in ["/apis", "/api"] {
        let answer = server.get(path, &[("accept", &accept)]).await;
        let document = answer.json();
        assert_eq!(answer.header("content-type"), AGGREGATED);
        assert_eq!((answer.header("vary"), answer.header("cache-control")), ("Accept", "public"));
        for resource in document["items"][0]["versions"][0]["resources"].as_array().unwrap() {
            assert!(resource["responseKind"]["kind"].is_string());
            for subresource in resource["subresources"].as_array().into_iter().flatten() {
                assert!(subresource["responseKind"]["kind"].is_string());
            }
        }
        let etag = answer.header("etag").to_owned();
        assert_eq!(etag.len(), 130);
        let known = server.get(path, &[("accept", &accept), ("if-none-match", &etag)]).await;
        assert_eq!((known.status, known.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
        let fallback = server.get(path, &[("accept", &format!("{old},application/json"))]).await;
        assert_eq!(fallback.header("content-type"), "application/json");
        // A caller that is a server itself says that it wants no other server's kinds.
        let peer = server.get(path, &[("accept", &format!("{AGGREGATED};profile=nopeer,application/json"))]).await;
        assert_eq!((peer.header("content-type"), &peer.bytes), (AGGREGATED, &answer.bytes));
        let plain_first = server.get(path, &[("accept", &format!("application/json,{AGGREGATED}"))]).await;
        assert_eq!((plain_first.header("content-type"), plain_first.header("vary")), ("application/json", "Accept"));
        let only_old = server.get(path, &[("accept", &old)]).await;
        assert_eq!(only_old.status, StatusCode::NOT_ACCEPTABLE);
    }
}

#[tokio::test]
async fn version_is_semantic() {
    let server = Server::start().await;
    let version = server.get("/version/", &[]).await.json();
    assert_eq!(version["gitVersion"], "v1.36.0+vci-0.1.0");
    assert_eq!(version["version"], "v4.5.6", "the product's own clients read this one");
    for field in ["major", "minor", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"] {
        assert!(!version[field].as_str().unwrap().is_empty(), "{field}");
    }
}

#[tokio::test]
async fn namespaces_that_are_not_there() {
    let server = Server::start().await;
    let missing = server.get("/api/v1/namespaces/nope", &[]).await;
    assert_eq!(missing.failure(), (404, "NotFound".into(), "namespaces \"nope\" not found".into()));
    assert_eq!(missing.json()["details"], json!({ "name": "nope", "kind": "namespaces" }));
    let list = server.get("/api/v1/namespaces?limit=500", &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")]).await.json();
    assert_eq!((&list["kind"], &list["rows"]), (&json!("Table"), &json!([])));
}

/// kubectl apply makes its patch by what these say: without them an entry that is dropped from a list stays.
#[tokio::test]
async fn lists_of_metadata_say_how_kubectl_is_to_merge_them() {
    let server = Server::start().await;
    let v2 = server.get("/openapi/v2", &[]).await.json();
    let v3 = server.get("/openapi/v3/apis/example.io/v1", &[]).await.json();
    let name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    for metadata in [&v2["definitions"][name], &v3["components"]["schemas"][name]] {
        let extensions = |field: &str| -> Value {
            let members = metadata["properties"][field].as_object().unwrap();
            members.iter().filter(|(name, _)| name.starts_with("x-")).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        assert_eq!(extensions("finalizers"), json!({ "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge" }));
        let owners = json!({
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid",
        });
        assert_eq!(extensions("ownerReferences"), owners);
        assert_eq!(extensions("managedFields"), json!({ "x-kubernetes-list-type": "atomic" }));
    }
}

#[tokio::test]
async fn openapi_v3() {
    let server = Server::start().await;
    let index = server.get("/openapi/v3", &[]).await;
    assert!(index.header("etag").len() > 100);
    let url = index.json()["paths"]["apis/example.io/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let fresh = server.get(&url, &[]).await;
    assert_eq!(fresh.header("cache-control"), "public, immutable");
    assert!(fresh.header("expires").ends_with(" GMT"), "{}", fresh.header("expires"));
    let stale = server.get("/openapi/v3/apis/example.io/v1?hash=OLD", &[]).await;
    assert_eq!((stale.status, stale.header("location")), (StatusCode::MOVED_PERMANENTLY, url.as_str()));
    let proxied = server.get("/openapi/v3/apis/example.io/v1?hash=OLD", &[("x-forwarded-uri", "/openapi/v3")]).await;
    assert_eq!((proxied.status, proxied.header("cache-control")), (StatusCode::OK, "no-cache, private"));

    let document = fresh.json();
    let patch = &document["paths"]["/apis/example.io/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    let mut types: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
    types.sort();
    let served = [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    assert_eq!(types, served);
    let parameters: Vec<&Value> = patch["parameters"].as_array().unwrap().iter().map(|parameter| &parameter["name"]).collect();
    assert_eq!(parameters, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let delete = &document["paths"]["/apis/example.io/v1/namespaces/{namespace}/widgets"]["delete"];
    assert_eq!(delete["operationId"], "deleteExampleIoV1CollectionNamespacedWidget");
    assert_eq!(patch["x-kubernetes-group-version-kind"], json!({ "group": "example.io", "version": "v1", "kind": "Widget" }));
    let widget = &document["components"]["schemas"]["io.example.v1.Widget"];
    assert_eq!(
        widget["properties"]["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert_eq!(
        widget["properties"]["spec"]["properties"]["size"],
        json!({ "type": "integer", "format": "int64", "description": "How many." })
    );
    no_dangling_references(&document, "#/components/schemas/", &document["components"]["schemas"]);

    let protobuf =
        server.get("/openapi/v3/apis/example.io/v1", &[("accept", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf")]).await;
    assert_eq!(&protobuf.bytes[..7], b"\x0a\x053.0.0");
}

#[tokio::test]
async fn openapi_v2() {
    let server = Server::start().await;
    let answer = server.get("/openapi/v2", &[]).await;
    let document = answer.json();
    assert_eq!(document["swagger"], "2.0");
    no_dangling_references(&document, "#/definitions/", &document["definitions"]);
    for known in ["ETAG", "W/ETAG", "\"other\", ETAG", "*"] {
        let known = server.get("/openapi/v2", &[("if-none-match", &known.replace("ETAG", answer.header("etag")))]).await;
        assert_eq!((known.status, known.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }
    assert_eq!(server.get("/openapi/v2", &[("if-none-match", "\"other\"")]).await.status, StatusCode::OK);
    for encoding in ["gzip", "identity"] {
        let again = server.get("/openapi/v2", &[("accept-encoding", encoding)]).await;
        let vary: Vec<&str> = again.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(vary, ["Accept", "Accept-Encoding"], "{encoding}");
    }
    for accept in [
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf,application/json",
    ] {
        let protobuf = server.get("/openapi/v2", &[("accept", accept)]).await;
        assert_eq!(protobuf.header("content-type"), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        assert_eq!(&protobuf.bytes[..5], b"\x0a\x032.0");
    }
    assert_eq!(server.get("/openapi/v2", &[("accept", "text/html")]).await.status, StatusCode::NOT_ACCEPTABLE);
}

fn no_dangling_references(value: &Value, prefix: &str, known: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let name = reference.strip_prefix(prefix).unwrap_or_else(|| panic!("{reference}"));
                assert!(known.get(name).is_some_and(Value::is_object), "{name}");
            }
            map.values().for_each(|value| no_dangling_references(value, prefix, known));
        }
        Value::Array(items) => items.iter().for_each(|value| no_dangling_references(value, prefix, known)),
        _ => {}
    }
}
