#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use super::*;
use crate::testing::cost;
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
        "name": "my-book", "namespace": "room-x", "generateName": "my-", "generation": 1,
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

/// The cases of k8s.io/apimachinery/pkg/apis/meta/v1/validation and pkg/api/validation.
#[test]
fn label_and_annotation_keys_are_judged_as_upstream_judges_them() {
    let check = |field: &str, key: &str, value: &str| {
        let errors = texts(&validate_object_meta(&object(json!({"name": "a", field: {key: value}})), Scope::Cluster));
        (errors.len(), errors.first().cloned().unwrap_or_default())
    };
    for field in ["labels", "annotations"] {
        for key in [
            "simple",
            "now-with-dashes",
            "1-starts-with-num",
            "1234",
            "simple/simple",
            "now-with-dashes/now-with-dashes",
            "now.with.dots/simple",
            "now-with.dashes-and.dots/simple",
            "1-num.2-num/3-num",
            "1234/5678",
            "1.2.3.4/5678",
            "UpperCase123",
        ] {
            assert_eq!(check(field, key, "bar").0, 0, "{field} {key}");
        }
        for (key, want) in [
            ("nospecialchars^=@", "name part must consist of"),
            ("cantendwithadash-", "name part must consist of"),
            ("only/one/slash", "a valid label key must consist of"),
            (&"a".repeat(254), "must be no more than"),
        ] {
            let (errors, first) = check(field, key, "bar");
            assert!(errors == 1 && first.contains(want), "{field} {key}: {first}");
        }
    }
    for (value, want) in [
        ("123_-.BaR", ""),
        (&"a".repeat(64), "must be no more than"),
        ("some\\bad\\value", "a valid label must be an empty string or consist of"),
        ("bad,value", "a valid label must be an empty string or consist of"),
        ("?#$notsogood", "a valid label must be an empty string or consist of"),
    ] {
        let (errors, first) = check("labels", "key", value);
        assert!(errors == usize::from(!want.is_empty()) && first.contains(want), "{value}: {first}");
    }
    for (sizes, want) in [(&[256 * 1024 - 1][..], 0), (&[128 * 1024 - 1; 2], 0), (&[256 * 1024], 1), (&[128 * 1024; 2], 1)] {
        let annotations: serde_json::Map<_, _> =
            ["a", "b"].iter().zip(sizes).map(|(key, size)| ((*key).into(), "x".repeat(*size).into())).collect();
        let errors = validate_object_meta(&object(json!({"name": "a", "annotations": annotations})), Scope::Cluster);
        assert_eq!(errors.len(), want, "{sizes:?}");
    }
}

#[test]
fn owners_finalizers_and_managers_are_judged_as_upstream_judges_them() {
    let owner = |api_version: &str, kind: &str, controller: Value| json!({"apiVersion": api_version, "kind": kind, "name": "n", "uid": "1", "controller": controller});
    let entry = |operation: &str, fields_type: &str, manager: &str, subresource: String| json!({"ownerReferences": [], "managedFields": [{"operation": operation, "fieldsType": fields_type, "manager": manager, "subresource": subresource}]});
    let none = String::new;
    for (metadata, want) in [
        (json!({"ownerReferences": [owner("thirdVersion", "thirdKind", Value::Null)]}), ""),
        (json!({"ownerReferences": [owner("v1", "Pod", Value::Null)]}), ""),
        (json!({"ownerReferences": [owner("v1", "Event", Value::Null)]}), "is disallowed from being an owner"),
        (json!({"ownerReferences": [owner("a/b/c", "Pod", Value::Null)]}), "version must not be empty"),
        (json!({"ownerReferences": [owner("foo/", "Pod", Value::Null)]}), "version must not be empty"),
        (
            json!({"ownerReferences": [owner("v", "K1", json!(false)), owner("v", "K2", json!(true)), owner("v", "K3", json!(false)), owner("v", "K4", Value::Null)]}),
            "",
        ),
        (
            json!({"ownerReferences": [owner("v", "K1", json!(false)), owner("v", "K2", json!(true)), owner("v", "K3", json!(true))]}),
            "Only one reference can have Controller set to true. Found \"true\" in references for K2/n and K3/n",
        ),
        (json!({"finalizers": ["orphan", "foregroundDeletion"]}), "cannot be both set"),
        (json!({"generateName": "foo-"}), ""),
        (entry("Update", "", "", none()), ""),
        (entry("Update", "FieldsV1", "", none()), ""),
        (entry("Apply", "FieldsV1", "", "scale".into()), ""),
        (entry("Apply", "FieldsV1", "\u{1f354}", none()), ""),
        (entry("Update", "RandomVersion", "", none()), "must be `FieldsV1`"),
        (entry("RandomOperation", "FieldsV1", "", none()), "must be `Apply` or `Update`"),
        (entry("", "FieldsV1", "", none()), "must be `Apply` or `Update`"),
        (entry("Update", "FieldsV1", "field\nmanager", none()), "invalid character U+000A (at position 5)"),
        (entry("Apply", "FieldsV1", "", "TooLong".repeat(37)), "Too long: may not be more than 256 bytes"),
    ] {
        let mut metadata = metadata;
        metadata["name"] = json!("test");
        let errors = texts(&validate_object_meta(&object(metadata), Scope::Cluster));
        assert!(errors.len() == usize::from(!want.is_empty()) && errors.iter().all(|error| error.contains(want)), "{want}: {errors:?}");
    }
    let namespace = object(json!({"name": "test", "namespace": "aB".repeat(32)}));
    assert_eq!(validate_object_meta(&namespace, Scope::Namespaced).len(), 2);
}

