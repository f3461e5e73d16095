//! Watches: frames as they come, many in one write when many are waiting.

mod frames;
mod websocket;

use super::while_allowed::AllowedWatch;
use crate::call::Call;
use crate::chunks::{Growth, Pace};
use crate::negotiation::Offer;
use crate::reader_view::ReaderView;
use crate::render::Renderer;
use crate::request_info::PathForm;
use crate::respond;
use crate::selectable::watch_options;
use apiserver_meta::ApiError;
use apiserver_meta::selector::FieldSelector;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use frames::Frames;
use futures::StreamExt;
use http::StatusCode;
use http_body::Frame as BodyFrame;
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
    let watch = call.registry.watch(&call.ctx, &call.resource.namespace, &options, &call.filter).await?;
    let extended = ReaderView::of(call).await;
    let watch = AllowedWatch::new(call, watch, extended.private().cloned());
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
    let terms = [call.query().first("fieldSelector").unwrap_or_default().to_owned(), format!("metadata.name={escaped}")];
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
    watch: AllowedWatch,
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
