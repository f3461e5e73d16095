//! Lists: which revision they show, pages, scopes, selectors.
#![allow(clippy::unwrap_used)]

use super::rig::{Rig, at, context, fields, labels, paths};
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_meta::{ApiError, ObjectFilter, Reason};
use apiserver_store::Revision;
use serde_json::json;

use ResourceVersion::{Any, At, Unset};
use VersionMatch::{Exact, NotOlderThan};

/// Five objects, each written at its number; then `b` is deleted (6) and `c` labelled (7); 8 is elsewhere.
async fn rig() -> Rig {
    let rig = Rig::new().await;
    for path in ["ns1/a", "ns1/b", "ns2/c", "ns2/d", "ns3/e"] {
        rig.set(path, "");
    }
    rig.delete("ns1/b");
    rig.set("ns2/c", "late=yes");
    let last = rig.write_elsewhere();
    rig.reached(last).await;
    rig
}

fn told(result: Result<crate::List, ApiError>) -> String {
    match result {
        Ok(list) => {
            let more = if list.continue_token.is_some() { "+" } else { "" };
            format!("{}{more}@{}", paths(&list).join(" "), list.revision)
        }
        Err(error) => format!("{} {}", error.code(), error.message),
    }
}

/// RunTestList: the table of resourceVersion, match and limit.
#[tokio::test(start_paused = true)]
async fn list() {
    const NOW: &str = "ns1/a ns2/c ns2/d ns3/e@8";
    let rig = rig().await;
    let table: &[(ResourceVersion, Option<VersionMatch>, usize, &str)] = &[
        (Unset, None, 0, NOW),
        (Unset, None, 2, "ns1/a ns2/c+@8"),
        (Any, None, 0, NOW),
        (Any, None, 2, "ns1/a ns2/c+@8"),
        (Any, Some(NotOlderThan), 0, NOW),
        (At(5), None, 0, NOW),
        (At(5), None, 2, "ns1/a ns1/b+@5"),
        (At(5), None, 5, "ns1/a ns1/b ns2/c ns2/d ns3/e@5"),
        (At(5), Some(NotOlderThan), 0, NOW),
        (At(5), Some(NotOlderThan), 2, "ns1/a ns2/c+@8"),
        (At(5), Some(Exact), 0, "ns1/a ns1/b ns2/c ns2/d ns3/e@5"),
        (At(6), Some(Exact), 2, "ns1/a ns2/c+@6"),
        (At(8), Some(Exact), 0, NOW),
        (At(1), Some(Exact), 0, "ns1/a@1"),
        (At(9), None, 0, "504 Timeout: Too large resource version: 9, current: 8"),
        (At(9), Some(NotOlderThan), 0, "504 Timeout: Too large resource version: 9, current: 8"),
        (At(9), Some(Exact), 0, "504 Timeout: Too large resource version: 9, current: 8"),
    ];
    for (resource_version, version_match, limit, expected) in table {
        let options =
            ListOptions { resource_version: *resource_version, version_match: *version_match, limit: *limit, ..ListOptions::default() };
        assert_eq!(told(rig.list("", &options).await), *expected, "{resource_version:?} {version_match:?} {limit}");
    }
    assert_eq!(rig.store.calls().ranges, 1, "the cache knew it all");
}

/// RunTestListResourceVersionMatch, RunTestCompactRevision: beyond the history the store is asked; when it has
/// forgotten too, the answer is 410.
#[tokio::test(start_paused = true)]
async fn exact_lists_of_the_past() {
    let rig = Rig::with(|config| config.history_events = 2).await;
    for n in 1..=9 {
        rig.set(&format!("ns/o{n}"), "");
    }
    rig.reached(9).await;
    let exactly = |revision| ListOptions { version_match: Some(Exact), ..at(revision) };
    assert_eq!(told(rig.list("", &exactly(8)).await), "ns/o1 ns/o2 ns/o3 ns/o4 ns/o5 ns/o6 ns/o7 ns/o8@8");
    assert_eq!(rig.store.calls().ranges, 1);
    assert_eq!(told(rig.list("", &exactly(3)).await), "ns/o1 ns/o2 ns/o3@3");
    assert_eq!(told(rig.list("", &ListOptions { limit: 2, ..at(4) }).await), "ns/o1 ns/o2+@4");
    assert!(rig.store.calls().ranges > 1);
    apiserver_store::Store::compact(&*rig.store, 5).await.unwrap();
    assert_eq!(told(rig.list("", &exactly(3)).await), "410 The resourceVersion for the provided list is too old.");
    assert_eq!(told(rig.list("", &exactly(5)).await), "ns/o1 ns/o2 ns/o3 ns/o4 ns/o5@5");
}

/// All pages of a list, and what each said.
async fn pages(rig: &Rig, namespace: &str, mut options: ListOptions) -> Vec<(Vec<String>, Revision, Option<u64>)> {
    let mut pages = Vec::new();
    loop {
        let list = rig.list(namespace, &options).await.unwrap();
        pages.push((paths(&list), list.revision, list.remaining));
        match list.continue_token {
            Some(token) => options.continue_token = token,
            None => return pages,
        }
        // What is written between pages shows on none.
        rig.set("ns1/between", "");
        rig.delete("ns2/d");
    }
}

