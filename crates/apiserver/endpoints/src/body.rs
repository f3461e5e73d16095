//! Bodies of writes: read within bounds, then decoded with the schema's help into a canonical object.

use apiserver_meta::decode::{self, DecodeError, Parsed};
use apiserver_meta::options::FieldValidation;
use apiserver_meta::{ApiError, Reason, RequestContext, Schema};
use apiserver_registry::PatchKind;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// 413 for a longer one, 415 for one that is compressed, 400 when the client breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::new(Reason::UnsupportedMediaType, "the body of the request must not be compressed"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(limit)),
        Err(error) => Err(ApiError::bad_request("the request's body ended too early").with_source(error)),
    }
}

/// The media types of objects in bodies, as errors tell them.
const OBJECTS: &str = "application/json, application/yaml";

/// The patches that are served, in the order that clients are told them: OpenAPI and 415 say the same.
pub(crate) const PATCHES: [(&str, PatchKind); 4] = [
    ("application/json-patch+json", PatchKind::Json),
    ("application/merge-patch+json", PatchKind::Merge),
    ("application/strategic-merge-patch+json", PatchKind::Strategic),
    ("application/apply-patch+yaml", PatchKind::Apply),
];

/// The encodings of objects in bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputFormat {
    Json,
    Yaml,
}

impl InputFormat {
    /// Reads `Content-Type`; JSON when there is none.
    ///
    /// # Errors
    /// 415.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        match media_type(headers).as_str() {
            _ if !has_good_parameters(headers) => Err(unsupported(OBJECTS)),
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            _ => Err(unsupported(OBJECTS)),
        }
    }

    /// Bytes to a tree. The schema, where there is one, says what plain scalars of YAML are.
    pub(crate) fn parse(self, body: &[u8], schema: Option<&Schema>) -> Result<Parsed, DecodeError> {
        match (self, schema) {
            (Self::Json, _) => decode::parse_json(body),
            (Self::Yaml, Some(schema)) => decode::parse_yaml_as(body, schema),
            (Self::Yaml, None) => decode::parse_yaml(body),
        }
    }
}

/// The media type of the body without its parameters, lower-case; empty when none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    text.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Whether what stands behind the media type is `name=value` each; one `;` too many at the end does no harm. A
/// patch's media type is not looked at as closely upstream.
fn has_good_parameters(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let Some((media_type, parameters)) = text.split_once(';') else { return true };
    let parameters = parameters.trim();
    let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty());
    !media_type.trim().is_empty() && (parameters.is_empty() || parameters.trim_end_matches(';').split(';').all(is_pair))
}

/// 415 in the words that clients look for.
pub(crate) fn unsupported(accepted: &str) -> ApiError {
    let message = format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
    ApiError::new(Reason::UnsupportedMediaType, message)
}

/// The form that a body must have.
#[derive(Clone, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// Group and version.
    pub(crate) api_version: String,
    pub(crate) schema: &'a Schema,
}

impl Form<'_> {
    /// A body in canonical form. Kind and apiVersion may be absent: the endpoint says them.
    ///
    /// # Errors
    /// 400 for what is meant for another kind or does not fit, and for unknown or duplicate fields when validation is strict.
    pub(crate) fn conform(&self, ctx: &RequestContext, parsed: Parsed, validation: FieldValidation) -> Result<Value, ApiError> {
        let version = self.check_identity(&parsed.value)?;
        let kind = self.kind;
        let not_handled = |why: &dyn std::fmt::Display| {
            ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let conformed = decode::conform(parsed.value, self.schema).map_err(|error| not_handled(&error))?;
        match validation {
            FieldValidation::Strict => {
                decode::strict_error(&conformed.unknown, &parsed.duplicates).map_or(Ok(()), |error| Err(not_handled(&error)))?;
            }
            FieldValidation::Warn => {
                decode::strict_warnings(&conformed.unknown, &parsed.duplicates).into_iter().for_each(|text| ctx.warn(text));
            }
            FieldValidation::Ignore => {}
        }
        Ok(conformed.value)
    }

    /// The version that a body says, or that of the endpoint.
    fn check_identity(&self, value: &Value) -> Result<String, ApiError> {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("");
        let (kind, api_version) = (text("kind"), text("apiVersion"));
        let own = &self.api_version;
        let version = if api_version.is_empty() { self.version } else { api_version.rsplit('/').next().unwrap_or("") };
        if !kind.is_empty() && kind != self.kind {
            let given = if api_version.is_empty() { own } else { api_version };
            return Err(ApiError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {}: no kind {kind:?} is registered for version {given:?}",
                self.kind
            )));
        }
        if !api_version.is_empty() && api_version != own.as_str() {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({own})"
            )));
        }
        Ok(version.to_owned())
    }
}

/// 400 for a body that cannot be understood, and why.
pub(crate) fn unrecognized(kind: &str, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        let cases = [
            (None, Ok(InputFormat::Json)),
            (Some("application/json; charset=utf-8"), Ok(InputFormat::Json)),
            (Some("Application/YAML"), Ok(InputFormat::Yaml)),
            (Some("text/plain"), Err(())),
            (Some("application/x-www-form-urlencoded"), Err(())),
            (Some(""), Ok(InputFormat::Json)),
            (Some("application/json;"), Ok(InputFormat::Json)),
            (Some(";"), Err(())),
            (Some("application/json; charset"), Err(())),
            (Some("application/json; =a"), Err(())),
            (Some("application/json;; a=b"), Err(())),
            (Some("application/yaml; a=b; c=\"d\""), Ok(InputFormat::Yaml)),
        ];
        for (text, want) in cases {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(text));
            }
            assert_eq!(InputFormat::of(&headers).map_err(|_| ()), want, "{text:?}");
        }
    }
}
