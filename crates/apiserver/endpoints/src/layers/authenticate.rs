//! Authentication of the caller. Credentials go no further than this, but for those of watches, lists and writes, which are looked at
//! again.

use crate::access::authentication::{identify, is_credential};
use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::extensions::{AuditId, PeerCertificates, info_of};
use crate::respond::refuse;
use crate::websocket;
use apiserver_auth::{Authenticator, Credentials};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Instant;

/// Authenticates the caller.
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
    let mut response = next.run(Request::from_parts(parts, body)).await;
    response.extensions_mut().insert(identity);
    response
}

fn strip(headers: &mut HeaderMap, chain: &[Arc<dyn Authenticator>]) {
    let named: Vec<_> = headers.keys().filter(|name| is_credential(name, chain)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}
