//! Writes whose body comes after somebody has changed what the caller is or may do.
#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server};
use apiserver_auth::Decision;
use apiserver_meta::ObjectFilter;
use apiserver_meta::{AccessFilter, Facts, NamespaceScope};
use axum::body::Body;
use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A body of which the second half comes after this has happened. The first is read when the request has been let in.
fn held(text: &str, then: impl FnOnce() + Send + 'static) -> Body {
    let (first, rest) = text.split_at(text.len() / 2);
    let (first, rest) = (first.to_owned(), rest.to_owned());
    let rest = stream::once(async move {
        then();
        Ok(rest)
    });
    Body::from_stream(stream::iter([Ok::<_, Infallible>(first)]).chain(rest))
}

/// Method, path, media type, body.
type Write = (Method, String, &'static str, String);

/// Every sort of write.
fn writes() -> Vec<Write> {
    let (json, merge) = ("application/json", "application/merge-patch+json");
    let new = json!({"metadata": {"name": "new"}, "spec": {"size": 2}}).to_string();
    let one = format!("{COLLECTION}/one");
    let text = json!({"metadata": {"name": "one"}, "spec": {"text": "changed"}}).to_string();
    let apply = json!({"apiVersion": "example.io/v1", "kind": "Widget", "metadata": {"name": "new"}, "spec": {"size": 2}}).to_string();
    vec![
        (Method::POST, COLLECTION.into(), json, new),
        (Method::PUT, one.clone(), json, text.clone()),
        (Method::PATCH, one.clone(), merge, text.clone()),
        (Method::PATCH, format!("{one}/status"), merge, json!({"status": {"phase": "changed"}}).to_string()),
        (Method::PATCH, format!("{COLLECTION}/new?fieldManager=t"), "application/apply-patch+yaml", apply),
        (Method::DELETE, one.clone(), json, json!({"propagationPolicy": "Background"}).to_string()),
        (Method::DELETE, one, json, String::new()),
        (Method::DELETE, COLLECTION.into(), json, json!({"propagationPolicy": "Background"}).to_string()),
    ]
}

/// What happens while a body is held: callers are authorized by this ruling, and the leaver is known no more.
fn change(server: &Server, ruling: fn() -> Decision) -> impl FnOnce() + Send + 'static {
    let (rulings, access, known) = (Arc::clone(&server.ruling), server.access.clone(), Arc::clone(&server.leaver_is_known));
    move || {
        *rulings.lock().unwrap() = ruling;
        known.store(false, Ordering::Relaxed);
        access.send_modify(|count| *count += 1);
    }
}

/// A server with one object, on which the ruled and the leaver may do everything.
async fn server() -> Server {
    let server = Server::start().await;
    server.create("one").await;
    *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
    server
}

async fn code(server: &Server, key: &str, write: &Write, ruling: fn() -> Decision) -> u16 {
    let (method, path, media, body) = write;
    let body = held(body, change(server, ruling));
    let authorization = format!("Bearer {key}");
    server.send(method.as_str(), path, &[("authorization", &authorization), ("content-type", media)], body).await.status.as_u16()
}

/// A filter that reaches nothing.
#[derive(Debug)]
struct Nothing;

impl AccessFilter for Nothing {
    fn scope(&self, _: &str) -> NamespaceScope {
        NamespaceScope::Nothing
    }

    fn allows(&self, _: &Facts) -> bool {
        false
    }

    fn denial(&self) -> &str {
        "no longer"
    }
}

fn shows_nothing() -> Decision {
    Decision::Allow(ObjectFilter::Access(Arc::new(Nothing)))
}

#[tokio::test]
async fn a_write_is_its_callers_as_they_are_when_the_body_is_there() {
    let server = server().await;
    let no: fn() -> Decision = || Decision::NoOpinion(String::new());
    for write in writes() {
        server.leaver_is_known.store(true, Ordering::Relaxed);
        assert_eq!(code(&server, "leaver", &write, no).await, 401, "{write:?} of somebody who is not known any more");
        for (ruling, want) in [(no, 403), (|| Decision::Failed("out of reach".into()), 500)] {
            *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
            assert_eq!(code(&server, "ruled", &write, ruling).await, want, "{write:?} of somebody who may not any more");
        }
    }
    let text = server.get(COLLECTION, &[]).await.text;
    assert!(text.contains(r#""name":"one""#) && !text.contains("new") && !text.contains("changed"), "{text}");
}

#[tokio::test]
async fn a_write_sees_by_the_view_that_holds_when_the_body_is_there() {
    let server = server().await;
    for write in writes().into_iter().filter(|(method, path, ..)| *method != Method::POST && path.contains("one")) {
        *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
        assert_eq!(code(&server, "ruled", &write, shows_nothing).await, 403, "{write:?}");
    }
}

#[tokio::test]
async fn a_write_of_somebody_who_stays_who_they_are_is_carried_out() {
    for write in writes() {
        let server = server().await;
        let code = code(&server, "ruled", &write, || Decision::Allow(ObjectFilter::All)).await;
        // A replacement says which version it replaces.
        let want = if write.0 == Method::PUT { 422..423 } else { 200..202 };
        assert!(want.contains(&code), "{write:?}: {code}");
    }
}

#[tokio::test]
async fn a_question_is_its_callers_as_they_are_when_it_was_read() {
    let server = server().await;
    let body = json!({"spec": {"resourceAttributes": {"verb": "get", "group": "example.io", "resource": "widgets"}}}).to_string();
    let review: Write = (Method::POST, REVIEWS.into(), "application/json", body);
    let no: fn() -> Decision = || Decision::NoOpinion(String::new());
    assert_eq!(code(&server, "leaver", &review, no).await, 401);
    // Whoever is known may ask.
    assert_eq!(code(&server, "ruled", &review, no).await, 201);
}
