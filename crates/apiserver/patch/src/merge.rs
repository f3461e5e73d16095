//! JSON merge patch (RFC 7396).

use crate::error::PatchError;
use crate::parse::parse_object;
use serde_json::Value;

#[cfg(test)]
mod tests;

pub(crate) fn apply(mut object: Value, patch: &[u8]) -> Result<Value, PatchError> {
    let patch = Value::Object(parse_object(patch, "a merge patch")?);
    json_patch::merge(&mut object, &patch);
    Ok(object)
}
