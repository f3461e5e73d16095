#![allow(clippy::unwrap_used)]

use crate::{PatchError, strategic_merge_patch};
use apiserver_meta::Schema;
use apiserver_meta::schema::{Field, ListMerge, MapMerge, Presence, Shape};
use apiserver_meta::testing::cost;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn of(shape: Shape) -> Arc<Schema> {
    Arc::new(Schema { description: String::new(), shape, component: None })
}

pub(super) fn text() -> Arc<Schema> {
    of(Shape::String { format: None, allowed: Vec::new() })
}

pub(super) fn list(items: Arc<Schema>, merge: ListMerge) -> Arc<Schema> {
    of(Shape::List { items, merge })
}

pub(super) fn object(fields: &[(&str, Arc<Schema>)], merge: MapMerge) -> Arc<Schema> {
    let field = |schema: &Arc<Schema>| Field {
        schema: Arc::clone(schema),
        description: String::new(),
        presence: Presence::OmitZero,
        required: false,
        default: None,
    };
    let fields: BTreeMap<_, _> = fields.iter().map(|(name, schema)| ((*name).to_owned(), field(schema))).collect();
    of(Shape::Object { fields, merge })
}

pub(super) fn keyed(keys: &[&str]) -> ListMerge {
    ListMerge::Map { keys: keys.iter().map(|key| (*key).to_owned()).collect() }
}

/// An object with one field of each sort.
fn schema() -> Arc<Schema> {
    let port =
        object(&[("port", of(Shape::Integer { format: "int32".into() })), ("protocol", text()), ("note", text())], MapMerge::Granular);
    let tags = list(text(), ListMerge::Set);
    let item = object(&[("name", text()), ("value", text()), ("tags", Arc::clone(&tags))], MapMerge::Granular);
    let settings = object(&[("a", text()), ("b", text()), ("tags", Arc::clone(&tags))], MapMerge::Granular);
    object(
        &[
            ("text", text()),
            ("labels", of(Shape::Map { values: text(), merge: MapMerge::Granular })),
            ("settings", settings),
            ("whole", object(&[("a", text()), ("b", text())], MapMerge::Atomic)),
            ("any", of(Shape::Any)),
            ("items", list(item, keyed(&["name"]))),
            ("ports", list(port, keyed(&["port", "protocol"]))),
            ("tags", tags),
            ("plain", list(text(), ListMerge::Atomic)),
            ("rules", list(object(&[("a", text())], MapMerge::Granular), ListMerge::Atomic)),
        ],
        MapMerge::Granular,
    )
}

#[track_caller]
fn check(table: &[(Value, Value, Value)]) {
    let schema = schema();
    for (object, patch, want) in table {
        assert_eq!(strategic_merge_patch(object.clone(), patch.to_string().as_bytes(), &schema).as_ref(), Ok(want), "{object} + {patch}");
    }
}

#[test]
fn objects_merge_and_null_removes() {
    check(&[
        (json!({"text": "a"}), json!({}), json!({"text": "a"})),
        (json!({"text": "a"}), json!({"text": "b"}), json!({"text": "b"})),
        (json!({"text": "a"}), json!({"text": null}), json!({})),
        (json!({}), json!({"text": null}), json!({})),
        (json!({"labels": {"a": "1", "b": "2"}}), json!({"labels": {"a": null, "c": "3"}}), json!({"labels": {"b": "2", "c": "3"}})),
        (json!({}), json!({"labels": {"a": null, "c": "3"}}), json!({"labels": {"c": "3"}})),
        (json!({"text": "a"}), json!({"text": {"a": "b"}}), json!({"text": {"a": "b"}})),
        (json!({"settings": {"a": "1"}}), json!({"settings": "x"}), json!({"settings": "x"})),
        (json!({"whole": {"a": "1"}}), json!({"whole": {"b": "2"}}), json!({"whole": {"b": "2"}})),
        (json!({"any": {"a": {"b": 1}}}), json!({"any": {"a": {"c": 1}}}), json!({"any": {"a": {"b": 1, "c": 1}}})),
        (json!({"any": {"a": {"b": 1}, "d": [1]}}), json!({"any": {"a": {"b": null}, "d": [2]}}), json!({"any": {"a": {}, "d": [2]}})),
        (json!({}), json!({"any": {"a": null, "b": 1}}), json!({"any": {"b": 1}})),
        (json!({"any": {"a": 1}}), json!({"any": {"$patch": "replace", "b": 1}}), json!({"any": {"b": 1}})),
        (json!({"any": {"a": 1}}), json!({"any": "x"}), json!({"any": "x"})),
        (json!({"any": {"a": 1}}), json!({"any": null}), json!({})),
        (json!({}), json!({"unknown": {"a": 1}}), json!({"unknown": {"a": 1}})),
    ]);
}

