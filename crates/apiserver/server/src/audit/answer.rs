//! The layer around the router, and the bodies of answers on their way out.
//!
//! The last event of a request is logged before the last bytes of its answer leave: whoever has the whole answer finds the
//! event in the log (in batch mode: on its way there). Nothing is held back of a list but its end.

use super::AuditLog;
use super::event::Stage;
use super::policy::ManagedFields;
use super::trail::{Capture, NextStage, RequestTrail};
use super::writer::AuditMode;
use apiserver_endpoints::AuditContext;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Follows a request.
pub(crate) async fn follow(State(log): State<Arc<AuditLog>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let trail = Arc::new(RequestTrail::new(&log, &parts));
    parts.extensions.insert(AuditContext(Arc::clone(&trail) as _));
    let mut pending = Pending(Some(trail));
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(trail) = pending.0.take() else { return response };
    match trail.answered(response.status(), response.extensions()) {
        NextStage::Unlogged => response,
        NextStage::Last(stage) => {
            wait_for(end(trail, stage)).await;
            response
        }
        NextStage::Watch => {
            wait_for(end(Arc::clone(&trail), Stage::ResponseStarted)).await;
            response.map(|body| Audited::around(body, trail, None))
        }
        NextStage::Body(capture) => {
            let captured = match capture {
                Capture::Nothing => None,
                Capture::Object(managed_fields) => {
                    Some(Captured { head: response.headers().clone(), managed_fields, bytes: Some(Vec::new()) })
                }
            };
            response.map(|body| Audited::around(body, trail, captured))
        }
    }
}

/// Logs a stage, whoever goes away meanwhile. Nobody waits in batch mode.
fn end(trail: Arc<RequestTrail>, stage: Stage) -> Option<JoinHandle<()>> {
    if trail.log().writer.mode() == AuditMode::Batch {
        // There, nothing is ever waited for.
        let _ = trail.reach(stage).now_or_never();
        return None;
    }
    // Without a runtime the server has ended, after it has flushed the log.
    Handle::try_current().ok().map(|_| {
        let log = Arc::clone(trail.log());
        log.tasks.spawn(async move {
            trail.reach(stage).await;
        })
    })
}

async fn wait_for(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        let _ = task.await;
    }
}

/// A request that has no answer yet. Dropped when the client goes away.
struct Pending(Option<Arc<RequestTrail>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(trail) = self.0.take()
            && let NextStage::Last(stage) = trail.abandoned()
        {
            end(trail, stage);
        }
    }
}

/// A body whose end is logged.
struct Audited {
    body: Body,
    trail: Arc<RequestTrail>,
    captured: Option<Captured>,
    progress: Progress,
}

enum Progress {
    Open,
    /// The last frame, if there is one, is held until the event is written.
    Ending(Option<JoinHandle<()>>, Option<Frame<Bytes>>),
    Ended,
}

/// What has gone by of a body; no bytes once it is too long.
struct Captured {
    head: HeaderMap,
    managed_fields: ManagedFields,
    bytes: Option<Vec<u8>>,
}

impl Captured {
    fn add(&mut self, more: &[u8], limit: usize) {
        match &mut self.bytes {
            Some(bytes) if bytes.len() + more.len() <= limit => bytes.extend_from_slice(more),
            bytes => *bytes = None,
        }
    }
}

impl Audited {
    fn around(body: Body, trail: Arc<RequestTrail>, captured: Option<Captured>) -> Body {
        Body::new(Self { body, trail, captured, progress: Progress::Open })
    }

    fn end(&mut self) -> Option<JoinHandle<()>> {
        if let Some(captured) = self.captured.take() {
            self.trail.body(&captured.head, captured.bytes.as_deref(), captured.managed_fields);
        }
        end(Arc::clone(&self.trail), Stage::ResponseComplete)
    }
}

impl HttpBody for Audited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            match &mut self.progress {
                Progress::Ended => return Poll::Ready(None),
                Progress::Ending(task, last) => {
                    if let Some(task) = task {
                        // A task that has failed has nothing more to write.
                        let _ = ready!(Pin::new(task).poll(cx));
                    }
                    let last = last.take();
                    self.progress = Progress::Ended;
                    return Poll::Ready(last.map(Ok));
                }
                Progress::Open => {}
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?;
            let limit = self.trail.log().max_event_size;
            if let (Some(captured), Some(data)) = (&mut self.captured, frame.as_ref().and_then(Frame::data_ref)) {
                captured.add(data, limit);
            }
            if frame.is_some() && !self.body.is_end_stream() {
                return Poll::Ready(frame.map(Ok));
            }
            self.progress = Progress::Ending(self.end(), frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.progress {
            Progress::Open => self.body.is_end_stream(),
            Progress::Ending(..) => false,
            Progress::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Audited {
    /// The client has gone, or there is nothing to read.
    fn drop(&mut self) {
        if matches!(self.progress, Progress::Open) {
            // What a body was cut short at is no object.
            if !self.body.is_end_stream() {
                self.captured = None;
            }
            self.end();
        }
    }
}
