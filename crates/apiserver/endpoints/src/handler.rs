//! One request, from its head to its response: an audit id, its request info, the filters, then dispatch.

use crate::app::App;
use crate::audit_context::Panicked;
use crate::dispatch;
use crate::extensions::AuditId;
use crate::filters::{self, Found, phase};
use crate::negotiation::{Layout, Media};
use crate::request_info::RequestInfo;
use crate::respond::{self, Encoding, Wire};
use apiserver_meta::{ApiError, Reason};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::FutureExt;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Answers a request. A panic is a fault of this server that must cost no other request anything.
pub(crate) async fn serve(State(app): State<Arc<App>>, mut request: Request) -> Response {
    let id = audit_id(request.headers());
    request.extensions_mut().insert(id.clone());
    let answered = AssertUnwindSafe(answer(&app, request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|panic| panicked(&*panic));
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("audit-id", value);
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    response.extensions_mut().insert(id);
    response
}

/// The audit id of a request: the client's own, if it sent a sane one.
fn audit_id(headers: &HeaderMap) -> AuditId {
    let id = headers.get("audit-id").and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    AuditId(id.map_or_else(|| uuid::Uuid::new_v4().to_string().into(), Into::into))
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Response {
    let error = ApiError::new(Reason::InternalError, "This request caused apiserver to panic. Look in the logs for details.");
    let wire = Wire { media: Media::Json, layout: Layout::Compact, encoding: Encoding::Identity };
    let mut response = respond::error_response(&error, wire);
    response.extensions_mut().insert(Panicked(panic_message(panic).into()));
    response
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

/// The response to a request, which says in its extensions what the request was about and who sent it.
async fn answer(app: &Arc<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(info) = request_info(app, &mut parts) else {
        return respond::text(StatusCode::BAD_REQUEST, "400 Bad Request: malformed URL escape");
    };
    let phase = app.config.lifecycle.phase();
    let mut response = match phase::refusal(app, phase, &info, &parts) {
        Some(refusal) => refusal,
        None => {
            let mut found = Found::default();
            let response = match filters::pass(app, &info, &mut parts, &mut found).await {
                Ok(()) => dispatch::serve(app, &info, &parts, body).await,
                Err(refused) => refused.response(&parts),
            };
            phase::reconsidered(phase, found.left_on(response), &parts)
        }
    };
    response.extensions_mut().insert(info);
    response
}

/// Reads method and URL, unless the listener has done so.
fn request_info(app: &App, parts: &mut Parts) -> Option<Arc<RequestInfo>> {
    if let Some(info) = parts.extensions.get::<Arc<RequestInfo>>() {
        return Some(Arc::clone(info));
    }
    let info = Arc::new(app.requests.resolve(&parts.method, &parts.uri, &parts.headers).ok()?);
    parts.extensions.insert(Arc::clone(&info));
    Some(info)
}
