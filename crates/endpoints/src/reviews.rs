//! Questions about oneself where no cluster stands behind the server: who am I, may I, what may I
//! (`kubectl auth whoami` and `kubectl auth can-i`). Nothing is stored. Whoever is known may ask.

mod protobuf;
mod rules;
mod types;

use crate::app::App;
use crate::body::{self, InputFormat, media_type, unrecognized};
use crate::dispatch::{self, no_such_method};
use crate::layers::{Opinion, decide};
use crate::negotiation::{self, Offer};
use crate::query::Query;
use crate::request_info::{PathForm, RequestInfo, ResourceInfo};
use crate::respond::Wire;
use crate::warning;
use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use types::{SelfSubjectAccessReview, SelfSubjectReview, SelfSubjectRulesReview, SubjectAccessReviewStatus, UserInfo};
use vci_auth::{Attributes, Identity, Target};
use vci_meta::decode::{self, DecodeError, Parsed};
use vci_meta::field::{FieldError, FieldPath};
use vci_meta::options::{FieldValidation, GetOptions, WriteKind, WriteOptions};
use vci_meta::types::ObjectMeta;
use vci_meta::{ApiError, Descriptor, ObjectKey, RequestContext, Schema, Scope, Verb, View};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

const fn review(
    group: &'static str,
    kind: &'static str,
    list_kind: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> Descriptor {
    Descriptor {
        group,
        version: "v1",
        kind,
        list_kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        scope: Scope::Cluster,
        verbs: &[Verb::Create],
        subresources: &[],
        columns: &[],
        selectable_fields: &[],
    }
}

static WHO: Descriptor = review(AUTHENTICATION, "SelfSubjectReview", "SelfSubjectReviewList", "selfsubjectreviews", "selfsubjectreview");
static MAY: Descriptor =
    review(AUTHORIZATION, "SelfSubjectAccessReview", "SelfSubjectAccessReviewList", "selfsubjectaccessreviews", "selfsubjectaccessreview");
static WHAT: Descriptor =
    review(AUTHORIZATION, "SelfSubjectRulesReview", "SelfSubjectRulesReviewList", "selfsubjectrulesreviews", "selfsubjectrulesreview");

/// What discovery says of reviews.
pub(crate) static DESCRIPTORS: [&Descriptor; 3] = [&WHO, &MAY, &WHAT];

/// What OpenAPI says of reviews, in the order of [`DESCRIPTORS`].
pub(crate) fn schemas() -> [Schema; 3] {
    [Schema::of::<SelfSubjectReview>(), Schema::of::<SelfSubjectAccessReview>(), Schema::of::<SelfSubjectRulesReview>()]
}

/// Whether a request asks about its caller: who is known may, as the cluster role `system:basic-user` says.
pub(crate) fn is_review(app: &App, info: &RequestInfo) -> bool {
    info.verb == "create" && info.resource.as_ref().is_some_and(|resource| app.stands_alone() && descriptor(resource).is_some())
}

/// Whether an API group is one of reviews.
pub(crate) fn is_group(group: &str) -> bool {
    matches!(group, AUTHENTICATION | AUTHORIZATION)
}

fn descriptor(resource: &ResourceInfo) -> Option<&'static Descriptor> {
    DESCRIPTORS
        .into_iter()
        .find(|kind| kind.group == resource.group && kind.version == resource.version && kind.plural == resource.resource)
}

/// Answers below the groups of reviews.
pub(crate) async fn serve(app: &App, parts: &Parts, info: &RequestInfo, resource: &ResourceInfo, body: Body) -> Result<Response, ApiError> {
    let kind = descriptor(resource).ok_or_else(ApiError::no_such_path)?;
    if !(resource.form == PathForm::Collection && resource.namespace.is_empty()) {
        return Err(ApiError::no_such_path());
    }
    if info.verb != "create" {
        return Err(no_such_method());
    }
    let query = Query(parts.uri.query().unwrap_or(""));
    let wire = Wire::new(negotiation::negotiate(&parts.headers, query, Offer::Documents)?, &parts.headers);
    let options = WriteOptions::from_query(&query.decoded(), WriteKind::Create, "")?;
    let bytes = body::read(&parts.headers, body, app.config.limits.body).await?;
    let ctx = dispatch::context(parts)?;
    let asked = Asked { app, ctx, identity: parts.extensions.get::<Identity>().cloned().ok_or_else(ApiError::unauthorized)?, kind };
    let question = asked.decode(&parts.headers, &bytes, options.field_validation)?;
    let answer = match kind.kind {
        "SelfSubjectReview" => json(&asked.who()),
        "SelfSubjectAccessReview" => json(&asked.may(asked.read(question)?).await?),
        _ => json(&asked.what(asked.read(question)?).await?),
    };
    let mut response = wire.send(StatusCode::CREATED, answer);
    warning::append(response.headers_mut(), &asked.ctx.warnings());
    Ok(response)
}

fn json(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}

/// A question and who asks it.
struct Asked<'a> {
    app: &'a App,
    ctx: RequestContext,
    identity: Identity,
    kind: &'static Descriptor,
}

