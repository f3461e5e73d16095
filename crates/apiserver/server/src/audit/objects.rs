//! Bodies as one JSON value on one line, without passwords.
//!
//! Instances and templates have fields for the passwords of repositories of charts, and instances have a text with the values
//! of a template's parameters, some of which are passwords, beside much that is worth logging.

use super::policy::ManagedFields;
use apiserver_meta::decode;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::io::Read as _;

/// Names of fields whose texts are passwords, or may contain some.
const SECRETS: [&str; 2] = ["password", "parameters"];
const REDACTED: &str = "REDACTED";

/// An object that was understood.
pub(crate) fn object(object: &Map<String, Value>, managed_fields: ManagedFields) -> Option<Box<RawValue>> {
    let mut value = Value::Object(object.clone());
    if managed_fields == ManagedFields::Omitted {
        strip(&mut value);
    }
    redact(&mut value);
    to_raw_value(&value).ok()
}

/// A patch: JSON, or YAML as applies may be. `None` for what is neither.
pub(crate) fn patch(bytes: &[u8]) -> Option<Value> {
    let json = decode::parse_json(bytes).ok().or_else(|| decode::parse_yaml(bytes).ok());
    let mut value = json.map(|parsed| parsed.value).filter(|value| value.is_object() || value.is_array())?;
    for operation in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let holds_secret = operation.get("path").and_then(Value::as_str).is_some_and(|path| path.rsplit('/').next().is_some_and(is_secret));
        if let Some(given) = operation.get_mut("value").filter(|given| holds_secret && given.is_string()) {
            *given = REDACTED.into();
        }
    }
    redact(&mut value);
    Some(value)
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// Whether a text is JSON that may hold a secret, as the annotation of `kubectl apply` may.
fn quotes_secret(text: &str) -> bool {
    ["\"password\"", "\"parameters\""].iter().any(|name| text.contains(name))
}

/// Takes out what is secret.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) if quotes_secret(text) => *text = REDACTED.into(),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if is_secret(name) && !text.is_empty() => *text = REDACTED.into(),
                    _ => redact(member),
                }
            }
        }
        _ => {}
    }
}

/// The body of a response, for the log.
#[derive(Debug)]
pub(crate) enum Answer {
    Object(Box<RawValue>),
    TooLong,
    /// No object.
    None,
}

/// An answer, from the bytes that the client got. One of more than `limit` bytes is too long.
pub(crate) fn answer(head: &HeaderMap, bytes: &[u8], limit: usize, managed_fields: ManagedFields) -> Answer {
    let unpacked;
    let bytes = match head.get(CONTENT_ENCODING) {
        None => bytes,
        Some(encoding) if encoding == "gzip" => {
            unpacked = unpack(bytes, limit);
            &unpacked
        }
        Some(_) => return Answer::None,
    };
    if bytes.len() > limit {
        return Answer::TooLong;
    }
    read(head, bytes, managed_fields).map_or(Answer::None, Answer::Object)
}

fn read(head: &HeaderMap, bytes: &[u8], managed_fields: ManagedFields) -> Option<Box<RawValue>> {
    let content_type = head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let one_line = !bytes.trim_ascii_end().contains(&b'\n');
    // The server writes no letter as an escape.
    let as_it_is = one_line
        && managed_fields == ManagedFields::Kept
        && SECRETS.iter().all(|name| memchr::memmem::find(bytes, name.as_bytes()).is_none());
    let mut value = match content_type.split(';').next().unwrap_or_default() {
        "application/json" if as_it_is => return serde_json::from_slice(bytes).ok(),
        "application/json" => serde_json::from_slice(bytes).ok()?,
        "application/yaml" => decode::parse_yaml(bytes).ok()?.value,
        _ => return None,
    };
    if managed_fields == ManagedFields::Omitted {
        strip(&mut value);
    }
    redact(&mut value);
    to_raw_value(&value).ok()
}

/// Decompresses gzip, up to one byte more than `limit`; returns nothing for other bytes.
fn unpack(bytes: &[u8], limit: usize) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(bytes).take(bound).read_to_end(&mut unpacked) {
        Ok(_) => unpacked,
        Err(_) => Vec::new(),
    }
}

