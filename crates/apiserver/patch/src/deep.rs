//! Nesting as deep as a body can be.

use crate::{PatchError, json_patch, merge_patch, strategic_merge_patch};
use apiserver_meta::Schema;
use apiserver_meta::schema::Shape;
use serde_json::{Value, json};

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
            json_patch(object.clone(), patch.as_bytes()),
            merge_patch(object.clone(), patch.as_bytes()),
            strategic_merge_patch(object.clone(), patch.as_bytes(), &schema),
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
        let answer = json_patch(json!({"a": {"a": 1}}), patch.to_string().as_bytes());
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
    assert_eq!(merge_patch(object.clone(), bytes.as_bytes()).as_ref(), Ok(&want));
    let loose = Schema::plain(Shape::Map { values: Schema::plain(Shape::Any).into(), merge: apiserver_meta::schema::MapMerge::Granular });
    assert!(strategic_merge_patch(object.clone(), bytes.as_bytes(), &loose).is_ok());
    let unknown = Schema::plain(Shape::Boolean);
    assert_eq!(strategic_merge_patch(object.clone(), bytes.as_bytes(), &unknown).as_ref(), Ok(&want));
    let add = json!([{"op": "add", "path": format!("{}/y", "/a".repeat(126)), "value": 1}]);
    assert_eq!(json_patch(object.clone(), add.to_string().as_bytes()).as_ref(), Ok(&want));
}

/// The processor time of this thread.
fn cpu(work: impl FnOnce()) -> std::time::Duration {
    let used = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        std::time::Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
    };
    let before = used();
    work();
    used() - before
}

/// A path is as long as the keys in it: what is below a long key must not cost its length each time.
#[test]
fn many_members_below_a_long_key_cost_no_more_than_below_a_short_one() {
    let schema = Schema::plain(Shape::Boolean);
    let merge = |key: &str| {
        let members: serde_json::Map<String, Value> = (0..30_000).map(|index| (format!("m{index}"), Value::from(1))).collect();
        let patch = json!({ key: members }).to_string();
        cpu(|| assert!(strategic_merge_patch(json!({}), patch.as_bytes(), &schema).is_ok()))
    };
    let (short, long) = (merge("k"), merge(&"k".repeat(1 << 20)));
    assert!(long < 10 * short + std::time::Duration::from_millis(200), "{long:?} against {short:?}");
}

#[test]
fn errors_of_patches_show_nothing_of_the_object() {
    use apiserver_meta::schema::ListMerge;
    let item = Schema::plain(Shape::Map { values: Schema::plain(Shape::Any).into(), merge: apiserver_meta::schema::MapMerge::Granular });
    let list = Schema::plain(Shape::List { items: item.into(), merge: ListMerge::Map { keys: vec!["name".into()] } });
    let schema = Schema::plain(Shape::Map { values: list.into(), merge: apiserver_meta::schema::MapMerge::Granular });
    let object = json!({"l": [{"password": "s3cret"}]});
    let error = strategic_merge_patch(object.clone(), br#"{"l": [{"name": "a"}]}"#, &schema).map_err(|error| format!("{error:?}"));
    assert!(
        error.as_ref().is_err_and(|error| error.contains("does not contain declared merge key: name") && !error.contains("s3cret")),
        "{error:?}"
    );
    let long = format!(r#"{{"$patch": "{}"}}"#, "x".repeat(1 << 20));
    let error = strategic_merge_patch(object.clone(), long.as_bytes(), &schema).map_err(|error| error.to_string().len());
    assert!(error.as_ref().is_err_and(|length| *length < 200), "{error:?}");
}