impl Asked<'_> {
    fn decode(&self, headers: &HeaderMap, body: &[u8], validation: FieldValidation) -> Result<Value, ApiError> {
        let Descriptor { kind, version, .. } = self.kind;
        let refused = |error: DecodeError| unrecognized(kind, &error, body);
        let parsed = match media_type(headers).as_str() {
            "application/vnd.kubernetes.protobuf" => {
                let value = protobuf::decode(body, kind).ok_or_else(|| refused(DecodeError("malformed protobuf".into())))?;
                Parsed { value, ..Parsed::default() }
            }
            _ => InputFormat::of(headers)?.parse(body).map_err(refused)?,
        };
        let given =
            |field: &str, own: &str| parsed.value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty() && *text != own);
        if let Some(other) = given("kind", kind) {
            return Err(ApiError::bad_request(format!(
                "{other} in version {version:?} cannot be handled as a {kind}: no kind {other:?} is registered here"
            )));
        }
        if let Some(other) = given("apiVersion", &self.kind.api_version()) {
            let own = self.kind.api_version();
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({other}) does not match the expected API version ({own})"
            )));
        }
        let schema = DESCRIPTORS.into_iter().zip(schemas()).find(|(known, _)| known.kind == *kind).map(|(_, schema)| schema);
        let not_handled = |why: &dyn std::fmt::Display| {
            ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let mut conformed =
            decode::conform(parsed.value, &schema.ok_or_else(ApiError::no_such_path)?).map_err(|error| not_handled(&error))?;
        match (validation, decode::strict_error(&conformed.unknown, &parsed.duplicates)) {
            (FieldValidation::Strict, Some(error)) => return Err(not_handled(&error)),
            (FieldValidation::Warn, Some(_)) => {
                decode::strict_warnings(&conformed.unknown, &parsed.duplicates).into_iter().for_each(|text| self.ctx.warn(text));
            }
            _ => {}
        }
        // A question has no answer yet.
        if let Some(question) = conformed.value.as_object_mut() {
            question.remove("status");
        }
        Ok(conformed.value)
    }

    fn read<T: DeserializeOwned>(&self, question: Value) -> Result<T, ApiError> {
        serde_json::from_value(question)
            .map_err(|error| ApiError::bad_request(format!("cannot be handled as a {}: {error}", self.kind.kind)))
    }

    fn who(&self) -> SelfSubjectReview {
        let user = &self.identity.user;
        let mut answer =
            SelfSubjectReview { kind: self.kind.kind.into(), api_version: self.kind.api_version(), ..SelfSubjectReview::default() };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        answer.metadata = ObjectMeta { creation_timestamp: Some(now), ..ObjectMeta::default() };
        answer.status.user_info =
            UserInfo { username: user.name.clone(), uid: user.uid.clone(), groups: user.groups.clone(), extra: user.extra.clone() };
        answer
    }

    async fn may(&self, mut review: SelfSubjectAccessReview) -> Result<SelfSubjectAccessReview, ApiError> {
        let target = target(&review).map_err(|errors| ApiError::invalid(self.kind.group, self.kind.kind, "", &errors))?;
        let verb = match (&review.spec.resource_attributes, &review.spec.non_resource_attributes) {
            (Some(attributes), _) => attributes.verb.clone(),
            (None, Some(attributes)) => attributes.verb.clone(),
            (None, None) => String::new(),
        };
        review.status = self.decide(verb, target).await;
        (review.kind, review.api_version) = (self.kind.kind.into(), self.kind.api_version());
        Ok(review)
    }

    async fn decide(&self, verb: String, target: Target) -> SubjectAccessReviewStatus {
        let attributes = Attributes { identity: self.identity.clone(), verb, target };
        let answer = |allowed, reason: &str| SubjectAccessReviewStatus { allowed, denied: false, reason: reason.into() };
        match decide(&self.app.config.authorizers, &attributes).await {
            Ok(View::All) => answer(true, ""),
            Ok(view) => match self.shown(&attributes.target, &view).await {
                Shown::Some => answer(true, "on the objects that grant it"),
                Shown::This => answer(true, ""),
                Shown::Nothing => answer(false, "the object does not grant it"),
            },
            Err(refusal) => SubjectAccessReviewStatus { denied: refusal.opinion == Opinion::Denied, ..answer(false, &refusal.reason) },
        }
    }

    /// What of a target a view shows. An object that is not there grants nothing: the answer does not say which it is.
    async fn shown(&self, target: &Target, view: &View) -> Shown {
        let Target::Resource { group, version, resource, namespace, name, .. } = target else { return Shown::Some };
        if name.is_empty() {
            return Shown::Some;
        }
        let mut registries = self.app.config.registries.iter();
        let registry = registries.find(|registry| {
            let kind = registry.descriptor();
            kind.plural == resource && kind.group == group && (version.is_empty() || version == "*" || kind.version == version)
        });
        let Some(registry) = registry else { return Shown::Nothing };
        let key = ObjectKey::new(namespace.as_str(), name.as_str());
        match registry.get(&self.ctx, &key, &GetOptions::default(), view).await {
            Ok(_) => Shown::This,
            Err(_) => Shown::Nothing,
        }
    }
}

/// What of a target is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Some objects, perhaps none yet.
    Some,
    /// The one asked for.
    This,
    Nothing,
}

fn target(review: &SelfSubjectAccessReview) -> Result<Target, Vec<FieldError>> {
    let spec = FieldPath::new("spec");
    match (&review.spec.resource_attributes, &review.spec.non_resource_attributes) {
        (Some(attributes), None) => Ok(Target::Resource {
            group: attributes.group.clone(),
            version: attributes.version.clone(),
            resource: attributes.resource.clone(),
            subresource: attributes.subresource.clone(),
            namespace: attributes.namespace.clone(),
            name: attributes.name.clone(),
        }),
        (None, Some(attributes)) => Ok(Target::Path(attributes.path.clone())),
        (Some(_), Some(_)) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            Err(vec![FieldError::invalid(&spec.child("nonResourceAttributes"), Value::Null, detail)])
        }
        (None, None) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Err(vec![FieldError::invalid(&spec.child("resourceAttributes"), Value::Null, detail)])
        }
    }
}
