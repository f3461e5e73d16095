//! A patch's bytes as JSON.

use crate::error::{PatchError, malformed};
use serde_json::{Map, Value};

/// Reads a patch. What nests too deeply is malformed, so that recursion over a patch is safe.
pub(crate) fn parse(patch: &[u8]) -> Result<Value, PatchError> {
    apiserver_meta::decode::parse_json(patch).map(|parsed| parsed.value).map_err(malformed)
}

pub(crate) fn parse_object(patch: &[u8], noun: &str) -> Result<Map<String, Value>, PatchError> {
    match parse(patch)? {
        Value::Object(members) => Ok(members),
        other => Err(malformed(format!("{noun} is an object, not {}", type_of(&other)))),
    }
}

/// A value's type with its article.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
