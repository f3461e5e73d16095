//! Whether the server answers yet, and whether it still does.

use crate::app::App;
use crate::extensions::info_of;
use crate::lifecycle::{Phase, starting};
use crate::respond::refuse;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use std::sync::Arc;

/// Turns away what cannot be answered yet, or will not be any more. Comes before authentication: who is calling is known
/// no sooner than the store's users are.
pub(crate) async fn phase(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let phase = app.config.lifecycle.phase();
    if matches!(phase, Phase::Serving | Phase::Stopping) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let info = info_of(&parts);
    let is_page = app.config.pages.iter().any(|(path, _)| *path == info.path);
    if let Some(error) = phase.refusal(&info, is_page) {
        let mut response = refuse(&error, &parts.headers, &parts.uri);
        if phase == Phase::Refusing && parts.version < Version::HTTP_2 {
            // The next attempt is to reach another server.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return response;
    }
    let (headers, uri) = (parts.headers.clone(), parts.uri.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let unknown = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    // Callers whom the store knows are not known yet: they are neither wrong nor without rights.
    if phase == Phase::Starting && unknown { refuse(&starting(), &headers, &uri) } else { response }
}
