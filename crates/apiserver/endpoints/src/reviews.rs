//! Reviews: the questions of `kubectl auth whoami` and `kubectl auth can-i`, in the groups that a
//! cluster has for them and, as the same forms, in others.

mod access;
mod rules;
mod types;

pub use access::{Subject, access_review};

use crate::virtual_resource::{VirtualRequest, VirtualResource};
use apiserver_auth::IdentityMapper;
use apiserver_meta::types::ObjectMeta;
use apiserver_meta::virtual_resource::Audience;
use apiserver_meta::{ApiError, Schema, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use types::{AUTHORIZATION, SelfSubjectReview, SelfSubjectReviewStatus, UserInfo, json, review};

const AUTHENTICATION: &str = "authentication.k8s.io";

static WHO: VirtualDescriptor = review(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", Audience::Known);
static MAY_I: VirtualDescriptor =
    review(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview", Audience::Known);
static MAY_THEY: VirtualDescriptor =
    review(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview", Audience::Allowed);

/// The reviews that clients ask of a cluster, for a server behind which none stands.
pub fn of_a_cluster(identities: &Arc<dyn IdentityMapper>) -> Vec<Arc<dyn VirtualResource>> {
    vec![
        Arc::new(WhoAmI(Schema::of::<SelfSubjectReview>())),
        access_review(&MAY_I, Subject::Caller),
        Arc::new(rules::WhatMayI::new()),
        access_review(&MAY_THEY, Subject::Named(Arc::clone(identities))),
    ]
}

/// `SelfSubjectReview`: the caller as this server knows them.
#[derive(Debug)]
struct WhoAmI(Schema);

#[async_trait]
impl VirtualResource for WhoAmI {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &WHO
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let user = &asked.identity.user;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let user_info =
            UserInfo { username: user.name.clone(), uid: user.uid.clone(), groups: user.groups.clone(), extra: user.extra.clone() };
        json(&SelfSubjectReview {
            metadata: ObjectMeta { creation_timestamp: Some(now), ..ObjectMeta::default() },
            status: SelfSubjectReviewStatus { user_info },
            ..SelfSubjectReview::default()
        })
    }
}
