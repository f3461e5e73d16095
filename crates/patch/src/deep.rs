//! Nesting as deep as a body can be.

use crate::{PatchError, json_patch, merge_patch, strategic_merge_patch};
use serde_json::{Value, json};
use vci_meta::Schema;
use vci_meta::schema::Shape;

#[test]
fn deep_patches_are_malformed_and_cost_nothing() {
    let object = json!({"a": {"b": 1}});
    let schema = Schema::plain(Shape::Any);
    for (open, inner, close) in [
        ("[", "", "]"),
        ("[", "1", ""),
        ("{\"a\":", "1", "}"),
        ("{\"a\":", "", ""),
        ("{\"$setElementOrder/a\":[", "", "]}"),
        ("[{\"op\":", "1", "}]"),
        ("[{\"op\":\"add\",\"path\":\"/a\",\"value\":", "1", "}]"),
    ] {
        let times = 3 * 1024 * 1024 / (open.len() + close.len());
        let patch = [open.repeat(times), inner.to_owned(), close.repeat(times)].concat();
        let answers: [Result<Value, PatchError>; 3] = [
            json_patch(&object, patch.as_bytes()),
            merge_patch(&object, patch.as_bytes()),
            strategic_merge_patch(&object, patch.as_bytes(), &schema),
        ];
        for answer in answers {
            assert!(matches!(answer, Err(PatchError::Malformed(_))), "{open}: {answer:?}");
        }
    }
}

#[test]
fn deep_pointers_lead_nowhere_and_cost_nothing() {
    let path = "/a".repeat(1024 * 1024);
    for op in ["add", "remove", "replace", "test", "move", "copy"] {
        let patch = json!([{"op": op, "path": path, "from": path, "value": null}]);
        let answer = json_patch(&json!({"a": {"a": 1}}), patch.to_string().as_bytes());
        assert!(matches!(answer, Err(PatchError::Unprocessable { .. })), "{op}");
    }
}

/// On a stack of two mebibytes, as a request has.
#[test]
fn patches_as_deep_as_they_may_be_are_applied() {
    let nest = |leaf: &str| (0..126).fold(json!({leaf: 1}), |inner, _| json!({"a": inner}));
    let (object, patch) = (nest("x"), nest("y"));
    let want = (0..126).fold(json!({"x": 1, "y": 1}), |inner, _| json!({"a": inner}));
    let bytes = patch.to_string();
    assert_eq!(merge_patch(&object, bytes.as_bytes()).as_ref(), Ok(&want));
    let loose = Schema::plain(Shape::Map { values: Schema::plain(Shape::Any).into(), merge: vci_meta::schema::MapMerge::Granular });
    assert!(strategic_merge_patch(&object, bytes.as_bytes(), &loose).is_ok());
    let unknown = Schema::plain(Shape::Boolean);
    assert_eq!(strategic_merge_patch(&object, bytes.as_bytes(), &unknown).as_ref(), Ok(&want));
    let add = json!([{"op": "add", "path": format!("{}/y", "/a".repeat(126)), "value": 1}]);
    assert_eq!(json_patch(&object, add.to_string().as_bytes()).as_ref(), Ok(&want));
}
