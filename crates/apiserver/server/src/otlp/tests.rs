#![allow(clippy::unwrap_used)]
//! Spans as a collector gets them.

use super::*;
use apiserver_meta::User;
use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use http_body_util::BodyExt as _;
use std::collections::BTreeMap;
use tower::ServiceExt as _;
use vci_testkit::collector::{Collector, Span as Sent};

const OBJECT: &str = "/apis/library.example.com/v1/namespaces/n/books/a?token=s3cret";
/// Of a trace that is sampled.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The spans of requests, each with a user's group and a `traceparent`.
async fn spans(share: f64, requests: &[(&str, &str, &str)]) -> Vec<Sent> {
    let collector = Collector::start().await;
    let traces = Traces::start(&TracingPlan { endpoint: collector.address().to_string(), share }, "1.2.3").unwrap();
    let play = async |request: Request, _: Next| {
        let mut response = Response::new(Body::from("answer"));
        if request.uri().path().ends_with("/broken") {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        response.extensions_mut().insert(Arc::new(RequestInfo::parse(request.method(), request.uri(), "").unwrap()));
        response.extensions_mut().insert(AuditId("the-id".into()));
        let groups = vec![request.headers()["group"].to_str().unwrap().to_owned()];
        let user = Arc::new(User { name: "ann".into(), groups, ..User::default() });
        response.extensions_mut().insert(Identity { user, principal: apiserver_meta::Principal::default() });
        response
    };
    let router = traces.around(Router::new().layer(from_fn(play)));
    for (uri, group, parent) in requests {
        let request = http::Request::get(*uri).header("group", *group);
        let request = if parent.is_empty() { request } else { request.header("traceparent", *parent) };
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "answer");
    }
    traces.flush().await;
    collector.spans()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_says_what_was_asked_and_how_it_ended() {
    let sent = spans(1.0, &[(OBJECT, "devs", ""), ("/version", "devs", ""), ("/broken", "devs", "")]).await;
    let names: Vec<&str> = sent.iter().map(|span| span.name.as_str()).collect();
    let want = ["GET /apis/library.example.com/v1/namespaces/{:namespace}/books/{:name}", "GET", "GET"];
    assert_eq!(names, want);
    let want: BTreeMap<String, String> = [
        ("http.request.method", "GET"),
        ("http.target", "/apis/library.example.com/v1/namespaces/n/books/a?token=REDACTED"),
        ("url.path", "/apis/library.example.com/v1/namespaces/n/books/a"),
        ("http.response.status_code", "200"),
        ("audit-id", "the-id"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    assert_eq!(sent[0].attributes, want);
    assert_eq!(sent[0].service, "vci-apiserver");
    assert_eq!(sent.iter().map(|span| span.failed).collect::<Vec<_>>(), [false, false, true]);
    assert!(sent.iter().all(|span| span.parent.is_empty() && span.links.is_empty() && span.end >= span.begin && span.begin > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_masters_make_a_request_be_traced() {
    let offered = "4bf92f3577b34da6a3ce929d0e0e4736";
    let requests = [
        (OBJECT, "system:masters", PARENT),
        (OBJECT, "devs", PARENT),
        (OBJECT, "system:masters", ""),
        (OBJECT, "system:masters", "rubbish"),
    ];
    let sent = spans(0.0, &requests).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((sent[0].trace.as_str(), sent[0].parent.as_str()), (offered, "00f067aa0ba902b7"));
    let sent = spans(1.0, &[(OBJECT, "devs", PARENT)]).await;
    assert_eq!(
        (sent[0].links.as_slice(), sent[0].parent.as_str()),
        (&[offered.to_owned()][..], ""),
        "a trace of its own, which knows of theirs"
    );
    assert_ne!(sent[0].trace, offered);
}

#[test]
fn names_are_those_of_upstream() {
    for (path, want) in [
        ("/api/v1/namespaces", "GET /api/v1/namespaces"),
        ("/apis/library.example.com/v1/shelves/p/members", "GET /apis/library.example.com/v1/shelves/{:name}/members"),
        ("/apis/library.example.com/v1", "GET"),
    ] {
        let info = RequestInfo::parse(&Method::GET, &Uri::try_from(path).unwrap(), "").unwrap();
        assert_eq!(span_name(&Method::GET, info.resource.as_ref()), want);
    }
}

/// A collector that is not there holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_only_the_spans() {
    let traces = Traces::start(&TracingPlan { endpoint: "127.0.0.1:1".into(), share: 1.0 }, "1.2.3").unwrap();
    let router = traces.around(Router::new());
    let response = router.oneshot(http::Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    drop(response);
    tokio::time::timeout(FLUSH_TIME * 6, traces.flush()).await.unwrap();
}