/// Takes the managed fields out of an object, of the items of a list and of the objects in a table.
fn strip(value: &mut Value) {
    let Some(members) = value.as_object_mut() else { return };
    if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let is_table = members.get("kind").is_some_and(|kind| kind == "Table");
    let is_list = members.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(items) = members.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(strip);
    }
    if is_table && let Some(rows) = members.get_mut("rows").and_then(Value::as_array_mut) {
        rows.iter_mut().filter_map(|row| row.get_mut("object")).for_each(strip);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ManagedFields::{Kept, Omitted};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;
    use std::io::Write as _;

    fn head(content_type: &str, encoding: &str) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(CONTENT_TYPE, content_type.parse().unwrap());
        if !encoding.is_empty() {
            head.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        head
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn line(answer: Answer) -> Option<String> {
        match answer {
            Answer::Object(object) => Some(object.get().to_owned()),
            Answer::TooLong | Answer::None => None,
        }
    }

    #[test]
    fn every_form_of_an_answer_becomes_one_line() {
        let packed = gzip("{\"a\":1}\n");
        let cases: &[(&str, &str, &[u8], Option<&str>)] = &[
            ("application/json", "", b"{\"a\":1}\n", Some(r#"{"a":1}"#)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", "", b"{\n  \"a\": 1\n}\n", Some(r#"{"a":1}"#)),
            ("application/yaml", "", b"a: 1\nb: x\n", Some(r#"{"a":1,"b":"x"}"#)),
            ("application/json", "gzip", &packed, Some(r#"{"a":1}"#)),
            ("application/json", "br", &packed, None),
            ("application/json", "gzip", b"no gzip", None),
            ("application/json", "", b"{broken", None),
            ("application/json", "", b"{\"a\":\"\xff\"}", None),
            ("application/json", "", b"", None),
            ("text/plain", "", b"{}", None),
            ("application/vnd.kubernetes.protobuf", "", b"k8s\0", None),
        ];
        for (content_type, encoding, bytes, want) in cases {
            let got = line(answer(&head(content_type, encoding), bytes, 100, Kept));
            assert_eq!(got.as_deref(), *want, "{content_type} {encoding} {}", String::from_utf8_lossy(bytes));
        }
        let bomb = gzip(&format!("\"{}\"", "a".repeat(1000)));
        assert!(matches!(answer(&head("application/json", "gzip"), &bomb, 100, Kept), Answer::TooLong));
    }

    #[test]
    fn managed_fields_are_taken_out_where_they_are_meant() {
        let with = |name: &str| json!({"metadata": {"name": name, "managedFields": [{"manager": "m"}]}, "spec": {"managedFields": 1}});
        let without = |name: &str| json!({"metadata": {"name": name}, "spec": {"managedFields": 1}});
        for (given, want) in [
            (with("a"), without("a")),
            (json!({"kind": "XList", "items": [with("a"), with("b")]}), json!({"kind": "XList", "items": [without("a"), without("b")]})),
            (
                json!({"kind": "Table", "rows": [{"object": with("a")}, {}]}),
                json!({"kind": "Table", "rows": [{"object": without("a")}, {}]}),
            ),
            (json!({"metadata": 1}), json!({"metadata": 1})),
        ] {
            let bytes = serde_json::to_vec(&given).unwrap();
            let got: Value = serde_json::from_str(&line(answer(&head("application/json", ""), &bytes, 1000, Omitted)).unwrap()).unwrap();
            assert_eq!(got, want);
            assert_eq!(object(given.as_object().unwrap(), Omitted).unwrap().get(), want.to_string());
            assert_eq!(object(given.as_object().unwrap(), Kept).unwrap().get(), given.to_string());
        }
    }

    #[test]
    fn passwords_are_taken_out() {
        let given = json!({"spec": {"parameters": "admin: s3cret", "templateRef": {"name": "t"}}, "parameters": [{"name": "a"}]});
        let want = json!({"spec": {"parameters": "REDACTED", "templateRef": {"name": "t"}}, "parameters": [{"name": "a"}]});
        assert_eq!(object(given.as_object().unwrap(), Kept).unwrap().get(), want.to_string());
        let annotated = r#"{"chart":{"password":"s3cret"}}"#;
        let given = json!({"metadata": {"annotations": {"last-applied": annotated}}, "chart": {"password": "s3cret", "username": "ann", "repo": "password"}});
        let want = json!({"metadata": {"annotations": {"last-applied": "REDACTED"}}, "chart": {"password": "REDACTED", "username": "ann", "repo": "password"}});
        assert_eq!(object(given.as_object().unwrap(), Kept).unwrap().get(), want.to_string());
        let bytes = serde_json::to_vec(&json!({"items": [given]})).unwrap();
        assert_eq!(line(answer(&head("application/json", ""), &bytes, 1000, Kept)), Some(json!({"items": [want]}).to_string()));
        assert_eq!(patch(b"chart: {password: s3cret}"), Some(json!({"chart": {"password": "REDACTED"}})));
        assert_eq!(patch(br#"{"chart": {"pass\u0077ord": "s3cret"}}"#), Some(json!({"chart": {"password": "REDACTED"}})));
        let operations = br#"[{"op": "add", "path": "/chart/password", "value": "s3cret"}, {"op": "test", "path": "/a", "value": {"password": "s3cret"}}]"#;
        let want = json!([{"op": "add", "path": "/chart/password", "value": "REDACTED"}, {"op": "test", "path": "/a", "value": {"password": "REDACTED"}}]);
        assert_eq!(patch(operations), Some(want));
    }

    #[test]
    fn patches_are_json_or_yaml() {
        for (bytes, want) in [
            (&b"[{\"op\":\"add\"}]"[..], Some(json!([{"op": "add"}]))),
            (b"{\"a\":\n1}", Some(json!({"a": 1}))),
            (b"metadata:\n  labels: {x: y}\n", Some(json!({"metadata": {"labels": {"x": "y"}}}))),
            (b"{bad", None),
            (b"just text", None),
            (b"\xff\xfe", None),
            (b"", None),
        ] {
            assert_eq!(patch(bytes), want, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
