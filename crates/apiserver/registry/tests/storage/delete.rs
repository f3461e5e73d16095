//! Delete: with and without conditions, from a guess that is stale, and with somebody in between.

use crate::rig::Rig;
use apiserver_meta::options::DeleteOptions;
use apiserver_meta::{ApiError, Object, Reason};
use futures::FutureExt;
use serde_json::json;

fn any() -> DeleteOptions {
    DeleteOptions::default()
}

fn with_uid(uid: &str) -> DeleteOptions {
    DeleteOptions { uid: Some(uid.into()), ..any() }
}

async fn assert_gone(rig: &Rig, path: &str) {
    assert_eq!(rig.get(path, "").await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(rig.raw(path).await, None);
}

/// An object of which the cache knows an old state: the label `by` is missing there.
async fn outdated(rig: &Rig, path: &str) -> Object {
    let created = rig.create(path).await;
    rig.heard(1).await;
    rig.store.hold_watches();
    rig.meddling(path)().await;
    created
}

fn is_fresh(object: &Object) -> bool {
    object.str_at(&["metadata", "labels", "by"]) == "another"
}

/// upstream: RunTestUnconditionalDelete.
pub(crate) async fn unconditional_delete(rig: Rig) {
    let created = rig.create("ns/foo").await;
    let mut watch = rig.watch("ns", "rv=1").await;
    assert_eq!(rig.try_delete("ns/foo", &any()).await.unwrap(), created);
    assert_gone(&rig, "ns/foo").await;
    watch.hears(&["DELETED ns/foo@2"]).await;
    assert_eq!(rig.try_delete("ns/non-existing", &any()).await.unwrap_err().reason, Reason::NotFound);
}

/// upstream: RunTestConditionalDelete.
pub(crate) async fn conditional_delete(rig: Rig) {
    let created = rig.create("ns/foo").await;
    assert_eq!(rig.try_delete("ns/foo", &with_uid("B")).await.unwrap_err().reason, Reason::Conflict);
    assert_eq!(rig.get("ns/foo", "").await.unwrap(), created);
    assert_eq!(rig.try_delete("ns/foo", &with_uid(created.uid())).await.unwrap(), created);
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestDeleteWithSuggestion.
pub(crate) async fn delete_with_suggestion(rig: Rig) {
    let created = rig.create("ns/foo").await;
    rig.heard(1).await;
    assert_eq!(rig.try_delete("ns/foo", &any()).await.unwrap(), created);
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestDeleteWithSuggestionAndConflict: what is deleted is what was there, not what was guessed.
pub(crate) async fn delete_with_suggestion_and_conflict(rig: Rig) {
    outdated(&rig, "ns/foo").await;
    let deleted = rig.try_delete("ns/foo", &any()).await.unwrap();
    assert!(is_fresh(&deleted));
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestDeleteWithConflict: somebody writes while the delete is being admitted.
pub(crate) async fn delete_with_conflict(rig: Rig) {
    rig.create("ns/foo").await;
    let meddle = rig.meddling("ns/foo");
    rig.before_writes(move |attempt, _| {
        let meddle = (attempt == 1).then(&meddle);
        async move {
            if let Some(meddle) = meddle {
                meddle.await;
            }
            Ok(())
        }
        .boxed()
    });
    assert!(is_fresh(&rig.try_delete("ns/foo", &any()).await.unwrap()));
    assert_eq!(rig.attempts(), 2);
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestDeleteWithSuggestionOfDeletedObject: this is no success.
pub(crate) async fn delete_with_suggestion_of_deleted_object(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    rig.store.hold_watches();
    rig.try_delete("ns/foo", &any()).await.unwrap();
    assert_eq!(rig.try_delete("ns/foo", &any()).await.unwrap_err().reason, Reason::NotFound);
}

/// Admits fresh objects only, or nothing.
fn admit(rig: &Rig, admits: fn(&Object) -> bool) {
    rig.before_writes(move |_, old| {
        let admitted = old.as_ref().is_none_or(admits);
        async move { if admitted { Ok(()) } else { Err(ApiError::bad_request("not admitted")) } }.boxed()
    });
}

/// upstream: RunTestValidateDeletionWithSuggestion: admission is asked again about what is really there.
pub(crate) async fn validate_deletion_with_suggestion(rig: Rig) {
    rig.create("ns/other").await;
    rig.heard(1).await;
    admit(&rig, |_| false);
    assert_eq!(rig.try_delete("ns/other", &any()).await.unwrap_err().message, "not admitted");
    assert_eq!(rig.attempts(), 1);
    admit(&rig, |_| true);
    rig.try_delete("ns/other", &any()).await.unwrap();

    let created = rig.create("ns/foo").await;
    rig.heard(3).await;
    rig.store.hold_watches();
    rig.meddling("ns/foo")().await;
    admit(&rig, is_fresh);
    assert_eq!(rig.try_delete("ns/foo", &any()).await.unwrap().uid(), created.uid());
    assert!(rig.attempts() <= 2);
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestValidateDeletionWithOnlySuggestionValid: what holds of a guess only does not hold.
pub(crate) async fn validate_deletion_with_only_suggestion_valid(rig: Rig) {
    outdated(&rig, "ns/foo").await;
    admit(&rig, |object| !is_fresh(object));
    assert_eq!(rig.try_delete("ns/foo", &any()).await.unwrap_err().message, "not admitted");
    assert!(rig.attempts() <= 2);
    rig.store.release_watches();
    assert!(is_fresh(&rig.get("ns/foo", "").await.unwrap()));
}

/// Puts another object in the place of one, as deleting and creating it anew would.
async fn replace(rig: &Rig, path: &str, uid: &str) {
    let stored = rig.raw(path).await.unwrap();
    let mut object: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
    object["metadata"]["uid"] = json!(uid);
    rig.set_raw(path, object.to_string().as_bytes()).await;
}

/// upstream: RunTestPreconditionalDeleteWithSuggestion: the condition fails of the guess, but holds of what is there.
pub(crate) async fn preconditional_delete_with_suggestion(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    rig.store.hold_watches();
    replace(&rig, "ns/foo", "myUID").await;
    assert_eq!(rig.try_delete("ns/foo", &with_uid("myUID")).await.unwrap().uid(), "myUID");
    assert_gone(&rig, "ns/foo").await;
}

/// upstream: RunTestPreconditionalDeleteWithOnlySuggestionPass: the other way round.
pub(crate) async fn preconditional_delete_with_only_suggestion_pass(rig: Rig) {
    let created = rig.create("ns/foo").await;
    rig.heard(1).await;
    rig.store.hold_watches();
    replace(&rig, "ns/foo", "otherUID").await;
    assert_eq!(rig.try_delete("ns/foo", &with_uid(created.uid())).await.unwrap_err().reason, Reason::Conflict);
    rig.store.release_watches();
    assert_eq!(rig.get("ns/foo", "").await.unwrap().uid(), "otherUID");
}
