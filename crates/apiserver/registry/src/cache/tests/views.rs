//! Views: what a caller may not see is not there.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, context, key, paths};
use apiserver_meta::options::{GetOptions, ListOptions, ResourceVersion};
use apiserver_meta::{AccessFilter, Facts, NamespaceScope, ObjectFilter, Reason};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What `ann` reaches in each namespace; nothing where nothing is said.
#[derive(Clone, Debug, Default)]
struct Members(Arc<Mutex<HashMap<String, NamespaceScope>>>);

impl Members {
    fn set(&self, namespace: &str, reach: NamespaceScope) {
        self.0.lock().unwrap().insert(namespace.into(), reach);
    }

    fn view(&self) -> ObjectFilter {
        ObjectFilter::Access(Arc::new(self.clone()))
    }
}

/// What `ann` owns is hers.
impl AccessFilter for Members {
    fn scope(&self, namespace: &str) -> NamespaceScope {
        self.0.lock().unwrap().get(namespace).copied().unwrap_or(NamespaceScope::Nothing)
    }

    fn allows(&self, facts: &Facts) -> bool {
        facts.get::<String>().is_some_and(|owner| owner == "ann")
    }

    fn denial(&self) -> &str {
        "User \"ann\" cannot get it"
    }
}

fn owned_by(owner: &str) -> serde_json::Value {
    json!({ "owner": owner })
}

/// `all` is reached whole, `some` as far as it is granted, `none` not at all.
async fn rig() -> (Rig, Members, ObjectFilter) {
    let rig = Rig::new().await;
    let members = Members::default();
    members.set("all", NamespaceScope::All);
    members.set("some", NamespaceScope::Filtered);
    for namespace in ["all", "none", "some"] {
        rig.set_spec(&format!("{namespace}/anns"), "", &owned_by("ann"));
        rig.set_spec(&format!("{namespace}/bobs"), "", &owned_by("bob"));
    }
    rig.reached(6).await;
    let view = members.view();
    (rig, members, view)
}

#[tokio::test(start_paused = true)]
async fn lists_leave_out_what_is_not_seen() {
    let (rig, _, view) = rig().await;
    let list = |namespace, limit| {
        let (cache, view) = (Arc::clone(&rig.cache), view.clone());
        async move { cache.list(&context(), namespace, &ListOptions { limit, ..ListOptions::default() }, &view).await.unwrap() }
    };
    assert_eq!(paths(&list("", 0).await), ["all/anns", "all/bobs", "some/anns"]);
    assert_eq!(paths(&list("some", 0).await), ["some/anns"]);
    assert_eq!(paths(&list("none", 0).await), [""; 0]);
    let page = list("", 2).await;
    assert_eq!((paths(&page), page.remaining), (vec!["all/anns".into(), "all/bobs".into()], None));
    assert!(page.continue_token.is_some());
    assert!(list("all", 2).await.continue_token.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_seen_is_forbidden() {
    let (rig, _, view) = rig().await;
    let table = [
        ("all/bobs", None),
        ("some/anns", None),
        ("some/bobs", Some(Reason::Forbidden)),
        ("none/anns", Some(Reason::Forbidden)),
        ("none/missing", Some(Reason::Forbidden)),
        ("some/missing", Some(Reason::NotFound)),
    ];
    for (path, expected) in table {
        let result = rig.cache.get(&context(), &key(path), &GetOptions::default(), &view).await;
        assert_eq!(result.as_ref().err().map(|error| error.reason), expected, "{path}");
    }
    let error = rig.cache.get(&context(), &key("some/bobs"), &GetOptions::default(), &view).await.unwrap_err();
    assert_eq!(error.message, "widgets.example.com \"bobs\" is forbidden: User \"ann\" cannot get it");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_owner_adds_and_deletes() {
    let (rig, _, view) = rig().await;
    let mut watch = rig.watch_as("", &at(6), &view).await;
    rig.set_spec("some/bobs", "", &owned_by("ann"));
    rig.set_spec("some/anns", "", &owned_by("bob"));
    rig.set_spec("some/anns", "n=1", &owned_by("bob"));
    rig.set_spec("none/bobs", "", &owned_by("ann"));
    rig.set_spec("all/anns", "", &owned_by("bob"));
    watch.hears(&["ADDED some/bobs@7", "DELETED some/anns@8", "MODIFIED all/anns@11"]).await;
    watch.is_silent().await;
}

/// Membership is no part of an object: a watch learns of it when it is told to look again.
#[tokio::test(start_paused = true)]
async fn a_change_of_membership_adds_and_deletes() {
    let (rig, members, view) = rig().await;
    let state = ListOptions { resource_version: ResourceVersion::Unset, bookmarks: true, ..ListOptions::default() };
    let mut watch = rig.watch_as("", &state, &view).await;
    watch.hears(&["ADDED all/anns@1", "ADDED all/bobs@2", "ADDED some/anns@5", "SYNCED 6"]).await;
    watch.is_silent().await;
    members.set("none", NamespaceScope::Filtered);
    members.set("all", NamespaceScope::Nothing);
    members.set("some", NamespaceScope::All);
    rig.cache.reevaluate();
    let mut heard = Vec::new();
    for _ in 0..5 {
        heard.push(watch.next().await.unwrap());
    }
    assert_eq!(heard.pop().unwrap(), "BOOKMARK 6");
    heard.sort();
    assert_eq!(heard, ["ADDED none/anns@3", "ADDED some/bobs@6", "DELETED all/anns@6", "DELETED all/bobs@6"]);
    rig.cache.reevaluate();
    watch.is_silent().await;
}

/// Nobody called, but an event finds the view changed.
#[tokio::test(start_paused = true)]
async fn an_event_finds_the_membership_changed() {
    let (rig, members, view) = rig().await;
    let mut watch = rig.watch_as("", &at(6), &view).await;
    watch.is_silent().await;
    members.set("all", NamespaceScope::Filtered);
    rig.set("all/new", "");
    watch.hears(&["DELETED all/bobs@6"]).await;
    members.set("all", NamespaceScope::All);
    rig.delete("all/bobs");
    watch.hears(&["ADDED all/bobs@2", "ADDED all/new@7", "DELETED all/bobs@8"]).await;
    watch.is_silent().await;
}

/// What changes while a watch reads the past is found when it joins the present.
#[tokio::test(start_paused = true)]
async fn a_membership_that_changes_while_catching_up() {
    let (rig, members, view) = rig().await;
    let state = ListOptions::default();
    let mut watch = rig.watch_as("", &state, &view).await;
    watch.hears(&["ADDED all/anns@1"]).await;
    members.set("all", NamespaceScope::Nothing);
    rig.cache.reevaluate();
    watch.hears(&["ADDED all/bobs@2", "ADDED some/anns@5", "DELETED all/anns@6", "DELETED all/bobs@6"]).await;
    watch.is_silent().await;
}
