//! The layer around the router, and the bodies of responses.
//!
//! The last event of a request is written before the last bytes of its response are sent: a client that has the whole response finds
//! the event in the log (in batch mode: queued). Of a list only the end is delayed.

use super::AuditLog;
use super::event::Stage;
use super::policy::ManagedFields;
use super::request_audit::{Capture, NextStage, RequestAudit};
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

/// Audits a request.
pub(crate) async fn follow(State(log): State<Arc<AuditLog>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let audit = Arc::new(RequestAudit::new(&log, &parts));
    parts.extensions.insert(AuditContext(Arc::clone(&audit) as _));
    let mut pending = Pending(Some(audit));
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(audit) = pending.0.take() else { return response };
    match audit.answered(response.status(), response.extensions()) {
        NextStage::Unlogged => response,
        NextStage::Last(stage) => {
            wait_for(end(audit, stage)).await;
            response
        }
        NextStage::LongRunning => {
            wait_for(end(Arc::clone(&audit), Stage::ResponseStarted)).await;
            response.map(|body| Audited::around(body, audit, None))
        }
        NextStage::Body(capture) => {
            let captured = match capture {
                Capture::Nothing => None,
                Capture::Object(managed_fields) => {
                    Some(Captured { head: response.headers().clone(), managed_fields, bytes: Some(Vec::new()) })
                }
            };
            response.map(|body| Audited::around(body, audit, captured))
        }
    }
}

/// Logs a stage, even if the client goes away meanwhile. In batch mode there is nothing to wait for.
fn end(audit: Arc<RequestAudit>, stage: Stage) -> Option<JoinHandle<()>> {
    if audit.log().queue.mode() == AuditMode::Batch {
        // There, nothing is ever waited for.
        let _ = audit.reach(stage).now_or_never();
        return None;
    }
    // Without a runtime the server has ended, after it has flushed the log.
    Handle::try_current().ok().map(|_| {
        let log = Arc::clone(audit.log());
        log.tasks.spawn(async move {
            audit.reach(stage).await;
        })
    })
}

async fn wait_for(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        let _ = task.await;
    }
}

/// A request without a response yet. Dropped when the client goes away.
struct Pending(Option<Arc<RequestAudit>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(audit) = self.0.take()
            && let NextStage::Last(stage) = audit.abandoned()
        {
            end(audit, stage);
        }
    }
}

/// A body whose end is logged.
struct Audited {
    body: Body,
    audit: Arc<RequestAudit>,
    captured: Option<Captured>,
    progress: Progress,
}

enum Progress {
    Open,
    /// The last frame, if there is one, is held until the event is written.
    Ending(Option<JoinHandle<()>>, Option<Frame<Bytes>>),
    Ended,
}

/// The part of a body that was sent so far; no bytes once it is too long.
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
    fn around(body: Body, audit: Arc<RequestAudit>, captured: Option<Captured>) -> Body {
        Body::new(Self { body, audit, captured, progress: Progress::Open })
    }

    fn end(&mut self) -> Option<JoinHandle<()>> {
        if let Some(captured) = self.captured.take() {
            self.audit.body(&captured.head, captured.bytes.as_deref(), captured.managed_fields);
        }
        end(Arc::clone(&self.audit), Stage::ResponseComplete)
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
            let limit = self.audit.log().max_event_size;
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
