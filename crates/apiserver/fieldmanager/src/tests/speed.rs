//! What a write costs, to be read by people:
//! `cargo test --release -p apiserver-fieldmanager -- --ignored --nocapture speed`.

#![allow(clippy::print_stdout, reason = "the numbers are the point")]

use super::kind::{Server, canonical, manager, reset, schema};
use crate::{apply, update};
use apiserver_meta::Object;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// About 1.3 KB.
fn body() -> Value {
    let rules: Vec<Value> =
        (0..3).map(|n| json!({"name": format!("rule-{n}"), "verbs": ["get", "list", "use"], "users": [format!("user-{n}")]})).collect();
    json!({"apiVersion": "library.example.com/v1", "kind": "Book",
        "metadata": {"name": "my-book", "namespace": "room-my-shelf",
            "labels": {"app": "demo", "env": "dev", "team": "platform", "tier": "gold"},
            "annotations": {"example.com/one": "a value of some length", "example.com/two": "another value of some length"}},
        "spec": {"displayName": "My virtual cluster", "description": "A cluster for the demo of the platform team", "owner": {"user": "my-user"},
            "templateRef": {"name": "my-template", "version": "1.2.x"}, "clusterRef": {"cluster": "one-cluster", "namespace": "my-room"},
            "parameters": "size: small\nhighAvailability: false\nversion: v1.33\n", "access": rules,
            "containers": [{"name": "a", "image": "registry.example.com/a:v1"}, {"name": "b", "image": "registry.example.com/b:v1"}]},
        "status": {"phase": "Ready", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"},
            {"type": "Scheduled", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]}})
}

/// The best of many rounds: others may be using the machine.
fn measure(name: &str, mut step: impl FnMut()) {
    let round = |step: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..100).for_each(|_| step());
        start.elapsed() / 100
    };
    let best = (0..200).map(|_| round(&mut step)).min();
    println!("{name}: {:?}", best.unwrap());
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let schema = schema();
    let time = "2026-01-02T03:04:05Z";
    let new = canonical(&schema, body());
    println!("object: {} bytes", new.to_bytes().len());
    measure("clone", || drop(black_box(new.clone())));
    measure("create", || {
        let mut new = new.clone();
        update(&schema, None, &mut new, manager("kubectl", "", time), reset(""));
        black_box(&new);
    });
    measure("conform", || drop(black_box(canonical(&schema, new.clone().into_value()))));
    let mut server = Server::new();
    server.put("kubectl", body());
    server.patch("controller", |body| body["metadata"]["finalizers"] = json!(["example.com/one"]));
    server.put("controller/status", body());
    let live = server.live.clone().unwrap();
    println!("live object: {} bytes", live.to_bytes().len());
    let mut changed = live.clone();
    changed.0["spec"]["displayName"] = "renamed".into();
    for (name, object) in [("update of one field", &changed), ("update of nothing", &live)] {
        measure(name, || {
            let mut new = object.clone();
            update(&schema, Some(&live), &mut new, manager("kubectl", "", time), reset(""));
            black_box(&new);
        });
    }
    let mut applied = body();
    applied["status"] = Value::Null;
    let applied = Object::from_value(applied).unwrap();
    let live = server.force("argo", applied.clone().into_value()).clone();
    measure("apply of nothing new", || {
        drop(black_box(apply(&schema, Some(&live), &applied, manager("argo", "", time), false, reset("")).unwrap()))
    });
    let mut fewer = applied.clone();
    fewer.0["spec"].as_object_mut().unwrap().remove("containers");
    measure("apply that lets go", || {
        drop(black_box(apply(&schema, Some(&live), &fewer, manager("argo", "", time), false, reset("")).unwrap()))
    });
}
