//! From the JSON Schema that schemars derives (draft 2020-12, `$defs`) to [`Schema`].
//!
//! What schemars 1.2 says, and how it is read here:
//!
//! | Rust field | schemars | [`Presence`] |
//! |---|---|---|
//! | `Option<T>` | `type: [t, null]` or `anyOf: [{$ref}, {type: null}]` | `Optional` |
//! | `serde_json::Value`, or anything with preserve-unknown-fields | `true`, `{}` | `Optional` unless required |
//! | plain `T` without a serde default | listed in `required` | `Always` |
//! | `T` with `#[serde(default)]` | `default: <value>` | `Always` |
//! | the same and `skip_serializing_if` | no `default`, because it would be skipped | `OmitZero` |
//!
//! schemars knows defaults only of types that are `Serialize`, so every type of a kind must be. Refused:
//! enums with data and tuples, which Kubernetes schemas lack, and recursion, which would never end.

use super::{Field, ListMerge, MapMerge, Presence, Schema, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn from_json_schema(root: &Value) -> Schema {
    let empty = Map::new();
    let defs = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut reader = Reader { defs, done: BTreeMap::new(), open: Vec::new() };
    Arc::unwrap_or_clone(reader.read(root).schema)
}

/// Reads one document; a definition that is used twice is read once and shared.
struct Reader<'a> {
    defs: &'a Map<String, Value>,
    done: BTreeMap<String, Arc<Schema>>,
    open: Vec<String>,
}

/// A schema, and whether `null` is allowed beside it.
struct Read {
    schema: Arc<Schema>,
    nullable: bool,
}

impl Reader<'_> {
    fn read(&mut self, node: &Value) -> Read {
        let Value::Object(node) = node else {
            return Read { schema: Arc::new(Schema::plain(Shape::Any)), nullable: false };
        };
        if let Some(options) = node.get("anyOf").and_then(Value::as_array) {
            return Read { schema: self.read(&without_null(node, options)).schema, nullable: true };
        }
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            return Read { schema: self.follow(reference, node), nullable: false };
        }
        Read { schema: Arc::new(self.inline(node)), nullable: type_of(node).1 }
    }

    /// A reference. Extensions beside it make a schema of its own, which is no longer the named component.
    fn follow(&mut self, reference: &str, beside: &Map<String, Value>) -> Arc<Schema> {
        let name = reference.trim_start_matches("#/$defs/").replace("~1", "/").replace("~0", "~");
        let overlay: Vec<_> = beside.iter().filter(|(key, _)| !matches!(key.as_str(), "$ref" | "description" | "default")).collect();
        if overlay.is_empty() {
            return self.named(&name);
        }
        let mut merged = self.definition(&name).clone();
        merged.extend(overlay.into_iter().map(|(key, value)| (key.clone(), value.clone())));
        Arc::new(Schema { component: None, ..Arc::unwrap_or_clone(self.read(&Value::Object(merged)).schema) })
    }

    fn named(&mut self, name: &str) -> Arc<Schema> {
        if let Some(done) = self.done.get(name) {
            return Arc::clone(done);
        }
        assert!(!self.open.iter().any(|open| open == name), "the type {name} contains itself");
        self.open.push(name.to_owned());
        let schema = self.read(&Value::Object(self.definition(name).clone())).schema;
        self.open.pop();
        self.done.insert(name.to_owned(), Arc::clone(&schema));
        schema
    }

    fn definition(&self, name: &str) -> &Map<String, Value> {
        static ANY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.defs.get(name).and_then(Value::as_object).unwrap_or(&ANY)
    }

    fn inline(&mut self, node: &Map<String, Value>) -> Schema {
        Schema {
            description: description(node),
            shape: self.shape(node),
            component: node.get("x-component").and_then(Value::as_str).map(str::to_owned),
        }
    }

    fn shape(&mut self, node: &Map<String, Value>) -> Shape {
        if node.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
            return Shape::Any;
        }
        match type_of(node).0 {
            Some("string") => Shape::String { format: text(node, "format"), allowed: allowed(node) },
            Some("boolean") => Shape::Boolean,
            Some("integer") => Shape::Integer { format: integer_format(node).into() },
            Some("number") => Shape::Number,
            Some("array") => self.list(node),
            Some("object") => self.object(node),
            Some(other) => panic!("Kubernetes schemas have no type {other}"),
            None if node.contains_key("oneOf") => Shape::String { format: None, allowed: variants(node) },
            None => Shape::Any,
        }
    }

    fn list(&mut self, node: &Map<String, Value>) -> Shape {
        let items = node.get("items").unwrap_or_else(|| panic!("a list without one schema of its items (a tuple?): {node:?}"));
        let merge = match node.get("x-kubernetes-list-type").and_then(Value::as_str) {
            None | Some("atomic") => ListMerge::Atomic,
            Some("set") => ListMerge::Set,
            Some("map") => ListMerge::Map { keys: texts(node.get("x-kubernetes-list-map-keys")) },
            Some(other) => panic!("there is no x-kubernetes-list-type {other}"),
        };
        assert!(merge != ListMerge::Map { keys: Vec::new() }, "a list of type map needs x-kubernetes-list-map-keys: {node:?}");
        Shape::List { items: self.read(items).schema, merge }
    }

    fn object(&mut self, node: &Map<String, Value>) -> Shape {
        let merge = match node.get("x-kubernetes-map-type").and_then(Value::as_str) {
            None | Some("granular") => MapMerge::Granular,
            Some("atomic") => MapMerge::Atomic,
            Some(other) => panic!("there is no x-kubernetes-map-type {other}"),
        };
        assert!(!node.contains_key("oneOf"), "an enum with data: {node:?}");
        let properties = node.get("properties").and_then(Value::as_object);
        match node.get("additionalProperties") {
            Some(values) if properties.is_none() && values != &Value::Bool(false) => Shape::Map { values: self.read(values).schema, merge },
            _ => Shape::Object { fields: self.fields(node, properties), merge },
        }
    }

    fn fields(&mut self, node: &Map<String, Value>, properties: Option<&Map<String, Value>>) -> BTreeMap<String, Field> {
        let required: BTreeSet<String> = texts(node.get("required")).into_iter().collect();
        let field = |(name, property): (&String, &Value)| (name.clone(), self.field(property, required.contains(name)));
        properties.into_iter().flatten().map(field).collect()
    }

    fn field(&mut self, property: &Value, required: bool) -> Field {
        let Read { schema, nullable } = self.read(property);
        let default = property.get("default").filter(|default| !default.is_null()).cloned();
        let presence = if nullable || (schema.shape == Shape::Any && !required) {
            Presence::Optional
        } else if required || default.is_some() {
            Presence::Always
        } else {
            Presence::OmitZero
        };
        let description = property.as_object().map(description).unwrap_or_default();
        Field { schema, description, presence, required, default }
    }
}

