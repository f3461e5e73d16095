#![allow(clippy::unwrap_used)]

use super::*;
use crate::schema::Schema;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.Spec"))]
struct Spec {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    cluster_ref: Inner,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    access: Vec<Inner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    small: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    large: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any: Option<Value>,
    words: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    map: BTreeMap<String, String>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Inner {
    #[serde(skip_serializing_if = "String::is_empty")]
    bar: String,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Status {}

fn schema() -> Schema {
    Schema::kind::<Spec, Status>("com.example.v1.Thing", "A thing.")
}

fn spec(value: &Value) -> Result<Value, String> {
    match conform(json!({ "spec": value }), &schema()) {
        Ok(conformed) => Ok(conformed.value["spec"].clone()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn json_duplicates_are_noted_with_their_paths_and_the_last_wins() {
    let parsed = parse_json(br#"{"spec":{"a":1,"a":2,"access":[{"name":"x","name":"y","name":"z"}]},"spec":{"b":1}}"#).unwrap();
    assert_eq!(parsed.value, json!({"spec": {"b": 1}}));
    assert_eq!(parsed.duplicates, ["spec.a", "spec.access[0].name", "spec"]);
}

#[test]
fn malformed_json_is_explained_in_the_words_of_go() {
    let deep = "[".repeat(200);
    for (body, want) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("hello", "invalid character 'h' looking for beginning of value"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("{\n\"a\":\n[1 2]}", "invalid character '2' after array element"),
        (deep.as_str(), "recursion limit exceeded"),
    ] {
        let error = parse_json(body.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(want), "{body}: {error}");
    }
    assert!(parse_json(b"\xff").is_err());
}

#[test]
fn texts_that_are_no_unicode_are_read_as_upstream_reads_them() {
    for (body, want) in
        [(&b"{\"\xff\": \"a\xc3\"}"[..], json!({"\u{fffd}": "a\u{fffd}"})), (br#"["\ud800", "\ud83d\ude00"]"#, json!(["\u{fffd}", "😀"]))]
    {
        assert_eq!(parse_json(body).unwrap().value, want);
    }
    assert!(parse_json(br#"["\ud800""#).is_err());
}

#[test]
fn yaml_is_read_into_the_data_model_of_json() {
    for (body, want) in [
        ("a: 1\nb: [x, 2.5, true, null, ~]\n", json!({"a": 1, "b": ["x", 2.5, true, null, null]})),
        ("1: a\ntrue: b\n2.5: c\n", json!({"1": "a", "true": "b", "2.5": "c"})),
        ("t: 2020-01-01T00:00:00Z\nd: 2020-01-01\n", json!({"t": "2020-01-01T00:00:00Z", "d": "2020-01-01"})),
        ("a: yes\nb: 0755\nc: 1_000\nd: '1'\n", json!({"a": "yes", "b": "0755", "c": "1_000", "d": "1"})),
        ("a: 1\n---\nb: 2\n", json!({"a": 1})),
        ("a: 1\n--- [bad", json!({"a": 1})),
        ("a: 1\n...\nb: 2\n", json!({"a": 1})),
        ("---\na: 1\n", json!({"a": 1})),
        ("{\"a\": {\"b\": [1, \"\\u00e4\"]}}", json!({"a": {"b": [1, "ä"]}})),
        ("{a: 1, b: x}", json!({"a": 1, "b": "x"})),
        ("x: &x {a: 1}\ny: *x\nz: {'<<': *x, \"b\": 2}\n", json!({"x": {"a": 1}, "y": {"a": 1}, "z": {"<<": {"a": 1}, "b": 2}})),
        ("&k a: &b [&c 1, *k]\n*c : *b\nd: *c\n", json!({"a": [1, "a"], "1": [1, "a"], "d": 1})),
        ("a: &x {b: &y [1], c: *y}\nd: *x\ne: *y\n", json!({"a": {"b": [1], "c": [1]}, "d": {"b": [1], "c": [1]}, "e": [1]})),
        ("a: &a 1\nb: *a\nc: &a 2\nd: *a\n", json!({"a": 1, "b": 1, "c": 2, "d": 2})),
        ("a: !!str 1\nb: !mine {c: !mine d}\n", json!({"a": "1", "b": {"c": "d"}})),
        ("a:\n- b\n-\n- c: d\n", json!({"a": ["b", null, {"c": "d"}]})),
        ("a: |\n  one\n  two\n", json!({"a": "one\ntwo\n"})),
        ("", Value::Null),
        ("# nothing\n", Value::Null),
        ("n: 9223372036854775807\nm: -1\nbig: 18446744073709551615\n", json!({"n": i64::MAX, "m": -1, "big": u64::MAX})),
    ] {
        assert_eq!(parse_yaml(body.as_bytes()).map(|parsed| parsed.value), Ok(want), "{body}");
    }
}

#[test]
fn yaml_duplicates_are_noted() {
    let parsed = parse_yaml(b"spec:\n  a: 1\n  a: 2\n  l:\n  - {x: 1, x: 2}\n").unwrap();
    assert_eq!(parsed.value, json!({"spec": {"a": 2, "l": [{"x": 2}]}}));
    assert_eq!(parsed.duplicates, ["spec.a", "spec.l[0].x"]);
}

#[test]
fn bad_yaml_is_refused() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
    let deep = "[".repeat(1 << 20);
    let loops = ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {b: &b [*a]}\n"];
    let odd = ["{a: 1} x", "~: 1\n", "a: !!int x\n", "a: !!seq {}\n", "a: 1\n}", "\u{feff}a: [", "? {a: 1}\n: b\n"];
    for body in
        ["{apiVersion: [", "a: b: c", "[1]: x\n", "a: *missing\n", "a: .inf\n", bomb, &long, &deep].into_iter().chain(loops).chain(odd)
    {
        assert!(parse_yaml(body.as_bytes()).is_err(), "{body:.40}");
    }
}

#[test]
fn merge_keys_are_refused() {
    let level = |n: usize| format!("b{n}: &b{n} {{<<: [{}]}}\n", vec![format!("*b{}", n - 1); 9].join(", "));
    let bomb: String = std::iter::once("b0: &b0 {x: 1}\n".to_owned()).chain((1..6).map(level)).collect();
    for body in ["<<: {a: 1}\n", "a: &a {x: 1}\nb: {<<: *a}\n", "a: &a {x: 1}\nb:\n  <<: [*a, *a]\n", &bomb] {
        let error = parse_yaml_as(body.as_bytes(), &schema()).unwrap_err().to_string();
        assert!(error.contains("merge keys (<<) are not of the data model of JSON"), "{error}");
    }
}

#[test]
fn aliases_make_a_document_no_more_than_twice_as_large() {
    let expanded = |items: usize, times: usize| {
        let body = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(items), "*a,".repeat(times));
        parse_yaml(body.as_bytes()).map(|parsed| parsed.value["b"].as_array().unwrap().len())
    };
    assert_eq!(expanded(1000, 30), Ok(30));
    let error = expanded(1000, 100_000).unwrap_err().to_string();
    assert!(error.ends_with("document contains excessive aliasing"), "{error}");
    let error = expanded(200_000, 1).unwrap_err().to_string();
    assert!(error.ends_with("anchored nodes may hold no more than 100000 nodes"), "{error}");
    // Whatever is in it, a document without aliases is read.
    for piece in ["- ", "a: ", "[a,b,", "{a,b: c,", "'a',", "\"\\L\\L\\L\","] {
        let body = format!("[{}]", piece.repeat(if piece.contains(',') && !piece.contains(['[', '{']) { 50_000 } else { 0 }));
        assert!(parse_yaml(body.as_bytes()).is_ok(), "{piece}");
    }
}

#[test]
fn plain_scalars_of_yaml_become_what_their_field_is() {
    let read = |spec: &str| {
        let parsed = parse_yaml_as(format!("# YAML\nspec: {spec}\n").as_bytes(), &schema()).unwrap();
        conform(parsed.value, &schema()).map(|conformed| conformed.value["spec"].clone()).map_err(|error| error.to_string())
    };
    for (spec, want) in [
        ("{flag: on, name: on}", json!({"flag": true, "name": "on"})),
        ("{flag: n, name: n, map: {n: n}}", json!({"flag": false, "name": "n", "map": {"n": "n"}})),
        ("{small: 0x10, name: 0x10, large: 1_000, ratio: 1}", json!({"small": 16, "name": "0x10", "large": 1000, "ratio": 1})),
        (
            "{name: 1.10, words: [1, true, ~], access: [{bar: 007}]}",
            json!({"name": "1.10", "words": ["1", "true", ""], "access": [{"bar": "007"}]}),
        ),
        ("{any: {a: yes, b: 0755, c: 1, d: true}}", json!({"any": {"a": "yes", "b": "0755", "c": 1, "d": true}})),
        ("{pointer: null, name: ~}", json!({})),
        ("{a: &y yes, flag: *y, name: *y}", json!({"flag": true, "name": "yes"})),
        ("{time: 2020-01-01T00:00:00Z}", json!({"time": "2020-01-01T00:00:00Z"})),
    ] {
        let mut want = want;
        let members = want.as_object_mut().unwrap();
        members.entry("clusterRef").or_insert(json!({}));
        members.entry("words").or_insert(Value::Null);
        assert_eq!(read(spec), Ok(want), "{spec}");
    }
    for (spec, want) in [
        ("{flag: 'on'}", "cannot unmarshal string into field spec.flag of type bool"),
        ("{flag: maybe}", "cannot unmarshal string into field spec.flag of type bool"),
        ("{small: '1'}", "cannot unmarshal string into field spec.small of type int32"),
        ("{name: !!int 1}", "cannot unmarshal number into field spec.name of type string"),
    ] {
        assert_eq!(read(spec), Err(want.into()), "{spec}");
    }
}

#[test]
fn no_body_makes_endless_notes() {
    let long = "x".repeat(1 << 20);
    let body = format!("{{\"{long}\":{{{}\"a\":1}}}}", "\"a\":1,".repeat(100_000));
    assert_eq!(parse_json(body.as_bytes()).unwrap().duplicates, [format!("{}...", "x".repeat(1024))]);
    let many: String = (0..1000).map(|n| format!("\"k{n}\":1,\"k{n}\":2,")).collect();
    assert_eq!(parse_json(format!("{{{many}\"z\":1}}").as_bytes()).unwrap().duplicates.len(), 100);
}

#[test]
fn unknown_fields_are_pruned_and_named() {
    let value = json!({"spec": {"foo": 1, "access": [{"bar": "x"}, {"baz": null}], "any": {"kept": 1}}, "metadata": {"colour": "red"}});
    let conformed = conform(value, &schema()).unwrap();
    assert_eq!(conformed.unknown, ["metadata.colour", "spec.access[1].baz", "spec.foo"]);
    assert_eq!(
        conformed.value,
        json!({
            "metadata": {},
            "spec": {"access": [{"bar": "x"}, {}], "any": {"kept": 1}, "clusterRef": {}, "words": null},
            "status": {},
        })
    );
}

#[test]
fn presence_decides_what_is_written() {
    for (given, want) in [
        (json!({}), json!({"clusterRef": {}, "words": null})),
        (json!({"name": "", "pointer": "", "clusterRef": null, "access": []}), json!({"pointer": "", "clusterRef": {}, "words": null})),
        (json!({"pointer": null, "any": null, "words": [], "map": {}}), json!({"clusterRef": {}, "words": []})),
        (json!({"words": [null, "a"], "map": {"a": null}}), json!({"clusterRef": {}, "words": ["", "a"], "map": {"a": ""}})),
        (
            json!({"small": 1.0, "large": 1e3, "ratio": 2.0}),
            json!({"small": 1, "large": 1000, "ratio": 2, "clusterRef": {}, "words": null}),
        ),
        (
            json!({"time": "2020-01-01T01:00:00.5+01:00", "flag": false}),
            json!({"time": "2020-01-01T00:00:00Z", "flag": false, "clusterRef": {}, "words": null}),
        ),
    ] {
        assert_eq!(spec(&given), Ok(want), "{given}");
    }
}

#[test]
fn wrong_types_are_refused_with_their_path() {
    for (given, want) in [
        (json!({"name": 5}), "cannot unmarshal number into field spec.name of type string"),
        (json!({"access": [{"bar": {}}]}), "cannot unmarshal object into field spec.access[0].bar of type string"),
        (json!({"access": {}}), "cannot unmarshal object into field spec.access of type []object"),
        (json!({"map": {"a": true}}), "cannot unmarshal bool into field spec.map.a of type string"),
        (json!({"map": []}), "cannot unmarshal array into field spec.map of type map[string]string"),
        (json!({"small": 1.5}), "cannot unmarshal number 1.5 into field spec.small of type int32"),
        (json!({"small": 3_000_000_000_i64}), "cannot unmarshal number 3000000000 into field spec.small of type int32"),
        (json!({"large": u64::MAX}), "cannot unmarshal number 18446744073709551615 into field spec.large of type int64"),
        (json!({"large": 1e300}), "cannot unmarshal number 1e+300 into field spec.large of type int64"),
        (json!({"flag": "true"}), "cannot unmarshal string into field spec.flag of type bool"),
        (json!("x"), "cannot unmarshal string into field spec of type Spec"),
        (json!({"time": "x"}), "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": field spec.time is no RFC 3339 time"),
    ] {
        assert_eq!(spec(&given), Err(want.into()), "{given}");
    }
    let error = conform(json!([]), &schema()).unwrap_err();
    assert_eq!(error.to_string(), "cannot unmarshal array into value of type Thing");
    for time in ["2020-13-01T00:00:00Z", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00", "2020-01-01T00:00:00.Z", "2020-01-01", ""] {
        assert!(spec(&json!({"time": time})).is_err(), "{time}");
    }
}

#[test]
fn strictness_names_every_field() {
    let list = |paths: &[&str]| paths.iter().map(|&path| path.into()).collect::<Vec<String>>();
    assert_eq!(strict_error(&[], &[]), None);
    assert_eq!(
        strict_error(&list(&["spec.a", "b"]), &list(&["spec.c"])).unwrap(),
        r#"strict decoding error: unknown field "spec.a", unknown field "b", duplicate field "spec.c""#
    );
}

#[test]
fn deep_or_odd_bodies_are_refused_and_cost_nothing() {
    for piece in ["[", "{", "{\"a\":", "[[],", "- ", "? ", "a: ", "&a ", "*a ", "!!a ", "{a: ", "[a, ", "- - ", "\""] {
        let body = piece.repeat(64 * 1024);
        assert!(parse_json(body.as_bytes()).is_err(), "{piece}");
        assert!(parse_yaml(body.as_bytes()).is_err(), "{piece}");
    }
    let stairs: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(parse_yaml(stairs.as_bytes()).is_err());
    let level = |n: usize| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n.wrapping_sub(1)).repeat(9));
    let bomb: String = std::iter::once("a0: &a0 [x, x, x]\n".to_owned()).chain((1..12).map(level)).collect();
    assert!(parse_yaml(bomb.as_bytes()).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "spec",
        "metadata",
        "status",
        "name",
        "pointer",
        "access",
        "bar",
        "small",
        "large",
        "ratio",
        "flag",
        "time",
        "any",
        "words",
        "map",
        "clusterRef",
        "labels",
        "finalizers",
        "ownerReferences",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Every digit of them: serde_json reads long fractions only nearly without its feature float_roundtrip.
        any::<f64>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "2020-01-01T00:00:00Z", "2020-06-01T01:02:03.5+02:00"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// Whether what was read of a body, or said of it, is not much longer than the body.
#[track_caller]
fn is_in_proportion(body: &[u8], outcome: &Result<Parsed, DecodeError>) {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    match outcome {
        Ok(Parsed { value, duplicates }) => {
            // A byte is at most an escape of six, or a character that stands for one that is none; aliases double that.
            let length = value.to_string().len();
            assert!(length <= 16 * body.len() + 16, "{length} bytes of {body:?}");
            assert!(depth(value) <= 128 && duplicates.len() <= 100, "{body:?}");
        }
        Err(DecodeError(text)) => assert!(!text.is_empty() && text.len() <= 500 + 16 * body.len(), "{body:?}: {text}"),
    }
}

proptest! {
    #[test]
    fn any_bytes_become_a_small_tree_or_a_short_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        is_in_proportion(&bytes, &parse_json(&bytes));
        is_in_proportion(&bytes, &parse_yaml(&bytes));
    }

    #[test]
    fn any_text_becomes_a_small_tree_or_a_short_error(text in "[-\\[\\]{}:,&*a\\n \"'#|>?!%0-9]{0,64}") {
        is_in_proportion(text.as_bytes(), &parse_json(text.as_bytes()));
        is_in_proportion(text.as_bytes(), &parse_yaml(text.as_bytes()));
    }

    #[test]
    fn json_is_read_as_serde_reads_it(value in any_json()) {
        let bytes = serde_json::to_vec(&value).unwrap();
        let parsed = parse_json(&bytes).unwrap();
        prop_assert_eq!(parsed.value, serde_json::from_slice::<Value>(&bytes).unwrap());
        prop_assert_eq!(parsed.duplicates, Vec::<String>::new());
    }

    #[test]
    fn what_is_pruned_conforms_to_the_same(value in any_json()) {
        let schema = schema();
        let given = json!({ "spec": value });
        let mut pruned = given.clone();
        prune(&mut pruned, &schema);
        let mut again = pruned.clone();
        prune(&mut again, &schema);
        prop_assert_eq!(&again, &pruned);
        match (conform(given, &schema), conform(pruned, &schema)) {
            (Ok(given), Ok(pruned)) => {
                prop_assert_eq!(given.value, pruned.value);
                prop_assert_eq!(pruned.unknown, Vec::<String>::new());
            }
            (given, pruned) => prop_assert_eq!(given.err(), pruned.err()),
        }
    }

    #[test]
    fn canonical_json_is_the_same_bytes_again(value in any_json()) {
        if let Ok(Conformed { value, .. }) = conform(json!({ "spec": value }), &schema()) {
            let bytes = serde_json::to_vec(&value).unwrap();
            let again = conform(parse_json(&bytes).unwrap().value, &schema()).unwrap().value;
            prop_assert_eq!(serde_json::to_vec(&again).unwrap(), bytes.clone());
            prop_assert_eq!(parse_yaml(&bytes).unwrap().value, value);
        }
    }

    #[test]
    fn conforming_twice_changes_nothing(value in any_json()) {
        let schema = schema();
        if let Ok(once) = conform(json!({ "spec": value }), &schema) {
            let twice = conform(once.value.clone(), &schema).unwrap();
            prop_assert_eq!(&twice.value, &once.value);
            prop_assert_eq!(twice.unknown, Vec::<String>::new());
        }
    }
}
