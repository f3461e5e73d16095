//! The question in a body, in canonical form.

use super::{VirtualResource, protobuf};
use crate::body::{Form, InputFormat, media_type, unrecognized};
use apiserver_meta::decode::{DecodeError, Parsed};
use apiserver_meta::options::FieldValidation;
use apiserver_meta::{ApiError, RequestContext, Schema, VirtualDescriptor};
use http::HeaderMap;
use serde_json::Value;

/// Decodes a question. Kind and apiVersion may be absent: the endpoint says them.
///
/// # Errors
/// 415; 400 for what cannot be understood or is meant for another kind, and for unknown or duplicate fields when
/// validation is strict.
pub(super) fn decode(
    computed: &dyn VirtualResource,
    ctx: &RequestContext,
    headers: &HeaderMap,
    body: &[u8],
    validation: FieldValidation,
) -> Result<Value, ApiError> {
    let descriptor = computed.descriptor();
    let VirtualDescriptor { version, kind, .. } = *descriptor;
    let parsed = parse(descriptor, computed.schema(), headers, body)?;
    let form = Form { version, kind, api_version: descriptor.api_version(), schema: computed.schema() };
    let mut question = form.conform(ctx, parsed, validation)?;
    // A question has no answer yet.
    if let Some(question) = question.as_object_mut() {
        question.remove("status");
    }
    Ok(question)
}

fn parse(kind: &VirtualDescriptor, schema: &Schema, headers: &HeaderMap, body: &[u8]) -> Result<Parsed, ApiError> {
    // A question may hold a secret: nothing of it is repeated.
    let refused = |error: DecodeError| unrecognized(kind.kind, &error);
    match protobuf::fields(kind) {
        Some(fields) if media_type(headers) == protobuf::MEDIA_TYPE => {
            let value = protobuf::decode(body, fields).ok_or_else(|| refused(DecodeError("malformed protobuf".into())))?;
            Ok(Parsed { value, ..Parsed::default() })
        }
        _ => InputFormat::of(headers)?.parse(body, Some(schema)).map_err(refused),
    }
}
