//! Get and list: which revision, which part, which objects.

use crate::rig::Rig;
use apiserver_meta::Reason;
use serde_json::json;

/// Whether a list is what is wanted: the words of [`Rig::list`], `>=8` for a list read at 8 or later, or the beginning
/// of an error.
#[track_caller]
fn assert_told(told: &str, want: &str, about: &str) {
    if want.starts_with(|c: char| c.is_ascii_digit()) {
        assert!(told.starts_with(want), "{about}: want {want}, got {told}");
        return;
    }
    let (items, revision) = want.rsplit_once(' ').unwrap_or(("", want));
    let (told_items, told_revision) = told.rsplit_once(' ').unwrap_or(("", told));
    assert_eq!(told_items, items, "{about}: {told}");
    match revision.strip_prefix('>') {
        None => assert_eq!(told_revision, revision, "{about}: {told}"),
        Some(least) => {
            let number = |text: &str| text.trim_start_matches('=').parse::<u64>().unwrap_or(0);
            assert!(number(told_revision) >= number(least), "{about}: {told}");
        }
    }
}

/// The same without how many objects follow.
fn unknown_count(want: &str) -> String {
    let words = want.split(' ').map(|word| if word.starts_with('+') { "+?" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// upstream: RunTestGet.
pub(crate) async fn get(rig: Rig) {
    let created = rig.create("ns/foo").await;
    let stored = rig.try_merge("ns/foo", &json!({"spec": {"nodeName": "bar"}})).await.unwrap();
    rig.create("ns/bar").await;
    rig.heard(3).await;
    assert_eq!(rig.get("ns/foo", "").await.unwrap(), stored);
    for version in ["0", "#1"] {
        let got = rig.get("ns/foo", version).await;
        assert!([&created, &stored].contains(&&got.unwrap()), "{version}");
    }
    for version in ["#2", "#3"] {
        assert_eq!(rig.get("ns/foo", version).await.unwrap(), stored, "{version}");
    }
    let error = rig.get("ns/foo", "max").await.unwrap_err();
    assert_eq!((error.code(), error.message.contains("Too large resource version")), (504, true));
    for version in ["", "0", "#3"] {
        assert_eq!(rig.get("ns/non-existing", version).await.unwrap_err().reason, Reason::NotFound, "{version}");
    }
}

/// Six objects written one after the other; then first/bar gets a node (7) and second/baz is deleted (8). 9 is elsewhere.
async fn seed(rig: &Rig) {
    for path in ["first/bar", "second/bar", "second/foo", "third/barfoo", "third/foo", "second/baz"] {
        rig.create(path).await;
    }
    assert_eq!(rig.set("first/bar", "", "fakeNode").await, 7);
    assert_eq!(rig.delete("second/baz").await, 8);
    rig.compact(1).await;
    assert_eq!(rig.write_elsewhere().await, 9);
}

/// upstream: RunTestList. Asked of a server whose cache saw it all happen, of one that came later and has to ask the store about
/// the past, and of one that came later and has the past from the store.
pub(crate) async fn list(rig: Rig) {
    seed(&rig).await;
    rig.heard(8).await;
    let (late, knowing) = (rig.again().await, rig.again_with_history().await);
    let forgotten = "410 The resourceVersion for the provided list is too old.";
    for (rig, past) in [(&rig, "=0"), (&late, forgotten), (&knowing, forgotten)] {
        for (namespace, query, want) in TABLE {
            let told = rig.list(namespace, query).await;
            // Not every store counts what there was in the past.
            let wanted = if told.contains("+?") && past != "=0" { unknown_count(want) } else { (*want).to_owned() };
            assert_told(&told, &wanted, &format!("{namespace:?} {query:?}"));
        }
        for namespace in ["", "first"] {
            assert_told(&rig.list(namespace, "rv=#0 match=Exact").await, past, "before the first write");
        }
    }
    let expired = late.list("", "limit=1 from=first/bar\0@1").await;
    assert_told(&expired, "=1", "a page of the first write");
    rig.compact(2).await;
    assert_told(&late.list("", "limit=1 from=first/bar\0@1").await, "410 The provided continue parameter is too old", "forgotten");
}

/// Namespace, query, answer.
const TABLE: &[(&str, &str, &str)] = &[
    // What makes no sense.
    ("", "rv=abc", "400"),
    ("", "rv=-1", "400"),
    ("", "rv=1 limit=1 from=second/foo@8", "400"),
    ("first", "rv=0 match=Invalid", "422"),
    ("first", "rv=1 match=Invalid", "422"),
    ("", "rv=0 match=Exact", "422"),
    ("", "match=Exact", "422"),
    ("", "from=@8", "400"),
    ("", "from=first/bar\0@0", "400"),
    ("second", "from=first/bar\0@8", "400"),
    ("", "from=../bar\0@8", "400"),
    // One namespace at every freshness.
    ("first", "", "first/bar@7 =9"),
    ("first", "rv=0", "first/bar@7 >=8"),
    ("first", "rv=0 match=NotOlderThan", "first/bar@7 >=8"),
    ("first", "rv=#0 match=NotOlderThan", "first/bar@7 >=8"),
    ("first", "rv=1 match=Exact", "first/bar@1 =1"),
    ("second", "rv=1 match=Exact", "=1"),
    ("second", "rv=2 match=Exact", "second/bar@2 =2"),
    ("first", "rv=8", "first/bar@7 >=8"),
    ("first", "rv=8 match=Exact", "first/bar@7 =8"),
    ("first", "rv=8 match=NotOlderThan", "first/bar@7 >=8"),
    ("first", "rv=9 match=NotOlderThan", "first/bar@7 =9"),
    ("non-existing", "", "=9"),
    ("non-existing", "rv=8", ">=8"),
    ("empty", "rv=8 match=NotOlderThan", ">=8"),
    ("empty", "rv=8 match=Exact", "=8"),
    ("empty", "rv=0", ">=8"),
    ("first", "fields=metadata.name!=bar", "=9"),
    ("first", "rv=8 match=NotOlderThan fields=metadata.name!=bar", ">=8"),
    // Pages.
    ("second", "limit=1", "second/bar@2 +1 =9"),
    ("second", "limit=1 rv=8", "second/bar@2 +1 =8"),
    ("second", "limit=1 rv=8 match=Exact", "second/bar@2 +1 =8"),
    ("second", "limit=1 rv=8 match=NotOlderThan", "second/bar@2 +1 >=8"),
    ("second", "limit=1 rv=0", "second/bar@2 +1 >=8"),
    ("second", "limit=1 rv=0 match=NotOlderThan", "second/bar@2 +1 >=8"),
    ("second", "limit=1 rv=1 match=Exact", "=1"),
    ("second", "limit=1 rv=2 match=Exact", "second/bar@2 =2"),
    ("second", "limit=1 from=second/foo@8", "second/foo@3 =8"),
    ("second", "limit=1 rv=0 from=second/foo@8", "second/foo@3 =8"),
    ("second", "", "second/bar@2 second/foo@3 =9"),
    ("second", "rv=8 match=NotOlderThan", "second/bar@2 second/foo@3 >=8"),
    // Selections: a page is filled, and no token leads to an empty one.
    ("", "limit=1 fields=metadata.name=barfoo", "third/barfoo@4 =9"),
    ("", "limit=1 rv=8 match=NotOlderThan fields=metadata.name=barfoo", "third/barfoo@4 >=8"),
    ("", "limit=2 fields=metadata.name=barfoo", "third/barfoo@4 =9"),
    ("", "limit=2 rv=8 match=NotOlderThan fields=metadata.name=barfoo", "third/barfoo@4 >=8"),
    ("", "limit=1 fields=metadata.name=bar", "first/bar@7 +? =9"),
    ("", "limit=2 fields=metadata.name=bar", "first/bar@7 second/bar@2 =9"),
    ("", "limit=2 rv=8 match=NotOlderThan fields=metadata.name=bar", "first/bar@7 second/bar@2 >=8"),
    ("", "limit=1 fields=metadata.name=foo", "second/foo@3 +? =9"),
    ("", "limit=2 fields=metadata.name=foo", "second/foo@3 third/foo@5 =9"),
    ("", "limit=2 rv=8 match=NotOlderThan fields=metadata.name=foo", "second/foo@3 third/foo@5 >=8"),
    ("", "limit=2 rv=0 fields=metadata.name=foo", "second/foo@3 third/foo@5 >=8"),
    ("", "limit=5 fields=metadata.name=foo", "second/foo@3 third/foo@5 =9"),
    ("", "limit=5 rv=8 match=NotOlderThan fields=metadata.name=foo", "second/foo@3 third/foo@5 >=8"),
    ("", "limit=5 fields=metadata.name=barfoo", "third/barfoo@4 =9"),
    ("", "limit=5 rv=8 match=NotOlderThan fields=metadata.name=barfoo", "third/barfoo@4 >=8"),
    ("", "limit=5 fields=spec.nodeName=fakeNode", "first/bar@7 =9"),
    ("", "limit=5 rv=8 match=NotOlderThan fields=spec.nodeName=fakeNode", "first/bar@7 >=8"),
    ("", "limit=5 rv=6 match=Exact fields=spec.nodeName=fakeNode", "=6"),
    ("", "limit=5 fields=metadata.name=baz", "=9"),
    ("", "limit=5 rv=8 match=NotOlderThan fields=metadata.name=baz", ">=8"),
    ("", "limit=5 rv=7 match=Exact fields=metadata.name=baz", "second/baz@6 =7"),
    // Every revision.
    ("", "", "first/bar@7 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =9"),
    ("", "rv=8 match=NotOlderThan", "first/bar@7 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 >=8"),
    ("", "rv=1 match=Exact", "first/bar@1 =1"),
    ("", "rv=2 match=Exact", "first/bar@1 second/bar@2 =2"),
    ("", "rv=3 match=Exact", "first/bar@1 second/bar@2 second/foo@3 =3"),
    ("", "rv=4 match=Exact", "first/bar@1 second/bar@2 second/foo@3 third/barfoo@4 =4"),
    ("", "rv=5 match=Exact", "first/bar@1 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =5"),
    ("", "rv=6 match=Exact", "first/bar@1 second/bar@2 second/baz@6 second/foo@3 third/barfoo@4 third/foo@5 =6"),
    ("", "rv=7 match=Exact", "first/bar@7 second/bar@2 second/baz@6 second/foo@3 third/barfoo@4 third/foo@5 =7"),
    ("", "rv=8 match=Exact", "first/bar@7 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =8"),
    ("", "rv=9 match=Exact", "first/bar@7 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =9"),
    ("", "rv=10 match=Exact", "504"),
    ("", "rv=max", "504"),
    // Every revision, page by page.
    ("", "limit=1 rv=2 match=Exact", "first/bar@1 +1 =2"),
    ("", "limit=2 rv=3 match=Exact", "first/bar@1 second/bar@2 +1 =3"),
    ("", "limit=4 rv=4 match=Exact", "first/bar@1 second/bar@2 second/foo@3 third/barfoo@4 =4"),
    ("", "limit=1 rv=5 match=Exact", "first/bar@1 +4 =5"),
    ("", "limit=2 rv=6 match=Exact", "first/bar@1 second/bar@2 +4 =6"),
    ("", "limit=4 rv=7 match=Exact", "first/bar@7 second/bar@2 second/baz@6 second/foo@3 +2 =7"),
    ("", "limit=8 rv=8 match=Exact", "first/bar@7 second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =8"),
    ("", "limit=1 rv=9 match=Exact", "first/bar@7 +4 =9"),
    ("", "limit=1 from=first/bar\0@1", "=1"),
    ("", "limit=1 from=first/bar\0@2", "second/bar@2 =2"),
    ("", "limit=2 from=second/bar\0@3", "second/foo@3 =3"),
    ("", "limit=1 from=first/bar\0@5", "second/bar@2 +3 =5"),
    ("", "limit=2 from=second/bar\0@6", "second/baz@6 second/foo@3 +2 =6"),
    ("", "limit=4 from=second/foo\0@7", "third/barfoo@4 third/foo@5 =7"),
    ("", "limit=1 from=first/bar\0@9", "second/bar@2 +3 =9"),
    ("", "from=first/bar\0@-1", "second/bar@2 second/foo@3 third/barfoo@4 third/foo@5 =9"),
    ("", "limit=2 from=first/bar\0@-1", "second/bar@2 second/foo@3 +2 =9"),
    ("", "from=second/foo\0@-1", "third/barfoo@4 third/foo@5 =9"),
];

/// upstream: RunTestConsistentList: a list without a resourceVersion, and one that goes on at the newest, are read now,
/// whatever was read before; and what such a read saw, reads of what is at hand see afterwards.
pub(crate) async fn consistent_list(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    rig.write_elsewhere().await;
    assert_told(&rig.list("empty", "rv=0").await, ">=1", "anything at hand");
    rig.write_elsewhere().await;
    assert_eq!(rig.list("empty", "").await, "=3");
    rig.write_elsewhere().await;
    assert_eq!(rig.list("empty", "from=empty/a@-1").await, "=4");
    let at_hand = if rig.tells_progress() { ">=4" } else { ">=1" };
    assert_told(&rig.list("empty", "rv=0").await, at_hand, "what the read before has seen");
    assert_eq!(rig.list("ns", "").await, "ns/foo@1 =4");
}

/// upstream: RunTestGetListNonRecursive: a list of one object by its name.
pub(crate) async fn get_list_non_recursive(rig: Rig) {
    rig.create("ns/foo").await;
    rig.create("ns/foo2").await;
    assert_eq!(rig.set("ns/foo", "version=second", "").await, 3);
    rig.write_elsewhere().await;
    rig.heard(3).await;
    for (query, want) in [
        ("", "ns/foo@3 =4"),
        ("rv=0", "ns/foo@3 >=3"),
        ("rv=0 match=NotOlderThan", "ns/foo@3 >=3"),
        ("rv=3", "ns/foo@3 >=3"),
        ("rv=3 match=NotOlderThan", "ns/foo@3 >=3"),
        ("rv=1 match=NotOlderThan", "ns/foo@3 >=3"),
        ("rv=3 match=Exact", "ns/foo@3 =3"),
        ("rv=1 match=Exact", "ns/foo@1 =1"),
        ("rv=max", "504"),
    ] {
        assert_told(&rig.list("ns", &format!("{query} fields=metadata.name=foo")).await, want, query);
    }
    for (query, want) in [
        ("fields=metadata.name=non-existing", "=4"),
        ("fields=metadata.name=non-existing,metadata.name!=foo", "=4"),
        ("rv=3 fields=metadata.name=foo,metadata.name!=foo", ">=3"),
    ] {
        assert_told(&rig.list("ns", query).await, want, query);
    }
}

/// upstream: RunTestGetListRecursivePrefix: names that begin alike are not one inside the other.
pub(crate) async fn get_list_recursive_prefix(rig: Rig) {
    for path in ["ns/foo", "ns/foobar", "ns2/baz"] {
        rig.create(path).await;
    }
    rig.heard(3).await;
    for freshness in ["rv=3 match=Exact", "", "rv=0 match=NotOlderThan"] {
        for (namespace, fields, want) in [
            ("", "", "ns/foo@1 ns/foobar@2 ns2/baz@3 =3"),
            ("ns", "", "ns/foo@1 ns/foobar@2 =3"),
            ("n", "", "=3"),
            ("ns2", "", "ns2/baz@3 =3"),
            ("ns/foo", "", "=3"),
            ("ns", "fields=metadata.name=foo", "ns/foo@1 =3"),
            ("ns", "fields=metadata.name=foobar", "ns/foobar@2 =3"),
            ("ns", "fields=metadata.name=fo", "=3"),
        ] {
            let query = format!("{freshness} {fields}");
            assert_eq!(rig.list(namespace, &query).await, want, "{namespace:?} {query:?}");
        }
    }
}

/// upstream: RunTestGetListWithoutErrorAggregation: a list that meets something unreadable fails, wherever that lies.
pub(crate) async fn get_list_without_error_aggregation(rig: Rig) {
    for number in 1..=7 {
        rig.create(&format!("ns/foo-{number}")).await;
    }
    assert!(rig.list("ns", "").await.ends_with("=7"));
    for number in [2, 4, 6] {
        rig.set_raw(&format!("ns/foo-{number}"), b"bits flipped").await;
    }
    rig.heard(10).await;
    for query in ["", "rv=0", "rv=10 match=Exact", "fields=metadata.name=foo-2"] {
        let error = rig.try_list("ns", query).await.unwrap_err();
        assert_eq!(error.code(), 500, "{query}");
        assert!(error.source.unwrap().to_string().contains("ns/foo-2"), "the operator is told which");
    }
    assert_eq!(rig.list("ns", "rv=7 match=Exact fields=metadata.name=foo-3").await, "ns/foo-3@3 =7");
}

/// upstream: RunTestListResourceVersionMatch: an exact list of the revision that a list told is that list again, while
/// others write.
pub(crate) async fn list_resource_version_match(rig: Rig) {
    let write = |number: usize| {
        let rig = &rig;
        async move { rig.set(&format!("ns/pod-{number:02}"), &format!("even={}", number.is_multiple_of(2)), "").await }
    };
    for number in 0..5 {
        write(number).await;
    }
    let writers = async {
        for number in 5..25 {
            write(number).await;
        }
    };
    let readers = async {
        for round in 0..10 {
            let match_ = if round % 2 == 0 { String::new() } else { "rv=5 match=NotOlderThan".into() };
            let first = rig.try_list("", &format!("{match_} limit=4 labels=even=true")).await.unwrap();
            let number = first.revision - rig.revision(0);
            let again = rig.try_list("", &format!("rv={number} match=Exact limit=4 labels=even=true")).await.unwrap();
            assert_eq!(rig.told(&again), rig.told(&first));
        }
    };
    tokio::join!(writers, readers);
}

/// upstream: RunTestNamespaceScopedList.
pub(crate) async fn namespace_scoped_list(rig: Rig) {
    let state = [
        ("foo1", "ns1", ""),
        ("foo2", "ns1", "bar2"),
        ("foo3", "ns1", "bar1"),
        ("foo1", "ns2", "bar1"),
        ("foo2", "ns2", "bar2"),
        ("foo1", "ns3", "bar2"),
    ];
    for (name, namespace, node) in state {
        rig.set(&format!("{namespace}/{name}"), "", node).await;
    }
    for (namespace, fields, want) in [
        ("", "", "ns1/foo1@1 ns1/foo2@2 ns1/foo3@3 ns2/foo1@4 ns2/foo2@5 ns3/foo1@6 =6"),
        ("", "metadata.namespace=ns1", "ns1/foo1@1 ns1/foo2@2 ns1/foo3@3 =6"),
        ("", "spec.nodeName=bar1", "ns1/foo3@3 ns2/foo1@4 =6"),
        ("", "spec.nodeName!=bar1", "ns1/foo1@1 ns1/foo2@2 ns2/foo2@5 ns3/foo1@6 =6"),
        ("ns1", "", "ns1/foo1@1 ns1/foo2@2 ns1/foo3@3 =6"),
        ("ns1", "metadata.namespace=ns1", "ns1/foo1@1 ns1/foo2@2 ns1/foo3@3 =6"),
        ("ns1", "metadata.namespace=ns2", "=6"),
        ("ns1", "spec.nodeName=bar2", "ns1/foo2@2 =6"),
        ("ns2", "spec.nodeName!=bar1", "ns2/foo2@5 =6"),
        ("", "metadata.name=foo1", "ns1/foo1@1 ns2/foo1@4 ns3/foo1@6 =6"),
        ("", "metadata.name=foo1,metadata.namespace=ns1", "ns1/foo1@1 =6"),
        ("", "metadata.name=foo1,spec.nodeName=bar1", "ns2/foo1@4 =6"),
        ("", "metadata.name=foo1,spec.nodeName!=bar1", "ns1/foo1@1 ns3/foo1@6 =6"),
        ("ns1", "metadata.name=foo1", "ns1/foo1@1 =6"),
        ("ns1", "metadata.name=foo1,metadata.namespace=ns1", "ns1/foo1@1 =6"),
        ("ns2", "metadata.name=foo2,metadata.namespace=ns2,spec.nodeName=bar2", "ns2/foo2@5 =6"),
        ("ns2", "metadata.name=foo1,metadata.namespace=ns2,spec.nodeName!=bar2", "ns2/foo1@4 =6"),
    ] {
        let query = if fields.is_empty() { String::new() } else { format!("fields={fields}") };
        assert_eq!(rig.list(namespace, &query).await, want, "{namespace:?} {fields:?}");
    }
}

/// upstream: RunTestCompactRevision: a server that came after it does not know what was compacted.
pub(crate) async fn compact_revision(rig: Rig) {
    rig.create("ns/foo").await;
    assert_eq!(rig.list("", "").await, "ns/foo@1 =1");
    rig.set("ns/foo", "a=1", "").await;
    let late = rig.again().await;
    assert_eq!(late.list("", "rv=1 match=Exact").await, "ns/foo@1 =1");
    rig.compact(2).await;
    assert_eq!(late.list("", "rv=1 match=Exact").await, "410 The resourceVersion for the provided list is too old.");
    assert_eq!(late.list("", "rv=2 match=Exact").await, "ns/foo@2 =2");
}