#[test]
fn directives_of_objects_are_obeyed() {
    check(&[
        (json!({"settings": {"a": "1", "b": "2"}}), json!({"settings": {"$patch": "replace", "a": "3"}}), json!({"settings": {"a": "3"}})),
        (json!({"settings": {"a": "1"}}), json!({"settings": {"$patch": "delete"}}), json!({"settings": {}})),
        (json!({}), json!({"settings": {"$patch": "delete"}}), json!({})),
        (json!({}), json!({"settings": {"$patch": "replace", "a": "3"}}), json!({"settings": {"a": "3"}})),
        (json!({"settings": {"a": "1"}}), json!({"settings": {"$patch": "merge", "b": "2"}}), json!({"settings": {"a": "1", "b": "2"}})),
        (json!({"text": "a", "plain": ["x"]}), json!({"$patch": "replace", "text": "b"}), json!({"text": "b"})),
        (json!({"settings": {"a": "1", "b": "2"}}), json!({"settings": {"$retainKeys": ["b"], "b": "3"}}), json!({"settings": {"b": "3"}})),
        (
            json!({"settings": {"a": "1", "b": "2"}}),
            json!({"settings": {"$retainKeys": ["b"], "a": null}}),
            json!({"settings": {"b": "2"}}),
        ),
    ]);
}

