//! Watches that begin with the state, and bookmarks.

use crate::rig::Rig;

/// The next bookmark at or behind a revision; nothing else may come before it.
async fn bookmark(watch: &mut crate::rig::Tape<'_>, least: u64) -> u64 {
    loop {
        let heard = watch.next().await.unwrap();
        let number = heard.strip_prefix("BOOKMARK ").unwrap_or_else(|| panic!("heard {heard}")).parse().unwrap();
        if number >= least {
            return number;
        }
    }
}

/// upstream: RunOptionalTestProgressNotify: bookmarks follow the store while the collection is quiet.
pub(crate) async fn progress_notify(rig: Rig) {
    rig.create("ns/foo").await;
    let elsewhere = rig.write_elsewhere().await;
    let mut watch = rig.watch("ns", "rv=1 bookmarks").await;
    bookmark(&mut watch, if rig.tells_progress() { elsewhere } else { 1 }).await;
}

/// upstream: RunTestWatchDispatchBookmarkEvents.
pub(crate) async fn watch_dispatch_bookmark_events(rig: Rig) {
    rig.create("ns/foo").await;
    let mut without = rig.watch("ns", "rv=1 fields=metadata.name=foo").await;
    let mut with = rig.watch("ns", "rv=1 fields=metadata.name=foo bookmarks").await;
    rig.create("other-ns/foo").await;
    bookmark(&mut with, 2).await;
    let silence = tokio::time::timeout(std::time::Duration::from_millis(500), without.next());
    assert!(silence.await.is_err(), "who does not want bookmarks gets none");
}

/// upstream: RunTestOptionalWatchBookmarksWithCorrectResourceVersion.
pub(crate) async fn watch_bookmarks_with_correct_resource_version(rig: Rig) {
    let mut watch = rig.watch("ns", "rv=#0 bookmarks").await;
    let writer = async {
        for number in 0..100 {
            rig.create(&format!("ns/foo-{number}")).await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let reader = async {
        let (mut told, mut events, mut bookmarks) = (0, 0, 0);
        while events < 100 {
            let heard = watch.next().await.unwrap();
            if let Some(number) = heard.strip_prefix("BOOKMARK ") {
                let number = number.parse().unwrap();
                assert!(number >= told, "bookmark {number} behind {told}");
                told = number;
                bookmarks += 1;
            } else {
                let number = heard.rsplit_once('@').unwrap().1.parse().unwrap();
                assert!(number > told, "event {number} behind {told}");
                told = number;
                events += 1;
            }
        }
        assert!(bookmarks > 0);
    };
    tokio::join!(writer, reader);
}

/// upstream: RunSendInitialEventsBackwardCompatibility: without bookmarks the state is told, and nothing marks its end.
pub(crate) async fn send_initial_events_backward_compatibility(rig: Rig) {
    rig.create("ns/foo").await;
    rig.heard(1).await;
    for version in ["", "rv=0"] {
        let mut watch = rig.watch("", &format!("{version} initial=true")).await;
        watch.hears(&["ADDED ns/foo@1"]).await;
        watch.is_silent().await;
    }
}

/// upstream: RunWatchSemantics: resourceVersion, bookmarks, sendInitialEvents, and whether the state is told.
pub(crate) async fn watch_semantics(rig: Rig) {
    let mut cases = Vec::new();
    for bookmarks in [true, false] {
        for initial in [true, false] {
            for version in ["", "0", "#0", "current"] {
                // From before the state, its events are what happened since.
                cases.push((version, bookmarks, Some(initial), initial || version == "#0"));
            }
        }
    }
    cases.extend([("", false, None, true), ("0", false, None, true)]);
    for (case, (version, bookmarks, initial, tells_state)) in cases.into_iter().enumerate() {
        let namespace = format!("ns-{case}");
        let mut state = Vec::new();
        for name in ["pod-1", "pod-2", "pod-3"] {
            let path = format!("{namespace}/{name}");
            state.push(format!("ADDED {path}@{}", rig.set(&path, "", "").await));
        }
        let last: u64 = state[2].rsplit_once('@').unwrap().1.parse().unwrap();
        rig.heard(last).await;
        let mut query = match version {
            "" => String::new(),
            "current" => format!("rv={last}"),
            version => format!("rv={version}"),
        };
        query += if bookmarks { " bookmarks" } else { "" };
        query += &initial.map_or(String::new(), |initial| format!(" initial={initial}"));
        let mut watch = rig.watch(&namespace, &query).await;
        if tells_state {
            watch.hears(&state.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        if initial == Some(true) && bookmarks {
            watch.hears(&[&format!("SYNCED {last}")]).await;
        }
        watch.is_silent().await;
        for name in ["pod-4", "pod-5"] {
            let path = format!("{namespace}/{name}");
            let number = rig.set(&path, "", "").await;
            watch.hears(&[&format!("ADDED {path}@{number}")]).await;
        }
        watch.is_silent().await;
    }
}

/// upstream: RunWatchSemanticInitialEventsExtended: the bookmark that ends the state has the store's revision.
pub(crate) async fn watch_semantic_initial_events_extended(rig: Rig) {
    for number in 1..=5 {
        rig.create(&format!("ns/pod-{number}")).await;
    }
    rig.create("other-ns/pod-1").await;
    rig.write_elsewhere().await;
    let mut watch = rig.watch("ns", "initial=true bookmarks").await;
    let state = ["ADDED ns/pod-1@1", "ADDED ns/pod-2@2", "ADDED ns/pod-3@3", "ADDED ns/pod-4@4", "ADDED ns/pod-5@5", "SYNCED 7"];
    watch.hears(&state).await;
    watch.is_silent().await;
}

/// upstream: RunWatchListMatchSingle.
pub(crate) async fn watch_list_match_single(rig: Rig) {
    for number in 1..=5 {
        rig.create(&format!("ns/pod-{number}")).await;
    }
    for namespace in ["", "ns"] {
        let mut watch = rig.watch(namespace, "initial=true bookmarks fields=metadata.name=pod-1").await;
        watch.hears(&["ADDED ns/pod-1@1", "SYNCED 5"]).await;
        watch.is_silent().await;
    }
}