#[test]
fn updates_are_judged_as_upstream_judges_them() {
    let (now, later) = ("1970-01-01T00:16:40Z", "1970-01-01T00:33:20Z");
    for (old, new, want) in [
        (json!({}), json!({}), None),
        (
            json!({"deletionTimestamp": now, "deletionGracePeriodSeconds": 30}),
            json!({"deletionTimestamp": now, "deletionGracePeriodSeconds": 30}),
            None,
        ),
        (
            json!({}),
            json!({"deletionTimestamp": now}),
            Some("deletionTimestamp: Invalid value: \"1970-01-01T00:16:40Z\": field is immutable"),
        ),
        (json!({"deletionTimestamp": now}), json!({}), Some("deletionTimestamp: Invalid value: null: field is immutable")),
        (
            json!({"deletionTimestamp": now}),
            json!({"deletionTimestamp": later}),
            Some("deletionTimestamp: Invalid value: \"1970-01-01T00:33:20Z\": field is immutable"),
        ),
        (json!({}), json!({"deletionGracePeriodSeconds": 30}), Some("deletionGracePeriodSeconds: Invalid value: 30: field is immutable")),
        (json!({"deletionGracePeriodSeconds": 30}), json!({}), Some("deletionGracePeriodSeconds: Invalid value: null: field is immutable")),
        (
            json!({"deletionGracePeriodSeconds": 30}),
            json!({"deletionGracePeriodSeconds": 40}),
            Some("deletionGracePeriodSeconds: Invalid value: 40: field is immutable"),
        ),
        (json!({"creationTimestamp": now}), json!({}), Some("creationTimestamp: Invalid value: null: field is immutable")),
        (
            json!({}),
            json!({"creationTimestamp": now}),
            Some("creationTimestamp: Invalid value: \"1970-01-01T00:16:40Z\": field is immutable"),
        ),
        (
            json!({"creationTimestamp": later}),
            json!({"creationTimestamp": now}),
            Some("creationTimestamp: Invalid value: \"1970-01-01T00:16:40Z\": field is immutable"),
        ),
        (json!({"namespace": "n"}), json!({}), Some("namespace: Invalid value: \"\": field is immutable")),
        (json!({"uid": "u"}), json!({}), Some("uid: Invalid value: \"\": field is immutable")),
        (json!({"generation": 5}), json!({"generation": 4}), Some("generation: Invalid value: 4: must not be decremented")),
        (json!({"generation": 1}), json!({"generation": 2}), None),
        (json!({"generation": 5}), json!({"generation": 5}), None),
        (json!({"finalizers": ["x/a"]}), json!({"finalizers": ["x/a", "y/b"]}), None),
        (
            json!({"deletionTimestamp": now, "finalizers": ["x/a"]}),
            json!({"deletionTimestamp": now, "finalizers": ["x/b"]}),
            Some(
                "finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/b\"}",
            ),
        ),
        (json!({"deletionTimestamp": now, "finalizers": ["x/a", "y/b"]}), json!({"deletionTimestamp": now, "finalizers": ["x/a"]}), None),
    ] {
        let errors = texts(&validate_object_meta_update(&object(new.clone()), &object(old.clone())));
        assert_eq!(errors, want.map(|want| format!("metadata.{want}")).as_slice(), "{old} to {new}");
        // By themselves all of them are good.
        assert_eq!(texts(&validate_object_meta_step(&object(new.clone()), &object(old.clone()))), errors, "{old} to {new}");
    }
}

/// What shows the whole in each of many errors takes all memory.
#[test]
fn bodies_full_of_faults_have_a_bounded_answer() {
    let count = 30_000;
    let text = |n: usize| format!("!{n}");
    let bad: serde_json::Map<String, Value> = (0..count).map(|n| (text(n), "".into())).collect();
    let owner = |n| json!({"apiVersion": "v1", "kind": "K", "name": text(n), "uid": "u", "controller": true});
    for (field, value) in [
        ("labels", json!(bad)),
        ("annotations", json!(bad)),
        ("finalizers", (0..count).map(text).collect()),
        ("ownerReferences", (0..3_000).map(owner).collect()),
        ("ownerReferences", vec![json!({}); count].into()),
        ("managedFields", vec![json!({}); count].into()),
        ("managedFields", json!([{"operation": "Apply", "manager": "\u{7}".repeat(100_000)}])),
    ] {
        let errors = validate_object_meta(&object(json!({"name": "a", field: value})), Scope::Cluster);
        let message = crate::ApiError::invalid("g", "K", "a", &errors).message;
        assert!(!errors.is_empty() && errors.len() < 5_000 && message.len() < 2_000_000, "{field}: {} {}", errors.len(), message.len());
    }
}

#[test]
fn many_finalizers_cost_no_more_than_their_number() {
    let terminating = |prefix: &str, count: usize| {
        let finalizers: Vec<String> = (0..count).map(|n| format!("{prefix}/{n}")).collect();
        object(json!({"name": "a", "deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": finalizers}))
    };
    let work = |count| assert_eq!(validate_object_meta_update(&terminating("b", count), &terminating("a", count)).len(), 1);
    let growth = cost::growth(work, 1_000);
    assert!(growth < 4.0, "{growth:?}");
}
