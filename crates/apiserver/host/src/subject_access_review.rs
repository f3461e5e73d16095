//! Whether the host cluster's RBAC lets somebody do something (`SubjectAccessReview`).
//!
//! kube-apiserver has asked its own authorizers before it passes a request on, but whoever comes here directly was never
//! asked about, so it is asked here, about everybody. The cluster can only forbid: what it allows, this server's own rules
//! decide. Refused: field and label selectors in the question.

use crate::HostCluster;
use crate::reviews::{ReviewStats, Reviewer, digest};
use apiserver_auth::{Attributes, Authorizer, Decision, Target};
use apiserver_meta::error::GroupResource;
use apiserver_meta::{ObjectFilter, User};
use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use std::fmt;
use std::sync::Arc;

/// The verb that stands for everything; see [`Bypass`].
const VERB_BYPASS: &str = "bypass";

/// Asks the host cluster what users may do. Shared by those who act by its answers.
pub struct AccessReviews(Reviewer<SubjectAccessReview, Access>);

#[derive(Clone, Debug)]
struct Access {
    allowed: bool,
    reason: String,
}

impl AccessReviews {
    /// Asks this cluster.
    pub fn new(cluster: &HostCluster) -> Arc<Self> {
        Arc::new(Self(Reviewer::new(cluster)))
    }

    /// How it answered so far.
    pub fn stats(&self) -> ReviewStats {
        self.0.stats()
    }

    async fn access(&self, user: &User, verb: &str, target: &Target) -> Result<Access, String> {
        let spec = spec(user, verb, target);
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        self.0.ask(digest(&review.spec), &review, |answer| Ok(access(answer.status))).await
    }
}

impl fmt::Debug for AccessReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessReviews").field("stats", &self.stats()).finish()
    }
}

/// Denies what the host cluster does not allow. Stands behind those who are allowed everything, or ask for what everybody may
/// read, and before the rules of a product.
#[derive(Debug)]
pub struct ClusterAccess {
    /// Who is asked.
    pub reviews: Arc<AccessReviews>,
    /// What it means that the cluster allows an object.
    pub allowed: AllowedObjects,
}

/// What it means that the host cluster allows a request for objects. Paths outside of the API, such as `/metrics`, are allowed by
/// the cluster alone: no product has rules about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedObjects {
    /// It is allowed: the cluster's RBAC is all there is.
    Allowed,
    /// The rules of a product decide.
    Undecided,
}

#[async_trait]
impl Authorizer for ClusterAccess {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let is_object = matches!(attributes.target, Target::Resource { .. });
        match self.reviews.access(&attributes.identity.user, &attributes.verb, &attributes.target).await {
            Ok(Access { allowed: true, .. }) if is_object && self.allowed == AllowedObjects::Undecided => {
                Decision::NoOpinion(String::new())
            }
            Ok(Access { allowed: true, .. }) => Decision::Allow(ObjectFilter::All),
            Ok(Access { reason, .. }) => Decision::Deny(reason),
            Err(why) => Decision::Failed(format!("subject access review: {why}")),
        }
    }
}

/// Allows everything to whom the host cluster allows the verb `bypass` on a resource, everywhere: the cluster's own
/// administrators and controllers, of whom this server's own rules know nothing, and who yet have to look after what is in a
/// namespace, as when it is deleted. What the cluster itself forbids them, [`ClusterAccess`] has denied before.
#[derive(Debug)]
pub struct Bypass {
    /// Who is asked.
    pub reviews: Arc<AccessReviews>,
    /// The resource that the question names.
    pub resource: GroupResource<'static>,
}

#[async_trait]
impl Authorizer for Bypass {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let target = Target::Resource {
            group: self.resource.group.into(),
            version: "v1".into(),
            resource: self.resource.resource.into(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
        };
        match self.reviews.access(&attributes.identity.user, VERB_BYPASS, &target).await {
            Ok(Access { allowed: true, .. }) => Decision::Allow(ObjectFilter::All),
            Ok(Access { .. }) => Decision::NoOpinion(String::new()),
            Err(why) => Decision::Failed(format!("subject access review: {why}")),
        }
    }
}

fn spec(user: &User, verb: &str, target: &Target) -> SubjectAccessReviewSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (mut resource_attributes, mut non_resource_attributes) = (None, None);
    match target {
        Target::Path(path) => non_resource_attributes = Some(NonResourceAttributes { path: some(path), verb: some(verb) }),
        Target::Resource { group, version, resource, subresource, namespace, name } => {
            resource_attributes = Some(ResourceAttributes {
                group: some(group),
                version: some(version),
                resource: some(resource),
                subresource: some(subresource),
                namespace: some(namespace),
                name: some(name),
                verb: some(verb),
                ..ResourceAttributes::default()
            });
        }
    }
    SubjectAccessReviewSpec {
        user: some(&user.name),
        uid: some(&user.uid),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        resource_attributes,
        non_resource_attributes,
    }
}

/// An answer without a status says no.
fn access(status: Option<SubjectAccessReviewStatus>) -> Access {
    let status = status.unwrap_or_default();
    let reason =
        [status.reason, status.evaluation_error].into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    Access { allowed: status.allowed && status.denied != Some(true), reason }
}

#[cfg(test)]
mod tests;
