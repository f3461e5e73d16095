//! Patch, server-side apply, managed fields.

use super::{MANAGER, Subject, by, label, refused, version};
use crate::PatchKind;
use apiserver_meta::options::PatchOptions;
use apiserver_meta::{Object, Reason, Subresource};
use serde_json::{Value, json};

/// JSON patch, merge patch and strategic merge patch do what their definitions say.
pub async fn patches_of_three_types(subject: &Subject) {
    subject.try_create(subject.labelled("p", "start", "yes")).await.expect("the sample is good");
    for (kind, body, added) in [
        (PatchKind::Json, json!([{ "op": "add", "path": "/metadata/labels/json", "value": "1" }]), "json"),
        (PatchKind::Merge, json!({ "metadata": { "labels": { "merge": "1" } } }), "merge"),
        (PatchKind::Strategic, json!({ "metadata": { "labels": { "strategic": "1" } } }), "strategic"),
    ] {
        let patched = subject.try_patch("p", kind, &body).await.expect("a good patch");
        assert_eq!((label(&patched, added), label(&patched, "start")), ("1".into(), "yes".into()));
        assert_eq!(subject.get("p").await, patched);
    }
    let gone = subject.merge("p", &json!({ "metadata": { "labels": { "start": null } } })).await;
    assert_eq!((label(&gone, "start"), label(&gone, "json")), (String::new(), "1".into()));
    let changed = subject.change("p").await;
    assert_eq!(changed.generation(), 2);
    for (kind, body) in [(PatchKind::Json, json!({})), (PatchKind::Merge, json!(7)), (PatchKind::Strategic, json!([]))] {
        let error = subject.try_patch("p", kind, &body).await.expect_err("no patch at all");
        assert_eq!(error.code(), 400, "{kind:?}: {error}");
    }
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        refused(subject.try_patch("missing", kind, &json!({})).await, Reason::NotFound);
    }
}

/// A patch may say which object and which version it is meant for.
pub async fn patch_with_preconditions(subject: &Subject) {
    let first = subject.create("locked").await;
    let with = |field: &str, value: &str| json!({ "metadata": { field: value, "labels": { "through": value } } });
    let second = subject.merge("locked", &with("resourceVersion", first.resource_version())).await;
    refused(subject.try_patch("locked", PatchKind::Merge, &with("resourceVersion", first.resource_version())).await, Reason::Conflict);
    subject.merge("locked", &with("uid", second.uid())).await;
    let error = subject.try_patch("locked", PatchKind::Merge, &with("uid", "another")).await.expect_err("another UID");
    assert!(matches!(error.reason, Reason::Conflict | Reason::Invalid), "{error:?}");
    refused(subject.try_patch("locked", PatchKind::Merge, &with("name", "other")).await, Reason::BadRequest);
    assert_eq!(label(&subject.get("locked").await, "through"), second.uid());
}

/// An apply makes what is missing, and the same again changes nothing.
pub async fn apply_creates_and_is_idempotent(subject: &Subject) {
    let body = subject.labelled("applied", "a", "b");
    let created = subject.try_apply("applier", &body, None).await.expect("an apply");
    assert_eq!((created.generation(), label(&created, "a")), (1, "b".into()));
    let again = subject.try_apply("applier", &body, None).await.expect("the same again");
    assert_eq!(again, created);
    // What the manager no longer applies and nobody else has set goes.
    let without = subject.try_apply("applier", &subject.body("applied"), None).await.expect("an apply");
    assert_eq!(label(&without, "a"), "");
    assert!(version(&without) > version(&created));
    let mut versioned = subject.body("applied");
    versioned["metadata"]["resourceVersion"] = created.resource_version().into();
    refused(subject.try_apply("applier", &versioned, None).await, Reason::Conflict);
    let mut other = subject.body("absent");
    other["metadata"]["uid"] = created.uid().into();
    refused(subject.try_apply("applier", &other, None).await, Reason::Conflict);
}

