//! managedfields/fieldmanager_test.go and the suites of its parts: what is tracked, when times change, moving from
//! client-side apply, the cap on update managers.

use super::kind::{Server, VERSION};
use crate::ApplyError;
use crate::managed::Managed;
use serde_json::{Value, json};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn labelled(label: &str) -> Value {
    json!({"metadata": {"name": "x", "labels": {"a": label}}})
}

fn conflicts(result: Result<&apiserver_meta::Object, ApplyError>) -> Vec<String> {
    match result {
        Err(ApplyError::Conflicts(conflicts, _)) => conflicts.into_iter().map(|conflict| conflict.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn test_update_apply_conflict() {
    let mut server = Server::new();
    server.put("updater", json!({"metadata": {"name": "x"}, "spec": {"replicas": 3}}));
    assert_eq!(conflicts(server.apply("applier", json!({"metadata": {"name": "x"}, "spec": {"replicas": 101}}))), [".spec.replicas"]);
}

#[test]
fn test_apply_strips_fields() {
    let server_fields = json!({"name": "b", "namespace": "b", "uid": "b", "selfLink": "b", "generation": 2, "resourceVersion": "b",
        "creationTimestamp": "2026-01-02T03:04:05Z"});
    let mut server = Server::new();
    let mut sent = server_fields.clone();
    sent["managedFields"] = json!([{"manager": "update", "operation": "Apply", "apiVersion": VERSION}]);
    server.put("updater", json!({"metadata": sent}));
    server.expect("update", &[]);
    server.apply("applier", json!({"metadata": server_fields})).unwrap();
    server.expect("apply", &[]);
}

#[test]
fn an_applied_object_says_nothing_of_what_the_server_writes() {
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    let before = server.live.clone();
    let mut body = labelled("b");
    body["metadata"]["creationTimestamp"] = Value::Null;
    body["metadata"]["generation"] = 7.into();
    body["status"] = json!({"phase": "Forged"});
    server.apply("a", body).unwrap();
    assert_eq!(server.live, before);
}

#[test]
fn a_resource_version_is_taken_from_an_apply_so_that_it_can_be_compared() {
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    let body = json!({"metadata": {"name": "x", "resourceVersion": "7", "uid": "other"}, "status": {"phase": "Ready"}});
    let new = server.apply("a/status", body).unwrap();
    assert_eq!((new.resource_version(), new.uid()), ("7", "other"));
}

#[test]
fn test_version_check() {
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    let error = server.apply("a", json!({"apiVersion": "library.example.com/v1beta1"})).unwrap_err();
    assert!(matches!(error, ApplyError::Malformed(_)), "{error}");
}

#[test]
fn test_apply_does_not_strip_labels() {
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    server.expect("apply", &[("a Apply", json!({"f:metadata": {"f:labels": {"f:a": {}}}}))]);
}

#[test]
fn test_apply_fails_with_managed_fields() {
    for list in [json!([]), json!([{"manager": "test"}])] {
        let error = Server::new().apply("a", json!({"metadata": {"managedFields": list}})).unwrap_err();
        assert_eq!(error.to_string(), "metadata.managedFields must be nil");
    }
    Server::new().apply("a", json!({"metadata": {"managedFields": null}})).unwrap();
}

#[test]
fn test_no_op_changes() {
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    let before = server.live.clone();
    server.apply("other", labelled("b")).unwrap();
    assert_ne!(server.live, before, "one more owner");
    assert_eq!(server.entry("other")["time"], "2026-01-02T03:00:02Z");
    let before = server.live.clone();
    server.patch("updater", |_| {});
    assert_eq!(server.live, before);
    server.force("a", labelled("b"));
    assert_eq!(server.live, before);
}

#[test]
fn an_apply_of_zero_values_twice_changes_nothing() {
    let body =
        json!({"metadata": {"name": "x", "labels": null}, "spec": {"replicas": 0, "displayName": null, "data": {}, "templateRef": {}}});
    let mut server = Server::new();
    server.apply("a", body.clone()).unwrap();
    let before = server.live.clone();
    server.apply("a", body).unwrap();
    assert_eq!(server.live, before);
}

#[test]
fn test_reset_managed_fields() {
    // TestResetManagedFieldsEmptyList, TestResetManagedFieldsEmptyItem.
    for list in [json!([]), json!([{}])] {
        let mut server = Server::new();
        server.apply("a", labelled("b")).unwrap();
        server.patch("updater", |body| body["metadata"]["managedFields"] = list.clone());
        server.expect("reset", &[]);
        server.patch("updater", |body| body["spec"]["replicas"] = 1.into());
        server.expect("nobody is tracked until the next apply", &[]);
        server.apply("a", labelled("b")).unwrap();
        assert_eq!(server.managers(), ["a", "before-first-apply"]);
    }
}

#[test]
fn managed_fields_that_a_client_sends() {
    let other = json!({"manager": "z", "operation": "Update", "apiVersion": VERSION, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:z": {}}}}});
    let cases = [
        ("absent", Value::Null, "a"),
        ("good", json!([other]), "z"),
        ("no operation", json!([{"manager": "z", "apiVersion": VERSION, "fieldsType": "FieldsV1"}]), "a"),
        ("no version", json!([{"manager": "z", "operation": "Update", "fieldsType": "FieldsV1"}]), "a"),
        ("no type", json!([{"manager": "z", "operation": "Update", "apiVersion": VERSION}]), "a"),
        ("other type", json!([{"manager": "z", "operation": "Update", "apiVersion": VERSION, "fieldsType": "FieldsV2"}]), "a"),
    ];
    for (name, list, want) in cases {
        let mut server = Server::new();
        server.apply("a", labelled("b")).unwrap();
        server.patch("updater", |body| body["metadata"]["managedFields"] = list);
        assert_eq!(server.managers(), [want], "{name}");
    }
}

#[test]
fn what_managers_of_another_version_owned_is_nobodys() {
    // TestObsoleteVersions.
    let mut server = Server::new();
    server.apply("a", labelled("b")).unwrap();
    let old = json!({"manager": "old", "operation": "Update", "apiVersion": "library.example.com/v1beta1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}}});
    server.patch("a", |body| body["metadata"]["managedFields"] = json!([old]));
    server.expect("dropped", &[]);
}

#[test]
fn test_server_side_apply_with_invalid_last_applied() {
    let mut server = Server::new();
    let annotation = |server: &Server| server.live.as_ref().unwrap().str_at(&["metadata", "annotations", LAST_APPLIED]).to_owned();
    server.put(
        "kubectl-client-side-apply",
        json!({"metadata": {"name": "x", "labels": {"a": "v1"}, "annotations": {LAST_APPLIED: "invalid"}}}),
    );
    assert_eq!(conflicts(server.apply("kubectl", labelled("v2"))), [".metadata.labels.a"]);
    assert_eq!(annotation(&server), "invalid");
    server.force("kubectl", labelled("v2"));
    let want = json!({"apiVersion": VERSION, "kind": "Book", "metadata": {"name": "x", "labels": {"a": "v2"}}});
    assert_eq!(annotation(&server), format!("{want}\n"));
}

/// An object that was applied client-side, with what its annotation says.
fn client_side_applied(mut live: Value, last_applied: Option<Value>) -> Server {
    let mut server = Server::new();
    if let Some(mut last) = last_applied {
        last["apiVersion"] = VERSION.into();
        live["metadata"]["annotations"] = json!({LAST_APPLIED: last.to_string()});
    }
    server.put("kubectl-client-side-apply", live);
    server
}

#[test]
fn test_interop_for_client_side_apply_and_server_side_apply() {
    let body = |version: &str| {
        json!({"metadata": {"name": "x", "labels": {"a": version}},
        "spec": {"replicas": version.len(), "selector": {"app": version}, "containers": [{"name": "c", "image": version}]}})
    };
    let mut server = client_side_applied(body("v1"), Some(body("v1")));
    let new = server.apply("kubectl", body("v-2")).unwrap();
    assert!(new.str_at(&["metadata", "annotations", LAST_APPLIED]).contains("v-2"));
    // What was applied client-side only is left to the update manager.
    assert_eq!(server.managers(), ["kubectl", "kubectl-client-side-apply"]);
    let old = server.entry("kubectl-client-side-apply")["fieldsV1"]["f:spec"].clone();
    assert_eq!(old["f:containers"], json!({".": {}, "k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}));
}

#[test]
fn test_apply_using_last_applied_annotation() {
    let image = |image: &str| json!([{"name": "c", "image": image}]);
    let last = json!({"metadata": {"name": "x"}, "spec": {"replicas": 3, "selector": {"app": "old"},
        "containers": [{"name": "c", "image": "v1"}, {"name": "gone", "image": "v1"}]}});
    let live = json!({"metadata": {"name": "x", "labels": {"app": "old"}}, "spec": {"replicas": 100, "selector": {"app": "old"}, "containers": image("v2")}});
    let new = json!({"metadata": {"name": "x", "labels": {"app": "new"}}, "spec": {"replicas": 333, "selector": {"app": "new"}, "containers": image("new")}});
    let strange = [".metadata.labels.app", ".spec.replicas", ".spec.containers[name=\"c\"].image"];
    let all = [".metadata.labels.app", ".spec.replicas", ".spec.selector", ".spec.containers[name=\"c\"].image"];
    let cases = [
        ("only what the annotation says and the object still has", "kubectl", Some(last.clone()), &strange[..]),
        ("another manager", "not_kubectl", Some(last.clone()), &all[..]),
        ("no annotation", "kubectl", None, &all[..]),
        ("an annotation that is no object of the kind", "kubectl", Some(json!({"spec": {"bogus": 1}})), &all[..]),
    ];
    for (name, who, last, want) in cases {
        let mut server = client_side_applied(live.clone(), last);
        let mut got = conflicts(server.apply(who, new.clone()));
        got.sort();
        let mut want = want.to_vec();
        want.sort_unstable();
        assert_eq!(got, want, "{name}");
    }
    let mut server = client_side_applied(live.clone(), None);
    server.apply("kubectl", live).unwrap();
}

#[test]
fn test_large_last_applied() {
    let mut server = client_side_applied(labelled("b"), Some(labelled("b")));
    let data: serde_json::Map<String, Value> =
        (0..9_999).map(|i| (format!("a-key-that-makes-the-annotation-large-{i}"), "A".into())).collect();
    let new = server.apply("kubectl", json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"data": data}})).unwrap();
    assert!(new.metadata().get("annotations").is_none_or(|annotations| annotations.get(LAST_APPLIED).is_none()));
}

#[test]
fn test_no_track_managed_fields_for_client_side_apply() {
    let mut server = Server::new();
    server.put("kubectl_create", json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 100}}));
    assert_eq!(server.managers(), ["kubectl_create"]);
    server.patch("kubectl_replace", |body| body["metadata"]["managedFields"] = json!([]));
    server.expect("stopped", &[]);
    let last = json!({"apiVersion": VERSION, "metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 100}}).to_string();
    server.patch("kubectl_client_side", |body| body["metadata"]["annotations"] = json!({LAST_APPLIED: last}));
    server.expect("still", &[]);
    server.apply("someone", json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 100}})).unwrap();
    assert_eq!(server.managers(), ["someone", "before-first-apply"]);
    assert_eq!(conflicts(server.apply("someone-else", labelled("c"))), [".metadata.labels.a", ".metadata.labels.a"]);
    server.apply("kubectl", json!({"metadata": {"name": "x", "labels": {"a": "c"}}, "spec": {"replicas": 8}})).unwrap();
    assert!(server.live.as_ref().unwrap().str_at(&["metadata", "annotations", LAST_APPLIED]).contains("8"));
}

#[test]
fn test_no_update_before_first_apply() {
    let mut server = Server::new();
    server.apply("applier", labelled("nginx")).unwrap();
    assert_eq!(server.managers(), ["applier"]);
}

#[test]
fn test_update_before_first_apply() {
    let mut server = Server::new();
    server.put("updater", labelled("my-nginx"));
    server.patch("updater", |body| body["metadata"]["managedFields"] = json!([]));
    let error = server.apply("applier", labelled("nginx")).unwrap_err().to_string();
    assert_eq!(error, format!("Apply failed with 1 conflict: conflict with \"before-first-apply\" using {VERSION}: .metadata.labels.a"));
    server.force("applier", labelled("nginx"));
    assert_eq!(server.managers(), ["applier", "before-first-apply"]);
}

#[test]
fn test_update_via_subresources() {
    let mut server = Server::new();
    let sent = json!([{"manager": "test", "operation": "Apply", "apiVersion": VERSION, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:z": {}}}}}]);
    server.put("creator", labelled("b"));
    for list in [sent, json!([]), json!([{}])] {
        server.put("sub/status", json!({"metadata": {"managedFields": list}, "status": {"phase": "Ready"}}));
        assert_eq!(server.managers(), ["creator", "sub"]);
    }
    assert_eq!(server.entry("sub")["subresource"], "status");
}

#[test]
fn test_managed_fields_times() {
    // TestManagedFieldsUpdate/ApplyDoesModifyTime, ...WithoutChanges..., TestNonManagedFields..., TestTakingOver...
    let data = |value: Value| json!({"metadata": {"name": "x"}, "spec": {"data": value}});
    let mut server = Server::new();
    server.put("a", data(json!({"one": "1", "two": "1"})));
    server.put("a", data(json!({"one": "2", "two": "1"})));
    assert_eq!(server.entry("a")["time"], "2026-01-02T03:00:02Z", "a value changed, the set did not");
    server.put("b", data(json!({"one": "2", "two": "2"})));
    assert_eq!(server.entry("a")["time"], "2026-01-02T03:00:02Z", "a field taken over");
    server.put("a", data(json!({"one": "2", "two": "2"})));
    assert_eq!(server.entry("a")["time"], "2026-01-02T03:00:02Z", "nothing changed");
    server.force("c", data(json!({"one": "3"})));
    server.apply("d", data(json!({"three": "1"}))).unwrap();
    assert_eq!(server.entry("c")["time"], "2026-01-02T03:00:05Z", "somebody else's field");
    server.apply("c", data(json!({"one": "4"}))).unwrap();
    assert_eq!(server.entry("c")["time"], "2026-01-02T03:00:07Z", "an applied value changed");
    server.apply("c", data(json!({"one": "4"}))).unwrap();
    assert_eq!(server.entry("c")["time"], "2026-01-02T03:00:07Z", "nothing changed");
    assert_eq!(server.entry("d")["time"], "2026-01-02T03:00:06Z");
}

#[test]
fn test_apply_does_not_change_managed_fields() {
    let z = json!({"metadata": {"name": "x", "labels": {"app": "nginx"}}, "spec": {"selector": {"app": "nginx"}, "containers": [{"name": "c", "image": "i"}]}});
    let mut server = Server::new();
    server.apply("z", z.clone()).unwrap();
    server.apply("b", json!({"metadata": {"name": "x"}, "spec": {"replicas": 101}})).unwrap();
    let before = server.live.clone();
    server.apply("z", z.clone()).unwrap();
    assert_eq!(server.live, before);
    // TestUpdateDoesNotChangeManagedFields.
    let mut server = Server::new();
    server.put("z", z.clone());
    let before = server.managed();
    server.put("z", z);
    assert_eq!(server.managed(), before);
}

#[test]
fn test_build_manager_identifier() {
    // The same name: by version for updates, by subresource and operation for both.
    let mut server = Server::new();
    server.put("m", labelled("a"));
    server.apply("m", json!({"metadata": {"name": "x"}, "spec": {"replicas": 1}})).unwrap();
    server.put("m/status", json!({"metadata": {}, "status": {"phase": "Ready"}}));
    server.apply("m/status", json!({"metadata": {"name": "x"}, "status": {"reason": "r"}})).unwrap();
    server.put("", json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 1}}));
    assert_eq!(server.managers(), ["m", "m", "m", "m", "unknown"]);
}

#[test]
fn test_cap_managers_manager_merges_entries() {
    let mut server = Server::new();
    server.apply("applier", json!({"metadata": {"name": "x"}, "spec": {"replicas": 1}})).unwrap();
    for n in 0..10 {
        server.patch(&format!("update-{n}"), |body| body["metadata"]["labels"][format!("l{n}")] = "true".into());
    }
    assert_eq!(server.managers().len(), 11);
    for n in 10..14 {
        server.patch(&format!("update-{n}"), |body| body["metadata"]["labels"][format!("l{n}")] = "true".into());
    }
    assert_eq!(server.managers()[..3], ["applier", "ancient-changes", "update-5"]);
    assert_eq!(server.managers().len(), 11);
    let ancient = server.entry("ancient-changes");
    assert_eq!(
        ancient["fieldsV1"],
        json!({"f:metadata": {"f:labels": {".": {}, "f:l0": {}, "f:l1": {}, "f:l2": {}, "f:l3": {}, "f:l4": {}}}})
    );
    assert_eq!(ancient["time"], "2026-01-02T03:00:06Z", "that of the newest that was merged");
}

fn entry(manager: &str, operation: &str, time: &str, fields: &[&str]) -> Value {
    let fields: serde_json::Map<String, Value> = fields.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
    let mut out = json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
    if !time.is_empty() {
        out["time"] = time.into();
    }
    out
}

#[test]
fn test_cap_update_managers() {
    let hour = |n: u32| format!("2026-01-01T{n:02}:00:00Z");
    let update = |name: &str, n: u32, fields: &[&str]| entry(name, "Update", &hour(n), fields);
    let cases = [
        (
            "one version, no ancient changes",
            json!([update("m1", 1, &["a"]), update("m2", 2, &["b"]), update("m3", 3, &["c"]), update("m4", 4, &["d"])]),
            json!([update("ancient-changes", 2, &["a", "b"]), update("m3", 3, &["c"]), update("m4", 4, &["d"])]),
        ),
        (
            "one version, one ancient changes",
            json!([update("ancient-changes", 2, &["a", "b"]), update("m3", 3, &["c"]), update("m4", 4, &["d"]), update("m5", 5, &["e"])]),
            json!([update("ancient-changes", 3, &["a", "b", "c"]), update("m4", 4, &["d"]), update("m5", 5, &["e"])]),
        ),
        (
            "the bucket is not the oldest",
            json!([update("m1", 1, &["x"]), update("m2", 2, &["y"]), update("ancient-changes", 3, &["a"]), update("m5", 5, &["e"])]),
            json!([update("ancient-changes", 2, &["a", "x", "y"]), update("m5", 5, &["e"])]),
        ),
    ];
    for (name, input, want) in cases {
        let mut managed = Managed::decode(&input).unwrap();
        managed.cap(3);
        assert_eq!(managed.encode().unwrap(), want, "{name}");
    }
}

#[test]
fn test_sort_encoded_managed_fields() {
    let names = |list: &Value| -> Vec<String> {
        let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or("-").to_owned();
        list.as_array().unwrap().iter().map(|e| format!("{} {} {}", text(e, "manager"), text(e, "time"), text(e, "subresource"))).collect()
    };
    let sub = |subresource: &str| {
        let mut out = entry("a", "Apply", "", &["x"]);
        out["subresource"] = subresource.into();
        out
    };
    let cases = [
        (
            "appliers first, without time first, then by time, then by name",
            json!([
                entry("c", "Update", "2001-01-01T01:00:00Z", &["x"]),
                entry("a", "Apply", "2001-01-01T01:00:00Z", &["x"]),
                entry("g", "Apply", "", &["x"]),
                entry("f", "Update", "2002-01-01T01:00:00Z", &["x"]),
                entry("d", "Update", "2002-01-01T01:00:00Z", &["x"]),
                entry("b", "Apply", "", &["x"])
            ]),
            &[
                "b - -",
                "g - -",
                "a 2001-01-01T01:00:00Z -",
                "c 2001-01-01T01:00:00Z -",
                "d 2002-01-01T01:00:00Z -",
                "f 2002-01-01T01:00:00Z -",
            ][..],
        ),
        (
            "sort drops nanoseconds, and offsets are of UTC",
            json!([
                entry("c", "Update", "2000-01-01T00:00:00.000000001Z", &["x"]),
                entry("a", "Update", "2000-01-01T02:00:00.5+02:00", &["x"]),
                entry("b", "Update", "2000-01-01T00:00:00.000000003Z", &["x"])
            ]),
            &["a 2000-01-01T00:00:00Z -", "b 2000-01-01T00:00:00Z -", "c 2000-01-01T00:00:00Z -"][..],
        ),
        (
            "entries with subresource field",
            json!([sub("status"), sub("scale"), entry("a", "Apply", "", &["x"])]),
            &["a - -", "a - scale", "a - status"][..],
        ),
        ("entries without fields go", json!([entry("a", "Apply", "", &[]), entry("b", "Apply", "", &["x"])]), &["b - -"][..]),
        (
            "a manager stands once",
            json!([entry("a", "Update", "", &["x"]), entry("a", "Update", "2000-01-01T00:00:00Z", &["y"])]),
            &["a 2000-01-01T00:00:00Z -"][..],
        ),
    ];
    for (name, input, want) in cases {
        assert_eq!(names(&Managed::decode(&input).unwrap().encode().unwrap()), want, "{name}");
    }
    assert_eq!(Managed::decode(&json!([])).unwrap().encode(), None, "empty");
}

#[test]
fn an_apply_that_says_nothing_of_metadata_any_more_leaves_the_address() {
    let mut server = Server::new();
    server.apply("ann", json!({"metadata": {"name": "n", "labels": {"a": "b"}}})).unwrap();
    let left = server.apply("ann", json!({"metadata": {"name": "n"}})).unwrap();
    assert_eq!((left.name(), left.metadata().get("labels"), left.uid()), ("n", None, "u-1"));
}

/// As many as an object has room for, below keys that are long.
#[test]
fn of_very_many_conflicts_the_first_are_told() {
    let (long, many) = ("k".repeat(100_000), 20_000);
    let data = |value: &str| {
        (0..many).map(|index| (format!("{long:.100}{index}"), Value::from(value))).chain([(long.clone(), value.into())]).collect()
    };
    let body = |value: &str| json!({"metadata": {"name": "x"}, "spec": {"data": Value::Object(data(value))}});
    let mut server = Server::new();
    server.apply("one", body("1")).unwrap();
    let Err(ApplyError::Conflicts(told, all)) = server.apply("two", body("2")) else { panic!("no conflict") };
    assert_eq!((told.len(), all), (100, many + 1));
    assert!(told.iter().all(|conflict| conflict.field.len() <= 1027));
    let message = ApplyError::Conflicts(told, all).to_string();
    assert!(
        message.starts_with("Apply failed with 20001 conflicts: ") && message.ends_with("and more: the first 100 are told"),
        "{message:.200}"
    );
}

#[test]
fn what_does_not_fit_is_told_shortly() {
    let mut server = Server::new();
    for (value, want) in [
        (json!({"secret": "s3cret"}), "expected string, got a map"),
        (json!(["s3cret"]), "expected string, got a list"),
        (json!(1), "expected string, got 1"),
    ] {
        let error = server.apply("one", json!({"metadata": {"name": "x"}, "spec": {"displayName": value}})).unwrap_err().to_string();
        assert!(error.contains(want) && !error.contains("s3cret"), "{error}");
    }
    let error = server.apply("one", json!({"metadata": {"name": "x"}, "spec": {"x".repeat(1 << 20): 1}})).unwrap_err().to_string();
    assert!(error.len() < 2000, "{error:.200}");
}

fn free(value: &Value) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"free": value}})
}

