//! A protobuf message written from a JSON object, field by field (proto3 wire format).
//!
//! prost writes keys, lengths and values. Which member goes into which field is told by calls, because the documents are JSON already: as
//! types for prost to derive from, the 28 messages of the two encodings would be twice this, and a copy of every document.

use prost::encoding::{self, WireType, encode_key, encode_varint};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// A message on its way from a JSON object. Members that are absent are left out, as proto3 has it.
pub(super) struct Message<'a> {
    source: &'a Map<String, Value>,
    out: Vec<u8>,
}

/// Makes a nested message.
pub(super) type Encode = fn(&Value) -> Vec<u8>;

impl<'a> Message<'a> {
    /// An empty message that is fed from `source`.
    pub(super) fn of(source: &'a Value) -> Self {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        Self { source: source.as_object().unwrap_or(&EMPTY), out: Vec::new() }
    }

    /// The bytes.
    pub(super) fn done(self) -> Vec<u8> {
        self.out
    }

    /// A string.
    pub(super) fn text(mut self, number: u32, member: &str) -> Self {
        if let Some(Value::String(text)) = self.source.get(member) {
            bytes(&mut self.out, number, text.as_bytes());
        }
        self
    }

    /// A list of strings.
    pub(super) fn texts(mut self, number: u32, member: &str) -> Self {
        for text in self.source.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            bytes(&mut self.out, number, text.as_bytes());
        }
        self
    }

    /// A boolean.
    pub(super) fn flag(mut self, number: u32, member: &str) -> Self {
        if self.source.get(member) == Some(&Value::Bool(true)) {
            encoding::bool::encode(number, &true, &mut self.out);
        }
        self
    }

    /// A nested message.
    pub(super) fn one(mut self, number: u32, member: &str, encode: Encode) -> Self {
        if let Some(value) = self.source.get(member) {
            bytes(&mut self.out, number, &encode(value));
        }
        self
    }

    /// A list of nested messages.
    pub(super) fn many(mut self, number: u32, member: &str, encode: Encode) -> Self {
        for value in self.source.get(member).and_then(Value::as_array).into_iter().flatten() {
            bytes(&mut self.out, number, &encode(value));
        }
        self
    }

    /// The members that `belongs` picks, as a list of (name, value).
    pub(super) fn named(mut self, number: u32, belongs: fn(&str) -> bool, encode: Encode) -> Self {
        for (name, value) in self.source.iter().filter(|(name, _)| belongs(name)) {
            let mut pair = Vec::new();
            bytes(&mut pair, 1, name.as_bytes());
            bytes(&mut pair, 2, &encode(value));
            bytes(&mut self.out, number, &pair);
        }
        self
    }

    /// The `x-` members.
    pub(super) fn extensions(self, number: u32) -> Self {
        self.named(number, |name| name.starts_with("x-"), any)
    }
}

/// A message that only wraps another: one arm of a `oneof`.
pub(super) fn wrapped(number: u32, inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, number, inner);
    out
}

/// A message with a list of all members as (name, value) in field 1.
pub(super) fn entries(value: &Value, encode: Encode) -> Vec<u8> {
    Message::of(value).named(1, |_| true, encode).done()
}

/// A value of any type: its YAML text, of which JSON is a part.
pub(super) fn any(value: &Value) -> Vec<u8> {
    wrapped(2, value.to_string().as_bytes())
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wire_format() {
        let source = json!({ "a": "testing", "b": true, "c": false, "d": ["x", "y"], "e": { "a": "z" }, "x-f": 1 });
        let inner: Encode = |value| Message::of(value).text(1, "a").done();
        let found = Message::of(&source).text(2, "a").flag(3, "b").flag(4, "c").texts(5, "d").one(6, "e", inner).extensions(31).done();
        let mut want = vec![0x12, 7];
        want.extend_from_slice(b"testing");
        want.extend_from_slice(&[0x18, 1, 0x2a, 1, b'x', 0x2a, 1, b'y', 0x32, 3, 0x0a, 1, b'z']);
        want.extend_from_slice(&[0xfa, 0x01, 10, 0x0a, 3, b'x', b'-', b'f', 0x12, 3, 0x12, 1, b'1']);
        assert_eq!(found, want);
    }
}
