#![allow(clippy::unwrap_used)]

use crate::{MAX_COPIED_BYTES, MAX_OPERATIONS, PatchError, json_patch};
use proptest::prelude::*;
use serde_json::{Value, json};

fn patched(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    json_patch(object, patch.to_string().as_bytes())
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

/// RFC 6902, appendix A.
#[test]
fn does_as_the_rfc_shows() {
    check(&[
        (json!({"foo": "bar"}), json!([{"op": "add", "path": "/baz", "value": "qux"}]), json!({"baz": "qux", "foo": "bar"})),
        (json!({"foo": ["bar", "baz"]}), json!([{"op": "add", "path": "/foo/1", "value": "qux"}]), json!({"foo": ["bar", "qux", "baz"]})),
        (json!({"baz": "qux", "foo": "bar"}), json!([{"op": "remove", "path": "/baz"}]), json!({"foo": "bar"})),
        (json!({"foo": ["bar", "qux", "baz"]}), json!([{"op": "remove", "path": "/foo/1"}]), json!({"foo": ["bar", "baz"]})),
        (
            json!({"baz": "qux", "foo": "bar"}),
            json!([{"op": "replace", "path": "/baz", "value": "boo"}]),
            json!({"baz": "boo", "foo": "bar"}),
        ),
        (
            json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
            json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
            json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
        ),
        (
            json!({"foo": ["all", "grass", "cows", "eat"]}),
            json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
            json!({"foo": ["all", "cows", "eat", "grass"]}),
        ),
        (
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
            json!([{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}]),
            json!({"baz": "qux", "foo": ["a", 2, "c"]}),
        ),
        (
            json!({"foo": "bar"}),
            json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
            json!({"foo": "bar", "child": {"grandchild": {}}}),
        ),
        (json!({"foo": "bar"}), json!([{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]), json!({"foo": "bar", "baz": "qux"})),
        (json!({"/": 9, "~1": 10}), json!([{"op": "test", "path": "/~01", "value": 10}]), json!({"/": 9, "~1": 10})),
        (
            json!({"foo": ["bar"]}),
            json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
            json!({"foo": ["bar", ["abc", "def"]]}),
        ),
    ]);
    check_failures(&[
        (json!({"baz": "qux"}), json!([{"op": "test", "path": "/baz", "value": "bar"}]), "FieldValueInvalid"),
        (json!({"foo": "bar"}), json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]), "FieldValueNotFound"),
        (json!({"/": 9, "~1": 10}), json!([{"op": "test", "path": "/~01", "value": "10"}]), "FieldValueInvalid"),
    ]);
}

