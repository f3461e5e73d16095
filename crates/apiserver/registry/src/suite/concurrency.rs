//! Many writers of one object.

use super::{Subject, version};
use apiserver_meta::{Reason, Subresource};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

const WRITERS: usize = 16;

/// A name has one holder, however many want it.
pub async fn concurrent_creates_have_one_winner(subject: &Subject) {
    let results = join_all((0..WRITERS).map(|_| subject.try_create(subject.body("wanted")))).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, WRITERS - 1));
    assert!(lost.into_iter().all(|result| result.is_err_and(|error| error.reason == Reason::AlreadyExists)));
    assert_eq!(won[0].as_ref().ok(), Some(&subject.get("wanted").await));
}

/// Patches without a version never conflict and never undo each other.
pub async fn concurrent_patches_add_up(subject: &Subject) {
    subject.create("many").await;
    let patches: Vec<_> = (0..WRITERS).map(|index| json!({ "metadata": { "labels": { format!("l{index}"): "1" } } })).collect();
    let stored = join_all(patches.iter().map(|patch| subject.merge("many", patch))).await;
    let versions: BTreeSet<u64> = stored.iter().map(version).collect();
    assert_eq!(versions.len(), WRITERS, "each patch has a version of its own");
    let labels = subject.get("many").await.at(&["metadata", "labels"]).and_then(|labels| labels.as_object().map(serde_json::Map::len));
    assert_eq!(labels, Some(WRITERS));
}

/// Read, change, update, and once more when somebody was faster: no increment is lost.
pub async fn concurrent_updates_lose_nothing(subject: &Subject) {
    subject.create("counter").await;
    let increment = || async {
        loop {
            let mut object = subject.get("counter").await;
            let count: usize = super::label(&object, "count").parse().unwrap_or(0);
            object.metadata_mut().insert("labels".into(), json!({ "count": (count + 1).to_string() }));
            match subject.try_update(Subresource::Main, &object).await {
                Ok(_) => return,
                Err(error) => assert_eq!(error.reason, Reason::Conflict, "{error}"),
            }
        }
    };
    join_all((0..WRITERS).map(|_| increment())).await;
    assert_eq!(super::label(&subject.get("counter").await, "count"), WRITERS.to_string());
}
