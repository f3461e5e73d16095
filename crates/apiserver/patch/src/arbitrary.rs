//! JSON trees for property tests.

use crate::PatchError;
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

/// Bytes that are any, or JSON.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![any::<Vec<u8>>(), tree().prop_map(|value| value.to_string().into_bytes())]
}

/// Checks an outcome of patching with these bytes: what is no JSON is malformed, and no result is longer than `times` the object
/// and the patch.
#[track_caller]
pub(crate) fn is_in_proportion(object: &Value, patch: &[u8], outcome: &Result<Value, PatchError>, times: usize) {
    let all = object.to_string().len() + patch.len();
    if serde_json::from_slice::<Value>(patch).is_err() {
        assert!(matches!(outcome, Err(PatchError::Malformed(_))), "{patch:?}: {outcome:?}");
    }
    match outcome {
        Ok(value) => assert!(value.to_string().len() <= times * (all + 64), "{object} + {patch:?}: {value}"),
        Err(PatchError::Malformed(text)) => {
            assert!(!text.is_empty() && text.len() <= 500 + 16 * patch.len(), "{patch:?}: {text}");
        }
        Err(PatchError::Unprocessable { message, causes }) => assert!(!message.is_empty() && causes.len() <= 1, "{patch:?}: {causes:?}"),
        Err(error @ PatchError::TooManyOperations(_)) => panic!("{patch:?}: {error}"),
    }
}
