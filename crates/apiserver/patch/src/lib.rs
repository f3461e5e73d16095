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
//! let merged = merge_patch(object.clone(), br#"{"spec": {"material": null}}"#)?;
//! assert_eq!(merged, json!({"spec": {"width": 10}}));
//! let patched = json_patch(object, br#"[{"op": "replace", "path": "/spec/width", "value": 20}]"#)?;
//! assert_eq!(patched["spec"]["width"], 20);
//! # Ok::<(), apiserver_patch::PatchError>(())
//! ```
#![warn(missing_docs)]

use apiserver_meta::Schema;
use serde_json::Value;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod deep;
mod error;
mod json;
mod merge;
mod parse;
mod strategic;

pub use error::{MAX_OPERATIONS, PatchError};
pub use json::MAX_COPIED_BYTES;

/// Applies a JSON patch (RFC 6902) as kube-apiserver does, which takes more than the RFC: an absent member can be
/// replaced, copied and tested to be null, an index may be negative, a missing value is null. Beyond that, absent
/// `metadata.annotations` and `metadata.labels` count as empty objects where an operation adds a member below them.
///
/// # Errors
/// See [`PatchError`].
pub fn json_patch(object: Value, patch: &[u8]) -> Result<Value, PatchError> {
    json::apply(object, patch)
}

/// Applies a JSON merge patch, which must be a JSON object.
///
/// # Errors
/// [`PatchError::Malformed`].
pub fn merge_patch(object: Value, patch: &[u8]) -> Result<Value, PatchError> {
    merge::apply(object, patch)
}

/// Applies a strategic merge patch: lists that the schema marks as maps merge by their keys, others are
/// replaced; `$patch`, `$deleteFromPrimitiveList`, `$setElementOrder` and `$retainKeys` as upstream has them.
///
/// # Errors
/// See [`PatchError`].
pub fn strategic_merge_patch(object: Value, patch: &[u8], schema: &Schema) -> Result<Value, PatchError> {
    strategic::apply(object, patch, schema)
}
