//! Create and update, and the loop behind every write (upstream's `GuaranteedUpdate`).

use crate::rig::{Rig, context};
use apiserver_meta::options::{DeleteOptions, PatchOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Reason, Subresource};
use apiserver_registry::{Patch, PatchKind, WriteFailure};
use futures::FutureExt;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// upstream: RunTestCreate.
pub(crate) async fn create(rig: Rig) {
    assert_eq!(rig.get("ns/foo", "").await.unwrap_err().reason, Reason::NotFound);
    let created = rig.create("ns/foo").await;
    assert_eq!((created.name(), created.resource_version()), ("foo", rig.revision(1).to_string().as_str()));
    let stored = rig.raw("ns/foo").await.unwrap();
    let stored = Object::from_value(serde_json::from_slice(&stored.value).unwrap()).unwrap();
    assert_eq!((stored.name(), stored.resource_version()), ("foo", ""), "the revision is the store's to say");

    let mut versioned = rig.body("ns/bar", "", "");
    versioned.set_meta_str("resourceVersion", "1");
    let error = rig.try_create(versioned).await.unwrap_err();
    assert_eq!(error.reason, Reason::Invalid);
    assert!(error.message.contains("resourceVersion should not be set on objects to be created"), "{}", error.message);
    assert_eq!(rig.raw("ns/bar").await, None);
}

/// upstream: RunTestCreateWithKeyExist.
pub(crate) async fn create_with_key_exist(rig: Rig) {
    rig.create("ns/foo").await;
    assert_eq!(rig.try_create(rig.body("ns/foo", "", "")).await.unwrap_err().reason, Reason::AlreadyExists);
    assert_eq!(rig.list("", "").await, "ns/foo@1 =1");
}

/// upstream: RunTestGuaranteedUpdate.
pub(crate) async fn guaranteed_update(rig: Rig) {
    let uid = |uid: &str, mut object: Object| {
        object.set_meta_str("uid", uid);
        object
    };
    // A missing object: an update fails, an apply creates it.
    let missing = rig.try_update(&uid("", rig.body("ns/missing", "", "bar"))).await.unwrap_err();
    assert_eq!(missing.reason, Reason::NotFound);
    let body = json!({"apiVersion": "example.com/v1", "kind": "Pod", "metadata": {"name": "missing"}}).to_string();
    let patch = Patch { kind: PatchKind::Apply, body: body.into(), create_denial: None, mask: None };
    let mut options = PatchOptions::default();
    options.write.field_manager = "suite".into();
    let key = ObjectKey::new("ns", "missing");
    let applied = rig.registry.patch(&context(), &key, Subresource::Main, patch, &options, &ObjectFilter::All).await.unwrap();
    assert!(applied.created);

    let created = rig.create("ns/foo").await;
    let mut changed = created.clone();
    changed.0.insert("spec".into(), json!({"nodeName": "bar"}));
    let stored = rig.try_update(&changed).await.unwrap();
    assert_ne!(stored.resource_version(), created.resource_version());
    assert_eq!(stored.str_at(&["spec", "nodeName"]), "bar");
    // What changes nothing is not written.
    assert_eq!(rig.try_update(&stored).await.unwrap(), stored);
    let mut linked = stored.clone();
    linked.set_meta_str("selfLink", "testlink");
    assert_eq!(rig.try_update(&linked).await.unwrap(), stored);
    assert_eq!(rig.try_update(&uid(stored.uid(), stored.clone())).await.unwrap(), stored);
    assert_eq!(rig.try_update(&uid("B", stored.clone())).await.unwrap_err().reason, Reason::Conflict);
    assert_eq!(rig.get("ns/foo", "").await.unwrap(), stored);
    assert_eq!(rig.raw("ns/foo").await.unwrap().revision.to_string(), stored.resource_version());
}

/// upstream: RunTestGuaranteedUpdateChecksStoredData: an update that changes nothing still puts bytes right that are not
/// what this server would write.
pub(crate) async fn guaranteed_update_checks_stored_data(rig: Rig) {
    rig.create("ns/foo").await;
    let canonical = rig.raw("ns/foo").await.unwrap().value;
    let odd = rig.set_raw("ns/foo", &[b" ", &canonical[..]].concat()).await;
    rig.heard(odd).await;
    let read = rig.get("ns/foo", "").await.unwrap();
    let written = rig.try_update(&read).await.unwrap();
    assert_ne!(written.resource_version(), read.resource_version());
    assert_eq!(rig.raw("ns/foo").await.unwrap().value, canonical);
    rig.heard(odd + 1).await;
    assert_eq!(rig.try_update(&written).await.unwrap(), written, "now there is nothing to do");
}

/// upstream: RunTestGuaranteedUpdateWithConflict: who loses looks again, and sees what the winner wrote.
pub(crate) async fn guaranteed_update_with_conflict(rig: Rig) {
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
    let stored = rig.try_merge("ns/foo", &json!({"spec": {"nodeName": "bar"}})).await.unwrap();
    assert_eq!(rig.attempts(), 2);
    assert_eq!((stored.str_at(&["spec", "nodeName"]), stored.str_at(&["metadata", "labels", "by"])), ("bar", "another"));
}

