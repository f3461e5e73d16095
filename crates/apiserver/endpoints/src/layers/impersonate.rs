//! Impersonation: the user that the caller acts as takes the caller's place ([`crate::access::impersonation`]).

use crate::access::authentication::AuthenticationState;
use crate::access::impersonation::{impersonated_user, is_impersonation_header};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::extensions::ImpersonatedUser;
use crate::respond::refuse;
use apiserver_auth::Identity;
use apiserver_meta::ApiError;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Puts the one who is acted for in the place of the caller, if the caller may.
pub(crate) async fn impersonate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !request.headers().keys().any(is_impersonation_header) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let found = match (parts.extensions.get::<Identity>(), parts.extensions.get::<AuthenticationState>()) {
        (Some(caller), Some(standing)) => impersonated_user(&app, &parts.headers, caller, *standing).await,
        _ => Err(ApiError::unauthorized()),
    };
    let (identity, standing) = match found {
        Ok(found) => found,
        Err(error) => return refuse(&error, &parts.headers, &parts.uri),
    };
    let headers_of_request: Vec<_> = parts.headers.keys().filter(|name| is_impersonation_header(name)).cloned().collect();
    for name in headers_of_request {
        parts.headers.remove(name);
    }
    if let Some(trail) = AuditContext::of(&parts.extensions) {
        trail.impersonated_user(&identity);
    }
    parts.extensions.insert(standing);
    parts.extensions.insert(identity.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    response.extensions_mut().insert(ImpersonatedUser(identity));
    response
}
