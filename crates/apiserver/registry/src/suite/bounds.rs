//! What a client can make long has a bound, and the answer says which.

use super::{Subject, context, refused};
use crate::PatchKind;
use apiserver_meta::options::{DryRun, FieldValidation, PatchOptions, WriteOptions};
use apiserver_meta::{ApiError, Object, Reason, Subresource};
use serde_json::{Value, json};

/// The bytes of an answer that tells of an error.
fn answer(error: &ApiError) -> String {
    serde_json::to_string(&error.status()).expect("a status is JSON")
}

/// As many faults as a body has room for make an answer that a person can read.
pub async fn bad_objects_have_short_answers(subject: &Subject) {
    let with = |field: &str, value: Value| {
        let mut body = subject.body("bad");
        body["metadata"][field] = value;
        body
    };
    let many = |text: &str, count: usize| (0..count).map(|index| Value::from(format!("{text}{index}"))).collect::<Vec<_>>();
    let labels = (0..150).map(|index| (format!("-{index}"), Value::from("-"))).collect::<serde_json::Map<_, _>>();
    let reference = json!({ "apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true });
    let references = (0..20_000).map(|index| {
        let mut reference = reference.clone();
        reference["uid"] = index.to_string().into();
        reference
    });
    for (body, want) in [
        (with("finalizers", many("x", 20_000).into()), "metadata.finalizers: Too many: 20000: must have at most 256 items"),
        (with("finalizers", many("-", 200).into()), "and more than these "),
        (with("labels", labels.into()), "and more than these "),
        (with("ownerReferences", references.collect()), "metadata.ownerReferences: Too many: 20000: must have at most 1000 items"),
        (with("ownerReferences", vec![json!({ "controller": false, "uid": "" }); 1].into()), "metadata.ownerReferences.uid: Invalid value"),
        (with("name", "n".repeat(8 << 10).into()), "must be no more than 253 characters"),
    ] {
        let error = refused(subject.try_create(body).await, Reason::Invalid);
        let answer = answer(&error);
        assert!(answer.contains(want), "no {want:?} in {answer:.2000}");
        assert!(answer.len() < 160 * 1024, "{} bytes: {answer:.200}", answer.len());
        assert!(error.details.is_some_and(|details| details.causes.len() <= 100));
    }
}

/// Also an item far down a list is looked at.
pub async fn every_item_of_a_list_is_looked_at(subject: &Subject) {
    let good = |index: usize| json!({ "apiVersion": "v1", "kind": "K", "name": "n", "uid": index.to_string() });
    let mut references: Vec<Value> = (0..120).map(good).collect();
    references[119]["kind"] = "".into();
    let mut body = subject.body("tied");
    body["metadata"]["ownerReferences"] = references.into();
    let error = refused(subject.try_create(body).await, Reason::Invalid);
    assert!(error.message.contains("metadata.ownerReferences.kind: Invalid value"), "{}", error.message);
}

/// Finalizers without a domain are warned of: in a bounded number of headers.
pub async fn warnings_have_a_bound(subject: &Subject) {
    let mut body = subject.body("warned");
    body["metadata"]["finalizers"] = (0..200).map(|index| format!("finalizer-{index}")).collect();
    let ctx = context();
    let options = WriteOptions { dry_run: DryRun::All, ..super::by("suite") };
    subject.registry.create(&ctx, subject.home(), subject.decoded(body), &options).await.expect("a good object");
    assert!((2..=64).contains(&ctx.warnings().len()), "{} warnings", ctx.warnings().len());
}

/// What is wrong with a patched object is told without the object: others may have set what is in it.
pub async fn errors_of_patches_repeat_nothing_of_the_object(subject: &Subject) {
    let mut body = subject.body("private");
    body["metadata"]["annotations"] = json!({ "note": "kept-to-themselves" });
    subject.try_create(body).await.expect("the sample is good");
    let strict = PatchOptions { write: WriteOptions { field_validation: FieldValidation::Strict, ..super::by("suite") }, force: None };
    let add = |path: &str, value: Value| json!([{ "op": "add", "path": path, "value": value }]);
    for (kind, patch, want) in [
        (PatchKind::Json, add("/metadata/labels", 7.into()), "cannot unmarshal number into field metadata.labels"),
        (PatchKind::Merge, json!({ "metadata": { "labels": 7 } }), "cannot unmarshal number into field metadata.labels"),
        (PatchKind::Strategic, json!({ "metadata": { "labels": 7 } }), "cannot unmarshal number into field metadata.labels"),
        (PatchKind::Merge, json!({ "kind": "Other" }), "no kind \"Other\" is registered"),
        (PatchKind::Merge, json!({ "bogus": 1 }), "unknown field \"bogus\""),
    ] {
        let error = subject.try_patch_with("private", Subresource::Main, kind, &patch, &strict).await.expect_err("a bad patch");
        let answer = answer(&refused(Err::<Object, _>(error), Reason::Invalid));
        assert!(
            serde_json::from_str::<Value>(&answer).is_ok_and(|status| status["message"].as_str().is_some_and(|m| m.contains(want))),
            "{answer}"
        );
        for kept in ["kept-to-themselves", "managedFields", "creationTimestamp"] {
            assert!(!answer.contains(kept), "{kept} in {answer}");
        }
    }
    let mut applied = subject.body("private");
    applied["metadata"]["labels"] = 7.into();
    let error = refused(subject.try_apply("suite", &applied, None).await, Reason::BadRequest);
    assert!(!answer(&error).contains("kept-to-themselves"));
}
