//! The question in a body, in canonical form.

use super::{Computed, protobuf};
use crate::body::{InputFormat, media_type, unrecognized};
use http::HeaderMap;
use serde_json::Value;
use vci_meta::decode::{self, DecodeError, Parsed};
use vci_meta::options::FieldValidation;
use vci_meta::{ApiError, ComputedDescriptor, RequestContext};

/// Decodes a question. Kind and apiVersion may be absent: the endpoint says them.
///
/// # Errors
/// 415; 400 for what cannot be understood or is meant for another kind, and for unknown or duplicate fields when
/// validation is strict.
pub(super) fn decode(
    computed: &dyn Computed,
    ctx: &RequestContext,
    headers: &HeaderMap,
    body: &[u8],
    validation: FieldValidation,
) -> Result<Value, ApiError> {
    let descriptor = computed.descriptor();
    let ComputedDescriptor { kind, version, .. } = descriptor;
    let Parsed { value, duplicates } = parse(descriptor, headers, body)?;
    check_identity(descriptor, &value)?;
    let not_handled =
        |why: &dyn std::fmt::Display| ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"));
    let mut conformed = decode::conform(value, computed.schema()).map_err(|error| not_handled(&error))?;
    match (validation, decode::strict_error(&conformed.unknown, &duplicates)) {
        (FieldValidation::Strict, Some(error)) => return Err(not_handled(&error)),
        (FieldValidation::Warn, Some(_)) => {
            decode::strict_warnings(&conformed.unknown, &duplicates).into_iter().for_each(|text| ctx.warn(text));
        }
        _ => {}
    }
    // A question has no answer yet.
    if let Some(question) = conformed.value.as_object_mut() {
        question.remove("status");
    }
    Ok(conformed.value)
}

fn parse(kind: &ComputedDescriptor, headers: &HeaderMap, body: &[u8]) -> Result<Parsed, ApiError> {
    // A question may hold a secret: nothing of it is repeated.
    let refused = |error: DecodeError| unrecognized(kind.kind, &error);
    match protobuf::fields(kind) {
        Some(fields) if media_type(headers) == protobuf::MEDIA_TYPE => {
            let value = protobuf::decode(body, fields).ok_or_else(|| refused(DecodeError("malformed protobuf".into())))?;
            Ok(Parsed { value, ..Parsed::default() })
        }
        _ => InputFormat::of(headers)?.parse(body).map_err(refused),
    }
}

fn check_identity(descriptor: &ComputedDescriptor, value: &Value) -> Result<(), ApiError> {
    let ComputedDescriptor { kind, version, .. } = descriptor;
    let own_version = descriptor.api_version();
    let given = |field: &str, own: &str| value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty() && *text != own);
    if let Some(other) = given("kind", kind) {
        return Err(ApiError::bad_request(format!(
            "{other} in version {version:?} cannot be handled as a {kind}: no kind {other:?} is registered here"
        )));
    }
    if let Some(other) = given("apiVersion", &own_version) {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({other}) does not match the expected API version ({own_version})"
        )));
    }
    Ok(())
}