/// From the collection at github.com/json-patch/json-patch-tests: what implementations get wrong.
#[test]
fn does_as_the_common_test_collection_shows() {
    check(&[
        (json!({"foo": 1}), json!([]), json!({"foo": 1})),
        (json!({"foo": 1}), json!([{"op": "add", "path": "", "value": []}]), json!([])),
        (json!({}), json!([{"op": "add", "path": "/", "value": 1}]), json!({"": 1})),
        (json!({"foo": {}}), json!([{"op": "add", "path": "/foo/", "value": 1}]), json!({"foo": {"": 1}})),
        (json!({"1": 0}), json!([{"op": "replace", "path": "/1", "value": 2}]), json!({"1": 2})),
        (json!({"foo": 1}), json!([{"op": "add", "path": "/bar", "value": null}]), json!({"foo": 1, "bar": null})),
        (json!({"foo": null}), json!([{"op": "test", "path": "/foo", "value": null}]), json!({"foo": null})),
        (json!({"foo": null}), json!([{"op": "replace", "path": "/foo", "value": "truthy"}]), json!({"foo": "truthy"})),
        (json!({"foo": null}), json!([{"op": "move", "from": "/foo", "path": "/bar"}]), json!({"bar": null})),
        (json!({"foo": "bar"}), json!([{"op": "move", "from": "/foo", "path": "/foo"}]), json!({"foo": "bar"})),
        (json!({"a": 1, "ab": 2}), json!([{"op": "move", "from": "/a", "path": "/ab"}]), json!({"ab": 1})),
        (json!({"a": {"b": 1}}), json!([{"op": "copy", "from": "", "path": "/a/c"}]), json!({"a": {"b": 1, "c": {"a": {"b": 1}}}})),
        (json!([1, 2]), json!([{"op": "add", "path": "/2", "value": 3}]), json!([1, 2, 3])),
        (json!([[1], 2]), json!([{"op": "replace", "path": "/0", "value": [0]}, {"op": "remove", "path": "/1"}]), json!([[0]])),
        (json!({"a~b/c%d\"": 1}), json!([{"op": "test", "path": "/a~0b~1c%d\"", "value": 1}]), json!({"a~b/c%d\"": 1})),
        (
            json!({"foo": {"a": 1, "b": [2]}}),
            json!([{"op": "test", "path": "/foo", "value": {"b": [2], "a": 1}}]),
            json!({"foo": {"a": 1, "b": [2]}}),
        ),
        (json!({"n": 1, "m": [1.0]}), json!([{"op": "test", "path": "", "value": {"n": 1.0, "m": [1]}}]), json!({"n": 1, "m": [1.0]})),
    ]);
    check_failures(&[
        (json!([1]), json!([{"op": "add", "path": "/3", "value": 2}]), "FieldValueNotFound"),
        (json!([1]), json!([{"op": "add", "path": "/-1", "value": 2}]), "FieldValueNotFound"),
        (json!([1]), json!([{"op": "add", "path": "/01", "value": 2}]), "FieldValueNotFound"),
        (json!([1]), json!([{"op": "add", "path": "/1e0", "value": 2}]), "FieldValueNotFound"),
        (json!([1]), json!([{"op": "remove", "path": "/-"}]), "FieldValueNotFound"),
        (json!([1, 2]), json!([{"op": "test", "path": "/00", "value": 1}]), "FieldValueNotFound"),
        (json!([1]), json!([{"op": "test", "path": "/5", "value": null}]), "FieldValueNotFound"),
        (json!({"foo": 1}), json!([{"op": "replace", "path": "/bar", "value": 2}]), "FieldValueNotFound"),
        (json!({"foo": 1}), json!([{"op": "remove", "path": ""}]), "FieldValueNotFound"),
        (json!({"foo": 1}), json!([{"op": "add", "path": "/foo/bar", "value": 2}]), "FieldValueNotFound"),
        (json!({"foo": {"bar": 1}}), json!([{"op": "move", "from": "/foo", "path": "/foo/bar"}]), "FieldValueInvalid"),
        (json!({"foo": 1}), json!([{"op": "copy", "from": "/bar", "path": "/baz"}]), "FieldValueNotFound"),
        (json!({"foo": 1}), json!([{"op": "move", "from": "/bar", "path": "/baz"}]), "FieldValueNotFound"),
        (json!({}), json!([{"op": "add", "path": "foo", "value": 1}]), "FieldValueInvalid"),
        (json!({}), json!([{"op": "add", "path": "/a~2", "value": 1}]), "FieldValueInvalid"),
        (json!({}), json!([{"op": "add", "path": "/a"}]), "FieldValueRequired"),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a"}]), "FieldValueRequired"),
        (json!({}), json!([{"op": "add", "value": 1}]), "FieldValueRequired"),
        (json!({"a": 1}), json!([{"op": "copy", "path": "/b"}]), "FieldValueRequired"),
        (json!({}), json!([{"path": "/a", "value": 1}]), "FieldValueRequired"),
        (json!({}), json!([{"op": "spam", "path": "/a", "value": 1}]), "FieldValueNotSupported"),
        (json!({}), json!([{"op": "ADD", "path": "/a", "value": 1}]), "FieldValueNotSupported"),
        (json!({"a": 1}), json!([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}]), "FieldValueNotFound"),
    ]);
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
    for path in ["/metadata/finalizers", "/spec/owner/user", "/list/0/name"] {
        assert_eq!(patched(&object, &json!([{"op": "test", "path": path, "value": null}])), Ok(object.clone()), "{path}");
    }
    check_failures(&[
        (object.clone(), json!([{"op": "test", "path": "/metadata/finalizers", "value": []}]), "FieldValueNotFound"),
        (object.clone(), json!([{"op": "test", "path": "/metadata/name", "value": null}]), "FieldValueInvalid"),
        (object.clone(), json!([{"op": "test", "path": "/metadata/name/first", "value": null}]), "FieldValueNotFound"),
        (object, json!([{"op": "test", "path": "/list/1", "value": null}]), "FieldValueNotFound"),
    ]);
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
        let error = json_patch(&json!({}), patch.as_bytes()).unwrap_err();
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

fn operation() -> impl Strategy<Value = Value> {
    let pointer = prop_oneof![8 => "(/[a-d0-2-]){0,4}", 1 => "(/metadata)?(/annotations)?/[a-d]", 1 => ".{0,5}"];
    let op = prop_oneof!["add", "copy", "move", "remove", "replace", "test"];
    (op, pointer.clone(), pointer, crate::arbitrary::tree())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

proptest! {
    #[test]
    fn any_operations_are_answered(object in crate::arbitrary::tree(), patch in prop::collection::vec(operation(), 0..6)) {
        let before = object.clone();
        let _: Result<Value, PatchError> = patched(&object, &Value::from(patch));
        prop_assert_eq!(before, object);
    }

    #[test]
    fn any_bytes_are_answered(object in crate::arbitrary::tree(), patch in any::<Vec<u8>>()) {
        let _: Result<Value, PatchError> = json_patch(&object, &patch);
    }
}
