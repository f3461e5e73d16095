//! An object encoded once: as the store keeps it, without a resourceVersion, and as a client gets it, with one.

use crate::item::splice;
use apiserver_meta::Object;
use apiserver_store::{Revision, StoreError};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::io::Write as _;

/// The canonical JSON of an object without its resourceVersion, which is the store's to say.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    stored: Bytes,
    /// Where a resourceVersion goes: before the UID, when that is the last member of metadata and is written as it is.
    seam: Option<usize>,
}

impl Encoded {
    /// Encodes an object. `about` is how many bytes that will be, as far as is known: less means that bytes are moved, no more.
    pub(super) fn of(object: &Object, about: usize) -> Self {
        let mut encoder = Encoder { out: Vec::with_capacity(about), seam: None };
        // Maps with string keys and JSON values always serialise, and writing into a Vec cannot fail.
        let _ = encoder.object(&object.0);
        Self { stored: encoder.out.into(), seam: encoder.seam }
    }

    /// The bytes that the store keeps.
    pub(super) fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// The bytes that a client gets of the object at this revision.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the object has no UID.
    pub(super) fn shown(&self, revision: Revision) -> Result<Bytes, StoreError> {
        let Some((head, tail)) = self.seam.and_then(|seam| self.stored.split_at_checked(seam)) else {
            return splice(&self.stored, revision);
        };
        let version = member(revision);
        let mut bytes = Vec::with_capacity(self.stored.len() + version.len());
        for part in [head, version.as_bytes(), tail] {
            bytes.extend_from_slice(part);
        }
        Ok(bytes.into())
    }

    /// Whether a client that has these bytes has the object at this revision already.
    pub(super) fn is_shown_as(&self, shown: &[u8], revision: Revision) -> bool {
        let Some((head, tail)) = self.seam.and_then(|seam| self.stored.split_at_checked(seam)) else {
            return self.shown(revision).is_ok_and(|own| own == shown);
        };
        let version = shown.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        version == Some(member(revision).as_bytes())
    }
}

/// What stands before the UID.
const UID: &str = "\"uid\":";

/// The member of metadata that says a resourceVersion, with the comma behind it.
fn member(revision: Revision) -> String {
    format!("\"resourceVersion\":\"{revision}\",")
}

struct Encoder {
    out: Vec<u8>,
    seam: Option<usize>,
}

impl Encoder {
    fn object(&mut self, object: &Map<String, Value>) -> serde_json::Result<()> {
        self.out.push(b'{');
        for (name, value) in object {
            self.name(name)?;
            match value {
                Value::Object(metadata) if name == "metadata" => self.metadata(metadata)?,
                value => serde_json::to_writer(&mut self.out, value)?,
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn metadata(&mut self, metadata: &Map<String, Value>) -> serde_json::Result<()> {
        self.out.push(b'{');
        for (name, value) in metadata.iter().filter(|(name, _)| *name != "resourceVersion") {
            self.name(name)?;
            let start = self.out.len();
            serde_json::to_writer(&mut self.out, value)?;
            let is_plain = |text: &str| self.out.len() - start == text.len() + 2;
            self.seam = match value {
                Value::String(text) if name == "uid" && is_plain(text) => Some(start - UID.len()),
                _ => None,
            };
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A member's name, with the comma before it and the colon behind it.
    fn name(&mut self, name: &str) -> serde_json::Result<()> {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b":").map_err(serde_json::Error::io)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text() -> impl Strategy<Value = Value> {
        prop_oneof![Just("u".to_owned()), "[a\"\\\\{}:,\u{1}é]{0,6}"].prop_map(Value::from)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text()];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("uid|resourceVersion|metadata|[a-z]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Object> {
        let member = prop_oneof![20 => text(), 1 => value()];
        let metadata = prop::collection::btree_map("name|resourceVersion|selfLink|uid|zone|extra", member, 0..6);
        let metadata = metadata.prop_map(|map| Value::Object(map.into_iter().collect()));
        let metadata = prop_oneof![20 => metadata, 1 => value()];
        let rest = prop::collection::btree_map("apiVersion|kind|metadata|spec|status", value(), 0..4);
        (prop::option::weighted(0.95, metadata), rest).prop_map(|(metadata, rest)| {
            let mut object: Map<String, Value> = rest.into_iter().collect();
            object.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
            Object(object)
        })
    }

    proptest! {
        #[test]
        fn it_is_what_serde_writes_and_what_a_splice_makes_of_it(object in object(), about in 0..200_usize, revision: u64, other: u64) {
            let encoded = Encoded::of(&object, about);
            let mut plain = object.clone();
            if let Some(Value::Object(metadata)) = plain.0.get_mut("metadata") {
                metadata.remove("resourceVersion");
            }
            let plain = plain.to_bytes();
            prop_assert_eq!(std::str::from_utf8(encoded.stored()).unwrap(), std::str::from_utf8(&plain).unwrap());
            match (encoded.shown(revision), splice(encoded.stored(), revision)) {
                (Ok(fast), Ok(slow)) => {
                    prop_assert_eq!(&fast, &slow);
                    prop_assert!(encoded.is_shown_as(&slow, revision));
                    prop_assert_eq!(encoded.is_shown_as(&slow, other), other == revision);
                    prop_assert!(!encoded.is_shown_as(encoded.stored(), revision));
                }
                // A splice wants a UID, and texts where there are to be texts. No write makes anything else.
                (_, Err(_)) => {}
                (Err(error), Ok(_)) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn another_object_is_not_taken_for_this_one() {
        let of = |value: Value| Encoded::of(&Object::from_value(value).unwrap(), 0);
        let one = of(json!({"metadata": {"name": "a", "uid": "u"}, "spec": {"a": 1}}));
        for other in [
            json!({"metadata": {"name": "a", "uid": "u"}, "spec": {"a": 2}}),
            json!({"metadata": {"name": "b", "uid": "u"}, "spec": {"a": 1}}),
            json!({"metadata": {"name": "a", "uid": "v"}, "spec": {"a": 1}}),
            json!({"metadata": {"name": "a", "uid": "u"}}),
        ] {
            assert!(!one.is_shown_as(&of(other).shown(7).unwrap(), 7));
        }
        assert!(one.is_shown_as(&one.shown(7).unwrap(), 7));
    }
}
