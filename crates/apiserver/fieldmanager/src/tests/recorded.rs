//! What a typed Go server on k8s.io/apiserver 1.36 answered to the same requests.

use super::kind::Server;
use crate::ApplyError;
use serde_json::{Value, json};

fn remove(body: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
}

#[test]
fn crud() {
    let mut server = Server::new();
    server.put(
        "replay",
        json!({"metadata": {"creationTimestamp": null, "name": "v", "namespace": "n"}, "spec": {"clusterRef": {}, "displayName": "d",
            "owner": {"user": "u"}, "parameters": "p: v", "templateRef": {"name": "t"}}, "status": {}}),
    );
    let spec =
        json!({"f:displayName": {}, "f:owner": {".": {}, "f:user": {}}, "f:parameters": {}, "f:templateRef": {".": {}, "f:name": {}}});
    server.expect("create-yaml", &[("replay Update", json!({"f:spec": spec}))]);

    server.put("replay", json!({"metadata": {"name": "v", "namespace": "n"}, "spec": {"displayName": "renamed", "templateRef": {"name": "t", "version": "1.2.x"}}}));
    let spec = json!({"f:displayName": {}, "f:templateRef": {".": {}, "f:name": {}, "f:version": {}}});
    server.expect("put", &[("replay Update", json!({"f:spec": spec}))]);

    let before = server.live.clone();
    server.patch("replay", |_| {});
    assert_eq!(server.live, before, "put-no-change");

    server.patch("replay", |body| body["metadata"]["annotations"] = json!({"my-annotation": "my-value"}));
    let annotations = json!({"f:annotations": {".": {}, "f:my-annotation": {}}});
    server.expect("json-patch-annotations", &[("replay Update", json!({"f:metadata": annotations, "f:spec": spec}))]);
}

#[test]
fn patches() {
    let mut server = Server::new();
    server.put(
        "replay",
        json!({"metadata": {"name": "p", "annotations": {"a": "1"}}, "spec": {"displayName": "one", "templateRef": {"name": "t"},
            "access": [{"name": "r1", "verbs": ["get"], "users": ["u1"]}]}}),
    );
    let template = json!({".": {}, "f:name": {}});
    let spec = json!({"f:access": {}, "f:displayName": {}, "f:templateRef": template});
    let owns = |annotations: Value, spec: &Value| json!({"f:metadata": {"f:annotations": annotations}, "f:spec": spec});
    server.expect("create", &[("replay Update", owns(json!({".": {}, "f:a": {}}), &spec))]);

    server.patch("replay", |body| body["metadata"]["annotations"]["mine"] = "x".into());
    server.expect("jp-add", &[("replay Update", owns(json!({".": {}, "f:a": {}, "f:mine": {}}), &spec))]);

    server.patch("replay", |body| {
        body["spec"]["displayName"] = "two".into();
        remove(body, "/metadata/annotations/a");
    });
    let mine = json!({".": {}, "f:mine": {}});
    server.expect("jp-replace-remove", &[("replay Update", owns(mine.clone(), &spec))]);

    // Atomic lists may repeat a name.
    server.patch("replay", |body| {
        let rule = body["spec"]["access"][0].clone();
        body["spec"]["access"].as_array_mut().unwrap().push(rule);
        remove(body, "/spec/displayName");
        body["spec"]["description"] = "two".into();
    });
    let moved = json!({"f:access": {}, "f:description": {}, "f:templateRef": template});
    server.expect("jp-move-copy", &[("replay Update", owns(mine.clone(), &moved))]);

    server.patch("replay", |body| {
        body["metadata"]["labels"] = json!({"env": "dev"});
        body["spec"]["description"] = Value::Null;
        body["spec"]["displayName"] = "four".into();
    });
    let metadata = json!({"f:annotations": mine, "f:labels": {".": {}, "f:env": {}}});
    server.expect("mp-set-and-null", &[("replay Update", json!({"f:metadata": metadata, "f:spec": spec}))]);

    let before = server.live.clone();
    server.patch("replay", |body| body["status"] = json!({"phase": "Ready"}));
    assert_eq!(server.live, before, "mp-status-is-ignored");
}

