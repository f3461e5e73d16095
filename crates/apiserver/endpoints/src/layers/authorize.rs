//! May they. Decided before anything is looked up, so that a refusal says nothing about what exists. Which kinds are
//! served is no secret: of one that is not, everybody who is known is told so.

use super::authenticate::AuthenticationState;
use super::{info_of, refuse};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::observer::Authorized;
use crate::request_info::RequestInfo;
use crate::{dispatch, virtual_collection, virtual_resource};
use apiserver_auth::{Attributes, Authorizer, Decision, Identity, Target};
use apiserver_meta::error::GroupResource;
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
            parts.extensions.insert(view);
            next.run(super::rejoin(parts, body)).await
        }
        Err(Refusal { error, reason, .. }) => {
            note(&parts, "forbid", &reason);
            let missing = (error.reason == Reason::Forbidden).then(|| dispatch::not_served(&app, &parts, &info_of(&parts))).flatten();
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

/// Whether somebody may do what a request asks for, and by which view.
pub(crate) async fn permitted(
    app: &App,
    info: &RequestInfo,
    identity: Identity,
    standing: AuthenticationState,
) -> Result<ObjectFilter, ApiError> {
    let decided = decided(app, info, identity, standing).await;
    settled(app, info, standing, decided).map_err(|refusal| refusal.error)
}

async fn decided(app: &App, info: &RequestInfo, identity: Identity, standing: AuthenticationState) -> Result<ObjectFilter, Refusal> {
    let is_for_all = || info.resource.as_ref().is_some_and(|resource| virtual_resource::is_for_all_known(app, &info.verb, resource));
    if standing == AuthenticationState::Proved && is_for_all() {
        return Ok(ObjectFilter::All);
    }
    decide(&app.config.authorizers, &attributes(identity, info)).await
}

fn settled(
    app: &App,
    info: &RequestInfo,
    standing: AuthenticationState,
    decided: Result<ObjectFilter, Refusal>,
) -> Result<ObjectFilter, Refusal> {
    match decided {
        Ok(view) => Ok(view),
        // A person without credentials is told to show some, not that they may not.
        Err(refusal) if standing == AuthenticationState::Anonymous => Err(Refusal { error: ApiError::unauthorized(), ..refusal }),
        // The answer holds only what the caller may see.
        Err(Refusal { opinion: Opinion::None, .. }) if virtual_collection::is_for_all_known(app, info) => Ok(ObjectFilter::All),
        Err(refusal) => Err(refusal),
    }
}

fn outcome(decided: &Result<ObjectFilter, Refusal>) -> Authorized {
    match decided {
        Ok(_) => Authorized::Allowed,
        Err(refusal) if refusal.error.code() >= 500 => Authorized::Error,
        Err(Refusal { opinion: Opinion::Denied, .. }) => Authorized::Denied,
        Err(Refusal { opinion: Opinion::None, .. }) => Authorized::NoOpinion,
    }
}

pub(crate) fn attributes(identity: Identity, info: &RequestInfo) -> Attributes {
    let target = match &info.resource {
        None => Target::Path(info.path.clone()),
        Some(resource) => Target::Resource {
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.resource.clone(),
            subresource: resource.subresource.clone(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
        },
    };
    Attributes { identity, verb: info.verb.to_string(), target }
}

/// A no, and whether anybody said it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    /// Why, in the authorizers' words; often empty.
    pub(crate) reason: String,
    pub(crate) opinion: Opinion,
}

impl Refusal {
    fn unauthorized() -> Self {
        Self { error: ApiError::unauthorized(), reason: String::new(), opinion: Opinion::None }
    }

    /// Nobody is let through on a doubt, and nobody is told that they may not, who perhaps may.
    fn failed(why: &str) -> Self {
        tracing::warn!(why, "authorization");
        let error = ApiError::internal("it cannot be found out whether this is allowed");
        Self { error, reason: String::new(), opinion: Opinion::Denied }
    }
}

/// Whether anybody was sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    Denied,
    None,
}

/// Asks the authorizers in order: the first that is sure decides; when none is, the answer is no.
pub(crate) async fn decide(chain: &[Arc<dyn Authorizer>], attributes: &Attributes) -> Result<ObjectFilter, Refusal> {
    let mut reasons = Vec::new();
    for authorizer in chain {
        match authorizer.authorize(attributes).await {
            Decision::Allow(view) => return Ok(view),
            Decision::Deny(reason) => return Err(Refusal { error: forbidden(attributes, &reason), reason, opinion: Opinion::Denied }),
            Decision::Failed(why) => return Err(Refusal::failed(&why)),
            Decision::NoOpinion(reason) if reason.is_empty() => {}
            Decision::NoOpinion(reason) => reasons.push(reason),
        }
    }
    let reason = reasons.join(", ");
    Err(Refusal { error: forbidden(attributes, &reason), reason, opinion: Opinion::None })
}

pub(super) fn forbidden(attributes: &Attributes, reason: &str) -> ApiError {
    let denial = apiserver_auth::denial(attributes);
    let why = if reason.is_empty() { denial } else { format!("{denial}: {reason}") };
    match &attributes.target {
        Target::Resource { group, resource, name, .. } => ApiError::forbidden(GroupResource { group, resource }, name, why),
        Target::Path(_) => {
            let mut error = ApiError::new(Reason::Forbidden, format!("forbidden: {why}"));
            error.details = Some(Box::default());
            error
        }
    }
}
