//! Requests that lead, by a widget, to another API.
#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server, widgets_descriptor};
use crate::{BearerToken, Proxy, ProxyCaller, ProxyPath, ProxyRequest, ProxyResponse, ProxyTarget};
use apiserver_auth::Decision;
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, User};
use apiserver_registry::Item;
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;

/// `/elsewhere/WIDGET/...`: says what it gets; `/hang` goes on for ever. The token `wrong` is good there.
#[derive(Debug)]
pub(super) struct Elsewhere;

#[async_trait]
impl Proxy for Elsewhere {
    fn prefix(&self) -> &'static str {
        "/elsewhere"
    }

    fn kind(&self) -> &'static Descriptor {
        widgets_descriptor()
    }

    fn permission(&self) -> &'static str {
        "use"
    }

    fn split<'a>(&self, rest: &'a str) -> Option<ProxyPath<'a>> {
        let rest = rest.strip_prefix('/')?;
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        (!name.is_empty()).then(|| ProxyPath { namespace: "a".into(), name: name.into(), rest: path })
    }

    fn route(&self, _: &ProxyCaller, object: &Item) -> String {
        let object: Value = serde_json::from_slice(&object.bytes).unwrap();
        object["spec"]["size"].to_string()
    }

    async fn foreign_user(&self, target: &ProxyTarget<'_>, token: &BearerToken) -> Option<User> {
        let groups = vec!["system:masters".into()];
        (token.secret() != "none" && target.name == "w").then(|| User { name: "theirs".into(), groups, ..User::default() })
    }

    async fn serve(&self, request: ProxyRequest) -> Result<ProxyResponse, ApiError> {
        if request.path_and_query.contains("/hang") {
            let pieces = futures::stream::once(async { Ok::<_, Infallible>("begun") }).chain(futures::stream::pending());
            return Ok(ProxyResponse::Answer(Response::new(Body::from_stream(pieces))));
        }
        let (user, by_role) = match &request.caller {
            ProxyCaller::Known { identity, by_role } => (identity.user.name.clone(), *by_role),
            ProxyCaller::Foreign { user, token } => (format!("{} {:?} by {}", user.name, user.groups, token.secret()), false),
        };
        let headers: Vec<String> = request.headers.keys().map(ToString::to_string).collect();
        let bytes = axum::body::to_bytes(request.body, usize::MAX).await.unwrap().len();
        let told = json!({"user": user, "byRole": by_role, "path": request.path_and_query, "headers": headers, "bytes": bytes});
        Ok(ProxyResponse::Answer(Response::new(Body::from(told.to_string()))))
    }
}

async fn server() -> Server {
    let server = Server::start().await;
    server.create("w").await;
    server
}

fn who(user: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {user}"))
}

#[tokio::test]
async fn the_permission_is_that_of_the_proxy_on_the_object() {
    let server = server().await;
    // May use, and not create: which is of no matter to a POST that is for elsewhere.
    let (name, value) = who("reader");
    let answer = server.send("POST", "/elsewhere/w/things?x=%20y", &[(name, &value)], "body").await;
    assert_eq!(answer.json(), json!({"user": "reader", "byRole": true, "path": "/things?x=%20y", "headers": ["audit-id"], "bytes": 4}));
    for (user, path, code) in [
        ("reader", "/elsewhere/none/things", 404),
        ("deleter", "/elsewhere/w/things", 403),
        ("deleter", "/elsewhere/none/things", 403),
        ("", "/elsewhere/w/things", 401),
        ("reader", "/elsewhere", 404),
        ("reader", "/elsewherew/things", 404),
    ] {
        let (name, value) = who(user);
        let value = if user.is_empty() { String::new() } else { value };
        let answer = server.get(path, &[(name, &value)]).await;
        assert_eq!(answer.status, code, "{user} {path}: {}", answer.text);
    }
    let (name, value) = who("deleter");
    let denial = server.get("/elsewhere/w/things", &[(name, &value)]).await.failure().2;
    assert!(denial.contains(r#"User "deleter" cannot use resource "widgets" in API group "example.io" in the namespace "a""#), "{denial}");
}

#[tokio::test]
async fn bodies_are_not_bounded() {
    let answer = server().await.send("POST", "/elsewhere/w/things", &[], vec![0; 300_000]).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["bytes"]), (200, &json!(300_000)));
}

#[tokio::test]
async fn a_foreign_token_is_good_behind_its_object_and_nowhere_else() {
    let server = server().await;
    let (name, value) = who("wrong");
    let answer = server.get("/elsewhere/w/things", &[(name, &value)]).await.json();
    assert_eq!(answer["user"], r#"theirs ["system:unauthenticated"] by wrong"#, "what groups they have there is nothing here");
    for path in [COLLECTION, "/elsewhere/v/things", "/elsewhere", "/apis/example.io/v1/namespaces/a/widgets/w"] {
        assert_eq!(server.get(path, &[(name, &value)]).await.status, 401, "{path}");
    }
    let acting = [(name, &*value), ("impersonate-user", "admin")];
    assert_eq!(server.get("/elsewhere/w/things", &acting).await.status, 401);
}

#[tokio::test]
async fn a_token_that_may_be_somebodys_here_is_shown_to_nobody() {
    let server = server().await;
    let (name, value) = who("unsure");
    assert_eq!(server.get("/elsewhere/w/things", &[(name, &value)]).await.status, 401);
}

#[tokio::test]
async fn an_answer_ends_when_the_object_leads_elsewhere_or_the_caller_may_no_more() {
    let object = format!("{COLLECTION}/w");
    for way in ["other size", "gone", "ruled out", "nothing"] {
        let server = server().await;
        *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
        let (name, value) = who("ruled");
        let response = server.open("GET", "/elsewhere/w/hang", &[(name, &value)], "").await;
        let mut body = response.into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "begun");
        // Long enough that the object is followed.
        let mut next = body.next();
        assert!(tokio::time::timeout(Duration::from_millis(800), &mut next).await.is_err(), "{way}");
        let merge = [("content-type", "application/merge-patch+json")];
        match way {
            "other size" => assert_eq!(server.send("PATCH", &object, &merge, r#"{"spec":{"size":2}}"#).await.status, 200),
            "gone" => assert_eq!(server.send("DELETE", &object, &[], "").await.status, 200),
            "ruled out" => {
                *server.ruling.lock().unwrap() = || Decision::Deny("by rule".into());
                server.access.send_modify(|count| *count += 1);
            }
            _ => {
                assert_eq!(server.send("PATCH", &object, &merge, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.status, 200);
                server.access.send_modify(|count| *count += 1);
                assert!(tokio::time::timeout(Duration::from_millis(800), &mut next).await.is_err(), "{way}");
                continue;
            }
        }
        let end = tokio::time::timeout(Duration::from_secs(20), next).await.unwrap_or_else(|_| panic!("no end: {way}"));
        assert!(end.is_some_and(|piece| piece.is_err()), "it must not look whole: {way}");
    }
}

#[tokio::test]
async fn a_watch_ends_as_by_itself() {
    let server = server().await;
    *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
    let (name, value) = who("ruled");
    let response = server.open("GET", "/elsewhere/w/api/v1/hanging?watch=1", &[(name, &value)], "").await;
    let mut body = response.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "begun");
    *server.ruling.lock().unwrap() = || Decision::Deny("by rule".into());
    server.access.send_modify(|count| *count += 1);
    let end = tokio::time::timeout(Duration::from_secs(20), body.next()).await.expect("an end");
    assert!(end.is_none(), "{end:?}");
}
