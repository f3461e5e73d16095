//! Update, and what holds for all writes.

use super::{MANAGER, Subject, dry, refused, version, without_notes};
use crate::{Deleted, PatchKind};
use apiserver_meta::options::{DeleteOptions, DryRun, ListOptions, PatchOptions};
use apiserver_meta::{ObjectFilter, Reason, Subresource};
use serde_json::json;

/// An update names the version that it was made from.
pub async fn update_needs_the_current_version(subject: &Subject) {
    let first = subject.create("u").await;
    let mut second = first.clone();
    second.metadata_mut().insert("labels".into(), json!({ "turn": "second" }));
    let stored = subject.update(&second).await;
    assert!(version(&stored) > version(&first));
    assert_eq!(subject.get("u").await, stored);

    let error = refused(subject.try_update(Subresource::Main, &second).await, Reason::Conflict);
    assert!(error.message.ends_with("the object has been modified; please apply your changes to the latest version and try again"));
    let mut blind = stored.clone();
    blind.metadata_mut().remove("resourceVersion");
    refused(subject.try_update(Subresource::Main, &blind).await, Reason::Invalid);
    let mut other = stored.clone();
    other.set_meta_str("uid", "another");
    refused(subject.try_update(Subresource::Main, &other).await, Reason::Conflict);
    let mut missing = stored.clone();
    missing.set_meta_str("name", "missing");
    refused(subject.try_update(Subresource::Main, &missing).await, Reason::NotFound);
    assert_eq!(subject.get("u").await, stored);
}

/// What the server has said stays said.
pub async fn update_keeps_system_fields(subject: &Subject) {
    let first = subject.create("kept").await;
    let mut body = first.clone();
    body.metadata_mut().insert("generation".into(), 99.into());
    body.set_meta_str("creationTimestamp", "2001-01-01T00:00:00Z");
    body.set_meta_str("selfLink", "/mine");
    body.set_meta_str("uid", "");
    body.metadata_mut().insert("annotations".into(), json!({ "note": "x" }));
    let stored = subject.update(&body).await;
    for field in ["uid", "creationTimestamp", "generation", "selfLink", "namespace"] {
        assert_eq!(stored.metadata().get(field), first.metadata().get(field), "{field}");
    }
    assert_eq!(stored.str_at(&["metadata", "annotations", "note"]), "x");
    let mut body = stored;
    body.set_meta_str("deletionTimestamp", "2001-01-01T00:00:00Z");
    refused(subject.try_update(Subresource::Main, &body).await, Reason::Invalid);
}

/// A generation counts changes of what is wanted, and nothing else.
pub async fn update_counts_generations(subject: &Subject) {
    assert_eq!(subject.create("counted").await.generation(), 1);
    assert_eq!(subject.merge("counted", &json!({ "metadata": { "labels": { "a": "b" } } })).await.generation(), 1);
    assert_eq!(subject.merge("counted", &json!({ "metadata": { "finalizers": ["example.com/f"] } })).await.generation(), 1);
    assert_eq!(subject.change("counted").await.generation(), 2);
    assert_eq!(subject.change("counted").await.generation(), 2, "the same change again");
    let Deleted::Pending { bytes } = subject.delete("counted").await else { panic!("a finalizer holds it") };
    assert_eq!(super::parsed(&bytes).generation(), 3, "to be deleted is a wish too");
}

/// A write that changes nothing is none: the version stays, watchers hear nothing.
pub async fn writes_that_change_nothing(subject: &Subject) {
    let stored = subject.create("same").await;
    let mut watch = subject.watch(&super::from(&stored)).await;
    assert_eq!(subject.update(&stored).await, stored);
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        assert_eq!(subject.try_patch("same", kind, &json!({})).await.expect("a patch"), stored);
    }
    assert_eq!(subject.try_patch("same", PatchKind::Json, &json!([])).await.expect("a patch"), stored);
    assert_eq!(subject.get("same").await, stored);
    let next = subject.create("next").await;
    watch.expect(crate::EventKind::Added, &next).await;
}

/// What is refused is not done, not even in part.
pub async fn refused_writes_leave_no_trace(subject: &Subject) {
    let stored = subject.create("whole").await;
    let bad = json!({ "metadata": { "labels": { "good": "label", "bad label": "x" } } });
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        refused(subject.try_patch("whole", kind, &bad).await, Reason::Invalid);
    }
    let operations = json!([
        { "op": "add", "path": "/metadata/labels/good", "value": "label" },
        { "op": "test", "path": "/metadata/name", "value": "another" },
    ]);
    refused(subject.try_patch("whole", PatchKind::Json, &operations).await, Reason::Invalid);
    let mut body = stored.clone();
    body.metadata_mut().insert("labels".into(), json!({ "bad label": "x" }));
    refused(subject.try_update(Subresource::Main, &body).await, Reason::Invalid);
    assert_eq!(subject.get("whole").await, stored);
}

/// A dry run answers as the write would and stores nothing.
pub async fn dry_runs_leave_no_trace(subject: &Subject) {
    let (home, context) = (subject.home(), super::context());
    let would = subject.try_create_in(home, subject.body("ghost"), &dry(MANAGER)).await.expect("a dry create");
    assert!(!would.uid().is_empty() && would.resource_version().is_empty(), "it has no version, for it was never stored");
    refused(subject.try_get("ghost").await, Reason::NotFound);

    let stored = subject.create("real").await;
    refused(subject.try_create_in(home, subject.body("real"), &dry(MANAGER)).await, Reason::AlreadyExists);
    let options = PatchOptions { write: dry(MANAGER), force: None };
    let change = &subject.sample.change;
    let would = subject.try_patch_with("real", Subresource::Main, PatchKind::Merge, change, &options).await.expect("a dry patch");
    assert_ne!(without_notes(&would), without_notes(&stored));
    let body = subject.decoded(would.clone().into_value());
    let updated = subject.registry.update(&context, &subject.key("real"), Subresource::Main, body, &dry(MANAGER), &ObjectFilter::All).await;
    assert_eq!(without_notes(&super::object(&updated.expect("a dry update"))), without_notes(&would));
    let applied = subject.labelled("fresh", "a", "b");
    subject.try_patch_with("fresh", Subresource::Main, PatchKind::Apply, &applied, &options).await.expect("a dry apply");
    let gone = DeleteOptions { dry_run: DryRun::All, ..DeleteOptions::default() };
    subject.try_delete("real", &gone).await.expect("a dry delete");
    let listed = subject.registry.delete_collection(&context, home, &ListOptions::default(), &gone, &ObjectFilter::All).await;
    assert_eq!(super::names(&listed.expect("a dry delete of all")), ["real"]);
    assert_eq!(subject.names().await, ["real"]);
    assert_eq!(subject.get("real").await, stored);
}
