//! JSON bytes to a tree, in one pass.

use super::lossy::mended;
use super::path::Path;
use super::tree::{Notes, Tree};
use super::{DecodeError, Parsed};
use serde::de::DeserializeSeed;
use serde_json::error::Category;

/// Reads one JSON document. What stands for no character, in bytes or in escapes, is U+FFFD in texts.
///
/// # Errors
/// Malformed JSON, anything behind the document, nesting deeper than 128 levels.
pub fn parse_json(bytes: &[u8]) -> Result<Parsed, DecodeError> {
    // Hardly any document is not what it should be, so only a bad one is looked at for this.
    let read = read(bytes);
    match read.is_err().then(|| mended(bytes)).flatten() {
        Some(mended) => self::read(mended.as_bytes()),
        None => read,
    }
}

fn read(bytes: &[u8]) -> Result<Parsed, DecodeError> {
    let mut notes = Notes::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let tree = Tree { path: &Path::Root, depth: 0, notes: &mut notes };
    let value = tree.deserialize(&mut deserializer).map_err(|error| explain(bytes, &error))?;
    deserializer.end().map_err(|error| explain(bytes, &error))?;
    Ok(Parsed { value, duplicates: notes.duplicates })
}

/// The error in the words of Go's decoder, which clients know; serde's own where Go has none.
fn explain(bytes: &[u8], error: &serde_json::Error) -> DecodeError {
    if error.classify() == Category::Eof {
        return DecodeError("unexpected end of JSON input".into());
    }
    let text = error.to_string();
    let place = [
        ("expected value", "looking for beginning of value"),
        ("key must be a string", "looking for beginning of object key string"),
        ("trailing characters", "after top-level value"),
        ("trailing comma", "looking for beginning of value"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
    ]
    .into_iter()
    .find_map(|(serde, go)| text.starts_with(serde).then_some(go));
    match (place, char_at(bytes, error.line(), error.column())) {
        (Some(place), Some(found)) => DecodeError(format!("invalid character {found:?} {place}")),
        _ => DecodeError(text),
    }
}

/// The character at a line and column, both counted from 1, the column in bytes.
fn char_at(bytes: &[u8], line: usize, column: usize) -> Option<char> {
    let line = bytes.split(|&byte| byte == b'\n').nth(line.checked_sub(1)?)?;
    let rest = line.get(column.checked_sub(1)?..)?;
    String::from_utf8_lossy(rest.get(..4).unwrap_or(rest)).chars().next()
}
