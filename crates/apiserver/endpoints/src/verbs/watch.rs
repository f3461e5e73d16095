//! Watches: frames as they come, many in one write when many are waiting.

use crate::call::Call;
use crate::chunks::{Growth, Pace};
use crate::extended::Extended;
use crate::negotiation::Offer;
use crate::observer::WatchObserver;
use crate::recheck::while_allowed;
use crate::render::{Columns, Renderer};
use crate::request_info::PathForm;
use crate::respond;
use crate::selectable::watch_options;
use crate::websocket;
use apiserver_meta::selector::FieldSelector;
use apiserver_meta::{ApiError, Descriptor};
use apiserver_registry::{EventKind, Frame, Watch};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use http_body::Frame as BodyFrame;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub(crate) async fn serve(call: &Call) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Frames)?;
    let renderer = Renderer::of_object(representation.target, call.registry.resource())?;
    let mut options = watch_options(call.descriptor(), call.query())?;
    if call.resource.form == PathForm::WatchObject {
        options.fields = only_named(call, &options.fields)?;
    }
    if options.timeout_seconds.is_none() {
        options.timeout_seconds = Some(some_time(call.app.config.limits.min_watch).as_secs());
    }
    let watch = call.registry.watch(&call.ctx, &call.resource.namespace, &options, &call.view).await?;
    let extended = Extended::of(call).await;
    let watch = while_allowed(call, watch, extended.private().cloned());
    let observer = call.app.config.observer.as_ref().map(|observer| observer.watch(&call.info));
    let frames = Frames::new(call.descriptor(), renderer, extended, observer);
    if let Some(handshake) = &call.handshake {
        return websocket::serve(handshake, watch, frames);
    }
    let body = WatchBody { watch, frames, pace: Pace::default(), growth: Growth::default(), end: End::Open };
    Ok(respond::response(StatusCode::OK, "application/json", Body::new(body)))
}

/// The selector of the request, narrowed to the object that its path names.
fn only_named(call: &Call, given: &FieldSelector) -> Result<FieldSelector, ApiError> {
    let name = call.resource.name.as_str();
    match given.requires_exact("metadata.name") {
        Some(selected) if selected == name => return Ok(given.clone()),
        Some(_) => return Err(ApiError::bad_request("fieldSelector metadata.name doesn't match requested name")),
        None => {}
    }
    let escaped = name.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    let terms = [call.query().first("fieldSelector").unwrap_or_default().into_owned(), format!("metadata.name={escaped}")];
    let text = terms.iter().filter(|term| !term.is_empty()).cloned().collect::<Vec<_>>().join(",");
    FieldSelector::parse(&text).map_err(|error| ApiError::bad_request(error.0))
}

/// Between `least` and twice that, so that watches opened together do not end together.
fn some_time(least: Duration) -> Duration {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let spread = u64::try_from(least.as_millis()).unwrap_or(u64::MAX).max(1);
    least + Duration::from_millis(random % spread)
}

/// A watch as an HTTP body.
struct WatchBody {
    watch: Watch,
    frames: Frames,
    pace: Pace,
    growth: Growth,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Reached,
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        ready!(self.pace.poll(cx));
        let mut lines = Vec::new();
        let enough = self.growth.piece();
        while self.end == End::Open && lines.len() < enough {
            match self.watch.poll_next_unpin(cx) {
                Poll::Ready(Some(frame)) => self.frames.write(&frame, &mut lines),
                Poll::Ready(None) => self.end = End::Reached,
                Poll::Pending => {
                    self.growth = Growth::default();
                    if lines.is_empty() {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        self.pace.gave(lines.len());
        Poll::Ready((!lines.is_empty()).then(|| Ok(BodyFrame::data(Bytes::from(lines)))))
    }
}

/// Writes frames in the representation that the watcher asked for.
pub(crate) struct Frames {
    kind: &'static str,
    api_version: String,
    renderer: Renderer,
    extended: Extended,
    columns: Columns,
    observer: Option<Box<dyn WatchObserver>>,
}

impl Frames {
    fn new(descriptor: &Descriptor, renderer: Renderer, extended: Extended, observer: Option<Box<dyn WatchObserver>>) -> Self {
        let (kind, api_version) = (descriptor.kind, descriptor.api_version());
        Self { kind, api_version, renderer, extended, columns: Columns::Shown, observer }
    }

    /// Appends one frame, ended by a newline.
    pub(crate) fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let before = out.len();
        self.append(frame, out);
        if let Some(observer) = &mut self.observer {
            observer.frame(out.len() - before);
            if matches!(frame, Frame::Bookmark { initial_events_end: true, .. }) {
                observer.initial_events_end();
            }
        }
    }

    fn append(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        match frame {
            Frame::Event { kind, item } if matches!(self.renderer, Renderer::Object) && self.extended.is_empty() => {
                begin(word(*kind), out);
                out.extend_from_slice(&item.bytes);
                out.extend_from_slice(END);
            }
            Frame::Event { kind, item } => {
                let object = self.extended.fill(item).into_owned();
                self.rendered(word(*kind), &object, &self.renderer.clone(), out);
            }
            Frame::Bookmark { revision, initial_events_end } => {
                let mut metadata = json!({ "resourceVersion": revision.to_string() });
                if *initial_events_end {
                    metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
                }
                let object = json!({ "kind": self.kind, "apiVersion": self.api_version, "metadata": metadata });
                let renderer = if *initial_events_end { self.renderer.with_metadata() } else { self.renderer.clone() };
                self.rendered("BOOKMARK", object.to_string().as_bytes(), &renderer, out);
            }
            Frame::Error(status) => {
                let status = serde_json::to_string(status).unwrap_or_default();
                out.extend_from_slice(format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n").as_bytes());
            }
        }
    }

    fn rendered(&mut self, word: &str, object: &[u8], renderer: &Renderer, out: &mut Vec<u8>) {
        begin(word, out);
        renderer.object(object, self.columns, out);
        out.extend_from_slice(END);
        self.columns = Columns::Left;
    }
}

/// What a frame ends with, behind its object.
const END: &[u8] = b"}\n";

fn begin(word: &str, out: &mut Vec<u8>) {
    for part in ["{\"type\":\"", word, "\",\"object\":"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}
