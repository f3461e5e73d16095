//! What a webhook is asked and what it answers: `AdmissionReview` of `admission.k8s.io`, version `v1` or, for webhooks that
//! know no other, `v1beta1`.

use super::request::{request_attributes, typed};
use apiserver_meta::{ApiError, Details, Object, Reason, RequestContext};
use apiserver_registry::AdmissionRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The versions that are spoken here.
pub(super) const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The question, in a version.
pub(super) fn question(ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>, uid: &str, version: &str) -> Value {
    let whole = |object: Option<&Object>| object.map_or(Value::Null, |object| typed(object, request));
    let mut asked = request_attributes(ctx, request);
    asked["uid"] = uid.into();
    asked["object"] = whole(object);
    asked["oldObject"] = whole(request.old);
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": asked})
}

/// What a webhook says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Whether the request may go on; if not, why.
    pub(super) outcome: Result<(), Refused>,
    /// A JSON patch, when the object is to be another.
    pub(super) patch: Option<Vec<u8>>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Why a request may not go on: parts of a `Status`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Refused {
    code: u16,
    reason: String,
    message: String,
    details: Option<Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    kind: String,
    api_version: String,
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    allowed: bool,
    status: Option<Refused>,
    patch: Option<String>,
    patch_type: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    audit_annotations: Option<BTreeMap<String, String>>,
}

/// Reads the answer to the question with this UID, in this version.
///
/// # Errors
/// What is wrong with it; the webhook has failed then.
pub(super) fn answer(body: &[u8], uid: &str, version: &str) -> Result<Verdict, String> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| format!("expected webhook response of an AdmissionReview: {error}"))?;
    let wanted = format!("admission.k8s.io/{version}");
    if (answer.kind.as_str(), &answer.api_version) != ("AdmissionReview", &wanted) {
        let Answer { kind, api_version, .. } = answer;
        return Err(format!("expected webhook response of {wanted}, Kind=AdmissionReview, got {api_version}, Kind={kind}"));
    }
    let response = answer.response.ok_or("webhook response was absent")?;
    // The older version did not ask for either.
    if version == "v1" && response.uid != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", response.uid));
    }
    let patch = match (response.patch, response.patch_type.as_deref()) {
        (None, None) => None,
        (None, Some(_)) if version == "v1" => return Err("webhook returned response.patchType but not response.patch".into()),
        (None, Some(_)) => None,
        (Some(patch), kind) => {
            if kind != Some("JSONPatch") && !(kind.is_none() && version == "v1beta1") {
                return Err("webhook returned response.patch but not a response.patchType of \"JSONPatch\"".into());
            }
            let patch = decode(&patch)?;
            let is_empty = serde_json::from_slice::<Vec<IgnoredAny>>(&patch).is_ok_and(|steps| steps.is_empty());
            (!is_empty).then_some(patch)
        }
    };
    let outcome = if response.allowed { Ok(()) } else { Err(response.status.unwrap_or_default()) };
    let warnings = response.warnings.unwrap_or_default();
    Ok(Verdict { outcome, patch, warnings, annotations: response.audit_annotations.unwrap_or_default() })
}

fn decode(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("response.patch: {error}"))
}

impl Refused {
    /// As the client gets it: what the webhook said, under the webhook's name, and at least a client's error.
    pub(super) fn into_error(self, webhook: &str) -> ApiError {
        let by = format!("admission webhook {webhook:?} denied the request");
        let message = match (self.message.as_str(), self.reason.as_str()) {
            ("", "") => format!("{by} without explanation"),
            ("", reason) => format!("{by}: {reason}"),
            (message, _) => format!("{by}: {message}"),
        };
        let mut error = ApiError::new(Reason::of(self.code.max(400), &self.reason), message);
        error.details = self.details.map(Box::new);
        error
    }
}

#[cfg(test)]
mod tests;
