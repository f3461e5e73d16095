#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server};
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn bodies_that_are_refused() {
    let server = Server::start().await;
    let yaml = [("content-type", "application/yaml")];
    let text = [("content-type", "text/plain")];
    let big = format!(r#"{{"spec":{{"text":"{}"}}}}"#, "a".repeat(100_000));
    // headers, query, body, code, reason, beginning of the message
    #[allow(clippy::type_complexity)]
    let cases: &[(&[(&str, &str)], &str, &str, u16, &str, &str)] = &[
        (&[], "", "{", 400, "BadRequest", "the object provided is unrecognized (must be of type Widget): "),
        (&[], "", "", 400, "BadRequest", "the object provided is unrecognized (must be of type Widget): "),
        (&yaml, "", "a: [", 400, "BadRequest", "the object provided is unrecognized (must be of type Widget): "),
        (
            &[],
            "",
            r#"{"kind":"Pod","apiVersion":"example.io/v1"}"#,
            400,
            "BadRequest",
            "Pod in version \"v1\" cannot be handled as a Widget: no kind \"Pod\" is registered for version \"example.io/v1\"",
        ),
        (
            &[],
            "",
            r#"{"kind":"Widget","apiVersion":"example.io/v2"}"#,
            400,
            "BadRequest",
            "the API version in the data (example.io/v2) does not match the expected API version (example.io/v1)",
        ),
        (
            &[],
            "",
            r#"{"metadata":{"name":"x","namespace":"b"}}"#,
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (&[], "", r#"{"spec":{"text":5}}"#, 400, "BadRequest", "Widget in version \"v1\" cannot be handled as a Widget: "),
        (
            &text,
            "",
            "hello",
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
        ),
        (&[], "", &big, 413, "RequestEntityTooLarge", "Request entity too large: limit is 100000"),
        (
            &[],
            "?fieldValidation=Strict",
            r#"{"metadata":{"name":"x"},"spec":{"text":"a","text":"b","bogus":1}}"#,
            400,
            "BadRequest",
            "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.bogus\", duplicate field \"spec.text\"",
        ),
        (&[], "?timeout=soon", "{}", 400, "BadRequest", "invalid timeout specified in the request URL - time: invalid duration \"soon\""),
        (
            &[("accept", "text/html")],
            "",
            "{}",
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        ),
    ];
    for (headers, query, body, code, reason, message) in cases {
        let found = server.send("POST", &format!("{COLLECTION}{query}"), headers, (*body).to_owned()).await.failure();
        assert_eq!((found.0, found.1.as_str()), (*code, *reason), "{query} {}", &body[..body.len().min(80)]);
        assert!(found.2.starts_with(message), "{}", found.2);
    }
}

#[tokio::test]
async fn a_life() {
    let server = Server::start().await;
    let body = r#"{"metadata":{"name":"w"},"spec":{"size":1,"bogus":2,"text":"a","text":"b"}}"#;
    let made = server.send("POST", COLLECTION, &[], body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let warnings: Vec<&str> = made.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(warnings, [r#"299 - "unknown field \"spec.bogus\"""#, r#"299 - "duplicate field \"spec.text\"""#]);
    let mut object = made.json();
    assert_eq!(
        (&object["kind"], &object["apiVersion"], &object["spec"]),
        (&json!("Widget"), &json!("example.io/v1"), &json!({ "size": 1, "text": "b" }))
    );

    let path = format!("{COLLECTION}/w");
    let other = server.send("PUT", &format!("{COLLECTION}/v"), &[], object.to_string()).await;
    assert_eq!(other.failure().2, "the name of the object (w) does not match the name on the URL (v)");
    object["spec"]["size"] = 3.into();
    object["status"]["phase"] = "Ready".into();
    let put = server.send("PUT", &path, &[], object.to_string()).await.json();
    assert_eq!((&put["spec"]["size"], &put["status"]), (&json!(3), &json!({})));
    let merge = [("content-type", "application/merge-patch+json")];
    let status = server.send("PATCH", &format!("{path}/status"), &merge, r#"{"status":{"phase":"Ready"},"spec":{"size":9}}"#).await.json();
    assert_eq!((&status["spec"]["size"], &status["status"]), (&json!(3), &json!({ "phase": "Ready" })));
    assert_eq!(server.get(&format!("{path}/status"), &[]).await.json(), status);

    let unknown = server.send("PATCH", &path, &[("content-type", "application/json")], "{}").await;
    let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
                   application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
    assert_eq!(unknown.failure(), (415, "UnsupportedMediaType".into(), message.into()));

    let wrong = server.send("DELETE", &path, &[], r#"{"preconditions":{"uid":"other"}}"#).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    let gone = server.send("DELETE", &path, &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")], "").await;
    let details = json!({ "name": "w", "group": "example.io", "kind": "widgets", "uid": put["metadata"]["uid"] });
    assert_eq!(gone.json(), json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details }));
    assert_eq!(server.get(&path, &[]).await.failure(), (404, "NotFound".into(), "widgets.example.io \"w\" not found".into()));
}

#[tokio::test]
async fn finalizers_hold_and_collections_go() {
    let server = Server::start().await;
    let body = json!({ "metadata": { "name": "held", "finalizers": ["example.io/hold"] } });
    server.send("POST", COLLECTION, &[], body.to_string()).await;
    let held = server.send("DELETE", &format!("{COLLECTION}/held"), &[], "").await;
    assert_eq!((held.status, &held.json()["kind"]), (StatusCode::OK, &json!("Widget")));
    assert!(held.json()["metadata"]["deletionTimestamp"].is_string());
    for name in ["x", "y"] {
        server.create(name).await;
    }
    let deleted = server.send("DELETE", &format!("{COLLECTION}?labelSelector=app%3Dx"), &[], "").await.json();
    assert_eq!((&deleted["kind"], &deleted["items"][0]["metadata"]["name"]), (&json!("WidgetList"), &json!("x")));
    let left = server.get(COLLECTION, &[]).await.json();
    let names: Vec<&str> = left["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["held", "y"]);
}

/// Upstream forgets the query where there is a body.
#[tokio::test]
async fn what_protects_in_the_query_of_a_delete_counts_beside_a_body() {
    let server = Server::start().await;
    server.create("kept").await;
    let kept = format!("{COLLECTION}/kept");
    for body in ["{}", "null", r#"{"propagationPolicy":"Background"}"#, r#"{"dryRun":[]}"#, r#"{"kind":"DeleteOptions","apiVersion":"v1"}"#]
    {
        for path in [&kept, COLLECTION] {
            let answer = server.send("DELETE", &format!("{path}?dryRun=All"), &[], body).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {body}: {}", answer.text);
            assert_eq!(server.get(&kept, &[]).await.status, StatusCode::OK, "{path} {body}");
        }
        for query in ["uid=other", "resourceVersion=1"] {
            let answer = server.send("DELETE", &format!("{kept}?{query}"), &[], body).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{query} {body}: {}", answer.text);
        }
    }
    // That of a collection says which list is meant.
    let listed = server.send("DELETE", &format!("{COLLECTION}?resourceVersion=0"), &[], "{}").await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.text);
    assert_eq!(server.get(&kept, &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_query_that_nobody_can_read_is_not_forgotten() {
    let server = Server::start().await;
    server.create("kept").await;
    let kept = format!("{COLLECTION}/kept");
    for (method, path, want) in [
        ("DELETE", format!("{COLLECTION}?labelSelector=app%3Dnope%ff"), StatusCode::BAD_REQUEST),
        ("DELETE", format!("{COLLECTION}?fieldSelector=metadata.name%3D%ff"), StatusCode::OK),
        ("DELETE", format!("{COLLECTION}?dryRun=All%ff"), StatusCode::UNPROCESSABLE_ENTITY),
        ("DELETE", format!("{kept}?dryRun=All%ff"), StatusCode::UNPROCESSABLE_ENTITY),
        ("GET", format!("{COLLECTION}?limit=%ff"), StatusCode::BAD_REQUEST),
        ("GET", format!("{COLLECTION}?resourceVersion=%zz"), StatusCode::BAD_REQUEST),
    ] {
        let answer = server.send(method, &path, &[], "").await;
        assert_eq!(answer.status, want, "{method} {path}: {}", answer.text);
        assert_eq!(server.get(&kept, &[]).await.status, StatusCode::OK, "{method} {path}");
    }
}

#[tokio::test]
async fn an_apply_needs_leave_to_create() {
    let server = Server::start().await;
    let path = format!("{COLLECTION}/applied?fieldManager=m");
    let body = "{apiVersion: example.io/v1, kind: Widget, metadata: {name: applied}, spec: {size: 1}}";
    let apply = ("content-type", "application/apply-patch+yaml");
    let refused = server.send("PATCH", &path, &[apply, ("authorization", "Bearer editor")], body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    assert!(refused.failure().2.contains("cannot create resource"), "{}", refused.text);
    assert_eq!(server.send("PATCH", &path, &[apply], body).await.status, StatusCode::CREATED);
    let again = server.send("PATCH", &path, &[apply, ("authorization", "Bearer editor")], body).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
}

#[tokio::test]
async fn a_write_that_has_begun_goes_on_after_its_time() {
    let server = Server::start().await;
    server.gate.send_replace(false);
    let body = r#"{"metadata":{"name":"late"}}"#;
    let late = server.send("POST", &format!("{COLLECTION}?timeout=1ns"), &[], body).await;
    assert_eq!((late.failure().0, late.failure().1.as_str()), (504, "Timeout"));
    // Nobody invites the client to try again: what it wished for may have come true.
    assert_eq!(late.header("retry-after"), "");
    let stored = async || server.get(&format!("{COLLECTION}/late"), &[]).await.status == StatusCode::OK;
    assert!(!stored().await, "it is still on its way");
    server.gate.send_replace(true);
    let start = std::time::Instant::now();
    while !stored().await {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "the write was given up");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn owner_references_are_kept_once() {
    let server = Server::start().await;
    let owner = |name: &str| json!({ "apiVersion": "v1", "kind": "K", "name": name, "uid": "u" });
    let body = json!({ "metadata": { "name": "owned", "ownerReferences": [owner("a"), owner("b"), owner("a")] } });
    let made = server.send("POST", COLLECTION, &[], body.to_string()).await;
    assert_eq!(made.json()["metadata"]["ownerReferences"], json!([owner("a"), owner("b")]));
    let warning = made.header("warning");
    assert!(warning.contains(".metadata.ownerReferences contains duplicate entries; ") && warning.contains("observed: u"), "{warning}");
}

#[tokio::test]
async fn plain_scalars_of_yaml_become_what_their_field_is() {
    let server = Server::start().await;
    let yaml = [("content-type", "application/yaml")];
    let made = server.send("POST", COLLECTION, &yaml, "metadata: {name: y, labels: {on: off}}\nspec: {text: on, size: 0x10}\n").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["spec"], json!({ "text": "on", "size": 16 }));
    assert_eq!(made.json()["metadata"]["labels"], json!({ "on": "off" }));
    let apply = [("content-type", "application/apply-patch+yaml")];
    let body = "apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: z}\nspec: {text: 1.10, size: 1_000}\n";
    let applied = server.send("PATCH", &format!("{COLLECTION}/z?fieldManager=m"), &apply, body).await;
    assert_eq!(applied.json()["spec"], json!({ "text": "1.10", "size": 1000 }), "{}", applied.text);
    // JSON says itself what a value is.
    let made = server.send("POST", COLLECTION, &yaml, r#"{"metadata": {"name": "j"}, "spec": {"text": 1}}"#).await;
    assert_eq!(made.failure().0, 400);
    for (headers, method, path) in [(&yaml, "POST", COLLECTION.to_owned()), (&apply, "PATCH", format!("{COLLECTION}/m?fieldManager=m"))] {
        let body = "apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: m}\nspec: {<<: {text: a}}\n";
        let refused = server.send(method, &path, headers, body).await.failure();
        assert!(refused.0 == 400 && refused.2.contains("merge keys (<<)"), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_to_be_created_has_no_version() {
    let server = Server::start().await;
    for query in ["", "?dryRun=All"] {
        let body = r#"{"metadata": {"name": "v", "resourceVersion": "5"}}"#;
        let refused = server.send("POST", &format!("{COLLECTION}{query}"), &[], body).await.failure();
        assert_eq!((refused.0, refused.1.as_str()), (422, "Invalid"), "{query}");
        let text = "metadata.resourceVersion: Invalid value: \"5\": resourceVersion should not be set on objects to be created";
        assert!(refused.2.ends_with(text), "{}", refused.2);
    }
}

/// Python's http.client reads a hundred headers and gives up at the next.
#[tokio::test]
async fn an_answer_has_no_more_headers_than_clients_read() {
    let server = Server::start().await;
    let unknown: String = (0..200).map(|index| format!(r#","f{index}":1"#)).collect();
    let made = server.send("POST", COLLECTION, &[], format!(r#"{{"metadata":{{"name":"w"}}{unknown}}}"#)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.headers.get_all("warning").iter().count() > 10 && made.headers.len() < 90, "{}", made.headers.len());
    let length: usize = made.headers.get_all("warning").iter().map(|value| value.len()).sum();
    assert!(length < 6 * 1024, "{length} bytes of warnings");
}