/// Two managers of one field are a conflict until one gives in or is made to.
pub async fn apply_conflicts_and_force(subject: &Subject) {
    subject.create("shared").await;
    let labelled = |value: &str| {
        let mut body = subject.labelled("shared", "k", value);
        // Nothing but the label: some kinds do not store what they are given elsewhere as it is.
        body.as_object_mut().expect("an object").retain(|field, _| ["apiVersion", "kind", "metadata"].contains(&field.as_str()));
        body
    };
    let (one, two) = (labelled("one"), labelled("two"));
    subject.try_apply("one", &one, None).await.expect("an apply");
    let error = refused(subject.try_apply("two", &two, None).await, Reason::Conflict);
    let causes = error.details.expect("details").causes;
    assert!(
        causes.iter().any(|cause| cause.reason == "FieldManagerConflict" && cause.field == ".metadata.labels.k"),
        "the field is not named in {causes:?}"
    );
    assert_eq!(label(&subject.get("shared").await, "k"), "one");
    subject.try_apply("two", &one, None).await.expect("the same value is no conflict");
    let forced = subject.try_apply("two", &two, Some(true)).await.expect("forced");
    assert_eq!(label(&forced, "k"), "two");
    refused(subject.try_apply("one", &one, None).await, Reason::Conflict);
}

/// Who set what is noted, for every way to set something.
pub async fn managed_fields_name_their_managers(subject: &Subject) {
    subject.create("noted").await;
    let options = PatchOptions { write: by("patcher"), force: None };
    let patch = json!({ "metadata": { "labels": { "patched": "1" } } });
    subject.try_patch_with("noted", Subresource::Main, PatchKind::Merge, &patch, &options).await.expect("a patch");
    let applied = subject.labelled("noted", "applied", "1");
    let object = subject.try_apply("applier", &applied, Some(true)).await.expect("an apply");
    assert_eq!(managers(&object), [("applier", "Apply", ""), ("patcher", "Update", ""), (MANAGER, "Update", "")]);
    let owned = |manager: &str, pointer: &str| {
        let entry = entries(&object).iter().find(|entry| entry["manager"] == manager);
        entry.is_some_and(|entry| entry["fieldsV1"].pointer(pointer).is_some())
    };
    assert!(owned("patcher", "/f:metadata/f:labels/f:patched") && !owned("patcher", "/f:metadata/f:labels/f:applied"));
    assert!(owned("applier", "/f:metadata/f:labels/f:applied") && !owned("applier", "/f:metadata/f:labels/f:patched"));
    for entry in entries(&object) {
        assert_eq!(entry["apiVersion"], subject.registry.descriptor().api_version());
        assert_eq!(entry["fieldsType"], "FieldsV1");
        assert!(entry["time"].is_string());
    }
    // A patch that cannot touch them and one that might, because of how it is written, do the same.
    let label = json!({ "metadata": { "labels": { "patched": "2" } } });
    let escaped = json!({ "metadata": { "labels": { "patched": "2", "more\\": null } } });
    for patch in [label, escaped] {
        let object = subject.try_patch_with("noted", Subresource::Main, PatchKind::Merge, &patch, &options).await.expect("a patch");
        assert_eq!(managers(&object), [("applier", "Apply", ""), ("patcher", "Update", ""), (MANAGER, "Update", "")], "{patch}");
    }
    // An empty entry forgets all managers.
    let reset = subject.merge("noted", &json!({ "metadata": { "managedFields": [{}] } })).await;
    assert_eq!(managers(&reset), []);
    let untouched = subject.merge("noted", &json!({ "metadata": { "labels": { "patched": "3" } } })).await;
    assert_eq!(managers(&untouched), []);
}

fn entries(object: &Object) -> &[Value] {
    object.metadata().get("managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Manager, operation and subresource of each entry, sorted.
pub(super) fn managers(object: &Object) -> Vec<(&str, &str, &str)> {
    let mut told: Vec<_> = entries(object)
        .iter()
        .map(|entry| {
            let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or("");
            (text("manager"), text("operation"), text("subresource"))
        })
        .collect();
    told.sort_unstable();
    told
}
