#![allow(clippy::unwrap_used)]

use crate::{MAX_COPIED_BYTES, MAX_OPERATIONS, PatchError, json_patch};
use proptest::prelude::*;
use serde_json::{Value, json};

fn patched(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    json_patch(object.clone(), patch.to_string().as_bytes())
}

#[track_caller]
fn check(table: &[(Value, Value, Value)]) {
    for (object, patch, want) in table {
        assert_eq!(patched(object, patch).as_ref(), Ok(want), "{object} + {patch}");
    }
}

/// Each of these fails at its last operation, with this reason.
#[track_caller]
fn check_failures(table: &[(Value, Value, &str)]) {
    for (object, patch, want) in table {
        let last = patch.as_array().unwrap().len() - 1;
        match patched(object, patch) {
            Err(PatchError::Unprocessable { message, causes }) => {
                assert_eq!(message, "the server rejected our request due to an error in our request");
                assert_eq!(causes.len(), 1, "{patch}");
                assert!(causes[0].message.starts_with(&format!("operation {last} (")), "{patch}: {causes:?}");
                assert_eq!(causes[0].reason, *want, "{object} + {patch}: {causes:?}");
                let path = patch[last].get("path").and_then(Value::as_str).unwrap_or("");
                assert_eq!(causes[0].field, path);
            }
            other => panic!("{object} + {patch}: {other:?}"),
        }
    }
}

#[test]
fn says_which_operation_failed() {
    let patch = json!([{"op": "add", "path": "/b", "value": 1}, {"op": "test", "path": "/a", "value": 2}]);
    let Err(PatchError::Unprocessable { causes, .. }) = patched(&json!({"a": 1}), &patch) else { panic!("it fits") };
    assert_eq!(causes[0].message, "operation 1 (test \"/a\"): the value is another one");
    assert_eq!(causes[0].field, "/a");
}

#[test]
fn tests_of_null_hold_for_missing_members() {
    let object = json!({"metadata": {"name": "a"}, "list": [{}]});
    for path in ["/metadata/finalizers", "/spec", "/list/0/name"] {
        assert_eq!(patched(&object, &json!([{"op": "test", "path": path, "value": null}])), Ok(object.clone()), "{path}");
    }
    check_failures(&[
        (object.clone(), json!([{"op": "test", "path": "/metadata/finalizers", "value": []}]), "FieldValueNotFound"),
        (object.clone(), json!([{"op": "test", "path": "/metadata/name", "value": null}]), "FieldValueInvalid"),
        (object.clone(), json!([{"op": "test", "path": "/spec/owner/user", "value": null}]), "FieldValueNotFound"),
        (object.clone(), json!([{"op": "test", "path": "/metadata/name/first", "value": null}]), "FieldValueNotFound"),
        (object, json!([{"op": "test", "path": "/list/1", "value": null}]), "FieldValueNotFound"),
    ]);
}

/// What kube-apiserver does with the same patches. This server leaves out empty fields that others write, so what a
/// client replaces may be absent here.
#[test]
fn what_kube_apiserver_takes_beyond_the_rfc_is_taken() {
    check(&[
        (json!({"a": {}}), json!([{"op": "replace", "path": "/a/b", "value": 1}]), json!({"a": {"b": 1}})),
        (json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/-1", "value": 3}]), json!({"a": [1, 2, 3]})),
        (json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/-3", "value": 3}]), json!({"a": [3, 1, 2]})),
        (json!({"a": [1, 2]}), json!([{"op": "replace", "path": "/a/-1", "value": 3}]), json!({"a": [1, 3]})),
        (json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/-2"}]), json!({"a": [2]})),
        (json!({"a": [{"b": 1}]}), json!([{"op": "add", "path": "/a/-1/c", "value": 2}]), json!({"a": [{"b": 1, "c": 2}]})),
        (json!({"a": [1, 2]}), json!([{"op": "test", "path": "/a/-1", "value": 2}]), json!({"a": [1, 2]})),
        (json!({"a": [1, 2]}), json!([{"op": "replace", "path": "/a/01", "value": 3}]), json!({"a": [1, 3]})),
        (json!({"a": [1, 2]}), json!([{"op": "move", "from": "/a/00", "path": "/a/-1"}]), json!({"a": [2, 1]})),
        (json!({"a": {}}), json!([{"op": "copy", "from": "/a/b", "path": "/c"}]), json!({"a": {}, "c": null})),
        (json!({}), json!([{"op": "add", "path": "/a"}]), json!({"a": null})),
        (json!({"a": 1}), json!([{"op": "replace", "path": "/a"}]), json!({"a": null})),
        (json!({"a": null}), json!([{"op": "test", "path": "/a"}, {"op": "test", "path": "/b"}]), json!({"a": null})),
    ]);
    check_failures(&[
        (json!({}), json!([{"op": "replace", "path": "/a/b", "value": 1}]), "FieldValueNotFound"),
        (json!({"a": [1]}), json!([{"op": "replace", "path": "/a/1", "value": 2}]), "FieldValueNotFound"),
        (json!({"a": [1]}), json!([{"op": "add", "path": "/a/-3", "value": 2}]), "FieldValueNotFound"),
        (json!({"a": [1]}), json!([{"op": "replace", "path": "/a/-", "value": 2}]), "FieldValueNotFound"),
        (json!({"a": [1]}), json!([{"op": "copy", "from": "/a/1", "path": "/b"}]), "FieldValueNotFound"),
        (json!({}), json!([{"op": "copy", "from": "/a/b", "path": "/c"}]), "FieldValueNotFound"),
        (json!({}), json!([{"op": "move", "from": "/a", "path": "/c"}]), "FieldValueNotFound"),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1.0}]), "FieldValueInvalid"),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a"}]), "FieldValueInvalid"),
    ]);
}

