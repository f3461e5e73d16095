//! Who may say whose an object is, and what its access rules grant.
//!
//! A right to create or to change an object is no right to hand it, or rights on it, to others: otherwise whoever was
//! granted `update` could grant themselves everything else.

use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use vci_auth::directory::{Directory, Role};
use vci_meta::context::GROUP_MASTERS;
use vci_meta::{ApiError, Object, RequestContext, Scope, Verb};
use vci_registry::{Admission, AdmissionRequest};

/// The fields that say who may do what with an object.
const FIELDS: [&str; 2] = ["owner", "access"];

/// Lets everybody create objects of their own or of their teams, and owners change `spec.owner` and `spec.access`;
/// admins, of the project or of everything, may do so with any object of a namespace.
#[derive(Debug)]
pub(crate) struct Ownership {
    directory: Arc<Directory>,
}

impl Ownership {
    /// Reads roles from this directory.
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }

    fn is_admin(&self, ctx: &RequestContext, namespace: &str) -> bool {
        ctx.user.in_group(GROUP_MASTERS)
            || self.directory.is_admin(&ctx.caller)
            || self.directory.role(namespace, &ctx.caller) == Some(Role::Admin)
    }
}

#[async_trait]
impl Admission for Ownership {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.descriptor.scope == Scope::Namespaced) else { return Ok(()) };
        let wrong = match (request.verb, request.old) {
            (Verb::Create, _) => (!names_caller_alone(ctx, object)).then_some("set spec.owner to somebody else"),
            (_, Some(old)) if FIELDS.iter().any(|field| differs(object, old, field)) && !is_owned(ctx, old) => {
                Some("change spec.owner and spec.access of what somebody else owns")
            }
            _ => None,
        };
        match wrong {
            Some(what) if !self.is_admin(ctx, &request.key.namespace) => {
                let why = format!("User {:?} cannot {what}", ctx.user.name);
                Err(ApiError::forbidden(request.descriptor.group_resource(), object.name(), why))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the object names no owner but the caller and a team of the caller.
fn names_caller_alone(ctx: &RequestContext, object: &Object) -> bool {
    match owners(object) {
        ("", "") => false,
        (user, "") => is_name_of(ctx, user),
        ("", team) => ctx.caller.teams.iter().any(|own| own == team),
        (user, team) => is_name_of(ctx, user) && ctx.caller.teams.iter().any(|own| own == team),
    }
}

/// Whether the caller owns the object, alone or through a team.
fn is_owned(ctx: &RequestContext, object: &Object) -> bool {
    let (user, team) = owners(object);
    let through_team = !team.is_empty() && ctx.caller.teams.iter().any(|own| own == team);
    !user.is_empty() && is_name_of(ctx, user) || through_team
}

fn owners(object: &Object) -> (&str, &str) {
    (object.str_at(&["spec", "owner", "user"]), object.str_at(&["spec", "owner", "team"]))
}

/// Who has no User object, and is no team, is known by the name alone.
fn is_name_of(ctx: &RequestContext, user: &str) -> bool {
    match &ctx.caller.user {
        Some(name) => name == user,
        None => ctx.caller.teams.is_empty() && ctx.user.name == user,
    }
}

fn differs(a: &Object, b: &Object, field: &str) -> bool {
    let value = |object: &Object| object.at(&["spec", field]).cloned().unwrap_or(Value::Null);
    value(a) != value(b)
}
