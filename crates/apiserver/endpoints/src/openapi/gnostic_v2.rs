//! The OpenAPI 2.0 document as `openapi.v2.Document` of gnostic's protobuf schema: client-go and kubectl read it in no
//! other form. Field numbers are those of `OpenAPIv2.proto`.

use super::protobuf::{Message, any, entries, wrapped};
use serde_json::Value;

/// The whole document.
pub(super) fn document(value: &Value) -> Vec<u8> {
    Message::of(value)
        .text(1, "swagger")
        .one(2, "info", info)
        .one(8, "paths", paths)
        .one(9, "definitions", |value| entries(value, schema))
        .many(12, "security", |value| entries(value, strings))
        .one(13, "securityDefinitions", |value| entries(value, |scheme| wrapped(2, &api_key(scheme))))
        .done()
}

fn info(value: &Value) -> Vec<u8> {
    Message::of(value).text(1, "title").text(2, "version").text(3, "description").done()
}

fn api_key(value: &Value) -> Vec<u8> {
    Message::of(value).text(1, "type").text(2, "name").text(3, "in").text(4, "description").done()
}

fn paths(value: &Value) -> Vec<u8> {
    Message::of(value).extensions(1).named(2, |name| name.starts_with('/'), path_item).done()
}

fn path_item(value: &Value) -> Vec<u8> {
    Message::of(value)
        .one(2, "get", operation)
        .one(3, "put", operation)
        .one(4, "post", operation)
        .one(5, "delete", operation)
        .one(8, "patch", operation)
        .many(9, "parameters", parameter)
        .done()
}

fn operation(value: &Value) -> Vec<u8> {
    Message::of(value)
        .texts(1, "tags")
        .text(3, "description")
        .text(5, "operationId")
        .texts(6, "produces")
        .texts(7, "consumes")
        .many(8, "parameters", parameter)
        .one(9, "responses", |value| Message::of(value).named(1, |name| !name.starts_with("x-"), response).done())
        .texts(10, "schemes")
        .extensions(13)
        .done()
}

fn response(value: &Value) -> Vec<u8> {
    wrapped(1, &Message::of(value).text(1, "description").one(2, "schema", |value| wrapped(1, &schema(value))).done())
}

/// `ParametersItem.parameter`, then the arm for where the parameter stands.
fn parameter(value: &Value) -> Vec<u8> {
    let place = value.get("in").and_then(Value::as_str).unwrap_or("");
    let parameter = match place {
        "body" => {
            let body = Message::of(value).text(1, "description").text(2, "name").text(3, "in").flag(4, "required").one(5, "schema", schema);
            wrapped(1, &body.done())
        }
        "path" => wrapped(2, &wrapped(4, &common(value).text(5, "type").text(6, "format").flag(19, "uniqueItems").done())),
        _ => wrapped(2, &wrapped(3, &common(value).text(6, "type").text(7, "format").flag(20, "uniqueItems").done())),
    };
    wrapped(1, &parameter)
}

fn common(value: &Value) -> Message<'_> {
    Message::of(value).flag(1, "required").text(2, "in").text(3, "description").text(4, "name")
}

fn schema(value: &Value) -> Vec<u8> {
    Message::of(value)
        .text(1, "$ref")
        .text(2, "format")
        .text(4, "description")
        .one(5, "default", any)
        .texts(19, "required")
        .many(20, "enum", any)
        .one(21, "additionalProperties", |value| wrapped(1, &schema(value)))
        .one(22, "type", |value| wrapped(1, value.as_str().unwrap_or("").as_bytes()))
        .one(23, "items", |value| wrapped(1, &schema(value)))
        .one(25, "properties", |value| entries(value, schema))
        .extensions(31)
        .done()
}

fn strings(value: &Value) -> Vec<u8> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.flat_map(|text| wrapped(1, text.as_bytes())).collect()
}
