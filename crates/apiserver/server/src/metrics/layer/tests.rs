#![allow(clippy::unwrap_used)]

use super::super::text::Text;
use super::*;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::middleware::from_fn_with_state;
use futures::StreamExt;
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt as _;

/// A router that answers every path with a body in pieces, as the real one leaves its answers.
fn router(pieces: Vec<usize>, metrics: &Arc<Metrics>) -> Router {
    let answer = move |request: Request| {
        let pieces = pieces.clone();
        async move {
            let info = Arc::new(RequestInfo::parse(request.method(), request.uri(), "").unwrap());
            let stream = futures::stream::iter(pieces).map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size])));
            let mut response = Response::new(Body::from_stream(stream));
            response.extensions_mut().insert(info);
            response
        }
    };
    Router::new().fallback(answer).layer(from_fn_with_state(Arc::clone(metrics), count))
}

fn written(metrics: &Metrics) -> String {
    let mut text = Text::default();
    metrics.write(&mut text);
    text.into_string()
}

fn value(text: &str, name: &str, label: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(label))?;
    Some(line.rsplit(' ').next().unwrap().to_owned())
}

#[tokio::test]
async fn an_answer_counts_when_all_of_it_was_read() {
    let metrics = Metrics::new(&[], &[], &[], &[]);
    let request = Request::get("/apis").body(Body::empty()).unwrap();
    let response = router(vec![100_000, 50_000], &metrics).oneshot(request).await.unwrap();
    let text = written(&metrics);
    assert_eq!(value(&text, "apiserver_request_total", "/apis"), None);
    assert_eq!(value(&text, "apiserver_current_inflight", "readOnly").as_deref(), Some("1"));
    response.into_body().collect().await.unwrap();
    let text = written(&metrics);
    assert_eq!(value(&text, "apiserver_request_total", "/apis").as_deref(), Some("1"));
    assert_eq!(value(&text, "apiserver_response_sizes_sum", "/apis").as_deref(), Some("150000"));
    assert_eq!(value(&text, "apiserver_current_inflight", "readOnly").as_deref(), Some("0"));
    assert_eq!(value(&text, "apiserver_request_aborts_total{", ""), None);
}

#[tokio::test]
async fn an_answer_that_is_left_counts_as_aborted() {
    let metrics = Metrics::new(&[], &[], &[], &[]);
    let request = Request::post("/apis").body(Body::empty()).unwrap();
    let response = router(vec![100_000, 50_000], &metrics).oneshot(request).await.unwrap();
    assert_eq!(value(&written(&metrics), "apiserver_current_inflight", "mutating").as_deref(), Some("1"));
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let text = written(&metrics);
    assert_eq!(value(&text, "apiserver_request_aborts_total", "/apis").as_deref(), Some("1"));
    assert_eq!(value(&text, "apiserver_current_inflight", "mutating").as_deref(), Some("0"));
}

#[tokio::test]
async fn a_request_whose_client_goes_away_early_is_no_longer_under_way() {
    let metrics = Metrics::new(&[], &[], &[], &[]);
    let never = Router::new().fallback(std::future::pending::<Response>).layer(from_fn_with_state(Arc::clone(&metrics), count));
    let request = Request::get("/apis").body(Body::empty()).unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(1), never.oneshot(request)).await;
    assert!(answer.is_err());
    assert_eq!(value(&written(&metrics), "apiserver_current_inflight", "readOnly").as_deref(), Some("0"));
}

#[tokio::test]
async fn nobody_reads_the_body_of_a_head() {
    let metrics = Metrics::new(&[], &[], &[], &[]);
    let request = Request::head("/apis").body(Body::empty()).unwrap();
    drop(router(vec![100_000], &metrics).oneshot(request).await.unwrap());
    let text = written(&metrics);
    assert_eq!(value(&text, "apiserver_request_total", "/apis").as_deref(), Some("1"));
    assert_eq!(value(&text, "apiserver_request_aborts_total{", ""), None);
}
