//! OpenAPI 3.0 documents: one for each group and version.

use super::components::Components;
use super::operation::{INFO_VERSION, NAME, NAMESPACE, Operation, PRETTY, Parameter, reason};
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
    let mut schemas = Value::Object(components.reachable(bodies.chain(answers)));
    rewrite(&mut schemas);
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": INFO_VERSION },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerToken": { "type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication" },
            },
        },
    })
}

fn operation(operation: &Operation) -> Value {
    let mut out = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "responses": responses(operation),
    });
    if !operation.parameters.is_empty() {
        out["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = &operation.body {
        out["requestBody"] = json!({ "content": content(&body.media_types, &body.component) });
        if body.required {
            out["requestBody"]["required"] = true.into();
        }
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
        let answer = json!({ "description": reason(*code), "content": content(operation.produces, component) });
        responses.insert(code.to_string(), answer);
    }
    responses.insert("401".into(), json!({ "description": reason(401) }));
    responses
}

fn content(media_types: &[&str], component: &str) -> Map<String, Value> {
    let schema = json!({ "schema": { "$ref": reference(component) } });
    media_types.iter().map(|media_type| ((*media_type).to_owned(), schema.clone())).collect()
}

fn parameter(parameter: &Parameter) -> Value {
    let mut out = json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": { "type": parameter.r#type, "uniqueItems": true },
    });
    if parameter.place == "path" {
        out["required"] = true.into();
    }
    out
}

/// The parameters that all operations of a path share.
pub(super) fn path_parameters(operation: &Operation) -> Vec<Parameter> {
    let mut shared = Vec::new();
    if operation.path.contains("{name}") {
        shared.push(NAME);
    }
    if operation.path.contains("{namespace}") {
        shared.push(NAMESPACE);
    }
    if operation.action.is_some() {
        shared.push(PRETTY);
    }
    shared
}

fn reference(component: &str) -> String {
    format!("#/components/schemas/{component}")
}

/// Nothing may stand beside a reference in this dialect, so a reference with something beside it is wrapped.
fn rewrite(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(rewrite);
            let Some(Value::String(name)) = map.get("$ref") else { return };
            let full = json!({ "$ref": reference(name) });
            if map.len() == 1 {
                *value = full;
            } else {
                map.remove("$ref");
                map.insert("allOf".into(), json!([full]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}
