//! Whether the caller may. Decided before anything is looked up, so that a refusal says nothing about what exists. Which kinds are
//! served is no secret: of one that is not, every caller who is known is told so.

use crate::access::authentication::AuthenticationState;
use crate::access::authorization::{Opinion, Refusal};
use crate::access::permission::{decided, settled};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::extensions::info_of;
use crate::observer::Authorized;
use crate::request_info::ResourceInfo;
use crate::respond::{self, refuse};
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, ObjectFilter, Reason};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use std::sync::Arc;
use std::time::Instant;

/// Lets through who may, with the [`ObjectFilter`] that they have.
pub(crate) async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match allowed(&app, &parts).await {
        Ok(view) => {
            note(&parts, "allow", "");
            if let Some(missing) = not_served(&app, &parts) {
                return missing;
            }
            parts.extensions.insert(view);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(Refusal { error, reason, .. }) => {
            note(&parts, "forbid", &reason);
            let missing = (error.reason == Reason::Forbidden).then(|| not_served(&app, &parts)).flatten();
            missing.unwrap_or_else(|| refuse(&error, &parts.headers, &parts.uri))
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

async fn allowed(app: &App, parts: &Parts) -> Result<ObjectFilter, Refusal> {
    let info = info_of(parts);
    let standing = parts.extensions.get::<AuthenticationState>().copied().unwrap_or(AuthenticationState::Anonymous);
    let identity = parts.extensions.get::<Identity>().cloned().ok_or_else(Refusal::unauthorized)?;
    let begun = Instant::now();
    let decided = decided(app, &info, identity, standing).await;
    if let Some(observer) = &app.config.observer {
        observer.authorized(outcome(&decided), begun.elapsed());
    }
    settled(app, &info, standing, decided)
}

fn outcome(decided: &Result<ObjectFilter, Refusal>) -> Authorized {
    match decided {
        Ok(_) => Authorized::Allowed,
        Err(refusal) if refusal.error.code() >= 500 => Authorized::Error,
        Err(Refusal { opinion: Opinion::Denied, .. }) => Authorized::Denied,
        Err(Refusal { opinion: Opinion::None, .. }) => Authorized::NoOpinion,
    }
}

/// The answer to a path of a kind that is not served, the same for all callers: discovery tells everybody which are.
fn not_served(app: &App, parts: &Parts) -> Option<Response> {
    let info = info_of(parts);
    let resource = info.resource.as_ref()?;
    let ResourceInfo { group, version, resource: plural, .. } = resource;
    if !app.kinds.has_version(group, version) {
        return Some(respond::page_not_found());
    }
    let missing = !app.kinds.has_kind(group, version, plural);
    missing.then(|| refuse(&ApiError::no_such_path(), &parts.headers, &parts.uri))
}