#[test]
fn managers_share_an_object_without_a_schema_key_by_key() {
    let mut server = Server::new();
    server.apply("a", free(&json!({"cluster": {"name": "c"}, "list": [1]}))).unwrap();
    server.apply("b", free(&json!({"cluster": {"size": 3}, "enabled": true}))).unwrap();
    let merged = json!({"cluster": {"name": "c", "size": 3}, "enabled": true, "list": [1]});
    assert_eq!(server.live.as_ref().unwrap().0["spec"]["free"], merged);
    let set = |below: Value| json!({"f:spec": {"f:free": below}});
    server.expect(
        "both own their own",
        &[
            ("a Apply", set(json!({"f:cluster": {".": {}, "f:name": {}}, "f:list": {}}))),
            ("b Apply", set(json!({"f:cluster": {".": {}, "f:size": {}}, "f:enabled": {}}))),
        ],
    );
    assert_eq!(conflicts(server.apply("b", free(&json!({"list": [1, 2]})))), [".spec.free.list"]);
    server.apply("a", free(&json!({"cluster": {"name": "c"}}))).unwrap();
    server.apply("b", free(&json!({"enabled": true}))).unwrap();
    assert_eq!(server.live.as_ref().unwrap().0["spec"]["free"], json!({"cluster": {"name": "c"}, "enabled": true}));
}

/// Objects without a schema were once owned whole: whoever owned one owns what is in it.
#[test]
fn an_owner_of_a_whole_object_without_a_schema_owns_its_keys() {
    for (operation, verb) in [("Apply", "apply"), ("Update", "update")] {
        let mut server = Server::new();
        server.apply("a", free(&json!({"x": 1, "y": {"z": 1}}))).unwrap();
        let entry = json!({"manager": "a", "operation": operation, "apiVersion": VERSION, "time": "2026-01-02T03:04:05Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:free": {}}}});
        server.live.as_mut().unwrap().metadata_mut().insert("managedFields".into(), json!([entry]));
        assert_eq!(conflicts(server.apply("b", free(&json!({"x": 2})))), [".spec.free.x"], "{verb}");
        server.put("c", free(&json!({"x": 1, "y": {"z": 1}, "w": 1})));
        assert_eq!(conflicts(server.apply("b", free(&json!({"y": {"z": 2}})))), [".spec.free.y.z"], "{verb}");
        if operation == "Apply" {
            server.apply("a", free(&json!({"x": 1}))).unwrap();
            assert_eq!(server.live.as_ref().unwrap().0["spec"]["free"], json!({"x": 1, "w": 1}));
        }
    }
}
