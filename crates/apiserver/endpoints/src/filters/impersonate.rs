//! Impersonation: the user that the caller acts as takes the caller's place ([`crate::access::impersonation`]).

use crate::access::authentication::AuthenticationState;
use crate::access::impersonation::{impersonated_user, is_impersonation_header};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::extensions::ImpersonatedUser;
use apiserver_auth::Identity;
use apiserver_meta::ApiError;
use http::request::Parts;

/// Puts the user that the caller acts as in the caller's place, if the caller may.
pub(super) async fn impersonate(app: &App, parts: &mut Parts) -> Result<Option<ImpersonatedUser>, ApiError> {
    let named: Vec<_> = parts.headers.keys().filter(|name| is_impersonation_header(name)).cloned().collect();
    if named.is_empty() {
        return Ok(None);
    }
    let (identity, standing) = match (parts.extensions.get::<Identity>(), parts.extensions.get::<AuthenticationState>()) {
        (Some(caller), Some(standing)) => impersonated_user(app, &parts.headers, caller, *standing).await?,
        _ => return Err(ApiError::unauthorized()),
    };
    for name in named {
        parts.headers.remove(name);
    }
    if let Some(trail) = AuditContext::of(&parts.extensions) {
        trail.impersonated_user(&identity);
    }
    parts.extensions.insert(standing);
    parts.extensions.insert(identity.clone());
    Ok(Some(ImpersonatedUser(identity)))
}
