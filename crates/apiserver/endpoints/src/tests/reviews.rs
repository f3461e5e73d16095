#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server};
use http::StatusCode;
use serde_json::{Value, json};

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const MAY: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const THEY: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const WHAT: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";

#[tokio::test]
async fn who_am_i() {
    let server = Server::start().await;
    let who = server.send("POST", WHO, &[("authorization", "Bearer ann")], "{}").await;
    assert_eq!(who.status, StatusCode::CREATED, "{}", who.text);
    let who = who.json();
    assert_eq!((&who["kind"], &who["apiVersion"]), (&json!("SelfSubjectReview"), &json!("authentication.k8s.io/v1")));
    assert_eq!(who["status"]["userInfo"], json!({ "username": "ann", "groups": ["system:authenticated"] }));
    assert_eq!(server.send("POST", WHO, &[("authorization", "")], "{}").await.failure().0, 401);
}

#[tokio::test]
async fn may_i() {
    let server = Server::start().await;
    let widgets = |verb: &str, name: &str| json!({ "resourceAttributes": { "group": "example.io", "resource": "widgets", "namespace": "a", "verb": verb, "name": name } });
    let path = |path: &str| json!({ "nonResourceAttributes": { "path": path, "verb": "get" } });
    let cases = [
        ("admin", widgets("create", ""), json!({ "allowed": true })),
        ("editor", widgets("create", ""), json!({ "allowed": false })),
        ("editor", widgets("get", "x"), json!({ "allowed": true })),
        ("denied", widgets("get", "x"), json!({ "allowed": false, "denied": true, "reason": "by rule" })),
        ("nobody", path("/healthz"), json!({ "allowed": true })),
        ("nobody", path("/metrics"), json!({ "allowed": false })),
    ];
    for (user, spec, want) in cases {
        let bearer = format!("Bearer {user}");
        let body = json!({ "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec });
        let answer = server.send("POST", MAY, &[("authorization", &bearer)], body.to_string()).await.json();
        assert_eq!((&answer["status"], &answer["kind"]), (&want, &json!("SelfSubjectAccessReview")), "{user} {spec}");
    }
    let refused = [
        (json!({}), 422, "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
        (json!({ "spec": { "resourceAttributes": {}, "nonResourceAttributes": {} } }), 422, "cannot be specified in combination"),
        (json!({ "kind": "Widget" }), 400, "cannot be handled as a SelfSubjectAccessReview"),
        (json!({ "apiVersion": "v2" }), 400, "does not match the expected API version"),
        (json!({ "spec": 1 }), 400, "cannot be handled as a SelfSubjectAccessReview"),
    ];
    for (body, code, text) in refused {
        let (found, _, message) = server.send("POST", MAY, &[], body.to_string()).await.failure();
        assert!(found == code && message.contains(text), "{found} {message}");
    }
}

#[tokio::test]
async fn may_they() {
    let server = Server::start().await;
    let ask = async |asker: &str, spec: Value| {
        let bearer = format!("Bearer {asker}");
        server.send("POST", THEY, &[("authorization", &bearer)], json!({ "spec": spec }).to_string()).await
    };
    let widgets = |user: &str, verb: &str| json!({ "user": user, "resourceAttributes": { "group": "example.io", "resource": "widgets", "namespace": "a", "verb": verb } });
    for (user, verb, want) in [
        ("admin", "create", json!({ "allowed": true })),
        ("editor", "update", json!({ "allowed": true })),
        ("editor", "create", json!({ "allowed": false })),
        ("denied", "get", json!({ "allowed": false, "denied": true, "reason": "by rule" })),
    ] {
        let answer = ask("admin", widgets(user, verb)).await;
        assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::CREATED, &want), "{user} {verb}");
    }
    assert_eq!(ask("editor", widgets("editor", "get")).await.failure().0, 403, "others are asked about by those who may");
    let nobody = ask("admin", json!({ "nonResourceAttributes": { "path": "/", "verb": "get" } })).await.failure();
    assert!(nobody.0 == 422 && nobody.2.contains("at least one of user or group must be specified"), "{}", nobody.2);
}

#[tokio::test]
async fn what_may_i() {
    let server = Server::start().await;
    let ask = async |user: &str| {
        let body = json!({ "spec": { "namespace": "a" } }).to_string();
        server.send("POST", WHAT, &[("authorization", user)], body).await.json()["status"].clone()
    };
    let all = ask("Bearer admin").await;
    assert_eq!(all["resourceRules"], json!([{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }]));
    let nobody = ask("Bearer nobody").await;
    let resources: Vec<&Value> = nobody["resourceRules"].as_array().unwrap().iter().map(|rule| &rule["resources"][0]).collect();
    assert_eq!(
        resources,
        ["selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "others are asked about by admins"
    );
    let urls = nobody["nonResourceRules"][0]["nonResourceURLs"].as_array().unwrap();
    assert!(urls.contains(&json!("/apis/*")) && !urls.contains(&json!("/metrics")), "{urls:?}");
    let nowhere = server.send("POST", WHAT, &[], "{}").await.failure();
    assert_eq!((nowhere.0, nowhere.2.as_str()), (400, "no namespace on request"));
}

#[tokio::test]
async fn nothing_but_questions() {
    let server = Server::start().await;
    for (method, path, code) in [
        ("GET", MAY.to_owned(), 405),
        ("DELETE", WHO.to_owned(), 405),
        ("GET", format!("{WHO}/x"), 404),
        ("POST", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews".to_owned(), 404),
        ("GET", THEY.to_owned(), 405),
        ("GET", format!("{MAY}/x/y"), 404),
        ("POST", "/apis/authorization.k8s.io/v1/namespaces/a/selfsubjectaccessreviews".to_owned(), 404),
    ] {
        assert_eq!(server.send(method, &path, &[], "{}").await.failure().0, code, "{method} {path}");
    }
    let told = server.get("/apis/authorization.k8s.io/v1", &[]).await.json();
    let resource = json!({
        "name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
        "kind": "SelfSubjectAccessReview", "verbs": ["create"],
    });
    assert_eq!(told["resources"][0], resource);
    let unknown = r#"{"spec":{"nonResourceAttributes":{"path":"/","verb":"get"},"more":1}}"#;
    let warned = server.send("POST", MAY, &[], unknown).await;
    assert_eq!((warned.status, warned.header("warning")), (StatusCode::CREATED, r#"299 - "unknown field \"spec.more\"""#));
    let strict = server.send("POST", &format!("{MAY}?fieldValidation=Strict"), &[], unknown).await.failure();
    assert!(strict.0 == 400 && strict.2.ends_with(r#"strict decoding error: unknown field "spec.more""#), "{}", strict.2);
    assert_eq!(server.send("POST", COLLECTION, &[("content-type", "application/vnd.kubernetes.protobuf")], "k8s").await.failure().0, 415);
}
