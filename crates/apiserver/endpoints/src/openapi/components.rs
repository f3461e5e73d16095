//! The named schemas of a document, free of dialect: a reference is `{"$ref": "NAME"}`, perhaps with a description
//! and a default beside it. [`super::v2`] and [`super::v3`] write it their way.

use apiserver_meta::schema::{Field, ListMerge, MapMerge, Shape};
use apiserver_meta::types::ListMeta;
use apiserver_meta::{Descriptor, Schema, VirtualDescriptor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A kind that is stored, and its schema.
pub type Stored<'a> = (&'static Descriptor, &'a Schema);
/// A kind that is computed, and its schema.
pub type Answered<'a> = (&'static VirtualDescriptor, &'a Schema);

/// Components of all groups, hand-written: types that requests and answers have and no kind embeds.
const META_V1: &str = include_str!("metav1.json");

/// The prefix of Kubernetes' own types.
pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Named schemas, by name.
#[derive(Debug, Default)]
pub(super) struct Components(BTreeMap<String, Value>);

impl Components {
    /// The components of these kinds and all that requests to them need.
    pub(super) fn of(stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Self {
        let mut components = Self::default();
        components.reference(&Schema::of::<ListMeta>());
        for (kind, schema) in stored {
            components.kind(kind, schema);
        }
        for (kind, schema) in computed {
            components.own(component_name((kind.group, kind.version, kind.kind), schema), (kind.group, kind.version, kind.kind), schema);
        }
        if let Ok(Value::Object(known)) = serde_json::from_str(META_V1) {
            components.0.extend(known);
        }
        components
    }

    /// Only what can be reached from `roots`, in the order of names.
    pub(super) fn reachable(&self, roots: impl IntoIterator<Item = String>) -> Map<String, Value> {
        let (mut found, mut open) = (BTreeSet::new(), roots.into_iter().collect::<Vec<_>>());
        while let Some(name) = open.pop() {
            if let Some(schema) = self.0.get(&name)
                && found.insert(name)
            {
                references(schema, &mut open);
            }
        }
        found.into_iter().filter_map(|name| self.0.get(&name).map(|schema| (name.clone(), schema.clone()))).collect()
    }

    fn kind(&mut self, kind: &Descriptor, schema: &Schema) {
        let identity = (kind.group, kind.version, kind.kind);
        let name = component_name(identity, schema);
        self.own(name.clone(), identity, schema);
        let list = json!({
            "description": format!("A list of {}.", kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": { "description": "The version of this form.", "type": "string" },
                "items": { "description": "The objects.", "type": "array", "items": { "$ref": name, "default": {} } },
                "kind": { "description": "The kind of this form.", "type": "string" },
                "metadata": { "description": "List metadata.", "$ref": format!("{META}ListMeta"), "default": {} },
            },
            "x-kubernetes-group-version-kind": [{ "group": kind.group, "kind": kind.list_kind, "version": kind.version }],
        });
        self.0.insert(list_name(kind, schema), list);
    }

    fn own(&mut self, name: String, (group, version, kind): Identity<'_>, schema: &Schema) {
        let mut own = self.body(schema);
        own["x-kubernetes-group-version-kind"] = json!([{ "group": group, "kind": kind, "version": version }]);
        self.0.insert(name, own);
    }

    /// A schema where it is used: a reference if it has a name.
    fn reference(&mut self, schema: &Schema) -> Value {
        let Some(name) = &schema.component else { return self.body(schema) };
        if !self.0.contains_key(name) {
            // Held free while its fields are read, so that each name is read once.
            self.0.insert(name.clone(), Value::Null);
            let body = self.body(schema);
            self.0.insert(name.clone(), body);
        }
        json!({ "$ref": name })
    }

    fn body(&mut self, schema: &Schema) -> Value {
        let mut body = self.shape(&schema.shape);
        if !schema.description.is_empty() {
            body.insert("description".into(), schema.description.as_str().into());
        }
        Value::Object(body)
    }

    fn shape(&mut self, shape: &Shape) -> Map<String, Value> {
        let body = match shape {
            Shape::String { format, allowed } => {
                let mut body = json!({ "type": "string" });
                if let Some(format) = format {
                    body["format"] = format.as_str().into();
                }
                if !allowed.is_empty() {
                    body["enum"] = json!(allowed);
                }
                body
            }
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Integer { format } => json!({ "type": "integer", "format": format }),
            Shape::Number => json!({ "type": "number" }),
            Shape::Object { fields, merge } => self.object(fields, *merge),
            Shape::Map { values, merge } => {
                let mut body = json!({ "type": "object", "additionalProperties": self.reference(values) });
                mark(&mut body, *merge);
                body
            }
            Shape::List { items, merge } => self.list(items, merge),
            Shape::Any => json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }),
        };
        match body {
            Value::Object(body) => body,
            _ => Map::new(),
        }
    }

    fn object(&mut self, fields: &BTreeMap<String, Field>, merge: MapMerge) -> Value {
        let properties: Map<String, Value> = fields.iter().map(|(name, field)| (name.clone(), self.field(field))).collect();
        let required: Vec<&String> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
        let mut body = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            body["required"] = json!(required);
        }
        mark(&mut body, merge);
        body
    }

    fn field(&mut self, field: &Field) -> Value {
        let mut body = self.reference(&field.schema);
        if !field.description.is_empty() {
            body["description"] = field.description.as_str().into();
        }
        if let Some(default) = &field.default {
            body["default"] = default.clone();
        }
        body
    }

    /// A list, and how it merges: for server-side apply, and in the older words that kubectl's three-way merge reads.
    fn list(&mut self, items: &Schema, merge: &ListMerge) -> Value {
        let mut body = json!({ "type": "array", "items": self.reference(items) });
        match merge {
            ListMerge::Atomic => body["x-kubernetes-list-type"] = "atomic".into(),
            ListMerge::Set => {
                body["x-kubernetes-list-type"] = "set".into();
                body["x-kubernetes-patch-strategy"] = "merge".into();
            }
            ListMerge::Map { keys } => {
                body["x-kubernetes-list-type"] = "map".into();
                body["x-kubernetes-list-map-keys"] = json!(keys);
                if let [key] = keys.as_slice() {
                    body["x-kubernetes-patch-strategy"] = "merge".into();
                    body["x-kubernetes-patch-merge-key"] = key.as_str().into();
                }
            }
        }
        body
    }
}

fn mark(body: &mut Value, merge: MapMerge) {
    if merge == MapMerge::Atomic {
        body["x-kubernetes-map-type"] = "atomic".into();
    }
}

/// Group, version and kind.
pub(super) type Identity<'a> = (&'a str, &'a str, &'a str);

/// The component of a kind.
pub(super) fn component_name((group, version, kind): Identity<'_>, schema: &Schema) -> String {
    schema.component.clone().unwrap_or_else(|| {
        let mut parts: Vec<&str> = group.split('.').rev().filter(|part| !part.is_empty()).collect();
        parts.extend([version, kind]);
        parts.join(".")
    })
}

/// The component of a kind's list: named after the kind's own.
pub(super) fn list_name(kind: &Descriptor, schema: &Schema) -> String {
    let name = component_name((kind.group, kind.version, kind.kind), schema);
    let package = name.rsplit_once('.').map_or("", |(package, _)| package);
    format!("{package}.{}", kind.list_kind)
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("$ref") {
                found.push(name.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
