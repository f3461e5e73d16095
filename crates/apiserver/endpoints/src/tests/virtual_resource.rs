//! What is answered and never stored: a view of an object, and fields that are computed for whoever reads.
#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server, Watching};
use http::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_view_of_an_object() {
    let server = Server::start().await;
    server.create("w").await;
    let size = format!("{COLLECTION}/w/size");
    let answer = server.get(&size, &[]).await;
    let want = json!({ "apiVersion": "example.io/v1", "kind": "WidgetSize", "metadata": { "name": "w", "namespace": "a" }, "size": 1 });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, want));
    let yaml = server.get(&size, &[("accept", "application/yaml")]).await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    let missing = server.get(&format!("{COLLECTION}/none/size"), &[]).await.failure();
    assert_eq!((missing.0, missing.2.as_str()), (404, r#"widgets.example.io "none" not found"#));
    for (method, path, headers, code) in [
        ("POST", size.clone(), [].as_slice(), 405),
        ("PUT", size.clone(), &[], 405),
        ("DELETE", size.clone(), &[], 405),
        ("GET", "/apis/example.io/v1/widgets/w/size".to_owned(), &[], 404),
        ("GET", format!("{size}/more"), &[], 404),
        ("GET", size.clone(), &[("authorization", "")], 401),
        ("GET", size.clone(), &[("authorization", "Bearer nobody")], 403),
        ("GET", size.clone(), &[("accept", "text/html")], 406),
        ("GET", size.clone(), &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")], 406),
    ] {
        assert_eq!(server.send(method, &path, headers, "").await.failure().0, code, "{method} {path} {headers:?}");
    }
}

#[tokio::test]
async fn a_view_is_told_of() {
    let server = Server::start().await;
    let resources = server.get("/apis/example.io/v1", &[]).await.json()["resources"].clone();
    let entry = json!({ "name": "widgets/size", "singularName": "", "namespaced": true, "kind": "WidgetSize", "verbs": ["get"] });
    assert!(resources.as_array().unwrap().contains(&entry), "{resources}");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = server.get("/apis", &[("accept", accept)]).await.json();
    let subresources = &groups["items"][0]["versions"][0]["resources"][0]["subresources"];
    let kind = json!({ "group": "example.io", "version": "v1", "kind": "WidgetSize" });
    assert_eq!(subresources[1], json!({ "subresource": "size", "responseKind": kind, "verbs": ["get"] }));
    let document = server.get("/openapi/v3/apis/example.io/v1", &[]).await.json();
    let operation = &document["paths"]["/apis/example.io/v1/namespaces/{namespace}/widgets/{name}/size"]["get"];
    assert_eq!(operation["operationId"], "readExampleIoV1NamespacedWidgetSize");
    assert_eq!(operation["x-kubernetes-group-version-kind"], kind);
}

fn can(object: &Value) -> (bool, bool) {
    let says = |field: &str| object["status"].get(field).is_some_and(|value| *value == true);
    (says("canUse"), says("canUpdate"))
}

#[tokio::test]
async fn fields_for_whoever_asks() {
    let server = Server::start().await;
    server.create("w").await;
    let object = format!("{COLLECTION}/w");
    for (user, want) in [("admin", (true, true)), ("editor", (true, true)), ("reader", (true, false))] {
        let bearer = format!("Bearer {user}");
        let headers = [("authorization", bearer.as_str())];
        let read = async |path: &str| server.get(path, &headers).await;
        let plain = read(&object).await.json();
        assert_eq!(plain["status"], json!({}), "{user}");
        assert_eq!(can(&read(&format!("{object}?extended=true")).await.json()), want, "{user}");
        assert_eq!(read(&format!("{object}?extended=false")).await.json(), plain, "{user}");
        for path in [format!("{COLLECTION}?extended=true"), "/apis/example.io/v1/widgets?extended=true&limit=1".into()] {
            let list = read(&path).await;
            assert_eq!(can(&list.json()["items"][0]), want, "{user} {path}");
        }
        let mut watch = Watching::new(server.open("GET", &format!("{COLLECTION}?watch=1&extended=true"), &headers, "").await);
        assert_eq!(can(&watch.next().await["object"]), want, "{user}");
    }
    let read = server.get(&format!("{object}?extended=true"), &[]).await.json();
    let written = server.send("PUT", &object, &[], read.to_string()).await;
    assert_eq!(written.json()["status"], json!({}), "what was computed is not stored: {}", written.text);
    let status = server.send("PUT", &format!("{object}/status"), &[], read.to_string()).await;
    assert_eq!(status.json()["status"], json!({}), "nor as a status: {}", status.text);
}
