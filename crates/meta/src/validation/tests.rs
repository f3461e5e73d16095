#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use super::*;
use serde_json::json;

fn object(metadata: Value) -> Object {
    Object::from_value(json!({ "metadata": metadata })).unwrap()
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn good_metadata_has_no_errors() {
    let good = object(json!({
        "name": "my-virtual-cluster", "namespace": "loft-p-x", "generateName": "my-", "generation": 1,
        "labels": {"a": "", "example.com/b": "C_d"}, "annotations": {"Example.COM/B": "any text {}"},
        "finalizers": ["orphan", "example.com/hold"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Secret", "name": "n", "uid": "u", "controller": true},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "n", "uid": "v", "controller": false},
        ],
        "managedFields": [{"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1"}],
    }));
    assert_eq!(validate_object_meta(&good, Scope::Namespaced), []);
    assert_eq!(validate_object_meta_update(&good, &good), []);
    assert_eq!(validate_object_meta(&object(json!({"name": "n"})), Scope::Cluster), []);
}

#[test]
fn bad_metadata_is_told_why_on_create() {
    let long = "x".repeat(256 * 1024);
    for (metadata, want) in [
        (json!({}), "metadata.name: Required value: name or generateName is required"),
        (json!({"name": ".."}), "metadata.name: Invalid value: \"..\": a lowercase RFC 1123 subdomain must"),
        (json!({"name": "a/b"}), "metadata.name: Invalid value: \"a/b\": a lowercase RFC 1123 subdomain must"),
        (json!({"name": "a", "generateName": "-"}), "metadata.generateName: Invalid value: \"-\": a lowercase"),
        (json!({"name": "a", "generation": -1}), "metadata.generation: Invalid value: -1: must be greater than or equal to 0"),
        (json!({"name": "a", "labels": {"-bad-": "ok"}}), "metadata.labels: Invalid value: \"-bad-\": name part must consist"),
        (json!({"name": "a", "labels": {"ok": "not ok!"}}), "metadata.labels: Invalid value: \"not ok!\": a valid label must"),
        (json!({"name": "a", "annotations": {"sp ace": "x"}}), "metadata.annotations: Invalid value: \"sp ace\": name part must"),
        (json!({"name": "a", "annotations": {"a": long}}), "metadata.annotations: Too long: may not be more than 262144 bytes"),
        (json!({"name": "a", "finalizers": ["not a name"]}), "metadata.finalizers: Invalid value: \"not a name\": name part must"),
        (
            json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}),
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
        ),
        (
            json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]}),
            "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"e\",\"uid\":\"u\"}: /v1, Kind=Event is disallowed from being an owner",
        ),
        (
            json!({"name": "a", "ownerReferences": [{"apiVersion": "a/b/c", "kind": "K", "name": "e", "uid": "u"}]}),
            "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty",
        ),
        (
            json!({"name": "a", "managedFields": [{"manager": "m", "operation": "Merge"}]}),
            "metadata.managedFields[0].operation: Invalid value: \"Merge\": must be `Apply` or `Update`",
        ),
        (
            json!({"name": "a", "managedFields": [{"manager": "a\u{7}", "operation": "Apply"}]}),
            "metadata.managedFields[0].manager: Invalid value: \"a\\a\": invalid character U+0007 (at position 1)",
        ),
    ] {
        let errors = texts(&validate_object_meta(&object(metadata), Scope::Cluster));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(want), "{} is not {want}", errors[0]);
    }
}

#[test]
fn scope_decides_about_the_namespace() {
    let check = |metadata, scope| texts(&validate_object_meta(&object(metadata), scope));
    assert_eq!(check(json!({"name": "a"}), Scope::Namespaced), ["metadata.namespace: Required value"]);
    assert_eq!(check(json!({"name": "a", "namespace": "n"}), Scope::Cluster), ["metadata.namespace: Forbidden: not allowed on this type"]);
    assert!(check(json!({"name": "a", "namespace": "a.b"}), Scope::Namespaced)[0].ends_with("must not contain dots"));
}

#[test]
fn owners_are_complete_and_have_one_controller() {
    let empty = object(json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "", "uid": ""}]}));
    assert_eq!(
        texts(&validate_object_meta(&empty, Scope::Cluster)),
        [
            "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ]
    );
    let reference = |name: &str| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": name, "controller": true});
    let two = object(json!({"name": "a", "ownerReferences": [reference("x"), reference("y")]}));
    let errors = texts(&validate_object_meta(&two, Scope::Cluster));
    assert!(errors[0].ends_with("Only one reference can have Controller set to true. Found \"true\" in references for K/x and K/y"));
}

#[test]
fn an_update_keeps_what_may_not_change() {
    let old = json!({"name": "a", "namespace": "n", "uid": "u", "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 2});
    let changed = |field: &str, value: Value| {
        let mut new = old.clone();
        new[field] = value;
        texts(&validate_object_meta_update(&object(new), &object(old.clone())))
    };
    let none = Vec::<String>::new();
    assert_eq!(changed("creationTimestamp", json!("2020-01-01T01:00:00+01:00")), none);
    assert_eq!(changed("deletionTimestamp", Value::Null), none);
    assert_eq!(changed("uid", json!("v")), ["metadata.uid: Invalid value: \"v\": field is immutable"]);
    assert_eq!(changed("name", json!("b")), ["metadata.name: Invalid value: \"b\": field is immutable"]);
    assert_eq!(
        changed("deletionGracePeriodSeconds", json!(5)),
        ["metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"]
    );
    assert_eq!(changed("creationTimestamp", Value::Null), ["metadata.creationTimestamp: Invalid value: null: field is immutable"]);
    assert_eq!(changed("generation", json!(1)), ["metadata.generation: Invalid value: 1: must not be decremented"]);
}

#[test]
fn a_terminating_object_takes_no_new_finalizers() {
    let meta = |finalizers: Value| object(json!({"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": finalizers}));
    let old = meta(json!(["example.com/hold", "example.com/b"]));
    assert_eq!(validate_object_meta_update(&meta(json!(["example.com/b"])), &old), []);
    assert_eq!(
        texts(&validate_object_meta_update(&meta(json!(["example.com/more", "example.com/b", "example.com/an"])), &old)),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/an\", \"example.com/more\"}"
        ]
    );
}
