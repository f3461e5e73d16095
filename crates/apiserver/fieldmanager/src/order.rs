//! The order of JSON values that sets and list keys are kept in.
//!
//! Numbers come before strings, then booleans, lists, objects and null. Whole and fractional numbers are
//! compared as numbers, so `1` and `1.0` are the same key, as they are for every other Kubernetes server.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

pub(crate) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => numbers(l, r),
        (Value::String(l), Value::String(r)) => l.cmp(r),
        (Value::Bool(l), Value::Bool(r)) => l.cmp(r),
        (Value::Array(l), Value::Array(r)) => lists(l, r),
        (Value::Object(l), Value::Object(r)) => maps(l, r),
        _ => rank(left).cmp(&rank(right)),
    }
}

/// Whether two values are one to a client.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    left == right || compare(left, right) == Ordering::Equal
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn numbers(left: &Number, right: &Number) -> Ordering {
    match (whole(left), whole(right)) {
        (Some(l), Some(r)) => l.cmp(&r),
        _ => left.as_f64().unwrap_or(0.0).total_cmp(&right.as_f64().unwrap_or(0.0)),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn lists(left: &[Value], right: &[Value]) -> Ordering {
    left.iter().zip(right).map(|(l, r)| compare(l, r)).find(|o| o.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn maps(left: &Map<String, Value>, right: &Map<String, Value>) -> Ordering {
    left.iter()
        .zip(right)
        .map(|((lk, lv), (rk, rv))| lk.cmp(rk).then_with(|| compare(lv, rv)))
        .find(|o| o.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

#[cfg(test)]
mod tests {
    use super::compare;
    use serde_json::json;

    #[test]
    fn values_are_ordered_by_kind_and_then_by_value() {
        let ascending = [
            json!(-1),
            json!(1.5),
            json!(2),
            json!(10),
            json!("a"),
            json!("b"),
            json!(false),
            json!(true),
            json!([1]),
            json!([1, 2]),
            json!([2]),
            json!({"a": 1}),
            json!({"a": 1, "b": 1}),
            json!({"a": 2}),
            json!(null),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} against {b}");
            }
        }
        assert!(super::same(&json!(1), &json!(1.0)));
    }
}
