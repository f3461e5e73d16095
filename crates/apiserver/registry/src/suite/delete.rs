//! Delete and finalizers.

use super::{Subject, parsed, refused, version};
use crate::{Deleted, EventKind};
use apiserver_meta::options::DeleteOptions;
use apiserver_meta::{Reason, Subresource};
use serde_json::json;

/// What is deleted is gone; its name may be had again, by another object.
pub async fn delete_and_create_again(subject: &Subject) {
    let first = subject.create("d").await;
    let Deleted::Gone { uid, bytes } = subject.delete("d").await else { panic!("nothing holds it") };
    assert_eq!((uid.as_str(), parsed(&bytes).name()), (first.uid(), "d"));
    refused(subject.try_get("d").await, Reason::NotFound);
    let error = refused(subject.try_delete("d", &DeleteOptions::default()).await, Reason::NotFound);
    let kind = subject.registry.descriptor();
    assert_eq!(error.message, format!("{}.{} \"d\" not found", kind.plural, kind.group));
    let second = subject.create("d").await;
    assert_ne!(second.uid(), first.uid());
    assert!(version(&second) > version(&first) && second.generation() == 1);
}

/// A delete may say which object it is meant for.
pub async fn delete_with_preconditions(subject: &Subject) {
    let first = subject.create("meant").await;
    let second = subject.change("meant").await;
    let uid = |uid: &str| DeleteOptions { uid: Some(uid.into()), ..DeleteOptions::default() };
    let at = |version: &str| DeleteOptions { resource_version: Some(version.into()), ..DeleteOptions::default() };
    refused(subject.try_delete("meant", &uid("another")).await, Reason::Conflict);
    refused(subject.try_delete("meant", &at(first.resource_version())).await, Reason::Conflict);
    assert_eq!(subject.get("meant").await, second);
    let both = DeleteOptions { uid: Some(second.uid().into()), ..at(second.resource_version()) };
    subject.try_delete("meant", &both).await.expect("it is the one that is meant");
    refused(subject.try_get("meant").await, Reason::NotFound);
}

/// An object with finalizers stays, marked, until the last of them is taken off.
pub async fn finalizers_hold_an_object(subject: &Subject) {
    let mut body = subject.body("held");
    body["metadata"]["finalizers"] = json!(["example.com/a", "example.com/b"]);
    let made = subject.try_create(body).await.expect("finalizers");
    let mut watch = subject.watch(&super::from(&made)).await;

    let Deleted::Pending { bytes } = subject.delete("held").await else { panic!("two finalizers hold it") };
    let marked = parsed(&bytes);
    assert!(marked.is_terminating());
    assert_eq!(marked.metadata().get("deletionGracePeriodSeconds"), Some(&json!(0)));
    assert_eq!(subject.get("held").await, marked);
    let Deleted::Pending { bytes } = subject.delete("held").await else { panic!("they still do") };
    assert_eq!(parsed(&bytes), marked, "to delete it twice changes nothing");

    let error = refused(subject.try_create(subject.body("held")).await, Reason::AlreadyExists);
    assert!(error.message.starts_with("object is being deleted: "), "{error}");
    let mut more = marked.clone();
    more.metadata_mut().insert("finalizers".into(), json!(["example.com/a", "example.com/b", "example.com/c"]));
    refused(subject.try_update(Subresource::Main, &more).await, Reason::Invalid);
    let mut unmarked = marked.clone();
    unmarked.metadata_mut().remove("deletionTimestamp");
    assert!(subject.update(&unmarked).await.is_terminating(), "nobody comes back");

    let fewer = subject.merge("held", &json!({ "metadata": { "finalizers": ["example.com/b"] } })).await;
    let last = subject.merge("held", &json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!((last.uid(), last.finalizers().len()), (made.uid(), 0));
    refused(subject.try_get("held").await, Reason::NotFound);
    watch.expect(EventKind::Modified, &marked).await;
    watch.expect(EventKind::Modified, &fewer).await;
    let (kind, gone) = watch.next().await;
    assert_eq!((kind, gone.uid()), (EventKind::Deleted, made.uid()));
    assert!(version(&gone) > version(&fewer), "an event has the version of the deletion");
}