/// The limits follow the same paths as the operations: a list is as long under another spelling of its index.
#[test]
fn limits_hold_however_an_index_is_written() {
    let object = json!({"lists": [vec![1; 300_000]]});
    for path in ["/lists/-1/0", "/lists/00/0"] {
        let adds = vec![json!({"op": "add", "path": path, "value": 1}); MAX_OPERATIONS];
        assert!(matches!(patched(&object, &Value::from(adds)), Err(PatchError::Unprocessable { .. })), "{path}");
    }
    let object = json!({"a": ["x".repeat(MAX_COPIED_BYTES / 4)]});
    let copies: Vec<_> = (0..4).map(|n| json!({"op": "copy", "from": "/a/-1", "path": format!("/b{n}")})).collect();
    check_failures(&[(object, Value::from(copies), "FieldValueInvalid")]);
}

#[test]
fn absent_annotations_and_labels_count_as_empty_objects() {
    let bare = json!({"metadata": {"name": "a"}, "spec": {"x": "v"}});
    check(&[
        (
            bare.clone(),
            json!([{"op": "add", "path": "/metadata/annotations/my-annotation", "value": "my-value"}]),
            json!({"metadata": {"name": "a", "annotations": {"my-annotation": "my-value"}}, "spec": {"x": "v"}}),
        ),
        (
            bare.clone(),
            json!([{"op": "copy", "from": "/spec/x", "path": "/metadata/labels/example.com~1x"}]),
            json!({"metadata": {"name": "a", "labels": {"example.com/x": "v"}}, "spec": {"x": "v"}}),
        ),
        (
            json!({"metadata": {"annotations": null}, "spec": {"x": "v"}}),
            json!([{"op": "move", "from": "/spec/x", "path": "/metadata/annotations/x"}]),
            json!({"metadata": {"annotations": {"x": "v"}}, "spec": {}}),
        ),
        (
            json!({"metadata": {"annotations": {"a": "1"}}}),
            json!([{"op": "add", "path": "/metadata/annotations/b", "value": "2"}]),
            json!({"metadata": {"annotations": {"a": "1", "b": "2"}}}),
        ),
    ]);
    check_failures(&[
        (bare.clone(), json!([{"op": "replace", "path": "/metadata/annotations/a", "value": "1"}]), "FieldValueNotFound"),
        (bare.clone(), json!([{"op": "remove", "path": "/metadata/annotations/a"}]), "FieldValueNotFound"),
        (bare.clone(), json!([{"op": "add", "path": "/metadata/annotations/a/b", "value": "1"}]), "FieldValueNotFound"),
        (bare.clone(), json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "f"}]), "FieldValueNotFound"),
        (bare, json!([{"op": "add", "path": "/spec/labels/a", "value": "1"}]), "FieldValueNotFound"),
    ]);
}

#[test]
fn malformed_patches_are_told_from_failing_ones() {
    let table =
        ["[", "", "{\"op\":\"remove\"}", "null", "[1]", "[null]", "[{\"op\":1}]", "[{\"op\":\"add\",\"path\":[],\"value\":1}]", "[] []"];
    for patch in table {
        let error = json_patch(json!({}), patch.as_bytes()).unwrap_err();
        assert!(matches!(&error, PatchError::Malformed(text) if text.starts_with("error decoding patch: ")), "{patch}: {error:?}");
    }
}

