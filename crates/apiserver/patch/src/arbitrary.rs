//! JSON trees for property tests.

use proptest::prelude::*;
use serde_json::Value;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        1 => Just("metadata".to_owned()),
        1 => Just("annotations".to_owned()),
        1 => Just("$patch".to_owned()),
        1 => Just("$retainKeys".to_owned()),
        1 => "\\$setElementOrder/[a-d]",
        1 => "\\$deleteFromPrimitiveList/[a-d]",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        (0..4i32).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[a-d]".prop_map(Value::from),
        prop_oneof!["merge", "replace", "delete"].prop_map(Value::from),
    ]
}

/// Any JSON value, a few levels deep.
pub(crate) fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A JSON object.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), tree(), 0..5).prop_map(|members| Value::Object(members.into_iter().collect()))
}
