#![allow(clippy::unwrap_used)]

use super::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An inner
/// object.
///
/// Second paragraph.
#[derive(JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.Inner"))]
struct Inner {
    #[serde(skip_serializing_if = "String::is_empty")]
    some_name: String,
}

#[derive(JsonSchema, Serialize, Deserialize, Default)]
enum Bare {
    #[default]
    A,
    B,
}

#[derive(JsonSchema, Serialize, Deserialize, Default)]
enum Told {
    #[default]
    A,
    /// Said of b.
    B,
}

#[derive(JsonSchema, Serialize, Deserialize, Default)]
struct Empty {}

#[derive(JsonSchema, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Root {
    required: String,
    #[serde(default)]
    always: String,
    #[serde(default)]
    always_list: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    omitted: String,
    optional: Option<String>,
    #[serde(default)]
    optional_default: Option<Inner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    time: Option<String>,
    /// What the field says.
    #[serde(default)]
    inner: Inner,
    #[serde(default)]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    atomic: Option<Inner>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["someName"]))]
    by_name: Vec<Inner>,
    #[serde(default)]
    map: BTreeMap<String, i64>,
    #[serde(default)]
    any: Value,
    any_optional: Option<Value>,
    #[serde(default)]
    any_map: Map<String, Value>,
    bare: Option<Bare>,
    told: Option<Told>,
    #[serde(default)]
    small: i32,
    #[serde(default)]
    empty: Empty,
}

#[test]
fn presence_follows_the_rust_field() {
    let schema = Schema::of::<Root>();
    for (name, presence, required) in [
        ("required", Presence::Always, true),
        ("always", Presence::Always, false),
        ("alwaysList", Presence::Always, false),
        ("omitted", Presence::OmitZero, false),
        ("optional", Presence::Optional, false),
        ("optionalDefault", Presence::Optional, false),
        ("time", Presence::Optional, false),
        ("inner", Presence::Always, false),
        ("byName", Presence::OmitZero, false),
        ("any", Presence::Optional, false),
        ("anyOptional", Presence::Optional, false),
        ("bare", Presence::Optional, false),
        ("empty", Presence::Always, false),
    ] {
        let field = schema.field(name).unwrap();
        assert_eq!((field.presence, field.required), (presence, required), "{name}");
    }
}

#[test]
fn shapes_follow_the_rust_type() {
    let schema = Schema::of::<Root>();
    let shape = |name: &str| schema.field(name).unwrap().schema.shape.clone();
    let string = |format: Option<&str>, allowed: &[&str]| Shape::String {
        format: format.map(str::to_owned),
        allowed: allowed.iter().map(|&word| word.into()).collect(),
    };
    assert_eq!(shape("optional"), string(None, &[]));
    assert_eq!(shape("time"), string(Some("date-time"), &[]));
    assert_eq!(shape("bare"), string(None, &["A", "B"]));
    assert_eq!(shape("told"), string(None, &["A", "B"]));
    assert_eq!(shape("small"), Shape::Integer { format: "int32".into() });
    assert_eq!(shape("any"), Shape::Any);
    assert_eq!(shape("empty"), Shape::Object { fields: BTreeMap::new(), merge: MapMerge::Granular });
    let Shape::Map { values, .. } = shape("map") else { panic!("no map") };
    assert_eq!(values.shape, Shape::Integer { format: "int64".into() });
    let Shape::Map { values, .. } = shape("anyMap") else { panic!("no map") };
    assert_eq!(values.shape, Shape::Any);
    let Shape::List { items, merge } = shape("byName") else { panic!("no list") };
    assert_eq!(merge, ListMerge::Map { keys: vec!["someName".into()] });
    assert_eq!(items.component.as_deref(), Some("com.example.v1.Inner"));
}

#[test]
fn references_are_followed_and_keep_their_component() {
    let schema = Schema::of::<Root>();
    let inner = schema.field("inner").unwrap();
    assert_eq!(inner.description, "What the field says.");
    assert_eq!(inner.schema.description, "An inner object.\n\nSecond paragraph.");
    assert_eq!(inner.schema.component.as_deref(), Some("com.example.v1.Inner"));
    assert_eq!(inner.default, Some(json!({})));
    assert!(Arc::ptr_eq(&inner.schema, &schema.field("optionalDefault").unwrap().schema));

    let atomic = &schema.field("atomic").unwrap().schema;
    assert!(matches!(&atomic.shape, Shape::Object { merge: MapMerge::Atomic, fields } if fields.contains_key("someName")));
    assert_eq!(atomic.component, None);
}

#[test]
fn a_kind_has_the_five_fields() {
    let schema = Schema::kind::<Root, Empty>("com.example.v1.Thing", "A thing.");
    assert_eq!(schema.component.as_deref(), Some("com.example.v1.Thing"));
    for (name, presence) in [
        ("apiVersion", Presence::OmitZero),
        ("kind", Presence::OmitZero),
        ("metadata", Presence::Always),
        ("spec", Presence::Always),
        ("status", Presence::Always),
    ] {
        assert_eq!(schema.field(name).unwrap().presence, presence, "{name}");
    }
}

#[test]
#[should_panic(expected = "an enum with data")]
fn enums_with_data_are_refused() {
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is asked for")]
    enum Data {
        A(String),
        B { c: i64 },
    }
    Schema::of::<Data>();
}
