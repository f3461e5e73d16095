//! Questions in protobuf: typed Go clients, kubectl among them, send reviews in it unasked and don't fall back.
//!
//! Only what a question says is read; answers are JSON, which the same clients accept.

use apiserver_meta::VirtualDescriptor;
use serde_json::{Map, Value};

/// The media type of these bodies.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The beginning of every protobuf body of the Kubernetes API.
const MAGIC: &[u8] = b"k8s\0";

/// The fields of a message that are read, by number. Others are skipped.
pub(super) type Message = &'static [(u64, &'static str, Field)];

#[derive(Clone, Copy)]
pub(super) enum Field {
    Text,
    Message(Message),
}

/// `runtime.Unknown`: the envelope of every object, whose second field is the object.
const TYPE_META: Message = &[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)];
const ENVELOPE: Message = &[(1, "typeMeta", Field::Message(TYPE_META))];
const RAW: u64 = 2;

/// The question of a `SelfSubjectAccessReview`.
const ACCESS: Message = &[(
    2,
    "spec",
    Field::Message(&[(1, "resourceAttributes", Field::Message(RESOURCE)), (2, "nonResourceAttributes", Field::Message(PATH))]),
)];
const RESOURCE: Message = &[
    (1, "namespace", Field::Text),
    (2, "verb", Field::Text),
    (3, "group", Field::Text),
    (4, "version", Field::Text),
    (5, "resource", Field::Text),
    (6, "subresource", Field::Text),
    (7, "name", Field::Text),
];
const PATH: Message = &[(1, "path", Field::Text), (2, "verb", Field::Text)];
/// The question of a `SelfSubjectRulesReview`.
const RULES: Message = &[(2, "spec", Field::Message(&[(1, "namespace", Field::Text)]))];

/// The fields of a kind's questions; `None` for kinds that no client sends in protobuf.
pub(super) fn fields(kind: &VirtualDescriptor) -> Option<Message> {
    match (kind.group, kind.kind) {
        ("authentication.k8s.io", "SelfSubjectReview") => Some(&[]),
        ("authorization.k8s.io", "SelfSubjectAccessReview") => Some(ACCESS),
        ("authorization.k8s.io", "SelfSubjectRulesReview") => Some(RULES),
        _ => None,
    }
}

/// Reads a question as the JSON that would have said the same; `None` when it is none.
pub(super) fn decode(body: &[u8], fields: Message) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let Value::Object(mut found) = message(envelope, ENVELOPE)? else { return None };
    let Some(Value::Object(mut review)) = found.remove("typeMeta") else { return None };
    let raw = Fields(envelope).map_while(Result::ok).find(|(number, _)| *number == RAW).map_or(&[][..], |(_, bytes)| bytes);
    if let Value::Object(said) = message(raw, fields)? {
        review.extend(said);
    }
    Some(Value::Object(review))
}

fn message(bytes: &[u8], fields: Message) -> Option<Value> {
    let mut found = Map::new();
    for field in Fields(bytes) {
        let (number, bytes) = field.ok()?;
        let Some((_, name, kind)) = fields.iter().find(|(known, ..)| *known == number) else { continue };
        let value = match kind {
            Field::Text => Value::from(std::str::from_utf8(bytes).ok()?),
            Field::Message(fields) => message(bytes, fields)?,
        };
        found.insert((*name).to_owned(), value);
    }
    Some(Value::Object(found))
}

/// The bytes end within a field, or hold one of a kind that no message here has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// The length-delimited fields of a message, in order; numbers are skipped.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Some((_, None)) => {}
                Some((number, Some(bytes))) => return Some(Ok((number, bytes))),
                None => {
                    self.0 = &[];
                    return Some(Err(Malformed));
                }
            }
        }
        None
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Option<&'a [u8]>)> {
        let tag = self.number()?;
        let length = match tag & 7 {
            0 => {
                self.number()?;
                return Some((tag >> 3, None));
            }
            2 => usize::try_from(self.number()?).ok()?,
            _ => return None,
        };
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((tag >> 3, Some(bytes)))
    }

    /// A base-128 number.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap_or(0)], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, b"authorization.k8s.io/v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &type_meta), &field(2, raw), &field(3, b""), &field(4, b"")].concat()
    }

    #[test]
    fn questions() {
        let attributes = [field(1, b"ns"), field(2, b"get"), field(3, b""), field(5, b"pods"), field(8, b"?")].concat();
        let access = [field(1, b""), field(2, &field(1, &attributes)), field(3, &[8, 0])].concat();
        let said = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "namespace": "ns", "verb": "get", "group": "", "resource": "pods" } },
        });
        assert_eq!(decode(&body("SelfSubjectAccessReview", &access), ACCESS), Some(said));
        let rules = field(2, &field(1, b"ns"));
        let said = decode(&body("SelfSubjectRulesReview", &rules), RULES);
        assert_eq!(said.map(|said| said["spec"].clone()), Some(json!({ "namespace": "ns" })));
        for broken in [&b"k8s"[..], b"{}", b"k8s\0\x0a\x05ab", b"k8s\0\x0d\0\0\0\0"] {
            assert_eq!(decode(broken, ACCESS), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&[MAGIC, &bytes].concat(), ACCESS);
        }
    }
}