/// upstream: RunTestGuaranteedUpdateWithSuggestionAndConflict: an error that a stale guess leads to is not believed; one
/// that a true guess leads to is not asked for twice.
pub(crate) async fn guaranteed_update_with_suggestion_and_conflict(rig: Rig) {
    let first = rig.set("ns/foo", "", "").await;
    rig.heard(first).await;
    rig.store.hold_watches();
    rig.meddling("ns/foo")().await;
    rig.before_writes(|_, old| {
        let is_stale = old.unwrap().str_at(&["metadata", "labels", "by"]).is_empty();
        async move { if is_stale { Err(ApiError::bad_request("stale")) } else { Ok(()) } }.boxed()
    });
    let patch = |node: &str| json!({"spec": {"nodeName": node}});
    let stored = rig.try_merge("ns/foo", &patch("second")).await.unwrap();
    assert_eq!((stored.str_at(&["spec", "nodeName"]), rig.attempts()), ("second", 2));

    rig.store.release_watches();
    rig.heard(first + 2).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    rig.before_writes(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Err(ApiError::bad_request("never")) }.boxed()
    });
    assert_eq!(rig.try_merge("ns/foo", &patch("third")).await.unwrap_err().message, "never");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// upstream: RunTestTransformationFailure: what cannot be read is told as such, whatever is asked, and stays.
pub(crate) async fn transformation_failure(rig: Rig) {
    rig.create("first/bar").await;
    let stored = rig.create("second/baz").await;
    rig.heard(2).await;
    for known_to_the_cache in [false, true] {
        rig.store.hold_watches();
        let broken = rig.set_raw("second/baz", b"otherprefix!").await;
        if known_to_the_cache {
            rig.store.release_watches();
            rig.heard(broken).await;
        }
        for list in [rig.list("", "").await, rig.list("second", "").await] {
            assert!(list.starts_with("500"), "{list}");
        }
        let errors = [
            rig.get("second/baz", "").await.unwrap_err(),
            rig.try_update(&stored).await.unwrap_err(),
            rig.try_merge("second/baz", &json!({"spec": {"nodeName": "bar"}})).await.unwrap_err(),
            rig.try_delete("second/baz", &DeleteOptions::default()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.reason, error.message.contains("otherprefix")), (Reason::InternalError, false), "{error}");
        }
        assert_eq!(rig.raw("second/baz").await.unwrap().value, "otherprefix!");
        assert_eq!(rig.list("first", "rv=0").await.split(' ').next(), Some("first/bar@1"));
        rig.store.release_watches();
    }
}

/// upstream: RunTestStats: how many objects there are. How large they are on average, nobody here is told.
pub(crate) async fn stats(rig: Rig) {
    let count = async |number| {
        rig.heard(number).await;
        rig.registry.cache().stats().objects
    };
    assert_eq!(count(0).await, 0);
    assert_eq!(count(rig.set("ns/foo", "", "").await).await, 1);
    assert_eq!(count(rig.set("ns/bar", "", "").await).await, 2);
    assert_eq!(count(rig.set("ns/bar", "foo=bar", "").await).await, 2);
    assert_eq!(count(rig.delete("ns/foo").await).await, 1);
    rig.try_delete("ns/foo", &DeleteOptions::default()).await.unwrap_err();
    assert_eq!(count(rig.delete("ns/bar").await).await, 0);
}

/// upstream: RunTestKeySchema: no name leads out of its place in the store, or to a neighbour's.
pub(crate) async fn key_schema(rig: Rig) {
    rig.create("ns/name").await;
    rig.create("ns-more/name").await;
    for name in [".", "..", "/", "a/b", "../ns-more/name", "ns/name", "%2e%2e", "a\0b", "a\nb", "A", "-a", "a-", &"a".repeat(254)] {
        let mut body = rig.body("ns/x", "", "");
        body.set_meta_str("name", name);
        assert_eq!(rig.try_create(body.clone()).await.unwrap_err().reason, Reason::Invalid, "{name:?}");
        body.set_meta_str("resourceVersion", "1");
        for namespace in ["ns", "n", "ns/"] {
            let key = ObjectKey::new(namespace, name);
            let (ctx, options) = (context(), DeleteOptions::default());
            let got = rig.registry.get(&ctx, &key, &Default::default(), &ObjectFilter::All).await;
            assert_eq!(got.unwrap_err().reason, Reason::NotFound, "{key}");
            let deleted = rig.registry.delete(&ctx, &key, &options, &ObjectFilter::All).await;
            assert!(matches!(deleted, Err(WriteFailure::Missing(_))), "{key}: {deleted:?}");
            let updated = rig.registry.update(&ctx, &key, Subresource::Main, body.clone(), &Default::default(), &ObjectFilter::All).await;
            assert!(updated.is_err(), "{key}");
        }
    }
    for namespace in ["n", "n/", "ns/name", ".", "..", "../ns", "ns-"] {
        assert_eq!(rig.list(namespace, "").await, "=2", "{namespace:?}");
    }
    assert_eq!(rig.list("", "").await, "ns-more/name@2 ns/name@1 =2");
}
