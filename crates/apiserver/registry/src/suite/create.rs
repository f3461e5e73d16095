//! Create.

use super::{MANAGER, Subject, by, names, parsed, refused, version};
use apiserver_meta::Reason;
use apiserver_meta::options::ListOptions;
use serde_json::json;
use std::collections::BTreeSet;

/// The server decides what is its own to say, and every verb then shows the same object.
pub async fn create_sets_system_fields(subject: &Subject) {
    let mut body = subject.body("made");
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["generation"] = 7.into();
    body["metadata"]["selfLink"] = "/mine".into();
    body["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["deletionGracePeriodSeconds"] = 5.into();
    let made = subject.try_create(body).await.expect("system fields are ignored");
    assert_eq!((made.name(), made.namespace()), ("made", subject.home()));
    assert_eq!((made.uid().len(), made.generation()), (36, 1), "a fresh UID, the first generation");
    assert!(made.meta_str("creationTimestamp") > "2020");
    assert!(version(&made) > 0);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        assert!(!made.metadata().contains_key(field), "{field} is not the client's to say");
    }
    let kind = subject.registry.descriptor();
    assert_eq!((made.str_at(&["apiVersion"]), made.str_at(&["kind"])), (kind.api_version().as_str(), kind.kind));
    assert_eq!(subject.get("made").await, made);
    let list = subject.list(subject.home(), &ListOptions::default()).await;
    assert_eq!(list.items.iter().map(|item| parsed(&item.bytes)).collect::<Vec<_>>(), std::slice::from_ref(&made));
    assert!(list.revision >= version(&made));
}

/// A name has one holder.
pub async fn create_of_a_taken_name(subject: &Subject) {
    let holder = subject.create("taken").await;
    let error = refused(subject.try_create(subject.labelled("taken", "a", "b")).await, Reason::AlreadyExists);
    let kind = subject.registry.descriptor();
    assert_eq!(error.message, format!("{}.{} \"taken\" already exists", kind.plural, kind.group));
    let details = error.details.expect("details");
    assert_eq!((details.name.as_str(), details.group.as_str(), details.kind.as_str()), ("taken", kind.group, kind.plural));
    assert_eq!(subject.get("taken").await, holder);
}

/// Nobody knows the version of what is not there.
pub async fn create_with_a_resource_version(subject: &Subject) {
    let mut body = subject.body("versioned");
    body["metadata"]["resourceVersion"] = "5".into();
    let error = refused(subject.try_create(body.clone()).await, Reason::Invalid);
    let text = "metadata.resourceVersion: Invalid value: \"5\": resourceVersion should not be set on objects to be created";
    assert!(error.message.ends_with(text), "{}", error.message);
    refused(subject.try_get("versioned").await, Reason::NotFound);
    body["metadata"]["resourceVersion"] = "0".into();
    subject.try_create(body).await.expect("0 is no version");
}

/// Names, labels and the like are checked for every kind.
pub async fn create_without_a_good_name(subject: &Subject) {
    let bad = |name: &str| subject.body(name);
    let mut label = subject.body("label");
    label["metadata"]["labels"] = json!({ "a b": "c" });
    let mut annotation = subject.body("annotation");
    annotation["metadata"]["annotations"] = json!({ "": "c" });
    let mut owner = subject.body("owner");
    owner["metadata"]["ownerReferences"] = json!([{ "apiVersion": "v1", "kind": "K", "name": "", "uid": "" }]);
    for (body, field) in [
        (bad(""), "metadata.name"),
        (bad("A"), "metadata.name"),
        (bad("a/b"), "metadata.name"),
        (bad(&"a".repeat(254)), "metadata.name"),
        (label, "metadata.labels"),
        (annotation, "metadata.annotations"),
        (owner, "metadata.ownerReferences"),
    ] {
        let error = refused(subject.try_create(body).await, Reason::Invalid);
        let causes = error.details.expect("details").causes;
        assert!(causes.iter().any(|cause| cause.field.starts_with(field)), "{field} is not among {causes:?}");
    }
    assert_eq!(subject.names().await, [""; 0]);
}

/// generateName makes names of its own; a name that is given wins.
pub async fn generated_names(subject: &Subject) {
    let mut body = subject.body("");
    body["metadata"] = json!({ "generateName": "gen-" });
    let mut made = BTreeSet::new();
    for _ in 0..5 {
        let object = subject.try_create(body.clone()).await.expect("a generated name");
        assert!(object.name().len() == 9 && object.name().starts_with("gen-"), "{}", object.name());
        made.insert(object.name().to_owned());
    }
    assert_eq!(made.len(), 5);
    body["metadata"]["name"] = "given".into();
    assert_eq!(subject.try_create(body).await.expect("a given name").name(), "given");
    assert_eq!(names(&subject.list(subject.home(), &ListOptions::default()).await).len(), 6);
    let mut nameless = subject.body("");
    nameless["metadata"] = json!({});
    refused(subject.try_create_in(subject.home(), nameless, &by(MANAGER)).await, Reason::Invalid);
}
