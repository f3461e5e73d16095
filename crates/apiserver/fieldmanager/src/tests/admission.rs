//! handlers/fieldmanager/{admission,equality}_test.go: after others have changed an object.

use super::kind::{Server, VERSION};
use crate::{keep_times, validate_managed_fields};
use apiserver_meta::Object;
use serde_json::{Value, json};

#[test]
fn test_admission() {
    let entry = |operation: &str, version: &str, kind: &str, time: &str| json!({"manager": "m", "operation": operation, "apiVersion": version, "fieldsType": kind, "time": time, "fieldsV1": {"f:a": {}}});
    let time = "2026-01-02T03:04:05Z";
    let cases = [
        (Value::Null, None),
        (json!([]), None),
        (json!([entry("Apply", VERSION, "FieldsV1", time)]), None),
        (json!([entry("Applied", VERSION, "FieldsV1", time)]), Some("operation must be `Apply` or `Update`")),
        (json!([entry("Apply", "", "FieldsV1", time)]), Some("apiVersion must not be empty")),
        (json!([entry("Apply", VERSION, "", time)]), Some("missing fieldsType in managed fields entry 0")),
        (json!([entry("Apply", VERSION, "V2", time)]), Some("invalid fieldsType \"V2\" in managed fields entry 0")),
        (json!([entry("Apply", VERSION, "FieldsV1", "noon")]), Some("invalid time \"noon\" in managed fields entry 0")),
        (
            json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}]),
            Some("error decoding set: missing colon: x"),
        ),
        (json!("text"), Some("managedFields must be a list")),
    ];
    for (list, want) in cases {
        let object = Object::from_value(json!({"metadata": {"managedFields": list}})).unwrap();
        assert_eq!(validate_managed_fields(&object).err().map(|error| error.to_string()).as_deref(), want, "{list}");
    }
}

type Change = fn(&mut Value);

#[test]
fn test_equal_ignoring_field_value_at_path() {
    let mut server = Server::new();
    server.put("a", json!({"metadata": {"name": "x", "labels": {"a": "1"}}}));
    server.put("b", json!({"metadata": {"name": "x", "labels": {"a": "1", "b": "1"}}}));
    let live = server.live.unwrap();
    let later = |change: Change| {
        let mut body = live.clone().into_value();
        body["metadata"]["managedFields"].as_array_mut().unwrap().reverse();
        body["metadata"]["managedFields"][1]["time"] = "2027-01-01T00:00:00Z".into();
        body["metadata"]["resourceVersion"] = "7".into();
        change(&mut body);
        Object::from_value(body).unwrap()
    };
    let kept = |mut new: Object| {
        keep_times(&live, &mut new);
        new.metadata()["managedFields"] == live.metadata()["managedFields"]
    };
    let cases: [(&str, Change, bool); 6] = [
        ("identical objects", |_| {}, true),
        ("different metadata label value", |body| body["metadata"]["labels"]["a"] = "2".into(), false),
        ("different spec value", |body| body["spec"]["clusterRef"]["cluster"] = "c".into(), false),
        ("extra field", |body| body["extra"] = 1.into(), false),
        ("another set of fields", |body| body["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:spec": {}}), false),
        ("one entry less", |body| drop(body["metadata"]["managedFields"].as_array_mut().unwrap().pop()), false),
    ];
    for (name, change, want) in cases {
        assert_eq!(kept(later(change)), want, "{name}");
    }
}
