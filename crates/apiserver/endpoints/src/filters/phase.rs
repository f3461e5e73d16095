//! Whether the server answers yet, and whether it still does. Comes before authentication: who is calling is known no sooner than the
//! store's users are.

use crate::app::App;
use crate::lifecycle::{Phase, starting};
use crate::request_info::RequestInfo;
use crate::respond::refuse;
use axum::response::Response;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, StatusCode, Version};

/// The refusal of a request that cannot be answered yet, or will not be any more.
pub(crate) fn refusal(app: &App, phase: Phase, info: &RequestInfo, parts: &Parts) -> Option<Response> {
    if matches!(phase, Phase::Serving | Phase::Stopping) {
        return None;
    }
    let is_page = app.config.pages.iter().any(|(path, _)| *path == info.path);
    let mut response = refuse(&phase.refusal(info, is_page)?, parts);
    if phase == Phase::Refusing && parts.version < Version::HTTP_2 {
        // The next attempt is to reach another server.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}

/// Replaces a refusal of the caller while the callers whom the store knows are not known yet: they are neither wrong nor without
/// rights.
pub(crate) fn reconsidered(phase: Phase, response: Response, parts: &Parts) -> Response {
    let is_unknown = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if phase == Phase::Starting && is_unknown { refuse(&starting(), parts) } else { response }
}
