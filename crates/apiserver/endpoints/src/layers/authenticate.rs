//! Who is calling. Credentials go no further than this, but for those of watches, lists and writes, which are looked at again.

use super::{AuditId, info_of, refuse};
use crate::PeerCertificates;
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::recheck::RetainedCredentials;
use crate::websocket;
use apiserver_auth::{Authentication, Authenticator, Credentials, Identity};
use apiserver_meta::{ApiError, User};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use std::sync::Arc;
use std::time::Instant;

/// How somebody came by their identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthenticationState {
    /// Proved it.
    Proved,
    /// Offered nothing, here or to whoever hands the request on.
    Anonymous,
}

impl AuthenticationState {
    pub(super) fn of(identity: &Identity) -> Self {
        if identity.user.is_anonymous() { Self::Anonymous } else { Self::Proved }
    }
}

/// Asks the authenticators in order; the first that knows the caller wins. Who offered credentials and was
/// recognised by none is refused, not taken for anonymous.
pub(crate) async fn authenticate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(error) = websocket::settle_token(&mut parts.headers) {
        return refuse(&error, &parts.headers, &parts.uri);
    }
    let proof = RetainedCredentials::is_wanted(&info_of(&parts)).then(|| RetainedCredentials::of(&app, &parts));
    let certificates = parts.extensions.get::<PeerCertificates>().cloned().unwrap_or_default();
    let credentials = Credentials { headers: &parts.headers, certificates: &certificates.0 };
    let begun = Instant::now();
    let identified = identify(&app.config.authenticators, credentials).await;
    if let Some(observer) = &app.config.observer {
        observer.authenticated(identified.as_ref().ok().map(|(identity, _)| &*identity.user), begun.elapsed());
    }
    let (identity, standing) = match identified {
        Ok(found) => found,
        Err(error) => return refuse(&error, &parts.headers, &parts.uri),
    };
    strip(&mut parts.headers, &app.config.authenticators);
    if let (Some(trail), Some(id)) = (AuditContext::of(&parts.extensions), parts.extensions.get::<AuditId>())
        && let Err(error) = trail.caller(&identity, &info_of(&parts), id).await
    {
        return refuse(&error, &parts.headers, &parts.uri);
    }
    parts.extensions.insert(identity.clone());
    parts.extensions.insert(standing);
    if let Some(proof) = proof {
        parts.extensions.insert(proof);
    }
    let mut response = next.run(super::rejoin(parts, body)).await;
    response.extensions_mut().insert(identity);
    response
}

pub(crate) async fn identify(
    chain: &[Arc<dyn Authenticator>],
    credentials: Credentials<'_>,
) -> Result<(Identity, AuthenticationState), ApiError> {
    if credentials.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(ApiError::unauthorized().with_source("more than one Authorization header"));
    }
    let mut failures = Vec::new();
    for authenticator in chain {
        match authenticator.authenticate(credentials).await {
            Authentication::Authenticated(identity) => {
                let standing = AuthenticationState::of(&identity);
                return Ok((identity, standing));
            }
            Authentication::Failed(why) => failures.push(why),
            Authentication::NotRequested => {}
        }
    }
    // Credentials that nobody here looks at were offered all the same.
    if failures.is_empty() && !credentials.headers.contains_key(AUTHORIZATION) {
        return Ok((Identity::of_user(User::anonymous()), AuthenticationState::Anonymous));
    }
    tracing::debug!(reasons = ?failures, "credentials refused");
    Err(ApiError::unauthorized())
}

fn strip(headers: &mut HeaderMap, chain: &[Arc<dyn Authenticator>]) {
    let named: Vec<_> = headers.keys().filter(|name| is_credential(name, chain)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

/// Whether a header says who is calling: to this server, or for a front proxy's client.
pub(crate) fn is_credential(name: &HeaderName, chain: &[Arc<dyn Authenticator>]) -> bool {
    name == AUTHORIZATION || name.as_str().starts_with("x-remote-") || chain.iter().any(|authenticator| authenticator.is_credential(name))
}
