//! Authorization: the chain of authorizers, what it is asked, and a refusal of theirs.

use crate::request_info::RequestInfo;
use apiserver_auth::{Attributes, Authorizer, Decision, Identity, Target};
use apiserver_meta::error::GroupResource;
use apiserver_meta::{ApiError, ObjectFilter, Reason};
use std::sync::Arc;

/// The attributes of an attempt, as authorizers are asked about it.
pub(crate) fn attributes(identity: Identity, verb: &str, target: Target) -> Attributes {
    Attributes { identity, verb: verb.to_owned(), target }
}

/// The target of a request.
pub(crate) fn target(info: &RequestInfo) -> Target {
    match &info.resource {
        None => Target::Path(info.path.clone()),
        Some(resource) => Target::Resource {
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.resource.clone(),
            subresource: resource.subresource.clone(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
        },
    }
}

/// A refusal, and whether any authorizer said it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: ApiError,
    /// Why, in the authorizers' words; often empty.
    pub(crate) reason: String,
    pub(crate) opinion: Opinion,
}

impl Refusal {
    /// The refusal when authorization fails: access is denied, but the client is not told that it is forbidden.
    fn failed(why: &str) -> Self {
        tracing::warn!(why, "authorization");
        let error = ApiError::internal("it cannot be found out whether this is allowed");
        Self { error, reason: String::new(), opinion: Opinion::Failed }
    }
}

/// The authorizers' opinion of a request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// One is sure that it is not allowed.
    Denied,
    /// None is sure.
    None,
    /// One could not find out.
    Failed,
    /// They do not matter: the caller has to show credentials.
    Unauthenticated,
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

/// The 403 for an attempt, as clients read it.
pub(crate) fn forbidden(attributes: &Attributes, reason: &str) -> ApiError {
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
