//! Authorization. Decided before anything is looked up, so that a refusal says nothing about what exists. Which kinds are served is no
//! secret: of one that is not, every caller who is known is told so.

use super::Refused;
use crate::access::authentication::AuthenticationState;
use crate::access::authorization::{Opinion, Refusal};
use crate::access::permission::{decided, settled};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::observer::Authorized;
use crate::request_info::{RequestInfo, ResourceInfo};
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, ObjectFilter};
use http::request::Parts;
use std::time::Instant;

/// Lets callers through who may, with the [`ObjectFilter`] that they have.
pub(super) async fn authorize(app: &App, info: &RequestInfo, parts: &mut Parts) -> Result<(), Refused> {
    let standing = parts.extensions.get::<AuthenticationState>().copied().unwrap_or(AuthenticationState::Anonymous);
    let identity = parts.extensions.get::<Identity>().cloned().ok_or_else(ApiError::unauthorized)?;
    let begun = Instant::now();
    let decided = decided(app, info, identity, standing).await;
    if let Some(observer) = &app.config.observer {
        observer.authorized(outcome(&decided), begun.elapsed());
    }
    match settled(app, info, standing, decided) {
        Ok(view) => {
            note(parts, "allow", "");
            check_served(app, info)?;
            parts.extensions.insert(view);
            Ok(())
        }
        Err(Refusal { error, reason, opinion }) => {
            note(parts, "forbid", &reason);
            if matches!(opinion, Opinion::Denied | Opinion::None) {
                check_served(app, info)?;
            }
            Err(error.into())
        }
    }
}

/// Tells the audit log how it was decided.
fn note(parts: &Parts, decision: &str, reason: &str) {
    if let Some(trail) = AuditContext::of(&parts.extensions) {
        trail.annotations().annotate("authorization.k8s.io/decision", decision);
        trail.annotations().annotate("authorization.k8s.io/reason", reason);
    }
}

fn outcome(decided: &Result<ObjectFilter, Refusal>) -> Authorized {
    match decided {
        Ok(_) => Authorized::Allowed,
        Err(Refusal { opinion: Opinion::Failed, .. }) => Authorized::Error,
        Err(Refusal { opinion: Opinion::Denied, .. }) => Authorized::Denied,
        Err(Refusal { opinion: Opinion::None | Opinion::Unauthenticated, .. }) => Authorized::NoOpinion,
    }
}

/// Refuses a path of a kind that is not served, in the same way for all callers: discovery tells everybody which are.
fn check_served(app: &App, info: &RequestInfo) -> Result<(), Refused> {
    let Some(ResourceInfo { group, version, resource, .. }) = &info.resource else { return Ok(()) };
    if !app.kinds.has_version(group, version) {
        return Err(Refused::NoSuchPage);
    }
    if app.kinds.has_kind(group, version, resource) { Ok(()) } else { Err(ApiError::no_such_path().into()) }
}
