//! Lists, pages, namespaces, and deletes of many.

use super::{ELSEWHERE, HOME, MANAGER, Subject, by, fields, labels, names, refused};
use crate::List;
use apiserver_meta::options::{DeleteOptions, GetOptions, ListOptions};
use apiserver_meta::{ObjectFilter, ObjectKey, Reason};

async fn fill(subject: &Subject, count: usize) {
    for index in 0..count {
        let parity = if index % 2 == 0 { "even" } else { "odd" };
        subject.try_create(subject.labelled(&format!("o{index:02}"), "parity", parity)).await.expect("the sample is good");
    }
}

/// By label, by name, by namespace; in the order of names.
pub async fn lists_select(subject: &Subject) {
    fill(subject, 6).await;
    let found = async |options: ListOptions| names(&subject.list(subject.home(), &options).await);
    assert_eq!(subject.names().await, ["o00", "o01", "o02", "o03", "o04", "o05"]);
    assert_eq!(found(labels("parity=even")).await, ["o00", "o02", "o04"]);
    assert_eq!(found(labels("parity notin (even),parity")).await, ["o01", "o03", "o05"]);
    assert_eq!(found(labels("!parity")).await, [""; 0]);
    assert_eq!(found(fields("metadata.name=o03")).await, ["o03"]);
    assert_eq!(found(fields("metadata.name!=o03")).await.len(), 5);
    let both = ListOptions { fields: fields("metadata.name=o03").fields, ..labels("parity=even") };
    assert_eq!(found(both).await, [""; 0]);
}

/// Pages show the moment of the first page, whatever is written meanwhile.
pub async fn pages_are_one_moment(subject: &Subject) {
    fill(subject, 7).await;
    let first = subject.list(subject.home(), &ListOptions { limit: 3, ..ListOptions::default() }).await;
    assert_eq!((names(&first), first.remaining), (vec!["o00".into(), "o01".into(), "o02".into()], Some(4)));
    subject.delete("o04").await;
    subject.create("o035").await;
    subject.change("o05").await;
    let (mut pages, mut token) = (Vec::new(), first.continue_token.clone());
    while let Some(continue_token) = token {
        let page = subject.list(subject.home(), &ListOptions { limit: 3, continue_token, ..ListOptions::default() }).await;
        assert_eq!(page.revision, first.revision, "all pages tell one version");
        token = page.continue_token.clone();
        pages.push(page);
    }
    assert_eq!(pages.iter().flat_map(names).collect::<Vec<_>>(), ["o03", "o04", "o05", "o06"]);
    let generation = |list: &List| super::parsed(&list.items.iter().find(|item| item.name() == "o05").expect("o05").bytes).generation();
    assert_eq!(generation(&pages[0]), 1);
    assert_eq!(pages.last().and_then(|page| page.remaining), None);
    let selected = subject.list(subject.home(), &ListOptions { limit: 2, ..labels("parity=even") }).await;
    assert_eq!((names(&selected).len(), selected.remaining), (2, None), "how many follow is not known with a selector");
}

/// A token that this server has not given is refused.
pub async fn bad_continue_tokens(subject: &Subject) {
    subject.create("one").await;
    for token in ["x", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vIn0"] {
        let options = ListOptions { limit: 1, continue_token: token.into(), ..ListOptions::default() };
        let result = subject.registry.list(&super::context(), subject.home(), &options, &ObjectFilter::All).await;
        refused(result, Reason::BadRequest);
    }
}

/// Deletes what is selected and tells what that was.
pub async fn delete_collection_selects(subject: &Subject) {
    fill(subject, 6).await;
    subject.merge("o02", &serde_json::json!({ "metadata": { "finalizers": ["example.com/f"] } })).await;
    let delete = async |selection: &ListOptions| {
        let options = DeleteOptions::default();
        let listed = subject.registry.delete_collection(&super::context(), subject.home(), selection, &options, &ObjectFilter::All).await;
        names(&listed.expect("a good selection"))
    };
    assert_eq!(delete(&labels("parity=even")).await, ["o00", "o02", "o04"]);
    assert_eq!(subject.names().await, ["o01", "o02", "o03", "o05"], "a finalizer holds o02");
    assert!(subject.get("o02").await.is_terminating());
    assert_eq!(delete(&fields("metadata.name=o05")).await, ["o05"]);
    subject.merge("o02", &serde_json::json!({ "metadata": { "finalizers": null } })).await;
    assert_eq!(delete(&ListOptions::default()).await, ["o01", "o03"]);
    assert_eq!(delete(&ListOptions::default()).await, [""; 0]);
    assert_eq!(subject.names().await, [""; 0]);
}

/// One name in two namespaces is two objects. Nothing to show for a kind of the whole cluster.
pub async fn namespaces_are_apart(subject: &Subject) {
    if !subject.is_namespaced() {
        return;
    }
    let here = subject.create("twin").await;
    let there = subject.try_create_in(ELSEWHERE, subject.body("twin"), &by(MANAGER)).await.expect("another namespace");
    assert_ne!(here.uid(), there.uid());
    assert_eq!(there.namespace(), ELSEWHERE);
    let all = subject.list("", &ListOptions::default()).await;
    assert_eq!(all.items.iter().map(|item| item.namespace()).collect::<Vec<_>>(), [HOME, ELSEWHERE]);
    // Namespaces that begin alike are not one inside the other.
    assert_eq!(subject.list("on", &ListOptions::default()).await.items.len(), 0);
    assert_eq!(names(&subject.list("", &fields("metadata.namespace=two")).await), ["twin"]);
    let mut watch = subject.watch(&super::from(&here)).await;
    let options = DeleteOptions::default();
    let gone =
        subject.registry.delete_collection(&super::context(), ELSEWHERE, &ListOptions::default(), &options, &ObjectFilter::All).await;
    assert_eq!(names(&gone.expect("a good selection")), ["twin"]);
    assert_eq!(subject.get("twin").await, here);
    let lost = ObjectKey::new(ELSEWHERE, "twin");
    refused(subject.registry.get(&super::context(), &lost, &GetOptions::default(), &ObjectFilter::All).await, Reason::NotFound);
    let changed = subject.change("twin").await;
    watch.expect(crate::EventKind::Modified, &changed).await;
}