#[test]
fn keyed_lists_merge_by_their_keys() {
    check(&[
        (
            json!({"items": [{"name": "1", "value": "a"}, {"name": "2"}]}),
            json!({"items": [{"name": "2", "value": "b"}]}),
            json!({"items": [{"name": "1", "value": "a"}, {"name": "2", "value": "b"}]}),
        ),
        (
            json!({"items": [{"name": "1", "value": "a"}]}),
            json!({"items": [{"name": "1", "value": null}]}),
            json!({"items": [{"name": "1"}]}),
        ),
        // New items come before those that only the server has, as upstream has it.
        (
            json!({"items": [{"name": "1"}, {"name": "3"}]}),
            json!({"items": [{"name": "4"}, {"name": "3", "value": "x"}]}),
            json!({"items": [{"name": "4"}, {"name": "1"}, {"name": "3", "value": "x"}]}),
        ),
        (
            json!({"items": [{"name": "1"}, {"name": "2"}]}),
            json!({"items": [{"$patch": "delete", "name": "1"}, {"$patch": "delete", "name": "9"}]}),
            json!({"items": [{"name": "2"}]}),
        ),
        (json!({"items": [{"name": "1"}]}), json!({"items": [{"$patch": "replace"}]}), json!({"items": []})),
        (
            json!({"items": [{"name": "1", "value": "a"}]}),
            json!({"items": [{"name": "1"}, {"name": "3"}, {"$patch": "replace"}]}),
            json!({"items": [{"name": "1"}, {"name": "3"}]}),
        ),
        (json!({}), json!({"items": [{"name": "1"}, {"$patch": "delete", "name": "2"}]}), json!({"items": [{"name": "1"}]})),
        (json!({"items": [{"name": "1"}]}), json!({"items": null}), json!({})),
        (json!({"items": [{"name": "1"}]}), json!({"items": []}), json!({"items": [{"name": "1"}]})),
        (
            json!({"items": [{"name": "1", "tags": ["x"]}]}),
            json!({"items": [{"name": "1", "tags": ["y"]}]}),
            json!({"items": [{"name": "1", "tags": ["y", "x"]}]}),
        ),
        (
            json!({"ports": [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}]}),
            json!({"ports": [{"port": 1, "protocol": "UDP", "note": "n"}]}),
            json!({"ports": [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP", "note": "n"}]}),
        ),
    ]);
}

#[test]
fn sets_are_united_and_other_lists_replaced() {
    check(&[
        (json!({"tags": ["a", "b"]}), json!({"tags": ["b", "c"]}), json!({"tags": ["a", "b", "c"]})),
        (json!({"tags": ["a", "a"]}), json!({"tags": ["b"]}), json!({"tags": ["b", "a"]})),
        (json!({}), json!({"tags": ["b", "b"]}), json!({"tags": ["b"]})),
        (json!({"tags": ["a", "b", "c"]}), json!({"$deleteFromPrimitiveList/tags": ["b", "x"]}), json!({"tags": ["a", "c"]})),
        (json!({"tags": ["a", "b"]}), json!({"tags": ["c"], "$deleteFromPrimitiveList/tags": ["a"]}), json!({"tags": ["c", "b"]})),
        (json!({}), json!({"$deleteFromPrimitiveList/tags": ["b"]}), json!({})),
        (json!({"plain": ["a", "b"]}), json!({"plain": ["c"]}), json!({"plain": ["c"]})),
        (json!({"rules": [{"a": "1"}]}), json!({"rules": [{"$patch": "replace"}, {"a": "2"}]}), json!({"rules": [{"a": "2"}]})),
    ]);
}

#[test]
fn the_order_of_elements_can_be_set() {
    check(&[
        (
            json!({"tags": ["a", "b", "c"]}),
            json!({"$setElementOrder/tags": ["c", "d", "a"], "tags": ["d"]}),
            json!({"tags": ["b", "c", "d", "a"]}),
        ),
        (json!({"tags": ["a", "b"]}), json!({"$setElementOrder/tags": ["b", "a"]}), json!({"tags": ["b", "a"]})),
        (
            json!({"items": [{"name": "1"}, {"name": "2"}, {"name": "3"}]}),
            json!({"$setElementOrder/items": [{"name": "3"}, {"name": "4"}, {"name": "1"}], "items": [{"name": "4", "value": "x"}, {"name": "1", "value": "y"}]}),
            json!({"items": [{"name": "2"}, {"name": "3"}, {"name": "4", "value": "x"}, {"name": "1", "value": "y"}]}),
        ),
        (
            json!({"items": [{"name": "1"}, {"name": "2"}]}),
            json!({"$setElementOrder/items": [{"name": "2"}], "items": [{"$patch": "delete", "name": "1"}]}),
            json!({"items": [{"name": "2"}]}),
        ),
        (json!({}), json!({"$setElementOrder/tags": ["b", "a"]}), json!({})),
        (json!({"plain": ["a", "b"]}), json!({"$setElementOrder/plain": ["b", "a"]}), json!({"plain": ["a", "b"]})),
    ]);
}

#[test]
fn bad_patches_are_refused() {
    let malformed = [
        ("[]", "error decoding patch: a strategic merge patch is an object, not an array"),
        (r#"{"settings":{"$patch":"frobnicate"}}"#, r#"unknown patch type: "frobnicate" in settings"#),
        (r#"{"$patch":1}"#, "unknown patch type: 1 in the patch"),
        (r#"{"settings":{"$retainKeys":"a"}}"#, "invalid patch format of retainKeys"),
        (r#"{"settings":{"$retainKeys":["a"],"b":"1"}}"#, "invalid patch format of retainKeys"),
        (r#"{"$deleteFromPrimitiveList":["a"]}"#, "invalid patch format of primitive list"),
        (r#"{"$deleteFromPrimitiveList/tags":"a"}"#, "invalid patch format of primitive list"),
        (r#"{"$setElementOrder":["a"]}"#, "invalid patch format of setElementOrder list"),
        (r#"{"$setElementOrder/tags":["a","b"],"tags":["b","a"]}"#, "the order in patch list tags doesn't match its $setElementOrder list"),
        (
            r#"{"$setElementOrder/items":[{"name":"1"}],"items":[{"name":"2"}]}"#,
            "the order in patch list items doesn't match its $setElementOrder list",
        ),
    ];
    for (patch, want) in malformed {
        assert_eq!(strategic_merge_patch(json!({}), patch.as_bytes(), &schema()), Err(PatchError::Malformed(want.into())), "{patch}");
    }
    let unprocessable = [
        (r#"{"items":[{"value":"x"}]}"#, "items", r#"an item does not contain declared merge key: name"#),
        (r#"{"items":[{"$patch":"delete"}]}"#, "items", r#"an item does not contain declared merge key: name"#),
        (r#"{"items":["x"]}"#, "items", "expected a list of objects, but it holds a string"),
        (r#"{"items":[{"$patch":"merge","name":"1"}]}"#, "items", "merging lists cannot yet be specified in the patch"),
        (r#"{"settings":{"tags":[["x"]]}}"#, "settings.tags", "lists of lists are not supported"),
    ];
    for (patch, field, want) in unprocessable {
        match strategic_merge_patch(json!({}), patch.as_bytes(), &schema()) {
            Err(PatchError::Unprocessable { causes, .. }) => {
                assert_eq!((causes[0].field.as_str(), causes[0].message.as_str()), (field, want), "{patch}");
            }
            other => panic!("{patch}: {other:?}"),
        }
    }
}

#[test]
fn long_lists_cost_no_more_than_their_length() {
    let schema = schema();
    let items = |count: usize, named: &dyn Fn(usize) -> Value| (0..count).map(named).collect::<Value>();
    let plain = |count| items(count, &|n| json!({"name": n.to_string()}));
    let names = |count| items(count, &|n| n.to_string().into());
    let labels = |count: usize| (0..count).map(|n| (n.to_string(), "".into())).collect::<serde_json::Map<String, Value>>();
    let deletions = |count| items(count, &|n| json!({"name": format!("x{n}"), "$patch": "delete"}));
    type Case<'a> = &'a dyn Fn(usize) -> (Value, Value);
    let cases: [(&str, Case<'_>); 4] = [
        ("deletions", &|n| (json!({"items": plain(n)}), json!({"items": deletions(n)}))),
        ("order", &|n| (json!({"items": plain(n)}), json!({"items": plain(n), "$setElementOrder/items": plain(n)}))),
        ("tags", &|n| (json!({"tags": names(n)}), json!({"tags": names(n), "$deleteFromPrimitiveList/tags": names(n)}))),
        ("retained", &|n| {
            let mut retained = labels(n);
            retained.insert("$retainKeys".into(), names(n));
            (json!({"labels": labels(n)}), json!({"labels": retained}))
        }),
    ];
    for (name, case) in cases {
        let work = |count| {
            let (object, patch) = case(count);
            strategic_merge_patch(object.clone(), patch.to_string().as_bytes(), &schema).unwrap();
        };
        let growth = cost::growth(work, 1_000);
        assert!(growth < 4.0, "{name}: {growth:?}");
    }
}

/// Trees whose members are those of the schema, so that its lists are met.
fn known() -> impl Strategy<Value = Value> {
    let members =
        ["text", "labels", "settings", "whole", "items", "tags", "plain", "$setElementOrder/tags", "$deleteFromPrimitiveList/tags"];
    prop::collection::vec((prop::sample::select(members.to_vec()), crate::arbitrary::tree()), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// An object without directives, whose keyed items have their key.
fn plain() -> impl Strategy<Value = Value> {
    let item = ("[a-d]", "[a-d]").prop_map(|(name, value)| json!({"name": name, "value": value}));
    let tags = prop::collection::vec("[a-d]", 0..4);
    (prop::collection::vec(item, 0..4), tags.clone(), tags, prop::collection::btree_map("[a-d]", prop::option::of("[a-d]"), 0..4))
        .prop_map(|(items, tags, plain, labels)| json!({"items": items, "tags": tags, "plain": plain, "labels": labels}))
}

proptest! {
    #[test]
    fn any_patch_is_answered_and_leaves_no_directive(object in known(), patch in known()) {
        let (schema, patch) = (schema(), patch.to_string().into_bytes());
        if let Ok(Value::Object(members)) = strategic_merge_patch(json!({}), &patch, &schema) {
            prop_assert!(!members.keys().any(|name| name.starts_with('$')));
        }
        crate::arbitrary::is_in_proportion(&object, &patch, &strategic_merge_patch(object.clone(), &patch, &schema), 1);
    }

    #[test]
    fn merging_twice_is_merging_once(object in plain(), patch in plain()) {
        let (schema, patch) = (schema(), patch.to_string());
        let once = strategic_merge_patch(object.clone(), patch.as_bytes(), &schema).unwrap();
        prop_assert_eq!(&strategic_merge_patch(once.clone(), patch.as_bytes(), &schema).unwrap(), &once);
    }

    #[test]
    fn any_bytes_are_answered(object in known(), patch in crate::arbitrary::bytes()) {
        crate::arbitrary::is_in_proportion(&object, &patch, &strategic_merge_patch(object.clone(), &patch, &schema()), 1);
    }
}
