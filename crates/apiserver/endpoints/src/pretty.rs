//! Compact JSON made readable while it streams by: two spaces a level, as Go's `json.Indent`. Members keep
//! their order, numbers and strings their spelling.

use crate::chunks::Chunks;
use bytes::Bytes;

/// Pieces of compact JSON, indented.
pub(crate) struct Pretty<I> {
    chunks: I,
    indenter: Indenter,
    done: bool,
}

impl<I: Chunks> Pretty<I> {
    /// Indents one JSON document; it ends with a newline.
    pub(crate) fn new(chunks: I) -> Self {
        Self { chunks, indenter: Indenter::default(), done: false }
    }
}

impl<I: Chunks> Iterator for Pretty<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let Some(piece) = self.chunks.next() else {
            self.done = true;
            return Some(Bytes::from_static(b"\n"));
        };
        let mut out = Vec::with_capacity(piece.len() * 2);
        self.indenter.push(&piece, &mut out);
        Some(Bytes::from(out))
    }
}

#[derive(Default)]
struct Indenter {
    depth: usize,
    place: Place,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    /// Right behind `{` or `[`: nothing is broken when the next byte closes it.
    Opened,
    InString,
    Escaped,
}

impl Indenter {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &byte in input {
            match self.place {
                Place::Escaped => self.place = Place::InString,
                Place::InString if byte == b'\\' => self.place = Place::Escaped,
                Place::InString if byte == b'"' => self.place = Place::Between,
                Place::InString => {}
                Place::Between | Place::Opened => {
                    self.between(byte, out);
                    continue;
                }
            }
            out.push(byte);
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte.is_ascii_whitespace() {
            return;
        }
        let opened = self.place == Place::Opened;
        self.place = Place::Between;
        match byte {
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !opened {
                    self.line(out);
                }
                out.push(byte);
                return;
            }
            _ if opened => self.line(out),
            _ => {}
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                self.place = Place::Opened;
            }
            b',' => self.line(out),
            b':' => out.push(b' '),
            b'"' => self.place = Place::InString,
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn pretty(compact: &[u8], piece: usize) -> String {
        let pieces: Vec<Bytes> = compact.chunks(piece).map(Bytes::copy_from_slice).collect();
        let out: Vec<Bytes> = Pretty::new(pieces.into_iter()).collect();
        String::from_utf8(out.concat()).unwrap()
    }

    #[test]
    fn as_go_does() {
        let compact = br#"{"a":{},"b":[],"c":[1,"x:{,}\"\\",null],"d":{"e":-1.5}}"#;
        let want = "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    1,\n    \"x:{,}\\\"\\\\\",\n    null\n  ],\n  \"d\": {\n    \"e\": -1.5\n  }\n}\n";
        for piece in [1, 3, 1000] {
            assert_eq!(pretty(compact, piece), want);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn as_serde_json_does(value in value(), piece in 1_usize..9) {
            let compact = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(pretty(&compact, piece), serde_json::to_string_pretty(&value).unwrap() + "\n");
        }
    }
}
