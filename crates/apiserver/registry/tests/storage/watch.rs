//! Watches of what happens.

use crate::rig::{Rig, Tape};
use apiserver_meta::options::DeleteOptions;
use futures::StreamExt;
use futures::future::join_all;
use std::time::{Duration, Instant};

/// What a step does to an object, and what it is to the watcher.
type Step = (&'static str, Does, &'static str);

#[derive(Clone, Copy)]
enum Does {
    /// Creates it, or takes label and node away.
    Base,
    /// Gives it the label.
    Label,
    /// Gives it this node.
    Node(&'static str),
    /// Gives it both.
    LabelAndNode(&'static str),
    Delete,
}

use Does::{Base, Delete, Label, LabelAndNode, Node};

const NOTHING: &str = "";

/// Takes the steps one by one, each of which the watcher hears before the next, or not at all.
async fn follow(rig: &Rig, watch: &mut Tape<'_>, steps: &[Step], about: &str) {
    for (path, does, wanted) in steps {
        let number = match does {
            Base => rig.set(path, "", "").await,
            Label => rig.set(path, "select=true", "").await,
            Node(node) => rig.set(path, "", node).await,
            LabelAndNode(node) => rig.set(path, "select=true", node).await,
            Delete => rig.delete(path).await,
        };
        if *wanted != NOTHING {
            assert_eq!(watch.next().await, Some(format!("{wanted} {path}@{number}")), "{about}");
        }
    }
    watch.is_silent().await;
}

/// upstream: RunTestWatch, of one object by name and of a namespace.
pub(crate) async fn watch(rig: Rig) {
    let cases: &[(&str, &[Step])] = &[
        ("", &[("ns/foo", Base, "ADDED"), ("ns/foo", Delete, "DELETED")]),
        ("fields=spec.nodeName=bar", &[("ns/foo", Base, NOTHING), ("ns/foo", Node("bar"), "ADDED"), ("ns/foo", Delete, "DELETED")]),
        ("", &[("ns/foo", Base, "ADDED"), ("ns/foo", Node("bar"), "MODIFIED"), ("ns/foo", Delete, "DELETED")]),
        ("fields=spec.nodeName!=bar", &[("ns/foo", Base, "ADDED"), ("ns/foo", Node("bar"), "DELETED"), ("ns/foo", Delete, NOTHING)]),
        (
            "labels=select=true",
            &[
                ("ns/foo", Label, "ADDED"),
                ("ns/foo", Base, "DELETED"),
                ("ns/foo", Label, "ADDED"),
                ("ns/foo", LabelAndNode("bar"), "MODIFIED"),
                ("ns/foo", Delete, "DELETED"),
            ],
        ),
    ];
    for (selection, steps) in cases {
        for by_name in [false, true] {
            let selection = match (by_name, selection.strip_prefix("fields=")) {
                (false, _) => (*selection).to_owned(),
                (true, Some(fields)) => format!("fields=metadata.name=foo,{fields}"),
                (true, None) => format!("{selection} fields=metadata.name=foo"),
            };
            let now = rig.write_elsewhere().await;
            let mut watch = rig.watch("ns", &format!("rv={now} {selection}")).await;
            rig.set("ns-bad/foo", &format!("now={now}"), "bar").await;
            follow(&rig, &mut watch, steps, &selection).await;
        }
    }
}

/// upstream: RunTestWatchFromZero.
pub(crate) async fn watch_from_zero(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    let mut watch = rig.watch("ns", "rv=0 fields=metadata.name=foo").await;
    watch.hears(&["ADDED ns/foo@1"]).await;
    rig.set("ns/foo", "a=1", "").await;
    watch.hears(&["MODIFIED ns/foo@2"]).await;
    // Watchers are told a moment before readers of what is at hand see it.
    rig.heard(2).await;
    rig.watch("ns", "rv=0 fields=metadata.name=foo").await.hears(&["ADDED ns/foo@2"]).await;
    rig.set("ns/foo", "", "").await;
    rig.compact(3).await;
    let late = rig.again().await;
    late.watch("ns", "rv=0 fields=metadata.name=foo").await.hears(&["ADDED ns/foo@3"]).await;
    let mut old = late.watch("ns", "rv=2 fields=metadata.name=foo").await;
    assert!(old.next().await.unwrap().starts_with("ERROR 410 too old resource version"));
    old.is_over().await;
}

/// upstream: RunTestDeleteTriggerWatch.
pub(crate) async fn delete_trigger_watch(rig: Rig) {
    rig.create("ns/foo").await;
    let mut watch = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    rig.delete("ns/foo").await;
    watch.hears(&["DELETED ns/foo@2"]).await;
}

/// upstream: RunTestWatchFromNonZero.
pub(crate) async fn watch_from_non_zero(rig: Rig) {
    rig.create("ns/foo").await;
    let mut watch = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    rig.set("ns/foo", "version=2", "").await;
    watch.hears(&["MODIFIED ns/foo@2"]).await;
    rig.watch("ns", "rv=1").await.hears(&["MODIFIED ns/foo@2"]).await;
}

/// A watch goes on from where a list was read, also when that is ahead of everything that ever happened in the
/// collection; so do pages and exact lists.
pub(crate) async fn watch_from_what_a_list_said(rig: Rig) {
    rig.create("ns/a").await;
    rig.create("ns/b").await;
    rig.write_elsewhere().await;
    let list = rig.try_list("ns", "limit=1").await.unwrap();
    assert_eq!(rig.told(&list), "ns/a@1 +1 =3");
    let began = Instant::now();
    let mut watch = rig.watch("ns", "rv=3 bookmarks").await;
    let mut with_state = rig.watch("ns", "rv=3 initial=true bookmarks").await;
    assert_eq!(rig.list("ns", &format!("token={}", list.continue_token.unwrap())).await, "ns/b@2 =3");
    assert_eq!(rig.list("ns", "rv=3 match=Exact").await, "ns/a@1 ns/b@2 =3");
    assert_eq!(rig.list("ns", "rv=3 match=NotOlderThan").await, "ns/a@1 ns/b@2 =3");
    assert_eq!(rig.get("ns/a", "#3").await.unwrap().name(), "a");
    with_state.hears(&["ADDED ns/a@1", "ADDED ns/b@2", "SYNCED 3"]).await;
    watch.is_silent().await;
    assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for what does not come");
    rig.create("ns/c").await;
    watch.hears(&["ADDED ns/c@4"]).await;
    with_state.hears(&["ADDED ns/c@4"]).await;
}

/// upstream: RunTestDelayedWatchDelivery.
pub(crate) async fn delayed_watch_delivery(rig: Rig) {
    rig.create("ns/foo").await;
    let mut watch = rig.watch("ns", "rv=1").await;
    for number in 0..21 {
        rig.create(&format!("ns/foo-{number}")).await;
    }
    rig.heard(22).await;
    for number in 0..21 {
        watch.hears(&[&format!("ADDED ns/foo-{number}@{}", number + 2)]).await;
    }
}

const UNREADABLE: &str = "ERROR 500 Internal error occurred: stored data cannot be read";

/// upstream: RunTestWatchError: of a watch under way, and of one that begins with the state.
pub(crate) async fn watch_error(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    let mut watch = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    watch.is_silent().await;
    rig.set_raw("ns/foo", b"bits flipped").await;
    watch.hears(&[UNREADABLE]).await;
    watch.is_over().await;
    rig.heard(2).await;
    let mut anew = rig.watch("ns", "rv=0 fields=metadata.name=foo").await;
    anew.hears(&[UNREADABLE]).await;
    anew.is_over().await;
}

/// upstream: RunTestWatchWithUnsafeDelete. `ignoreStoreReadErrorWithClusterBreakingPotential` is not served: a delete of
/// what cannot be read fails. Where it was deleted in the store itself, a watch that had seen the object whole hears that
/// the data was bad, as it cannot be told what went; whoever begins after that sees a collection that is well again.
pub(crate) async fn watch_with_unsafe_delete(rig: Rig) {
    rig.create("ns/foo").await;
    rig.create("ns/bar").await;
    rig.heard(2).await;
    let mut watch = rig.watch("ns", "rv=2").await;
    watch.is_silent().await;
    rig.set_raw("ns/foo", b"bits flipped").await;
    assert_eq!(rig.try_delete("ns/foo", &DeleteOptions::default()).await.unwrap_err().code(), 500);
    rig.delete_raw("ns/foo").await;
    watch.hears(&[UNREADABLE]).await;
    watch.is_over().await;
    rig.heard(4).await;
    assert_eq!(rig.list("ns", "").await, "ns/bar@2 =4");
    let mut anew = rig.watch("ns", "rv=0").await;
    anew.hears(&["ADDED ns/bar@2"]).await;
    // Who would have to be told of the deletion has to list again.
    assert!(rig.watch("ns", "rv=2").await.next().await.unwrap().starts_with("ERROR 410"));
    rig.create("ns/foo").await;
    anew.hears(&["ADDED ns/foo@5"]).await;
}

/// upstream: RunWatchErrorIsBlockingFurtherEvents.
pub(crate) async fn watch_error_is_blocking_further_events(rig: Rig) {
    rig.create("test/foo").await;
    rig.create("test/bar").await;
    rig.heard(2).await;
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(rig.watch("", "rv=1").await);
    }
    rig.set_raw("test/bar", b"bits flipped").await;
    rig.create("test/baz").await;
    let heard = join_all(watches.iter_mut().map(|watch| async {
        let mut heard = Vec::new();
        while let Some(words) = watch.next().await {
            heard.push(words);
        }
        heard
    }));
    for heard in heard.await {
        let (last, before) = heard.split_last().unwrap();
        assert!(last.starts_with("ERROR"), "{heard:?}");
        assert!(before.is_empty() || before == ["ADDED test/bar@2"], "{heard:?}");
    }
}

/// upstream: RunTestWatchContextCancel.
pub(crate) async fn watch_context_cancel(rig: Rig) {
    for _ in 0..10 {
        let mut watch = rig.watch("not-existing", "rv=0").await;
        watch.is_silent().await;
        assert_eq!(rig.registry.cache().stats().watchers, 1);
        drop(watch);
        assert_eq!(rig.registry.cache().stats().watchers, 0);
    }
}

/// upstream: RunTestWatcherTimeout: fifty that do not read hold up nobody.
pub(crate) async fn watcher_timeout(rig: Rig) {
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut watch = rig.watch("ns", "rv=#0").await;
        // Polled once, so that it takes its place among those who are told.
        assert!(futures::poll!(watch.watch.next()).is_pending());
        idle.push(watch);
    }
    let mut reader = rig.watch("ns", "rv=#0").await;
    for number in 0..22 {
        rig.create(&format!("ns/foo-{number}")).await;
        reader.hears(&[&format!("ADDED ns/foo-{number}@{}", number + 1)]).await;
    }
}

