//! Laws that hold whatever comes in.

use super::kind::{self, Server, canonical, manager, reset};
use super::schemas::{map, object, string};
use crate::set::FieldSet;
use crate::update;
use apiserver_meta::Schema;
use apiserver_meta::testing::cost;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Sets over few names, so that they meet.
fn any_set() -> impl Strategy<Value = FieldSet> {
    let element =
        select(vec!["f:a", "f:b", "f:c", "k:{\"name\":\"x\"}", "k:{\"name\":\"y\",\"port\":1}", "v:1", "v:\"a\"", "v:true", "i:0"]);
    let leaf = Just(Value::Object(Map::new()));
    let tree = leaf.prop_recursive(4, 24, 4, move |below| {
        (btree_map(element.clone(), below, 0..4), any::<bool>()).prop_map(|(members, own)| {
            let mut members: Map<String, Value> = members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            if own && !members.is_empty() {
                members.insert(".".into(), json!({}));
            }
            Value::Object(members)
        })
    });
    tree.prop_map(|fields| FieldSet::from_fields_v1(&fields).unwrap())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z:.{}\"]{0,6}".prop_map(Value::from),
        select(vec!["Apply", "Update", "FieldsV1", kind::VERSION, "2026-01-02T03:04:05Z"]).prop_map(Value::from),
    ];
    let name = prop_oneof![
        select(vec![
            "manager",
            "operation",
            "apiVersion",
            "fieldsType",
            "fieldsV1",
            "time",
            "subresource",
            ".",
            "f:spec",
            "f:a",
            "k:{}",
            "v:1",
            "i:x"
        ])
        .prop_map(str::to_owned),
        "[a-z:.]{0,4}",
    ];
    leaf.prop_recursive(5, 40, 5, move |below| {
        prop_oneof![
            vec(below.clone(), 0..4).prop_map(Value::from),
            btree_map(name.clone(), below, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bodies of the kind: some fields, some of them zero or null.
fn any_body() -> impl Strategy<Value = Value> {
    let text = || select(vec!["", "a", "b"]);
    let names = || {
        vec(select(vec!["x", "y", "z", "w"]), 0..4).prop_map(|mut names| {
            let mut seen = Vec::new();
            names.retain(|name| {
                !seen.contains(name) && {
                    seen.push(*name);
                    true
                }
            });
            names
        })
    };
    let spec = (
        proptest::option::of(text()),
        proptest::option::of((text(), text()).prop_map(|(name, version)| json!({"name": name, "version": version}))),
        proptest::option::of(names().prop_flat_map(move |names| {
            vec(text(), names.len()).prop_map(move |images| {
                let items = names.iter().zip(images).map(|(name, image)| json!({"name": name, "image": image}));
                items.collect::<Value>()
            })
        })),
        proptest::option::of(btree_map(select(vec!["k", "l", "m"]), text(), 0..3)),
        proptest::option::of(names()),
        any::<bool>(),
    );
    spec.prop_map(|(display, template, containers, data, finalizers, cluster)| {
        let mut spec = Map::new();
        let mut metadata = Map::from_iter([("name".to_owned(), "x".into())]);
        let fields = [
            ("displayName", display.map(Value::from)),
            ("templateRef", template),
            ("containers", containers),
            ("data", data.map(|data| json!(data))),
            ("clusterRef", cluster.then(|| json!({}))),
        ];
        spec.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if let Some(finalizers) = finalizers {
            metadata.insert("finalizers".into(), finalizers.into());
        }
        json!({"metadata": metadata, "spec": spec})
    })
}

/// Objects with the names of [`any_set`].
fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![Just(json!({})), Just(json!("x"))];
    let tree = leaf.prop_recursive(3, 24, 3, |below| {
        btree_map(select(vec!["a", "b", "c"]), below, 0..4)
            .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    });
    tree.prop_map(|tree| tree.as_object().cloned().unwrap_or_default())
}

/// Sets of one level, of which one may be much larger than the other.
fn any_flat_set() -> impl Strategy<Value = std::collections::BTreeSet<u16>> {
    prop_oneof![proptest::collection::btree_set(0..300_u16, 0..4), proptest::collection::btree_set(0..300_u16, 0..200)]
}

fn flat(members: &std::collections::BTreeSet<u16>) -> FieldSet {
    let fields: Map<String, Value> = members.iter().map(|n| (format!("f:{n:03}"), json!({}))).collect();
    FieldSet::from_fields_v1(&Value::Object(fields)).unwrap()
}

#[test]
fn many_managers_cost_no_more_than_their_fields() {
    let entry = |n: usize| {
        json!({"manager": format!("m{n}"), "operation": "Apply", "apiVersion": kind::VERSION, "fieldsType": "FieldsV1",
            "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:spec": {"f:data": {format!("f:k{n}"): {}}}}})
    };
    let work = |count| {
        let mut server = Server::new();
        let data: Map<String, Value> = (0..count).map(|n| (format!("k{n}"), "v".into())).collect();
        let managed: Vec<Value> = (0..count).map(entry).collect();
        server.put("one", json!({"metadata": {"name": "x"}, "spec": {"data": data}}));
        server.put("one", json!({"metadata": {"name": "x", "managedFields": managed}, "spec": {"data": data}}));
        assert_eq!(server.managers().len(), count);
        server.force("m7", json!({"metadata": {"name": "x"}, "spec": {"data": {"new": "v"}}}));
        server.put("one", json!({"metadata": {"name": "x"}, "spec": {"displayName": "x"}}));
        assert_eq!(server.managers(), ["one"]);
    };
    let growth = cost::growth(work, 200);
    assert!(growth < 4.0, "{growth:?}");
}

#[test]
fn deep_managed_fields_are_refused_or_read_and_cost_nothing() {
    let nest = |depth: usize| (0..depth).fold(json!({}), |below, _| json!({"f:a": below}));
    let set = FieldSet::from_fields_v1(&nest(120)).unwrap();
    assert_eq!(set.paths(), [".a".repeat(120)]);
    for element in ["v:", "k:"] {
        let key = format!("{element}{}", "[".repeat(1024 * 1024));
        assert!(FieldSet::from_fields_v1(&json!({key: {}})).is_err());
    }
}

proptest! {
    #[test]
    fn nothing_was_owned_whole_where_nobody_owns_what_is_free(sets in vec(any_set(), 0..4), live in any_object()) {
        let free = || Schema::any().as_ref().clone();
        let schema = object([("a", free()), ("b", map(free())), ("c", object([("a", string()), ("b", free()), ("c", map(string()))]))]);
        let is_possible = sets.iter().any(|set| set.has_free_member(&schema));
        let found = FieldSet::owned_whole_once(&schema, &live, &FieldSet::union_all(sets));
        prop_assert!(is_possible || found.is_empty(), "{found:?}");
    }

    #[test]
    fn flat_sets_do_as_sets_do(a in any_flat_set(), b in any_flat_set()) {
        let minus = |mut left: FieldSet, right: &FieldSet| { left.subtract(right); left };
        prop_assert_eq!(minus(flat(&a), &flat(&b)), flat(&(&a - &b)));
        prop_assert_eq!(flat(&a).intersection(&flat(&b)), flat(&(&a & &b)));
        prop_assert_eq!(flat(&a).union(flat(&b)), flat(&(&a | &b)));
        prop_assert_eq!(flat(&a).contains(&flat(&b)), a.is_superset(&b));
    }

    #[test]
    fn fields_v1_round_trip(set in any_set()) {
        prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()).unwrap(), set);
    }

    #[test]
    fn sets_obey_their_laws(a in any_set(), b in any_set(), c in any_set()) {
        let minus = |mut left: FieldSet, right: &FieldSet| { left.subtract(right); left };
        let union = a.clone().union(b.clone());
        prop_assert_eq!(&union, &b.clone().union(a.clone()));
        prop_assert_eq!(union.clone().union(c.clone()), a.clone().union(b.clone().union(c.clone())));
        prop_assert_eq!(a.clone().union(a.clone()), a.clone());
        prop_assert_eq!(FieldSet::union_all([a.clone(), b.clone(), c.clone()]), a.clone().union(b.clone().union(c.clone())));
        let both = a.intersection(&b);
        prop_assert_eq!(&both, &b.intersection(&a));
        prop_assert_eq!(&both, &minus(a.clone(), &minus(a.clone(), &b)));
        prop_assert_eq!(minus(a.clone(), &b).union(both.clone()), a.clone());
        prop_assert_eq!(minus(union.clone(), &b), minus(a.clone(), &b));
        prop_assert!(minus(a.clone(), &a).is_empty());
        prop_assert!(union.contains(&a) && union.contains(&b) && a.contains(&both) && b.contains(&both));
        prop_assert_eq!(a.contains(&b), minus(b.clone(), &a).is_empty());
        let mut recursive = a.clone();
        recursive.subtract_recursive(&b);
        prop_assert!(minus(a.clone(), &b).contains(&recursive));
        prop_assert_eq!(a.paths().len() + b.paths().len(), union.paths().len() + both.paths().len());
    }

    #[test]
    fn an_update_never_panics_and_leaves_readable_managed_fields(list in any_json(), body in any_body(), live_list in any_json()) {
        let schema = kind::schema();
        for live_managed in [json!([]), live_list] {
            let mut live = canonical(&schema, json!({"metadata": {"name": "x"}}));
            live.metadata_mut().insert("managedFields".into(), live_managed);
            let mut new = canonical(&schema, body.clone());
            new.metadata_mut().insert("managedFields".into(), list.clone());
            for old in [Some(&live), None] {
                let mut new = new.clone();
                update(&schema, old, &mut new, manager("m", "", "2026-01-02T03:04:05Z"), reset(""));
                // A list of the store's own is not read as long as nothing changes.
                if new.metadata().get("managedFields") != live.metadata().get("managedFields") {
                    prop_assert!(crate::validate_managed_fields(&new).is_ok());
                    prop_assert_eq!(canonical(&schema, new.clone().into_value()), new);
                }
            }
        }
    }

    #[test]
    fn to_bring_no_managed_fields_is_to_bring_those_of_the_live_object(bodies in vec(any_body(), 1..4), update_to in any_body(), other in any_json()) {
        let mut server = Server::new();
        for (who, body) in ["one", "two", "one/status", "three"].into_iter().zip(bodies) {
            server.put(who, body);
        }
        let mut live = server.live.unwrap();
        for managed in [live.metadata().get("managedFields").cloned(), Some(other), Some(json!([])), Some(json!([{}]))].into_iter().flatten() {
            live.metadata_mut().insert("managedFields".into(), managed.clone());
            for body in [live.clone(), canonical(&server.schema, update_to.clone())] {
                let write = |managed: Option<&Value>| {
                    let mut new = body.clone();
                    new.metadata_mut().remove("managedFields");
                    new.metadata_mut().extend(managed.map(|list| ("managedFields".to_owned(), list.clone())));
                    update(&server.schema, Some(&live), &mut new, manager("two", "", "2026-01-02T03:04:05Z"), reset(""));
                    new
                };
                prop_assert_eq!(write(None), write(Some(&managed)));
            }
        }
    }

    #[test]
    fn an_apply_again_changes_nothing(first in any_body(), update in any_body(), second in any_body()) {
        let mut server = Server::new();
        server.force("one", first);
        server.put("updater", update);
        server.force("two", second.clone());
        let before = server.live.clone();
        server.force("two", second.clone());
        prop_assert_eq!(&server.live, &before);
        // And nobody is in the way of what is there already.
        server.apply("two", second).unwrap();
        prop_assert_eq!(&server.live, &before);
    }

    #[test]
    fn what_nobody_else_wants_goes_when_its_applier_lets_go(body in any_body()) {
        let mut server = Server::new();
        server.apply("one", json!({"metadata": {"name": "x", "labels": {"keep": "me"}}})).unwrap();
        let before = server.live.clone().unwrap();
        server.apply("two", body).unwrap();
        server.apply("two", json!({"metadata": {"name": "x"}})).unwrap();
        prop_assert_eq!(server.live.unwrap(), before);
    }
}
