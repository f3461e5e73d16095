//! The OpenAPI 2.0 ("Swagger") document: everything in one.

use super::components::Components;
use super::operation::{INFO_VERSION, Operation, Parameter, reason};
use super::v3::path_parameters;
use serde_json::{Map, Value, json};

/// The document of these operations.
pub(super) fn document(operations: &[Operation], components: &Components) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path.as_str()).or_insert_with(|| json!({}));
        path[operation.method] = self::operation(operation);
        let shared = path_parameters(operation);
        if !shared.is_empty() {
            path["parameters"] = shared.into_iter().map(|shared| parameter(&shared)).collect();
        }
    }
    let bodies = operations.iter().filter_map(|operation| operation.body.as_ref()).map(|body| body.component.clone());
    let answers = operations.iter().flat_map(|operation| &operation.answers).map(|(_, component)| component.clone());
    let mut definitions = Value::Object(components.reachable(bodies.chain(answers)));
    rewrite(&mut definitions);
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": INFO_VERSION },
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": { "type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication" },
        },
        "security": [{ "BearerToken": [] }],
    })
}

fn operation(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation.parameters.iter().map(parameter).collect();
    let consumes: Vec<&str> = operation.body.as_ref().map_or_else(Vec::new, |body| body.media_types.clone());
    if let Some(body) = &operation.body {
        let mut body_parameter = json!({ "name": "body", "in": "body", "schema": { "$ref": reference(&body.component) } });
        if body.required {
            body_parameter["required"] = true.into();
        }
        parameters.insert(0, body_parameter);
    }
    let mut out = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "consumes": if consumes.is_empty() { vec!["*/*"] } else { consumes },
        "produces": operation.produces,
        "schemes": ["https"],
        "responses": responses(operation),
    });
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some(action) = operation.action {
        out["x-kubernetes-action"] = action.into();
    }
    if let Some((group, version, kind)) = operation.kind {
        out["x-kubernetes-group-version-kind"] = json!({ "group": group, "version": version, "kind": kind });
    }
    out
}

fn responses(operation: &Operation) -> Map<String, Value> {
    let mut responses = Map::new();
    for (code, component) in &operation.answers {
        let answer = json!({ "description": reason(*code), "schema": { "$ref": reference(component) } });
        responses.insert(code.to_string(), answer);
    }
    responses.insert("401".into(), json!({ "description": reason(401) }));
    responses
}

fn parameter(parameter: &Parameter) -> Value {
    let mut out = json!({
        "name": parameter.name,
        "in": parameter.place,
        "type": parameter.r#type,
        "description": parameter.description,
        "uniqueItems": true,
    });
    if parameter.place == "path" {
        out["required"] = true.into();
    }
    out
}

fn reference(component: &str) -> String {
    format!("#/definitions/{component}")
}

/// Full references; no defaults, which old clients take for values that the client has to fill in.
fn rewrite(value: &mut Value) {
    rewrite_schema(value, Position::Properties);
}

/// Whether the keys of an object are words of the schema language or names of fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Schema,
    Properties,
}

fn rewrite_schema(value: &mut Value, position: Position) {
    match value {
        Value::Object(map) => {
            if position == Position::Schema {
                map.remove("default");
                if let Some(Value::String(name)) = map.get_mut("$ref") {
                    *name = reference(name);
                }
            }
            for (key, member) in map.iter_mut() {
                let names = position == Position::Schema && key == "properties";
                rewrite_schema(member, if names { Position::Properties } else { Position::Schema });
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite_schema(item, Position::Schema)),
        _ => {}
    }
}
