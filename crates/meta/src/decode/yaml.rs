//! YAML bytes to the same tree as JSON.
//!
//! Refused: YAML 1.1's guesses. `yes`, `0755` and `1_000` stay strings, as do times; a value of the wrong type
//! is then an error as it is in JSON.

use super::path::Path;
use super::tree::{Notes, Tree};
use super::{DecodeError, Parsed, parse_json};
use serde::de::DeserializeSeed;
use serde_yaml::options::DuplicateKeyPolicy;

/// How deep YAML may nest that is not JSON as well. Each level takes as much stack as eight of JSON: in a build without
/// optimisation 128 of them are more than a thread has.
const MAX_YAML_DEPTH: usize = 64;

/// Reads the first document of a YAML stream into the JSON data model. Keys that are numbers or booleans
/// become strings; nothing at all is `null`.
///
/// # Errors
/// Malformed YAML or UTF-8, keys that are no scalars, excessive aliasing, nesting deeper than 64 levels.
pub fn parse_yaml(bytes: &[u8]) -> Result<Parsed, DecodeError> {
    // Most of what claims to be YAML is JSON, which is read much faster as such.
    if bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(parsed) = parse_json(bytes)
    {
        return Ok(parsed);
    }
    // Without aliases a document costs no more than its length.
    let mut notes = Notes::new(bytes.len().saturating_mul(8).saturating_add(64 * 1024));
    let mut value = None;
    let read = serde_yaml::with_deserializer_from_slice_with_options(bytes, options(), |deserializer| {
        value = Some(Tree { path: &Path::Root, depth: 0, notes: &mut notes }.deserialize(deserializer)?);
        Ok(())
    });
    match (read, value) {
        (Ok(()) | Err(serde_yaml::Error::MultipleDocuments { .. }), Some(value)) => Ok(Parsed { value, duplicates: notes.duplicates }),
        (Err(error), _) => Err(DecodeError(format!("error converting YAML to JSON: yaml: {error}"))),
        (Ok(()), None) => Ok(Parsed::default()),
    }
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! { max_depth: MAX_YAML_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        with_snippet: false,
    }
}