/// upstream: RunTestWatchDeleteEventObjectHaveLatestRV.
pub(crate) async fn watch_delete_event_object_have_latest_rv(rig: Rig) {
    rig.create("ns/foo").await;
    let mut watch = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    rig.write_elsewhere().await;
    rig.delete("ns/foo").await;
    watch.hears(&["DELETED ns/foo@3"]).await;
}

/// upstream: RunTestWatchInitializationSignal, by which upstream's flow control learns when a watch has done the costly
/// part of its work. Here `watch` answers before any of it is done, and takes no more than a moment whatever the
/// collection holds: what the signal would tell is that the answer is there. What is left to show is that a watch that
/// was answered takes its place by itself when it is first read.
pub(crate) async fn watch_initialization_signal(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    let mut watch = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    assert_eq!(rig.registry.cache().stats().watchers, 0, "nothing is done before it is read");
    watch.is_silent().await;
    assert_eq!(rig.registry.cache().stats().watchers, 1);
}

/// upstream: RunTestClusterScopedWatch.
pub(crate) async fn cluster_scoped_watch(rig: Rig) {
    let rig = rig.cluster_scoped().await;
    let cases: &[(&str, &[Step])] = &[
        ("", &[("t1-foo1", Base, "ADDED"), ("t1-foo1", Label, "MODIFIED"), ("t1-foo2", Node("bar1"), "ADDED")]),
        ("fields=spec.nodeName=t2-bar1", &[("t2-foo1", Base, NOTHING), ("t2-foo1", Node("t2-bar1"), "ADDED")]),
        (
            "fields=spec.nodeName!=t3-bar1",
            &[
                ("t3-foo1", Base, "ADDED"),
                ("t3-foo2", Base, "ADDED"),
                ("t3-foo1", Label, "MODIFIED"),
                ("t3-foo1", Node("t3-bar1"), "DELETED"),
            ],
        ),
        (
            "fields=metadata.name=t4-foo1",
            &[("t4-foo1", Base, "ADDED"), ("t4-foo2", Base, NOTHING), ("t4-foo1", Label, "MODIFIED"), ("t4-foo2", Label, NOTHING)],
        ),
        (
            "fields=metadata.name=t5-foo1,spec.nodeName=t5-bar1",
            &[
                ("t5-foo1", Base, NOTHING),
                ("t5-foo2", Base, NOTHING),
                ("t5-foo1", Label, NOTHING),
                ("t5-foo2", Label, NOTHING),
                ("t5-foo1", Node("t5-bar1"), "ADDED"),
            ],
        ),
        (
            "fields=metadata.name=t6-foo1,spec.nodeName!=t6-bar1",
            &[
                ("t6-foo1", Base, "ADDED"),
                ("t6-foo2", Base, NOTHING),
                ("t6-foo1", Label, "MODIFIED"),
                ("t6-foo1", Node("t6-bar1"), "DELETED"),
                ("t6-foo2", Node("t6-bar1"), NOTHING),
            ],
        ),
    ];
    for (selection, steps) in cases {
        let now = rig.write_elsewhere().await;
        let mut watch = rig.watch("", &format!("rv={now} {selection}")).await;
        follow(&rig, &mut watch, steps, selection).await;
    }
}

