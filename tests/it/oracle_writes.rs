//! Writes as a real kube-apiserver answers them, where the difference is easily missed.

use crate::common::{COLLECTION, JSON_PATCH, MERGE, embedded, every_store, instance, path};
use http::Method;
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol, Response};

const APPLY: &str = "application/apply-patch+yaml";

fn applied(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": {"name": name}, "spec": spec})
}

async fn apply(client: &Client, name: &str, manager: &str, body: &Value) -> Response {
    client.patch(&path(&format!("{name}?fieldManager={manager}")), APPLY, body).await
}

fn message(response: &Response) -> String {
    response.json()["message"].as_str().unwrap_or("").to_owned()
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or("")
}

fn warnings(response: &Response) -> Vec<&str> {
    response.headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()).collect()
}

async fn terminating(client: &Client, name: &str) -> Value {
    let mut object = instance(name);
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(COLLECTION, &object).await.expect(201);
    client.delete(&path(name)).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_leaves_an_object_what_it_is() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    client.post(COLLECTION, &instance("w")).await.expect(201);
    let nameless = "the name of the object (w based on URL) was undeterminable: name must be provided";
    let elsewhere = "the namespace of the provided object does not match the namespace sent on the request";
    // merge patch, code, part of the message
    let table = [
        (json!({"metadata": {"name": null}}), 400, nameless),
        (json!({"metadata": {"name": ""}}), 400, nameless),
        (json!({"metadata": {"name": "v"}}), 400, "the name of the object (v) does not match the name on the URL (w)"),
        (json!({"metadata": {"namespace": "other"}}), 400, elsewhere),
        (json!({"kind": null, "apiVersion": null}), 200, ""),
        (json!({"kind": "Pod"}), 422, "no kind \"Pod\" is registered for version \"management.loft.sh/v1\""),
        (json!({"apiVersion": "v1"}), 422, "no kind \"VirtualClusterInstance\" is registered for version \"v1\""),
    ];
    for (patch, code, part) in table {
        let response = client.patch(&path("w"), MERGE, &patch).await.expect(code);
        let message = message(&response).replace("\\\"", "\"");
        assert!(message.contains(part), "{patch}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_version_is_no_version() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let mut object = client.post(COLLECTION, &instance("w")).await.expect(201).json();
    object["metadata"]["resourceVersion"] = format!("+{}", version(&object)).into();
    let refused = client.put(&path("w"), &object).await.expect(422);
    assert!(message(&refused).contains("must be a decimal number"), "{}", message(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_members_of_a_json_patch_are_told() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    client.post(COLLECTION, &instance("w")).await.expect(201);
    let patch = r#"[{"op":"add","path":"/spec/description","path":"/spec/displayName","value":"x","extra":1}]"#;
    let send = async |query: &str| client.request(Method::PATCH, &path(&format!("w{query}")), Some(JSON_PATCH), patch).await;
    let warned = send("").await.expect(200);
    let want = [r#"299 - "json patch unknown field \"[0].extra\"""#, r#"299 - "json patch duplicate field \"[0].path\"""#];
    assert_eq!(warnings(&warned), want);
    assert!(warnings(&send("?fieldValidation=Ignore").await.expect(200)).is_empty());
    let refused = send("?fieldValidation=Strict").await.expect(422);
    let text = r#"strict decoding error: json patch unknown field "[0].extra", json patch duplicate field "[0].path""#;
    assert!(message(&refused).contains(text), "{}", message(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_the_time_of_a_deletion() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let marked = terminating(&client, "w").await;
    for given in [json!("2001-01-01T00:00:00Z"), Value::Null] {
        let mut object = client.get(&path("w")).await.expect(200).json();
        object["metadata"]["deletionTimestamp"] = given;
        let put = client.put(&path("w"), &object).await.expect(200).json();
        assert_eq!(put["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_the_answer_that_ended_an_object_tells_of_its_end() {
    for stand in every_store().await {
        let client = stand.server.admin(Protocol::Http2);
        let marked = terminating(&client, "w").await;
        let last = client.patch(&path("w"), MERGE, &json!({"metadata": {"finalizers": null}})).await.expect(200).json();
        assert_eq!(version(&last), version(&marked), "on {}", stand.label);
        client.get(&path("w")).await.expect(404);
        let mut watch = client.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=30&resourceVersion={}", version(&last))).await;
        let event = watch.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("w")), "on {}", stand.label);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_waits_is_accepted_where_dependents_go_too() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    terminating(&client, "w").await;
    client.delete_with(&path("w"), &json!({"orphanDependents": false})).await.expect(202);
    client.delete_with(&path("w"), &json!({"propagationPolicy": "Background"})).await.expect(200);
    client.delete_with(&path("w"), &Value::Null).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn finalizers_without_a_domain_are_warned_of() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let mut object = instance("w");
    object["metadata"]["finalizers"] = json!(["plain", "example.com", "example.com/good", "kubernetes"]);
    let created = client.post(&format!("{COLLECTION}?dryRun=All"), &object).await.expect(201);
    let hint = |name: &str, path: &str| {
        format!(
            r#"299 - "metadata.finalizers: \"{name}\": prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers""#
        )
    };
    assert_eq!(warnings(&created), [hint("plain", ""), hint("example.com", " including a path (/)")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_apply_says_of_identity_is_a_lock() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let mut nameless = applied("w", &json!({"displayName": "a"}));
    nameless["metadata"] = json!({});
    let refused = apply(&client, "w", "ann", &nameless).await.expect(400);
    assert!(message(&refused).contains("name must be provided"), "{}", message(&refused));
    apply(&client, "w", "ann", &applied("w", &json!({"displayName": "a"}))).await.expect(201);
    // The object has a name already.
    apply(&client, "w", "ann", &nameless).await.expect(200);

    let with = |field: &str, value: &str| {
        let mut body = applied("w", &json!({"displayName": "a"}));
        body["metadata"][field] = value.into();
        body
    };
    for (body, part) in [
        (with("uid", "other"), "metadata.uid: Invalid value: \"other\": field is immutable"),
        (with("resourceVersion", ""), "must be specified for an update"),
    ] {
        let refused = apply(&client, "w", "ann", &body).await.expect(422);
        assert!(message(&refused).contains(part), "{}", message(&refused));
    }
    apply(&client, "w", "ann", &with("resourceVersion", "1")).await.expect(409);
    // Whose fields they are is asked first: that is what the caller must settle.
    let mut stale = applied("w", &json!({"displayName": "b"}));
    stale["metadata"]["resourceVersion"] = "1".into();
    let conflict = apply(&client, "w", "bob", &stale).await.expect(409).json();
    assert_eq!(conflict["details"]["causes"][0]["reason"], "FieldManagerConflict", "{conflict}");
    for (field, value, want) in
        [("kind", "Pod", "management.loft.sh/v1, Kind=Pod"), ("apiVersion", "v1", "/v1, Kind=VirtualClusterInstance")]
    {
        let mut other = applied("w", &json!({}));
        other[field] = value.into();
        assert_eq!(message(&apply(&client, "w", "ann", &other).await.expect(400)), format!("invalid object type: {want}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotation_of_kubectl_apply_says_what_was_applied_and_no_more() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let mut object = instance("w");
    object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    client.post(&format!("{COLLECTION}?fieldManager=kubectl-client-side-apply"), &object).await.expect(201);
    let body = applied("w", &json!({"description": "d"}));
    let after = apply(&client, "w", "kubectl", &body).await.expect(200).json();
    let annotation = &after["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(annotation.as_str(), Some(format!("{body}\n").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_apply_an_object_into_being() {
    for stand in every_store().await {
        for round in 0..8 {
            let name = format!("w{round}");
            let mut writers = tokio::task::JoinSet::new();
            for manager in 0..8 {
                let (client, name) = (stand.server.admin(Protocol::Http2), name.clone());
                writers.spawn(async move {
                    let mut body = applied(&name, &json!({"displayName": "same"}));
                    body["metadata"]["labels"] = json!({ format!("l{manager}"): "x" });
                    apply(&client, &name, &format!("m{manager}"), &body).await.status.as_u16()
                });
            }
            let mut codes = writers.join_all().await;
            codes.sort_unstable();
            assert_eq!(codes, [200, 200, 200, 200, 200, 200, 200, 201], "on {}", stand.label);
            let client = stand.server.admin(Protocol::Http2);
            let made = client.get(&path(&name)).await.expect(200).json();
            assert_eq!(made["metadata"]["labels"].as_object().map(serde_json::Map::len), Some(8), "on {}: {made}", stand.label);
            // Said again, it changes nothing.
            let mut body = applied(&name, &json!({"displayName": "same"}));
            body["metadata"]["labels"] = json!({"l3": "x"});
            let again = apply(&client, &name, "m3", &body).await.expect(200).json();
            assert_eq!(version(&again), version(&made), "on {}", stand.label);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_brings_back_what_a_delete_took() {
    for stand in every_store().await {
        for round in 0..6 {
            let name = format!("w{round}");
            let client = stand.server.admin(Protocol::Http2);
            let made = client.post(COLLECTION, &instance(&name)).await.expect(201).json();
            let mut writers = tokio::task::JoinSet::new();
            for writer in 0..4 {
                let (client, name, made) = (stand.server.admin(Protocol::Http2), name.clone(), made.clone());
                writers.spawn(async move {
                    for step in 0.. {
                        let text = format!("{writer}-{step}");
                        let sent = match step % 2 {
                            0 => client.patch(&path(&name), MERGE, &json!({"spec": {"description": text}})).await,
                            _ => client.put(&path(&name), &made).await,
                        };
                        match sent.status.as_u16() {
                            404 => return,
                            200 | 409 => {}
                            code => panic!("{code}: {}", sent.text()),
                        }
                    }
                });
            }
            client.delete(&path(&name)).await.expect(200);
            client.get(&path(&name)).await.expect(404);
            writers.join_all().await;
            client.get(&path(&name)).await.expect(404);
        }
    }
}