fn page(items: &[&str], revision: Revision, remaining: Option<u64>) -> (Vec<String>, Revision, Option<u64>) {
    (items.iter().map(|&item| item.to_owned()).collect(), revision, remaining)
}

/// RunTestListContinuation.
#[tokio::test(start_paused = true)]
async fn list_continuation() {
    let rig = rig().await;
    let options = ListOptions { limit: 2, ..ListOptions::default() };
    let expected = [page(&["ns1/a", "ns2/c"], 8, Some(2)), page(&["ns2/d", "ns3/e"], 8, None)];
    assert_eq!(pages(&rig, "", options.clone()).await, expected);
    rig.set("ns2/d", "");
    rig.delete("ns1/between");
    let revision = rig.write_elsewhere();
    rig.reached(revision).await;
    let expected = [
        page(&["ns1/a"], revision, Some(3)),
        page(&["ns2/c"], revision, Some(2)),
        page(&["ns2/d"], revision, Some(1)),
        page(&["ns3/e"], revision, None),
    ];
    assert_eq!(pages(&rig, "", ListOptions { limit: 1, ..options }).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_namespace_is_counted() {
    for unreliable in [false, true] {
        let rig = rig().await;
        rig.store.fault(|faults| faults.unreliable = unreliable);
        let options = ListOptions { limit: 1, ..ListOptions::default() };
        assert_eq!(pages(&rig, "ns2", options).await, [page(&["ns2/c"], 8, Some(1)), page(&["ns2/d"], 8, None)]);
        let one = ListOptions { limit: 1, ..fields("metadata.namespace=ns2,spec.color!=red") };
        assert_eq!(rig.list("", &one).await.unwrap().remaining, None, "where something may be left out nothing is counted");
    }
}

/// RunTestListContinuationWithFilter: pages are filled; only where nothing is left out the rest is counted.
#[tokio::test(start_paused = true)]
async fn list_continuation_with_filter() {
    let rig = Rig::new().await;
    for n in 0..30 {
        rig.set(&format!("ns/o{n:02}"), if n % 10 == 9 { "rare=yes" } else { "" });
    }
    rig.reached(30).await;
    let options = ListOptions { limit: 2, ..labels("rare") };
    let told = pages(&rig, "ns", options).await;
    assert_eq!(told, [page(&["ns/o09", "ns/o19"], 30, None), page(&["ns/o29"], 30, None)]);
}

/// RunTestListPaginationRareObject: one page, and no token for a page that would be empty.
#[tokio::test(start_paused = true)]
async fn list_pagination_rare_object() {
    let rig = Rig::new().await;
    for n in 0..200 {
        rig.set(&format!("ns/o{n:03}"), if n == 77 { "rare=yes" } else { "" });
    }
    rig.reached(200).await;
    let list = rig.list("ns", &ListOptions { limit: 1, ..labels("rare=yes") }).await.unwrap();
    assert_eq!((paths(&list), list.continue_token), (vec!["ns/o077".to_owned()], None));
}

/// RunTestListInconsistentContinuation.
#[tokio::test(start_paused = true)]
async fn list_inconsistent_continuation() {
    let rig = Rig::with(|config| config.history_events = 1).await;
    for name in ["a", "b", "c", "d"] {
        rig.set(&format!("ns/{name}"), "");
    }
    rig.reached(4).await;
    let first = rig.list("ns", &ListOptions { limit: 2, ..ListOptions::default() }).await.unwrap();
    rig.delete("ns/c");
    rig.set("ns/e", "");
    rig.reached(6).await;
    rig.cache.state().snapshots.clear();
    let token = first.continue_token.unwrap();
    let goes_on = |token: &str| ListOptions { limit: 2, continue_token: token.to_owned(), ..ListOptions::default() };
    // The store still knows.
    assert_eq!(told(rig.list("ns", &goes_on(&token)).await), "ns/c ns/d@4");
    apiserver_store::Store::compact(&*rig.store, 6).await.unwrap();
    let error = rig.list("ns", &goes_on(&token)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Expired);
    assert!(error.message.starts_with("The provided continue parameter is too old to display a consistent list result."), "{error}");
    let fresh = error.continue_token.unwrap();
    assert_eq!(told(rig.list("ns", &goes_on(&fresh)).await), "ns/d ns/e@6");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_own_namespace_only() {
    let rig = rig().await;
    let token = rig.list("ns2", &ListOptions { limit: 1, ..ListOptions::default() }).await.unwrap().continue_token.unwrap();
    let goes_on = ListOptions { continue_token: token, ..ListOptions::default() };
    assert_eq!(told(rig.list("ns2", &goes_on).await), "ns2/d@8");
    assert!(told(rig.list("ns3", &goes_on).await).starts_with("400 invalid continue token: continue key is not valid"));
    let with_version = ListOptions { resource_version: At(8), ..goes_on };
    assert_eq!(told(rig.list("ns2", &with_version).await), "400 specifying resource version is not allowed when using continue");
    let garbage = ListOptions { continue_token: "garbage".into(), ..ListOptions::default() };
    assert_eq!(
        told(rig.list("ns2", &garbage).await),
        "400 invalid continue token: continue key is not valid: invalid character '\\u0081' looking for beginning of value"
    );
}

/// RunTestNamespaceScopedList, RunTestGetListRecursivePrefix: namespaces whose names begin alike, selectors that name
/// an object or a namespace.
#[tokio::test(start_paused = true)]
async fn namespace_scoped_list() {
    let rig = Rig::new().await;
    for path in ["ns/a", "ns/ab", "ns-x/a", "ns.y/a", "ns2/a"] {
        rig.set_spec(path, "app=x", &json!({"color": if path == "ns/a" { "red" } else { "blue" }}));
    }
    rig.reached(5).await;
    let table: &[(&str, ListOptions, &str)] = &[
        // The order of the store's keys.
        ("", ListOptions::default(), "ns-x/a ns.y/a ns/a ns/ab ns2/a@5"),
        ("ns", ListOptions::default(), "ns/a ns/ab@5"),
        ("n", ListOptions::default(), "@5"),
        ("ns-x", ListOptions::default(), "ns-x/a@5"),
        ("ns", fields("metadata.name=a"), "ns/a@5"),
        ("ns", fields("metadata.name=b"), "@5"),
        ("", fields("metadata.name=a"), "ns-x/a ns.y/a ns/a ns2/a@5"),
        ("", fields("metadata.name=a,metadata.namespace=ns2"), "ns2/a@5"),
        ("", fields("metadata.namespace=ns"), "ns/a ns/ab@5"),
        ("ns", fields("metadata.namespace=ns"), "ns/a ns/ab@5"),
        ("ns", fields("metadata.namespace=ns2"), "@5"),
        ("", fields("metadata.namespace="), "@5"),
        ("ns", fields("metadata.name="), "@5"),
        ("", fields("metadata.namespace!=ns"), "ns-x/a ns.y/a ns2/a@5"),
        ("ns", fields("metadata.name!=a"), "ns/ab@5"),
        ("ns", fields("metadata.name=a,metadata.name!=a"), "@5"),
        ("", fields("spec.color=red"), "ns/a@5"),
        ("ns", fields("spec.color!=red"), "ns/ab@5"),
        ("ns2", fields("spec.color=red"), "@5"),
        ("", labels("app=x"), "ns-x/a ns.y/a ns/a ns/ab ns2/a@5"),
        ("", labels("app!=x"), "@5"),
        ("ns", ListOptions { labels: labels("app=x").labels, ..fields("metadata.name=ab") }, "ns/ab@5"),
        ("ns", ListOptions { labels: labels("app=y").labels, ..fields("metadata.name=ab") }, "@5"),
    ];
    for (namespace, options, expected) in table {
        assert_eq!(told(rig.list(namespace, options).await), *expected, "{namespace:?} {:?} {:?}", options.labels, options.fields);
        rig.store.fault(|faults| faults.unreliable = true);
        assert_eq!(told(rig.list(namespace, options).await), *expected, "from the store: {namespace:?} {:?}", options.fields);
        rig.store.fault(|faults| faults.unreliable = false);
    }
}

/// Taken one after the other, the objects of a list are the same, whether it is the whole collection or less.
#[tokio::test(start_paused = true)]
async fn rows_are_those_of_the_list() {
    let rig = Rig::new().await;
    for n in 0..600 {
        rig.set(&format!("{}/o{n:03}", ["ns", "ns-x", "ns2"][n % 3]), if n % 2 == 0 { "tier=gold" } else { "" });
    }
    let first = rig.list("", &ListOptions { limit: 250, ..ListOptions::default() }).await.unwrap();
    let rest = ListOptions { continue_token: first.continue_token.clone().unwrap(), ..ListOptions::default() };
    for options in [ListOptions::default(), ListOptions { limit: 7, ..ListOptions::default() }, labels("tier=gold"), at(300), rest] {
        for namespace in ["", "ns", "nobody"] {
            if !options.continue_token.is_empty() && !namespace.is_empty() {
                continue;
            }
            let list = rig.list(namespace, &options).await.unwrap();
            let rows = rig.cache.list_rows(&context(), namespace, &options, &ObjectFilter::All).await.unwrap();
            assert_eq!((rows.revision, &rows.continue_token, rows.remaining), (list.revision, &list.continue_token, list.remaining));
            let bytes = list.items.iter().map(|item| item.bytes.len()).sum::<usize>();
            assert_eq!(rows.rows.measure(|item| Some(item.bytes.len())), Some((list.items.len(), bytes)));
            // What happens while they are taken is not seen.
            rig.delete("ns/o000");
            assert_eq!(rows.rows.collect::<Vec<_>>(), list.items, "{namespace} {options:?}");
            rig.set("ns/o000", "tier=gold");
        }
    }
}
