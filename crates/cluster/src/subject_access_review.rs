//! Whether the host cluster's RBAC lets somebody do something (`SubjectAccessReview`).
//!
//! kube-apiserver has asked its own authorizers before it passes a request on, but whoever comes here directly was never
//! asked about, so it is asked here, about everybody. The cluster can only forbid: what it allows, this server's own rules
//! decide. Refused: field and label selectors in the question.

use crate::HostCluster;
use crate::reviews::{ReviewStats, Reviewer, digest};
use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use std::fmt;
use std::sync::Arc;
use vci_auth::{Attributes, Authorizer, Decision, Target};
use vci_meta::{User, View};

/// The verb on `projects` that stands for everything; see [`Bypass`].
const VERB_BYPASS: &str = "bypass";
const GROUP: &str = "management.loft.sh";

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

/// Denies what the host cluster does not allow, and has no opinion on the rest. Stands behind those who are allowed
/// everything, or ask for what everybody may read, and before this server's own rules.
#[derive(Debug)]
pub struct ClusterAccess(pub Arc<AccessReviews>);

#[async_trait]
impl Authorizer for ClusterAccess {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        match self.0.access(&attributes.identity.user, &attributes.verb, &attributes.target).await {
            Ok(Access { allowed: true, .. }) => Decision::NoOpinion(String::new()),
            Ok(Access { reason, .. }) => Decision::Deny(reason),
            Err(why) => Decision::Failed(format!("subject access review: {why}")),
        }
    }
}

/// Allows everything to whom the host cluster allows the verb `bypass` on `projects.management.loft.sh` everywhere: the
/// cluster's own administrators and controllers, who are members of no project, and yet have to look after what is in
/// a namespace, as when it is deleted. What the cluster itself forbids them, [`ClusterAccess`] has denied before.
#[derive(Debug)]
pub struct Bypass(pub Arc<AccessReviews>);

#[async_trait]
impl Authorizer for Bypass {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let projects = Target::Resource {
            group: GROUP.into(),
            version: "v1".into(),
            resource: "projects".into(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
        };
        match self.0.access(&attributes.identity.user, VERB_BYPASS, &projects).await {
            Ok(Access { allowed: true, .. }) => Decision::Allow(View::All),
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
