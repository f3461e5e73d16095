//! From the bytes of a body to a canonical [`Object`](crate::Object), guided by the schema.
//!
//! Two steps. [`parse_json`] and [`parse_yaml_as`] read bytes into a JSON tree and note duplicate keys;
//! [`conform`] checks the tree against the schema, drops what the schema lacks (noting each path) and brings
//! it into canonical form. Patches enter at the second step, because their result was never bytes.

use crate::field::quoted;
use serde_json::Value;

mod conform;
mod json;
mod lossy;
pub(crate) mod path;
mod prune;
mod tree;
mod yaml;

pub use conform::conform;
pub use json::parse_json;
pub use prune::prune;
pub use yaml::{parse_yaml, parse_yaml_as};

/// The deepest nesting of objects and lists.
const MAX_DEPTH: usize = 128;
/// How many unknown and how many duplicate fields are told of, so that no body makes a huge answer.
const MAX_NOTED: usize = 100;

/// A parsed body and what was odd about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The tree; of duplicate keys the last one won.
    pub value: Value,
    /// The full paths of duplicate keys, such as `spec.access[0].name`, in order, each once; at most 100.
    pub duplicates: Vec<String>,
}

/// A tree in canonical form and what was dropped from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conformed {
    /// The tree: only known fields, [`crate::schema::Presence`] applied.
    pub value: Value,
    /// The full paths of unknown fields, sorted by where they stood; at most 100.
    pub unknown: Vec<String>,
}

/// Why a body is not an object of its kind. The text says where, in the words of a Kubernetes server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// One text for each unknown and each duplicate field, for `Warning` headers: `unknown field "spec.a"`.
pub fn strict_warnings(unknown: &[String], duplicates: &[String]) -> Vec<String> {
    let unknown = unknown.iter().map(|path| format!("unknown field {}", quoted(path)));
    unknown.chain(duplicates.iter().map(|path| format!("duplicate field {}", quoted(path)))).collect()
}

/// Returns the error of `fieldValidation=Strict`, in one text: `strict decoding error: unknown field "spec.a", duplicate
/// field "spec.b"`; `None` when there is nothing to refuse.
pub fn strict_error(unknown: &[String], duplicates: &[String]) -> Option<String> {
    let texts = strict_warnings(unknown, duplicates);
    (!texts.is_empty()).then(|| format!("strict decoding error: {}", texts.join(", ")))
}

#[cfg(test)]
mod tests;