#[test]
fn status() {
    let mut server = Server::new();
    server.put(
        "replay",
        json!({"metadata": {"name": "s"}, "spec": {"displayName": "one"}, "status": {"phase": "Ready", "message": "from the creator"}}),
    );
    let creator = ("replay Update", json!({"f:spec": {"f:displayName": {}}}));
    server.expect("create", std::slice::from_ref(&creator));

    let conditions = json!([{"type": "Scheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    server.put(
        "controller/status",
        json!({"metadata": {"name": "s", "labels": {"ignored": "yes"}}, "spec": {"displayName": "ignored"},
            "status": {"phase": "Pending", "reason": "Deploying", "conditions": conditions}}),
    );
    let condition = json!({".": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}});
    let conditions = json!({".": {}, "k:{\"type\":\"Scheduled\"}": condition});
    let controller = json!({"f:status": {"f:conditions": conditions, "f:phase": {}, "f:reason": {}}});
    server.expect("put-status", &[creator.clone(), ("controller Update status", controller)]);

    server.patch("controller/status", |body| {
        body["status"]["phase"] = "Ready".into();
        body["status"]["reason"] = Value::Null;
    });
    let controller = ("controller Update status", json!({"f:status": {"f:conditions": conditions, "f:phase": {}}}));
    server.expect("patch-status", &[creator.clone(), controller.clone()]);

    server.patch("replay", |body| {
        body["spec"]["displayName"] = "two".into();
        body["status"]["phase"] = "Forged".into();
    });
    server.expect("put-spec-keeps-status", &[controller, creator]);
}

#[test]
fn an_object_without_fields_is_owned_by_nobody() {
    let mut server = Server::new();
    server.put("replay", json!({"metadata": {"name": "w3"}, "spec": {"clusterRef": {}}, "status": {}}));
    server.expect("create", &[]);
}

#[test]
fn applies() {
    let mut server = Server::new();
    let alpha = json!({"metadata": {"name": "x", "labels": {"l": "1"}, "annotations": {"k": "v"}},
        "spec": {"clusterRef": {}, "displayName": "one", "templateRef": {"name": "t"}, "access": [{"name": "r", "verbs": ["get"]}]}});
    server.apply("alpha", alpha.clone()).unwrap();
    let all = json!({"f:metadata": {"f:annotations": {"f:k": {}}, "f:labels": {"f:l": {}}},
        "f:spec": {"f:access": {}, "f:clusterRef": {}, "f:displayName": {}, "f:templateRef": {"f:name": {}}}});
    server.expect("create-by-apply", &[("alpha Apply", all.clone())]);

    let before = server.live.clone();
    server.apply("alpha", alpha).unwrap();
    assert_eq!(server.live, before, "same-again");

    server.apply("beta", json!({"metadata": {"name": "x"}, "spec": {"description": "d", "templateRef": {"version": "1.x.x"}}})).unwrap();
    let beta = json!({"f:spec": {"f:description": {}, "f:templateRef": {"f:version": {}}}});
    server.expect("other-manager-other-field", &[("alpha Apply", all.clone()), ("beta Apply", beta)]);

    let before = server.live.clone();
    let body = json!({"metadata": {"name": "x", "labels": {"l": "2"}}, "spec": {"description": "d", "displayName": "two", "access": []}});
    let error = server.apply("beta", body).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"alpha\":\n- .metadata.labels.l\n- .spec.access\n- .spec.displayName"
    );
    let ApplyError::Conflicts(conflicts, _) = error else { panic!("{error}") };
    let causes: Vec<_> = conflicts.iter().map(|c| (c.to_string(), c.field.as_str())).collect();
    let with_alpha = "conflict with \"alpha\"".to_owned();
    assert_eq!(causes, [".metadata.labels.l", ".spec.access", ".spec.displayName"].map(|field| (with_alpha.clone(), field)));
    assert_eq!(server.live, before);

    let beta = json!({"metadata": {"name": "x", "labels": {"l": "2"}}, "spec": {"description": "d", "displayName": "two"}});
    server.force("beta", beta.clone());
    let rest = json!({"f:metadata": {"f:annotations": {"f:k": {}}}, "f:spec": {"f:access": {}, "f:clusterRef": {}, "f:templateRef": {"f:name": {}}}});
    let forced = json!({"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:description": {}, "f:displayName": {}}});
    server.expect("force", &[("alpha Apply", rest), ("beta Apply", forced.clone())]);
    assert_eq!(server.live.as_ref().unwrap().0["spec"]["templateRef"], json!({"name": "t"}));

    let body = json!({"metadata": {"name": "x", "labels": {"l": "2"}, "annotations": {"k": "v"}},
        "spec": {"clusterRef": {}, "displayName": "two", "templateRef": {"name": "t"}, "access": [{"name": "r", "verbs": ["get"]}]}});
    server.apply("alpha", body).unwrap();
    // The newer entry stands last.
    server.expect("same-value-is-shared", &[("beta Apply", forced.clone()), ("alpha Apply", all)]);

    server.apply("alpha", json!({"metadata": {"name": "x", "annotations": {"k": "v"}}, "spec": {"clusterRef": {}}})).unwrap();
    let kept = json!({"f:metadata": {"f:annotations": {"f:k": {}}}, "f:spec": {"f:clusterRef": {}}});
    server.expect("drop-owned-fields", &[("beta Apply", forced), ("alpha Apply", kept.clone())]);
    let live = server.live.as_ref().unwrap();
    assert_eq!(live.0["spec"], json!({"clusterRef": {}, "description": "d", "displayName": "two"}));
    assert_eq!(live.metadata()["labels"], json!({"l": "2"}));

    server.patch("gamma", |body| body["spec"]["displayName"] = "three".into());
    let beta_left = json!({"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:description": {}}});
    let gamma = json!({"f:spec": {"f:displayName": {}}});
    server
        .expect("update-takes-over", &[("beta Apply", beta_left.clone()), ("alpha Apply", kept.clone()), ("gamma Update", gamma.clone())]);

    let error = server.apply("beta", beta).unwrap_err().to_string();
    assert_eq!(error, "Apply failed with 1 conflict: conflict with \"gamma\" using library.example.com/v1: .spec.displayName");

    server.apply("ctrl/status", json!({"metadata": {"name": "x"}, "status": {"phase": "Ready"}})).unwrap();
    let ctrl = json!({"f:status": {"f:phase": {}}});
    let all = [("beta Apply", beta_left), ("alpha Apply", kept), ("ctrl Apply status", ctrl), ("gamma Update", gamma)];
    server.expect("status-by-apply", &all);

    let error = server.apply("alpha", json!({"metadata": {"name": "x", "managedFields": [{"manager": "z"}]}})).unwrap_err();
    assert_eq!(error, ApplyError::Malformed("metadata.managedFields must be nil".into()));

    server.patch("gamma", |body| body["metadata"]["managedFields"] = json!([{}]));
    server.expect("clear-managed-fields", &[]);
}

#[test]
fn malformed_applies() {
    let cases = [
        (
            json!({"metadata": {"name": "v2"}, "spec": {"bogus": 1}}),
            "failed to create typed patch object (/v2; library.example.com/v1, Kind=Book): .spec.bogus: field not declared in schema",
        ),
        (json!({"apiVersion": "", "kind": "", "metadata": {"name": "x"}}), "invalid object type: /, Kind="),
        (json!({"apiVersion": "library.example.com/v2"}), "invalid object type: library.example.com/v2, Kind=Book"),
        (
            json!({"metadata": {"name": "x", "namespace": "n"}, "spec": {"displayName": 1, "containers": [{"name": "a"}, {"name": "a"}]}}),
            "failed to create typed patch object (n/x; library.example.com/v1, Kind=Book): errors:\n  .spec.containers: duplicate entries for key [name=\"a\"]\n  .spec.displayName: expected string, got 1",
        ),
    ];
    for (body, want) in cases {
        assert_eq!(Server::new().apply("m", body).unwrap_err(), ApplyError::Malformed(want.into()));
    }
}
