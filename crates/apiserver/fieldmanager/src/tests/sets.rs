//! fieldpath/{serialize-pe,serialize,set}_test.go.

use super::schemas::*;
use crate::path::{PathElement, PathError};
use crate::set::FieldSet;
use serde_json::{Value, json};

#[allow(clippy::needless_pass_by_value, reason = "so that tables of `json!` read well")]
fn set(fields: Value) -> FieldSet {
    FieldSet::from_fields_v1(&fields).unwrap()
}

#[test]
fn test_path_element_round_trip() {
    let same = [
        "i:0",
        "i:1234",
        "f:",
        "f:spec",
        "f: string-with-spaces   ",
        "f:a:b",
        "f:spec-\\n",
        r#"k:{"name":"my-container"}"#,
        r#"k:{"name":"   name with spaces   "}"#,
        r#"k:{"port":"8080","protocol":"TCP"}"#,
        r#"k:{"optionalField":null}"#,
        r#"k:{"jsonField":{"A":1,"B":null,"C":"D","E":{"F":"G"}}}"#,
        r#"k:{"listField":["1","2","3"]}"#,
        "v:null",
        r#"v:"some-string""#,
        "v:1234",
        r#"v:{"some":" some  with spaces  "}"#,
        r#"k:{"name":"app-🚀"}"#,
        r#"k:{"name":"你好世界"}"#,
    ];
    for text in same {
        assert_eq!(PathElement::parse(text).unwrap().serialized(), text);
    }
    let normalised = [
        (r#"v: {"some":"json"} "#, r#"v:{"some":"json"}"#),
        (r#"k:{ "protocol":"udp","port":443}"#, r#"k:{"port":443,"protocol":"udp"}"#),
        (r#"k:{"name\u002dcontainer":"my\"container"}"#, r#"k:{"name-container":"my\"container"}"#),
        (r#"k:{"\u4f60\u597d":"\u4e16\u754c"}"#, r#"k:{"你好":"世界"}"#),
        (r#"v:"value-\ud83d\ude80""#, r#"v:"value-🚀""#),
    ];
    for (text, want) in normalised {
        assert_eq!(PathElement::parse(text).unwrap().serialized(), want, "{text}");
    }
}

#[test]
fn test_path_element_ignore_unknown() {
    assert_eq!(PathElement::parse("r:Hello"), Err(PathError::Unknown));
    // TestDropUnknown.
    assert_eq!(set(json!({"f:aaa": {}, "r:aab": {"f:x": {}}})).to_fields_v1(), json!({"f:aaa": {}}));
}

#[test]
fn test_deserialize_path_element_error() {
    let cases = [
        "",
        "no-colon",
        ":",
        "é:x",
        "i:index is not a number",
        "i:1.23",
        "i:",
        "i: 0",
        "i:0 ",
        "v:invalid json",
        "v:",
        "k:invalid json",
        r#"k:{"name":invalid}"#,
        r#"v:{"some":" \x41"}"#,
        "v",
        "k",
        "f",
        "i",
        r#"v:{"a":"b""#,
        r#"k:{"a":"b""#,
        r#"v:{"some":"json"} {"other":"json"}"#,
        r#"k:{"name":"my-container"} garbage"#,
        "k:[1]",
    ];
    for text in cases {
        assert!(matches!(PathElement::parse(text), Err(PathError::Malformed(_))), "{text}");
    }
}

#[test]
fn test_serialize_v1() {
    let same = [
        json!({}),
        json!({"f:aaa": {}, "k:{\"name\":\"first\"}": {}, "v:1": {}, "v:\"aa\"": {}, "v:true": {}, "i:1": {}}),
        json!({"f:spec": {".": {}, "f:apps": {".": {}, "k:{\"name\":\" app-💻\"}": {".": {}, "f:image": {}}}}}),
        json!({"f:aaa": {"k:{\"port\":443,\"protocol\":\"tcp\"}": {"f:aad": {}}, "v:\"aa\"": {"i:2": {}}}, "i:4": {"v:true": {".": {}, "f:x": {}}}}),
    ];
    for fields in same {
        assert_eq!(set(fields.clone()).to_fields_v1(), fields);
    }
}

#[test]
fn test_deserialize_for_valid_non_normalized() {
    let cases = [
        (
            json!({"k:{ \"protocol\":\"udp\",\"port\":443}": {}, "v: 3": {}}),
            json!({"k:{\"port\":443,\"protocol\":\"udp\"}": {}, "v:3": {}}),
        ),
        (json!({"v:1": {"f:a": {}}, "v:1.0": {"f:b": {}}, "v: 1": {}}), json!({"v:1": {".": {}, "f:a": {}, "f:b": {}}})),
        (json!({"f:a": {".": {}}, "f:b": null, "f:c": {".": "anything"}}), json!({"f:a": {}, "f:b": {}, "f:c": {}})),
        (json!(null), json!({})),
    ];
    for (fields, want) in cases {
        assert_eq!(set(fields.clone()).to_fields_v1(), want, "{fields}");
    }
}

#[test]
fn test_set_from_json_token_type_errors() {
    for fields in [
        json!([]),
        json!(42),
        json!("hi"),
        json!({"f:a": 1}),
        json!({"f:a": []}),
        json!({"": {}}),
        json!({"x": {}}),
        json!({"f:a": {"f:b": "x"}}),
    ] {
        assert!(FieldSet::from_fields_v1(&fields).is_err(), "{fields}");
    }
}

#[test]
fn test_set_iteration_and_paths() {
    // TestSetString, TestSetIterSize: the members of a level come before those below it.
    let fields = set(json!({"f:a": {"f:z": {}}, "f:b": {}, "k:{\"name\":\"x\",\"port\":1}": {".": {}, "v:\"q\"": {}}, "i:3": {}}));
    assert_eq!(fields.paths(), [".b", "[name=\"x\",port=1]", "[3]", ".a.z", "[name=\"x\",port=1][=\"q\"]"]);
}

#[test]
fn test_set_union_intersection_difference() {
    let a = json!({"f:a": {".": {}, "f:x": {}}, "f:b": {}, "f:d": {"f:e": {}}});
    let b = json!({"f:a": {"f:x": {}, "f:y": {}}, "f:c": {}, "f:d": {}});
    assert_eq!(
        set(a.clone()).union(set(b.clone())),
        set(json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}, "f:c": {}, "f:d": {".": {}, "f:e": {}}}))
    );
    assert_eq!(set(a.clone()).intersection(&set(b.clone())), set(json!({"f:a": {"f:x": {}}})));
    let mut difference = set(a.clone());
    difference.subtract(&set(b.clone()));
    assert_eq!(difference, set(json!({"f:a": {}, "f:b": {}, "f:d": {"f:e": {}}})), "a parent leaves its children");
    let mut difference = set(a);
    difference.subtract_recursive(&set(b));
    assert_eq!(difference, set(json!({"f:a": {}, "f:b": {}})), "a parent takes its children along");
}

#[test]
fn test_set_difference() {
    let cases = [
        ("removes simple path", json!({"f:a": {}}), json!({"f:a": {}}), json!({}), json!({})),
        ("removes direct path", json!({"f:a": {"f:b": {"f:c": {}}}}), json!({"f:a": {"f:b": {"f:c": {}}}}), json!({}), json!({})),
        (
            "only matching child",
            json!({"f:a": {"f:b": {}, "f:c": {}}}),
            json!({"f:a": {"f:b": {}}}),
            json!({"f:a": {"f:c": {}}}),
            json!({"f:a": {"f:c": {}}}),
        ),
        ("not the parent", json!({"f:a": {}}), json!({"f:a": {"f:b": {}}}), json!({"f:a": {}}), json!({"f:a": {}})),
        ("nested", json!({"f:a": {"f:b": {"f:c": {}}}}), json!({"f:a": {}}), json!({"f:a": {"f:b": {"f:c": {}}}}), json!({})),
    ];
    for (name, left, right, plain, recursive) in cases {
        let mut got = set(left.clone());
        got.subtract(&set(right.clone()));
        assert_eq!(got, set(plain), "{name}");
        let mut got = set(left);
        got.subtract_recursive(&set(right));
        assert_eq!(got, set(recursive), "{name}, recursive");
    }
}

#[test]
fn test_ensure_named_fields_are_members() {
    let element = object([("name", string()), ("value", object([("a", string())]))]);
    let schema = object([("named", object([("list", keyed(["name"], element)), ("map", map(map(string())))]))]);
    let mut fields =
        set(json!({"f:named": {"f:list": {"k:{\"name\":\"a\"}": {"f:value": {"f:a": {}}}}, "f:map": {"f:free": {"f:x": {}}}}}));
    fields.ensure_named_fields(&schema);
    let want = json!({"f:named": {".": {},
        "f:list": {".": {}, "k:{\"name\":\"a\"}": {"f:value": {".": {}, "f:a": {}}}},
        "f:map": {".": {}, "f:free": {"f:x": {}}}}});
    assert_eq!(fields, set(want));
}
