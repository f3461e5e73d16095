//! OpenAPI 3.0 documents as `openapi.v3.Document` of gnostic's protobuf schema. Field numbers are those of
//! `OpenAPIv3.proto`.

use super::protobuf::{Message, any, entries, wrapped};
use serde_json::Value;

/// The whole document.
pub(super) fn document(value: &Value) -> Vec<u8> {
    Message::of(value)
        .text(1, "openapi")
        .one(2, "info", |value| Message::of(value).text(1, "title").text(2, "description").text(6, "version").done())
        .one(4, "paths", |value| Message::of(value).named(1, |name| name.starts_with('/'), path_item).done())
        .one(5, "components", components)
        .done()
}

fn components(value: &Value) -> Vec<u8> {
    let scheme =
        |value: &Value| wrapped(1, &Message::of(value).text(1, "type").text(2, "description").text(3, "name").text(4, "in").done());
    let mut out = Message::of(value).one(1, "schemas", |value| entries(value, schema_or_reference)).done();
    if let Some(schemes) = value.get("securitySchemes") {
        out.extend(wrapped(7, &entries(schemes, scheme)));
    }
    out
}

fn path_item(value: &Value) -> Vec<u8> {
    Message::of(value)
        .one(4, "get", operation)
        .one(5, "put", operation)
        .one(6, "post", operation)
        .one(7, "delete", operation)
        .one(10, "patch", operation)
        .many(13, "parameters", parameter)
        .done()
}

fn operation(value: &Value) -> Vec<u8> {
    Message::of(value)
        .texts(1, "tags")
        .text(3, "description")
        .text(5, "operationId")
        .many(6, "parameters", parameter)
        .one(7, "requestBody", |value| wrapped(1, &Message::of(value).one(2, "content", content).flag(3, "required").done()))
        .one(8, "responses", |value| Message::of(value).named(2, |name| !name.starts_with("x-"), response).done())
        .extensions(13)
        .done()
}

fn response(value: &Value) -> Vec<u8> {
    wrapped(1, &Message::of(value).text(1, "description").one(3, "content", content).done())
}

fn content(value: &Value) -> Vec<u8> {
    entries(value, |media_type| Message::of(media_type).one(1, "schema", schema_or_reference).done())
}

fn parameter(value: &Value) -> Vec<u8> {
    let parameter =
        Message::of(value).text(1, "name").text(2, "in").text(3, "description").flag(4, "required").one(10, "schema", schema_or_reference);
    wrapped(1, &parameter.done())
}

fn schema_or_reference(value: &Value) -> Vec<u8> {
    if value.get("$ref").is_some() {
        return wrapped(2, &Message::of(value).text(1, "$ref").done());
    }
    wrapped(1, &schema(value))
}

fn schema(value: &Value) -> Vec<u8> {
    let mut out = Message::of(value)
        .flag(20, "uniqueItems")
        .texts(23, "required")
        .many(24, "enum", any)
        .text(25, "type")
        .many(26, "allOf", schema_or_reference)
        .one(30, "items", |value| wrapped(1, &schema_or_reference(value)))
        .one(31, "properties", |value| entries(value, schema_or_reference))
        .one(32, "additionalProperties", |value| wrapped(1, &schema_or_reference(value)))
        .done();
    out.extend(default(value.get("default")));
    out.extend(Message::of(value).text(34, "description").text(35, "format").extensions(36).done());
    out
}

/// `DefaultType` has arms for scalars alone; zero values of objects are not sent.
fn default(value: Option<&Value>) -> Vec<u8> {
    match value {
        Some(Value::String(text)) => wrapped(33, &wrapped(3, text.as_bytes())),
        // Field 2, varint: a boolean, sent even when false because the arm must be known.
        Some(Value::Bool(flag)) => wrapped(33, &[0x10, u8::from(*flag)]),
        // Field 1, eight bytes: a double.
        Some(Value::Number(number)) => {
            let mut double = vec![0x09];
            double.extend(number.as_f64().unwrap_or(0.0).to_le_bytes());
            wrapped(33, &double)
        }
        _ => Vec::new(),
    }
}
