//! The status subresource.

use super::patch::managers;
use super::{MANAGER, Subject, by, label, refused, version};
use crate::PatchKind;
use apiserver_meta::options::PatchOptions;
use apiserver_meta::{Object, Reason, Subresource};
use serde_json::json;

/// The object's own path never writes the status; the status' path writes nothing else. Nothing to show for a kind
/// without `/status`.
pub async fn status_is_a_world_of_its_own(subject: &Subject) {
    if !subject.registry.descriptor().has_status() {
        return;
    }
    let status = |object: &Object| object.0.get("status").cloned().unwrap_or_default();
    let plain = subject.create("plain").await;
    let mut body = subject.body("s");
    body["status"] = subject.sample.status["status"].clone();
    assert_eq!(status(&subject.try_create(body).await.expect("a status is ignored")), status(&plain), "create has no say about it");
    let patched = subject.merge("s", &subject.sample.status).await;
    assert_eq!(status(&patched), status(&plain), "nor has a patch of the object");

    let mut both = subject.sample.status.clone();
    both["metadata"] = json!({ "labels": { "sneaked": "in" } });
    both["spec"] = subject.sample.change["spec"].clone();
    let options = PatchOptions { write: by("controller"), force: None };
    let told = subject.try_patch_with("s", Subresource::Status, PatchKind::Merge, &both, &options).await.expect("a status");
    assert_ne!(status(&told), status(&plain), "the sample's status changes nothing");
    assert!(version(&told) > version(&patched));
    assert_eq!((told.0.get("spec"), label(&told, "sneaked")), (patched.0.get("spec"), String::new()));
    assert_eq!(told.generation(), 1, "what is known is not what is wanted");
    assert_eq!(managers(&told), [("controller", "Update", "status"), (MANAGER, "Update", "")]);
    assert_eq!(subject.get("s").await, told);

    let again = subject.try_patch_with("s", Subresource::Status, PatchKind::Merge, &both, &options).await.expect("the same");
    assert_eq!(again, told);
    let mut emptied = told.clone();
    emptied.0.insert("status".into(), json!({}));
    assert_eq!(status(&subject.update(&emptied).await), status(&told), "an update of the object leaves it alone");
    let mut changed = subject.change("s").await;
    assert_eq!((status(&changed), changed.generation()), (status(&told), 2));
    changed.0.insert("spec".into(), json!({}));
    changed.metadata_mut().insert("labels".into(), json!({ "sneaked": "in" }));
    let updated = subject.try_update(Subresource::Status, &changed).await.expect("an update of the status");
    assert_eq!(updated, subject.get("s").await);
    assert_eq!((updated.generation(), label(&updated, "sneaked")), (2, String::new()));
    refused(subject.try_update(Subresource::Status, &told).await, Reason::Conflict);
    let missing = subject.try_patch_with("missing", Subresource::Status, PatchKind::Merge, &both, &options).await;
    refused(missing, Reason::NotFound);
}

/// What is computed for readers is never stored, whoever sends it back and by whichever path.
pub async fn computed_fields_are_never_stored(subject: &Subject) {
    let plain = subject.create("c").await;
    let resource = subject.registry.resource();
    let extended = resource.descriptor().extended.iter().map(|field| (field.path, json!(true)));
    for (path, value) in extended.chain(resource.computed_fields().iter().map(|path| (*path, json!({})))) {
        let set = path.iter().rev().fold(value.clone(), |inner, name| json!({ *name: inner }));
        let options = PatchOptions { write: by("client"), force: None };
        for subresource in [Subresource::Main, Subresource::Status] {
            let told = subject.try_patch_with("c", subresource, PatchKind::Merge, &set, &options).await.expect("it is passed over");
            assert_eq!(told, plain, "{set}");
            let mut sent = plain.clone();
            let mut merged = sent.clone().into_value();
            let (last, way) = path.split_last().expect("a path");
            way.iter().fold(&mut merged, |at, name| &mut at[*name])[*last] = value.clone();
            sent.0 = merged.as_object().cloned().unwrap_or_default();
            assert_eq!(subject.try_update(subresource, &sent).await.expect("it is passed over"), plain, "{set}");
        }
    }
}
