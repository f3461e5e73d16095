//! Authentication of the caller. Credentials go no further than this, but for those of watches, lists and writes, which are looked at
//! again.

use super::strip_credentials::strip_credentials;
use crate::access::authentication::identify;
use crate::access::foreign::identify_foreign;
use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::extensions::{AuditId, PeerCertificates};
use crate::request_info::RequestInfo;
use crate::websocket;
use apiserver_auth::{Credentials, Identity};
use apiserver_meta::ApiError;
use http::request::Parts;
use std::time::Instant;

/// Finds out who is calling.
pub(super) async fn authenticate(app: &App, info: &RequestInfo, parts: &mut Parts) -> Result<Identity, ApiError> {
    websocket::settle_token(&mut parts.headers)?;
    let proof = RetainedCredentials::is_wanted(info).then(|| RetainedCredentials::of(app, parts));
    let certificates = parts.extensions.get::<PeerCertificates>().cloned().unwrap_or_default();
    let credentials = Credentials { headers: &parts.headers, certificates: &certificates.0 };
    let begun = Instant::now();
    let identified = identify(&app.config.authenticators, credentials).await;
    if let Some(observer) = &app.config.observer {
        observer.authenticated(identified.as_ref().ok().map(|(identity, _)| &*identity.user), begun.elapsed());
    }
    let (identity, standing) = match identified {
        Ok(known) => known,
        Err(unidentified) => match identify_foreign(app, info, &parts.headers, &unidentified).await {
            Some((identity, standing, token)) => {
                parts.extensions.insert(token);
                (identity, standing)
            }
            None => return Err(unidentified.into()),
        },
    };
    strip_credentials(&mut parts.headers, &app.config.authenticators);
    if let (Some(trail), Some(id)) = (AuditContext::of(&parts.extensions), parts.extensions.get::<AuditId>()) {
        trail.caller(&identity, info, id).await?;
    }
    parts.extensions.insert(identity.clone());
    parts.extensions.insert(standing);
    if let Some(proof) = proof {
        parts.extensions.insert(proof);
    }
    Ok(identity)
}