#[test]
fn too_many_operations_are_refused() {
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let object = json!({"a": 1});
    assert_eq!(patched(&object, &Value::from(vec![operation.clone(); MAX_OPERATIONS])), Ok(object.clone()));
    let error = patched(&object, &Value::from(vec![operation; MAX_OPERATIONS + 1])).unwrap_err();
    assert_eq!(error.to_string(), "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001");
}

#[test]
fn copies_that_add_up_are_refused() {
    let object = json!({"a": "x".repeat(MAX_COPIED_BYTES / 4)});
    let copy = |n: usize| json!({"op": "copy", "from": "/a", "path": format!("/b{n}")});
    assert!(patched(&object, &Value::from((0..3).map(copy).collect::<Vec<_>>())).is_ok());
    check_failures(&[(object, Value::from((0..4).map(copy).collect::<Vec<_>>()), "FieldValueInvalid")]);
}

/// Two short moves a round wrap the object once more: without a limit the result would end the process when it is dropped.
#[test]
fn nesting_beyond_what_can_be_read_back_is_refused() {
    let wrap = |times: usize| {
        let round = json!([{"op": "add", "path": "/b", "value": {}}, {"op": "move", "from": "/a", "path": "/b/a"}, {"op": "move", "from": "/b", "path": "/a"}]);
        Value::from((0..times).flat_map(|_| round.as_array().unwrap().clone()).collect::<Vec<_>>())
    };
    let nested = patched(&json!({"a": {}}), &wrap(125)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&nested.to_string()).unwrap(), nested);
    assert!(matches!(patched(&json!({"a": {}}), &wrap(3000)), Err(PatchError::Unprocessable { .. })));
}

#[test]
fn a_patch_costs_no_more_than_it_says() {
    let object = json!({"list": vec![1; 300_000], "s": 1});
    let first = vec![json!({"op": "add", "path": "/list/0", "value": 1}); MAX_OPERATIONS];
    assert!(matches!(patched(&object, &Value::from(first)), Err(PatchError::Unprocessable { .. })));
    // Moves into a deep place, where a deeper one stands beside it.
    let nest = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"e": inner}));
    let deep = format!("{}/s", "/e".repeat(61));
    let mut moves = vec![json!({"op": "add", "path": "/x", "value": nest(100)}), json!({"op": "add", "path": "/e", "value": nest(60)})];
    for _ in 0..4_000 {
        moves.push(json!({"op": "move", "from": "/s", "path": deep}));
        moves.push(json!({"op": "move", "from": deep, "path": "/s"}));
    }
    assert!(matches!(patched(&object, &Value::from(moves)), Err(PatchError::Unprocessable { .. })));
}

fn operation() -> impl Strategy<Value = Value> {
    let pointer = prop_oneof![8 => "(/[a-d0-2-]){0,4}", 1 => "(/metadata)?(/annotations)?/[a-d]", 1 => ".{0,5}"];
    let op = prop_oneof!["add", "copy", "move", "remove", "replace", "test"];
    (op, pointer.clone(), pointer, crate::arbitrary::tree())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

proptest! {
    #[test]
    fn any_operations_are_answered(object in crate::arbitrary::tree(), patch in prop::collection::vec(operation(), 0..6)) {
        let (before, count, patch) = (object.clone(), patch.len(), Value::from(patch).to_string().into_bytes());
        let outcome = json_patch(object.clone(), &patch);
        prop_assert_eq!(before, object.clone());
        // Each copies at most all that is there.
        crate::arbitrary::is_in_proportion(&object, &patch, &outcome, 1 << count);
        if let Err(PatchError::Unprocessable { causes, .. }) = &outcome {
            let which = (0..count).filter(|index| causes[0].message.starts_with(&format!("operation {index} ("))).count();
            prop_assert_eq!((causes.len(), which), (1, 1), "{:?}", causes);
        }
        prop_assert!(!matches!(outcome, Err(PatchError::Malformed(_))), "{:?}", outcome);
    }

    #[test]
    fn a_difference_applied_is_the_other(left in crate::arbitrary::tree(), right in crate::arbitrary::tree()) {
        let difference = serde_json::to_vec(&json_patch::diff(&left, &right)).unwrap();
        prop_assert_eq!(json_patch(left.clone(), &difference), Ok(right));
    }

    #[test]
    fn any_bytes_are_answered(object in crate::arbitrary::tree(), patch in crate::arbitrary::bytes()) {
        crate::arbitrary::is_in_proportion(&object, &patch, &json_patch(object.clone(), &patch), 1);
    }
}