/// The one option that is not `null`, with what stands beside `anyOf`.
fn without_null(node: &Map<String, Value>, options: &[Value]) -> Value {
    let others: Vec<_> = options.iter().filter(|option| option.get("type").and_then(Value::as_str) != Some("null")).collect();
    let [Value::Object(one)] = others.as_slice() else {
        panic!("a choice between types: {node:?}");
    };
    let mut merged = one.clone();
    merged.extend(node.iter().filter(|(key, _)| *key != "anyOf").map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(merged)
}

/// The type, and whether `null` is one as well.
fn type_of(node: &Map<String, Value>) -> (Option<&str>, bool) {
    match node.get("type") {
        Some(Value::String(one)) => (Some(one), false),
        Some(Value::Array(several)) => {
            let types: Vec<_> = several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect();
            let [one] = types.as_slice() else { panic!("a choice between types: {node:?}") };
            (Some(*one), several.len() > 1)
        }
        _ => (None, false),
    }
}

/// Kubernetes has two formats; a type goes into the smaller one that holds all its values.
fn integer_format(node: &Map<String, Value>) -> &'static str {
    match node.get("format").and_then(Value::as_str) {
        Some("int8" | "int16" | "int32" | "uint8" | "uint16") => "int32",
        _ => "int64",
    }
}

/// The words of an enum whose variants carry no comments.
fn allowed(node: &Map<String, Value>) -> Vec<String> {
    let words = texts(node.get("enum"));
    words.into_iter().chain(text(node, "const")).collect()
}

/// The words of an enum whose variants carry comments.
fn variants(node: &Map<String, Value>) -> Vec<String> {
    let options = node.get("oneOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let word = |option: &Value| {
        let option = option.as_object().filter(|option| type_of(option).0 == Some("string"));
        allowed(option.unwrap_or_else(|| panic!("an enum with data: {node:?}")))
    };
    options.iter().flat_map(word).collect()
}

fn text(node: &Map<String, Value>, key: &str) -> Option<String> {
    node.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A doc comment as prose: one line a paragraph.
fn description(node: &Map<String, Value>) -> String {
    let paragraphs = text(node, "description").unwrap_or_default();
    paragraphs.split("\n\n").map(|paragraph| paragraph.replace('\n', " ").trim().to_owned()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests;
