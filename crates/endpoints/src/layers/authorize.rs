//! May they. Decided before anything is looked up, so that a refusal says nothing about what exists.

use super::authenticate::Standing;
use super::{info_of, refuse};
use crate::app::App;
use crate::computed;
use crate::request_info::RequestInfo;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use std::sync::Arc;
use vci_auth::{Attributes, Authorizer, Decision, Identity, Target};
use vci_meta::error::GroupResource;
use vci_meta::{ApiError, Reason, View};

/// Lets through who may, with the [`View`] that they have.
pub(crate) async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match allowed(&app, &parts).await {
        Ok(view) => {
            parts.extensions.insert(view);
            next.run(super::rejoin(parts, body)).await
        }
        Err(error) => refuse(&error, &parts.headers, &parts.uri),
    }
}

async fn allowed(app: &App, parts: &Parts) -> Result<View, ApiError> {
    let info = info_of(parts);
    let anonymous = parts.extensions.get::<Standing>() != Some(&Standing::Proved);
    let identity = parts.extensions.get::<Identity>().cloned().ok_or_else(ApiError::unauthorized)?;
    if !anonymous && info.resource.as_ref().is_some_and(|resource| computed::is_for_all_known(app, &info.verb, resource)) {
        return Ok(View::All);
    }
    match decide(&app.config.authorizers, &attributes(identity, &info)).await {
        Ok(view) => Ok(view),
        // A person without credentials is told to show some, not that they may not.
        Err(_) if anonymous => Err(ApiError::unauthorized()),
        // Whoever is known may ask: the answer holds only namespaces that the directory shows to them.
        Err(Refusal { opinion: Opinion::None, .. }) if is_namespaces(app, &info) => Ok(View::All),
        Err(refusal) => Err(refusal.error),
    }
}

fn is_namespaces(app: &App, info: &RequestInfo) -> bool {
    let core = info.resource.as_ref().is_some_and(|r| r.group.is_empty() && r.resource == "namespaces");
    core && app.config.namespaces.is_some()
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

/// Whether anybody was sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    Denied,
    None,
}

/// Asks the authorizers in order: the first that is sure decides; when none is, the answer is no.
pub(crate) async fn decide(chain: &[Arc<dyn Authorizer>], attributes: &Attributes) -> Result<View, Refusal> {
    let mut reasons = Vec::new();
    for authorizer in chain {
        match authorizer.authorize(attributes).await {
            Decision::Allow(view) => return Ok(view),
            Decision::Deny(reason) => return Err(Refusal { error: forbidden(attributes, &reason), reason, opinion: Opinion::Denied }),
            Decision::NoOpinion(reason) if reason.is_empty() => {}
            Decision::NoOpinion(reason) => reasons.push(reason),
        }
    }
    let reason = reasons.join(", ");
    Err(Refusal { error: forbidden(attributes, &reason), reason, opinion: Opinion::None })
}

pub(super) fn forbidden(attributes: &Attributes, reason: &str) -> ApiError {
    let denial = vci_auth::denial(attributes);
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
