//! What every request passes on its way to a handler, outermost first: the headers of every answer, panics,
//! request info, the phase of the server's life, the deadline, who is calling, for whom, is there room, may they.
//!
//! A layer leaves what it found as an extension of the request. [`RequestInfo`] and [`apiserver_auth::Identity`] are left on the
//! response as well, for metrics and audit around the router.

mod authenticate;
mod authorize;
mod deadline;
mod impersonate;
mod in_flight;
mod phase;

pub(crate) use authenticate::authenticate;
pub(crate) use authorize::authorize;
pub(crate) use deadline::deadline;
pub(crate) use impersonate::impersonate;
pub(crate) use in_flight::in_flight;
pub(crate) use phase::phase;

use crate::app::App;
use crate::audit_context::Panicked;
use crate::extensions::AuditId;
use crate::negotiation::{Layout, Media};
use crate::request_info::RequestInfo;
use crate::respond::{self, Encoding, Wire};
use apiserver_meta::{ApiError, Reason};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Gives the request its audit id (the client's own, if it sent a sane one) and every answer the headers that all have.
pub(crate) async fn every_answer(mut request: Request, next: Next) -> Response {
    let id = request.headers().get("audit-id").and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    let id: Arc<str> = id.map_or_else(|| uuid::Uuid::new_v4().to_string().into(), Into::into);
    request.extensions_mut().insert(AuditId(Arc::clone(&id)));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("audit-id", value);
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    response.extensions_mut().insert(AuditId(id));
    response
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A panic is a fault of this server that must cost no other request anything.
pub(crate) async fn panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let error = ApiError::new(Reason::InternalError, "This request caused apiserver to panic. Look in the logs for details.");
            let wire = Wire { media: Media::Json, layout: Layout::Compact, encoding: Encoding::Identity };
            let mut response = respond::error_response(&error, wire);
            response.extensions_mut().insert(Panicked(panic_message(&*panic).into()));
            response
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

/// Reads method and path, unless the listener has done so.
pub(crate) async fn request_info(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let info = match request.extensions().get::<Arc<RequestInfo>>() {
        Some(info) => Arc::clone(info),
        None => {
            let Ok(info) = RequestInfo::parse(request.method(), request.uri(), &app.config.prefix).map(Arc::new) else {
                return respond::text(StatusCode::BAD_REQUEST, "400 Bad Request: malformed URL escape");
            };
            request.extensions_mut().insert(Arc::clone(&info));
            info
        }
    };
    let mut response = next.run(request).await;
    response.extensions_mut().insert(info);
    response
}
