//! May somebody: the verdict of the same authorizers that requests meet.

use super::types::{AccessReview, AccessReviewSpec, SelfSubjectAccessReview, SubjectAccessReview, SubjectAccessReviewStatus, json};
use crate::virtual_resource::{VirtualRequest, VirtualResource};
use apiserver_auth::{Identity, IdentityMapper, Target};
use apiserver_meta::field::{FieldError, FieldPath};
use apiserver_meta::{ApiError, Schema, User, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;

/// The subject of a review.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The caller.
    Caller,
    /// The user that the question names, as known here. Only for callers who may ask about others.
    Named(Arc<dyn IdentityMapper>),
}

/// A review of access under this descriptor: its forms are the same in every group.
pub fn access_review(descriptor: &'static VirtualDescriptor, subject: Subject) -> Arc<dyn VirtualResource> {
    let schema = match subject {
        Subject::Caller => Schema::of::<SelfSubjectAccessReview>(),
        Subject::Named(_) => Schema::of::<SubjectAccessReview>(),
    };
    let own = schema.component.filter(|component| component.starts_with(&reversed(descriptor.group)));
    let component = own.unwrap_or_else(|| format!("{}.{}.{}", reversed(descriptor.group), descriptor.version, descriptor.kind));
    Arc::new(MayThey { descriptor, schema: Schema { component: Some(component), ..schema }, subject })
}

#[derive(Debug)]
struct MayThey {
    descriptor: &'static VirtualDescriptor,
    schema: Schema,
    subject: Subject,
}

#[async_trait]
impl VirtualResource for MayThey {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        self.descriptor
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let mut review: AccessReview = asked.question()?;
        let invalid = |error| ApiError::invalid(self.descriptor.group, self.descriptor.kind, "", &[error]);
        let (verb, target) = wish(&review.spec).map_err(invalid)?;
        let verdict = match &self.subject {
            Subject::Caller => asked.may(asked.identity, &verb, &target).await,
            Subject::Named(identities) => {
                let identity = named(&**identities, &review.spec).map_err(invalid)?;
                asked.may(&identity, &verb, &target).await
            }
        };
        review.status = SubjectAccessReviewStatus { allowed: verdict.allowed, denied: verdict.denied, reason: verdict.reason };
        json(&review)
    }
}

/// The verb and target of the question.
fn wish(asked: &AccessReviewSpec) -> Result<(String, Target), FieldError> {
    let spec = FieldPath::new("spec");
    match (&asked.resource_attributes, &asked.non_resource_attributes) {
        (Some(attributes), None) => {
            let target = Target::Resource {
                group: attributes.group.clone(),
                version: attributes.version.clone(),
                resource: attributes.resource.clone(),
                subresource: attributes.subresource.clone(),
                namespace: attributes.namespace.clone(),
                name: attributes.name.clone(),
            };
            Ok((attributes.verb.clone(), target))
        }
        (None, Some(attributes)) => Ok((attributes.verb.clone(), Target::Path(attributes.path.clone()))),
        (Some(_), Some(_)) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            Err(FieldError::invalid(&spec.child("nonResourceAttributes"), Value::Null, detail))
        }
        (None, None) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(FieldError::invalid(&spec.child("resourceAttributes"), Value::Null, detail))
        }
    }
}

/// The subject of the question.
fn named(identities: &dyn IdentityMapper, asked: &AccessReviewSpec) -> Result<Identity, FieldError> {
    if asked.user.is_empty() && asked.groups.is_empty() {
        let detail = "at least one of user or group must be specified";
        return Err(FieldError::invalid(&FieldPath::new("spec").child("user"), "", detail));
    }
    let said = User { name: asked.user.clone(), uid: asked.uid.clone(), groups: asked.groups.clone(), extra: asked.extra.clone() };
    Ok(match identities.known_as(&said.name) {
        Some(known) => Identity { user: Arc::new(both(&known.user, said)), principal: known.principal },
        None => Identity::of_user(said),
    })
}

/// A user whom the server knows, with what the question says beside that.
fn both(known: &User, said: User) -> User {
    let mut user = known.clone();
    user.groups.extend(said.groups.into_iter().filter(|group| !known.groups.contains(group)));
    user.extra.extend(said.extra);
    user
}

/// `com.example.widgets` for `widgets.example.com`.
fn reversed(group: &str) -> String {
    group.split('.').rev().collect::<Vec<_>>().join(".")
}
