//! The layer around the router that sees every request begin and every answer end.

use super::Metrics;
use super::labels::{Head, Verb};
use super::requests::{Answered, End, SeriesKey};
use apiserver_endpoints::{BodyObserver, RequestInfo, observed};
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Answers of at most so many bytes are in memory when they begin, and go out in one piece: nobody has to wait for their end.
const IN_ONE_PIECE: u64 = 64 * 1024;

/// Counts a request and its answer.
pub(crate) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let head = Head::of(&request);
    let has_body = request.method() != Method::HEAD;
    let under_way = UnderWay::new(metrics, head.is_read_only());
    let response = next.run(request).await;
    let info = response.extensions().get::<Arc<RequestInfo>>().map(|info| &**info);
    let key = under_way.metrics.requests.key(head, info);
    let ending = Ending { key, code: response.status(), begun };
    // Of an answer to HEAD nobody reads the body.
    let size = if has_body { response.body().size_hint().exact().filter(|size| *size <= IN_ONE_PIECE) } else { Some(0) };
    let Some(size) = size else {
        return response.map(|body| observed(body, Counted::new(ending, under_way)));
    };
    under_way.metrics.answered(ending, size, End::Whole);
    response
}

/// A request is under way while this lives.
struct UnderWay {
    metrics: Arc<Metrics>,
    is_read_only: bool,
}

impl UnderWay {
    fn new(metrics: Arc<Metrics>, is_read_only: bool) -> Self {
        metrics.in_flight(is_read_only).fetch_add(1, Ordering::Relaxed);
        Self { metrics, is_read_only }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.in_flight(self.is_read_only).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response that has begun.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    key: SeriesKey,
    code: StatusCode,
    begun: Instant,
}

impl Metrics {
    fn answered(&self, ending: Ending, size: u64, end: End) {
        self.requests.answered(ending.key, Answered { code: ending.code, time: ending.begun.elapsed(), size, end });
    }
}

/// Counts the end of a body.
struct Counted {
    ending: Ending,
    metrics: Arc<Metrics>,
    size: u64,
    _under_way: Option<UnderWay>,
}

impl Counted {
    fn new(ending: Ending, under_way: UnderWay) -> Self {
        let metrics = Arc::clone(&under_way.metrics);
        // What goes on until somebody ends it is not under way: it has a gauge of its own.
        let under_way = (!matches!(ending.key.verb, Verb::Watch | Verb::Connect)).then_some(under_way);
        Self { ending, metrics, size: 0, _under_way: under_way }
    }
}

impl BodyObserver for Counted {
    fn data(&mut self, bytes: usize) {
        self.size += bytes as u64;
    }

    fn end(&mut self, is_whole: bool) {
        self.metrics.answered(self.ending, self.size, if is_whole { End::Whole } else { End::Broken });
    }
}

#[cfg(test)]
mod tests;