/// Namespace, selection, steps.
const NAMESPACED: &[(&str, &str, &[Step])] = &[
    (
        "",
        "",
        &[
            ("t1-ns1/foo1", Base, "ADDED"),
            ("t1-ns2/foo2", Base, "ADDED"),
            ("t1-ns1/foo1", Label, "MODIFIED"),
            ("t1-ns2/foo2", Label, "MODIFIED"),
        ],
    ),
    (
        "",
        "fields=metadata.namespace=t2-ns1",
        &[
            ("t2-ns1/foo1", Base, "ADDED"),
            ("t2-ns2/foo1", Base, NOTHING),
            ("t2-ns1/foo1", Label, "MODIFIED"),
            ("t2-ns2/foo1", Label, NOTHING),
        ],
    ),
    (
        "",
        "fields=spec.nodeName=t3-bar1",
        &[
            ("t3-ns1/foo1", Base, NOTHING),
            ("t3-ns2/foo2", Base, NOTHING),
            ("t3-ns1/foo1", Node("t3-bar1"), "ADDED"),
            ("t3-ns2/foo2", Node("t3-bar1"), "ADDED"),
        ],
    ),
    (
        "",
        "fields=spec.nodeName!=t4-bar1",
        &[
            ("t4-ns1/foo1", Base, "ADDED"),
            ("t4-ns1/foo2", Base, "ADDED"),
            ("t4-ns1/foo1", Label, "MODIFIED"),
            ("t4-ns1/foo1", Node("t4-bar1"), "DELETED"),
        ],
    ),
    (
        "t5-ns1",
        "",
        &[
            ("t5-ns1/foo1", Base, "ADDED"),
            ("t5-ns2/foo1", Base, NOTHING),
            ("t5-ns1/foo2", Base, "ADDED"),
            ("t5-ns1/foo1", Label, "MODIFIED"),
            ("t5-ns2/foo1", Label, NOTHING),
        ],
    ),
    (
        "t6-ns1",
        "fields=metadata.namespace=t6-ns1",
        &[("t6-ns1/foo1", Base, "ADDED"), ("t6-ns2/foo1", Base, NOTHING), ("t6-ns1/foo1", Label, "MODIFIED")],
    ),
    (
        "t7-ns1",
        "fields=metadata.namespace=t7-ns2",
        &[("t7-ns1/foo1", Base, NOTHING), ("t7-ns2/foo1", Base, NOTHING), ("t7-ns1/foo1", Label, NOTHING), ("t7-ns2/foo1", Label, NOTHING)],
    ),
    (
        "t8-ns1",
        "fields=spec.nodeName=t8-bar2",
        &[
            ("t8-ns1/foo1", Base, NOTHING),
            ("t8-ns1/foo1", Node("t8-bar1"), NOTHING),
            ("t8-ns2/foo1", Node("t8-bar2"), NOTHING),
            ("t8-ns1/foo1", Node("t8-bar2"), "ADDED"),
        ],
    ),
    (
        "t9-ns2",
        "fields=spec.nodeName!=t9-bar1",
        &[
            ("t9-ns1/foo1", Base, NOTHING),
            ("t9-ns2/foo1", Base, "ADDED"),
            ("t9-ns2/foo1", Node("t9-bar1"), "DELETED"),
            ("t9-ns2/foo1", Node("t9-bar2"), "ADDED"),
        ],
    ),
    (
        "",
        "fields=metadata.name=t10-foo1",
        &[
            ("t10-ns1/t10-foo1", Base, "ADDED"),
            ("t10-ns2/t10-foo1", Base, "ADDED"),
            ("t10-ns1/t10-foo2", Base, NOTHING),
            ("t10-ns1/t10-foo1", Label, "MODIFIED"),
            ("t10-ns1/t10-foo1", Node("t10-bar1"), "MODIFIED"),
        ],
    ),
    (
        "",
        "fields=metadata.name=foo1,metadata.namespace=t11-ns1",
        &[
            ("t11-ns1/foo1", Base, "ADDED"),
            ("t11-ns1/foo2", Base, NOTHING),
            ("t11-ns2/foo1", Base, NOTHING),
            ("t11-ns1/foo1", Label, "MODIFIED"),
            ("t11-ns1/foo1", Node("t11-bar1"), "MODIFIED"),
        ],
    ),
    (
        "",
        "fields=metadata.name=t12-foo1,spec.nodeName=t12-bar1",
        &[("t12-ns1/t12-foo1", Base, NOTHING), ("t12-ns1/t12-foo1", Label, NOTHING), ("t12-ns1/t12-foo1", Node("t12-bar1"), "ADDED")],
    ),
    (
        "",
        "fields=metadata.name=t15-foo1,spec.nodeName!=t15-bar1",
        &[
            ("t15-ns1/t15-foo1", Base, "ADDED"),
            ("t15-ns1/t15-foo2", Base, NOTHING),
            ("t15-ns1/t15-foo1", Label, "MODIFIED"),
            ("t15-ns1/t15-foo1", Node("t15-bar1"), "DELETED"),
            ("t15-ns1/t15-foo1", Node("t15-bar2"), "ADDED"),
        ],
    ),
    (
        "t16-ns1",
        "fields=metadata.name=foo1",
        &[
            ("t16-ns1/foo1", Base, "ADDED"),
            ("t16-ns1/foo2", Base, NOTHING),
            ("t16-ns1/foo1", Label, "MODIFIED"),
            ("t16-ns1/foo1", Node("t16-bar1"), "MODIFIED"),
        ],
    ),
    (
        "t17-ns1",
        "fields=metadata.name=foo2,metadata.namespace=t17-ns1",
        &[
            ("t17-ns1/foo1", Base, NOTHING),
            ("t17-ns1/foo2", Base, "ADDED"),
            ("t17-ns1/foo1", Label, NOTHING),
            ("t17-ns1/foo2", Node("t17-bar1"), "MODIFIED"),
        ],
    ),
    (
        "t18-ns1",
        "fields=metadata.name=foo1,metadata.namespace=t18-ns1,spec.nodeName=t18-bar1",
        &[
            ("t18-ns1/foo1", Base, NOTHING),
            ("t18-ns1/foo2", Base, NOTHING),
            ("t18-ns2/foo1", Base, NOTHING),
            ("t18-ns1/foo1", Label, NOTHING),
            ("t18-ns1/foo1", Node("t18-bar1"), "ADDED"),
        ],
    ),
    (
        "t19-ns1",
        "fields=metadata.name=foo2,metadata.namespace=t19-ns1,spec.nodeName!=t19-bar1",
        &[
            ("t19-ns1/foo1", Base, NOTHING),
            ("t19-ns2/foo2", Base, NOTHING),
            ("t19-ns1/foo2", Base, "ADDED"),
            ("t19-ns1/foo2", Label, "MODIFIED"),
            ("t19-ns1/foo2", Node("t19-bar1"), "DELETED"),
        ],
    ),
];

/// upstream: RunTestNamespaceScopedWatch.
pub(crate) async fn namespace_scoped_watch(rig: Rig) {
    for (namespace, selection, steps) in NAMESPACED {
        let now = rig.write_elsewhere().await;
        let mut watch = rig.watch(namespace, &format!("rv={now} {selection}")).await;
        follow(&rig, &mut watch, steps, &format!("{namespace:?} {selection}")).await;
    }
}
