//! The forms of reviews, with the descriptions that `kubectl explain` shows.

use apiserver_meta::types::ObjectMeta;
use apiserver_meta::virtual_resource::{Audience, Place};
use apiserver_meta::{ApiError, Scope, VirtualDescriptor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) const AUTHORIZATION: &str = "authorization.k8s.io";

/// The descriptor of a review.
pub(super) const fn review(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    audience: Audience,
) -> VirtualDescriptor {
    VirtualDescriptor { group, version: "v1", kind, place: Place::Collection { plural, singular, scope: Scope::Cluster }, audience }
}

/// An answer as JSON.
pub(super) fn json(answer: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(answer).map_err(|error| ApiError::internal("an answer cannot be encoded").with_source(error))
}

/// Who the caller is to this server.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authentication.v1.SelfSubjectReview"))]
pub(super) struct SelfSubjectReview {
    /// The kind of this form.
    pub(super) kind: String,
    /// The version of this form.
    pub(super) api_version: String,
    /// Metadata that every object has.
    pub(super) metadata: ObjectMeta,
    /// The answer. Set by the server.
    pub(super) status: SelfSubjectReviewStatus,
}

/// The answer to a `SelfSubjectReview`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authentication.v1.SelfSubjectReviewStatus"))]
pub(super) struct SelfSubjectReviewStatus {
    /// The caller.
    pub(super) user_info: UserInfo,
}

/// A user in the words of authentication.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authentication.v1.UserInfo"))]
pub(super) struct UserInfo {
    /// The name that rules and audit speak of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) username: String,
    /// An identifier that survives a rename.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    /// The groups that the user is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<String>,
    /// More facts, by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// Whether somebody may do one thing, as far as the code cares: the forms of both reviews in one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AccessReview {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: AccessReviewSpec,
    pub(super) status: SubjectAccessReviewStatus,
}

/// The question of an [`AccessReview`]. One about the caller names nobody.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AccessReviewSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_attributes: Option<ResourceAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) non_resource_attributes: Option<NonResourceAttributes>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) extra: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
}

/// Whether the caller may do one thing.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SelfSubjectAccessReview"))]
pub(super) struct SelfSubjectAccessReview {
    /// The kind of this form.
    kind: String,
    /// The version of this form.
    api_version: String,
    /// Metadata that every object has; empty in a question.
    metadata: ObjectMeta,
    /// The question: one of resourceAttributes and nonResourceAttributes.
    spec: SelfSubjectAccessReviewSpec,
    /// The answer. Set by the server.
    status: SubjectAccessReviewStatus,
}

/// The question of a `SelfSubjectAccessReview`.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec"))]
struct SelfSubjectAccessReviewSpec {
    /// A request to the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_attributes: Option<ResourceAttributes>,
    /// A request to another path.
    #[serde(skip_serializing_if = "Option::is_none")]
    non_resource_attributes: Option<NonResourceAttributes>,
}

/// Whether somebody may do one thing.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SubjectAccessReview"))]
pub(super) struct SubjectAccessReview {
    /// The kind of this form.
    kind: String,
    /// The version of this form.
    api_version: String,
    /// Metadata that every object has; empty in a question.
    metadata: ObjectMeta,
    /// The question: who, and one of resourceAttributes and nonResourceAttributes.
    spec: SubjectAccessReviewSpec,
    /// The answer. Set by the server.
    status: SubjectAccessReviewStatus,
}

/// The question of a `SubjectAccessReview`.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SubjectAccessReviewSpec"))]
struct SubjectAccessReviewSpec {
    /// A request to the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_attributes: Option<ResourceAttributes>,
    /// A request to another path.
    #[serde(skip_serializing_if = "Option::is_none")]
    non_resource_attributes: Option<NonResourceAttributes>,
    /// The name of the user. A user of this server has the groups and teams that requests of theirs have.
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    /// Groups that the user is in, beside those that the server knows of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// More facts about the user, by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    /// An identifier of the user that survives a rename.
    #[serde(skip_serializing_if = "String::is_empty")]
    uid: String,
}

/// What a request to the API touches.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.ResourceAttributes"))]
pub(super) struct ResourceAttributes {
    /// The namespace; empty for the whole cluster and for all namespaces.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    /// The verb, such as get, list or create; `*` means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) verb: String,
    /// The API group; `*` means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    /// The API version; `*` means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    /// The plural; `*` means all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) resource: String,
    /// The subresource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) subresource: String,
    /// The object's name; empty for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// To which fields the request is limited. The answer is that to the request without limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    field_selector: Option<Map<String, Value>>,
    /// To which labels the request is limited. The answer is that to the request without limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    label_selector: Option<Map<String, Value>>,
}

/// A request to a path outside the API.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.NonResourceAttributes"))]
pub(super) struct NonResourceAttributes {
    /// The path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) path: String,
    /// The method in lower case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) verb: String,
}

/// The answer to an access review.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SubjectAccessReviewStatus"))]
pub(super) struct SubjectAccessReviewStatus {
    /// Whether the caller may.
    pub(super) allowed: bool,
    /// Whether a rule forbids it, in place of none allowing it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) denied: bool,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
}

/// What the caller may do in a namespace.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SelfSubjectRulesReview"))]
pub(super) struct SelfSubjectRulesReview {
    /// The kind of this form.
    pub(super) kind: String,
    /// The version of this form.
    pub(super) api_version: String,
    /// Metadata that every object has.
    pub(super) metadata: ObjectMeta,
    /// The question.
    pub(super) spec: SelfSubjectRulesReviewSpec,
    /// The answer. Set by the server.
    pub(super) status: SubjectRulesReviewStatus,
}

/// The question of a `SelfSubjectRulesReview`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec"))]
pub(super) struct SelfSubjectRulesReviewSpec {
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
}

/// The answer to a `SelfSubjectRulesReview`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.SubjectRulesReviewStatus"))]
pub(super) struct SubjectRulesReviewStatus {
    /// What the caller may do to the API.
    pub(super) resource_rules: Vec<ResourceRule>,
    /// What the caller may do to other paths.
    pub(super) non_resource_rules: Vec<NonResourceRule>,
    /// Whether there may be more.
    pub(super) incomplete: bool,
}

/// Verbs on resources.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.ResourceRule"))]
pub(super) struct ResourceRule {
    /// The verbs; `*` means all.
    pub(super) verbs: Vec<String>,
    /// The API groups; `*` means all.
    pub(super) api_groups: Vec<String>,
    /// The plurals, with subresources behind a slash; `*` means all.
    pub(super) resources: Vec<String>,
}

/// Verbs on paths.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.api.authorization.v1.NonResourceRule"))]
pub(super) struct NonResourceRule {
    /// The verbs; `*` means all.
    pub(super) verbs: Vec<String>,
    /// The paths; a star at the end stands for whatever follows.
    #[serde(rename = "nonResourceURLs")]
    pub(super) non_resource_urls: Vec<String>,
}
