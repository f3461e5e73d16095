//! JSON Patch (RFC 6902), JSON merge patch (RFC 7396) and strategic merge patch over a schema.
//!
//! Pure functions from a JSON tree and a patch's bytes to a new tree. Refused: consistency of kinds, of
//! versions and of who is asking. Server-side apply is no function of two trees and lives in its own crate.
//!
//! ```
//! use apiserver_patch::{json_patch, merge_patch};
//! use serde_json::json;
//!
//! let object = json!({"spec": {"width": 10, "material": "brass"}});
//! let merged = merge_patch(&object, br#"{"spec": {"material": null}}"#)?;
//! assert_eq!(merged, json!({"spec": {"width": 10}}));
//! let patched = json_patch(&object, br#"[{"op": "replace", "path": "/spec/width", "value": 20}]"#)?;
//! assert_eq!(patched["spec"]["width"], 20);
//! # Ok::<(), apiserver_patch::PatchError>(())
//! ```
#![warn(missing_docs)]

use apiserver_meta::{Cause, Schema};
use serde_json::{Map, Value};

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod deep;
mod json;
mod merge;
mod strategic;

/// Most operations in one JSON patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Most bytes that the `copy` operations of one JSON patch may add up to.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Why a patch did not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// More operations than [`MAX_OPERATIONS`]: 413.
    #[error("Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// The patch is well-formed and does not fit this object: 422. The causes name the failing operations.
    #[error("{message}")]
    Unprocessable {
        /// What a person reads.
        message: String,
        /// One for each failing operation: reason, what failed, and the path it named.
        causes: Vec<Cause>,
    },
}

/// Applies a JSON patch (RFC 6902) as kube-apiserver does, which takes more than the RFC: an absent member can be
/// replaced, copied and tested to be null, an index may be negative, a missing value is null. Beyond that, absent
/// `metadata.annotations` and `metadata.labels` count as empty objects where an operation adds a member below them.
///
/// # Errors
/// See [`PatchError`]; the object is unchanged then.
pub fn json_patch(object: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    json::apply(object, patch)
}

/// Applies a JSON merge patch, which must be a JSON object.
///
/// # Errors
/// [`PatchError::Malformed`].
pub fn merge_patch(object: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    merge::apply(object, patch)
}

/// Applies a strategic merge patch: lists that the schema marks as maps merge by their keys, others are
/// replaced; `$patch`, `$deleteFromPrimitiveList`, `$setElementOrder` and `$retainKeys` as upstream has them.
///
/// # Errors
/// See [`PatchError`].
pub fn strategic_merge_patch(object: &Value, patch: &[u8], schema: &Schema) -> Result<Value, PatchError> {
    strategic::apply(object, patch, schema)
}

/// The text of every 422 that a Kubernetes server answers to a patch that does not fit; the causes say more.
const REJECTED: &str = "the server rejected our request due to an error in our request";

/// Reads a patch. What nests too deeply is malformed, so that recursion over a patch is safe.
fn parse(patch: &[u8]) -> Result<Value, PatchError> {
    apiserver_meta::decode::parse_json(patch).map(|parsed| parsed.value).map_err(malformed)
}

fn parse_object(patch: &[u8], what: &str) -> Result<Map<String, Value>, PatchError> {
    match parse(patch)? {
        Value::Object(members) => Ok(members),
        other => Err(malformed(format!("{what} is an object, not {}", a(&other)))),
    }
}

fn malformed(why: impl std::fmt::Display) -> PatchError {
    PatchError::Malformed(format!("error decoding patch: {why}"))
}

/// A value's type with its article.
fn a(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
