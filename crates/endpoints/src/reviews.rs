//! Who am I, may I, what may I: the questions of `kubectl auth whoami` and `kubectl auth can-i`, in the groups that a
//! cluster has for them and, as the same forms, in others.

mod access;
mod rules;
mod types;

pub use access::{Subject, access_review};

use crate::computed::{Asked, Computed};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use types::{SelfSubjectReview, SelfSubjectReviewStatus, UserInfo};
use vci_auth::directory::Directory;
use vci_meta::computed::{Audience, Place};
use vci_meta::types::ObjectMeta;
use vci_meta::{ApiError, ComputedDescriptor, Schema, Scope};

const fn review(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    audience: Audience,
) -> ComputedDescriptor {
    ComputedDescriptor { group, version: "v1", kind, place: Place::Collection { plural, singular, scope: Scope::Cluster }, audience }
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

static WHO: ComputedDescriptor = review(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", Audience::Known);
static MAY_I: ComputedDescriptor =
    review(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview", Audience::Known);
static WHAT: ComputedDescriptor =
    review(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview", Audience::Known);
static MAY_THEY: ComputedDescriptor =
    review(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview", Audience::Allowed);

/// The reviews that clients ask of a cluster, for a server behind which none stands.
pub fn of_a_cluster(directory: &Arc<Directory>) -> Vec<Arc<dyn Computed>> {
    vec![
        Arc::new(WhoAmI(Schema::of::<SelfSubjectReview>())),
        access_review(&MAY_I, Subject::Caller),
        Arc::new(rules::WhatMayI::new()),
        access_review(&MAY_THEY, Subject::Named(Arc::clone(directory))),
    ]
}

/// Who the caller is to this server.
#[derive(Debug)]
struct WhoAmI(Schema);

#[async_trait]
impl Computed for WhoAmI {
    fn descriptor(&self) -> &'static ComputedDescriptor {
        &WHO
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    async fn answer(&self, asked: Asked<'_>) -> Result<Value, ApiError> {
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

fn json(answer: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(answer).map_err(|error| ApiError::internal("an answer cannot be encoded").with_source(error))
}
