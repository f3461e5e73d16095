//! Small schemas, built by hand.

use apiserver_meta::schema::{Field, ListMerge, MapMerge, Presence, Schema, Shape};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn string() -> Schema {
    Schema::plain(Shape::String { format: None, allowed: Vec::new() })
}

pub(super) fn number() -> Schema {
    Schema::plain(Shape::Number)
}

pub(super) fn boolean() -> Schema {
    Schema::plain(Shape::Boolean)
}

pub(super) fn object<const N: usize>(fields: [(&str, Schema); N]) -> Schema {
    let field = |schema| Field {
        schema: Arc::new(schema),
        description: String::new(),
        presence: Presence::Optional,
        required: false,
        default: None,
    };
    let fields = fields.into_iter().map(|(name, schema)| (name.to_owned(), field(schema))).collect();
    Schema::plain(Shape::Object { fields, merge: MapMerge::Granular })
}

/// The same, but replaced whole.
pub(super) fn atomic(mut schema: Schema) -> Schema {
    match &mut schema.shape {
        Shape::Object { merge, .. } | Shape::Map { merge, .. } => *merge = MapMerge::Atomic,
        Shape::List { merge, .. } => *merge = ListMerge::Atomic,
        other => panic!("{other:?} is atomic"),
    }
    schema
}

/// The same, with a default for one field.
pub(super) fn with_default(mut schema: Schema, name: &str, default: impl Into<Value>) -> Schema {
    let Shape::Object { fields, .. } = &mut schema.shape else { panic!("no object") };
    fields.get_mut(name).unwrap().default = Some(default.into());
    schema
}

/// The same, with one field that is written otherwise than when it was given.
pub(super) fn with_presence(mut schema: Schema, name: &str, presence: Presence) -> Schema {
    let Shape::Object { fields, .. } = &mut schema.shape else { panic!("no object") };
    fields.get_mut(name).unwrap().presence = presence;
    schema
}

pub(super) fn map(values: Schema) -> Schema {
    Schema::plain(Shape::Map { values: Arc::new(values), merge: MapMerge::Granular })
}

pub(super) fn set(items: Schema) -> Schema {
    Schema::plain(Shape::List { items: Arc::new(items), merge: ListMerge::Set })
}

pub(super) fn keyed<const N: usize>(keys: [&str; N], items: Schema) -> Schema {
    let merge = ListMerge::Map { keys: keys.map(str::to_owned).to_vec() };
    Schema::plain(Shape::List { items: Arc::new(items), merge })
}
