//! Watches.

use super::{Subject, from, labels, version};
use crate::{EventKind, Frame};
use apiserver_meta::options::ListOptions;
use apiserver_meta::options::VersionMatch;
use serde_json::json;

/// Every change, in order, with the object as every reader sees it.
pub async fn watch_tells_a_life(subject: &Subject) {
    let before = subject.create("before").await;
    let mut watch = subject.watch(&from(&before)).await;
    let created = subject.create("life").await;
    let changed = subject.change("life").await;
    subject.delete("life").await;
    watch.expect(EventKind::Added, &created).await;
    watch.expect(EventKind::Modified, &changed).await;
    let (kind, last) = watch.next().await;
    assert_eq!((kind, last.uid(), last.generation()), (EventKind::Deleted, created.uid(), 2));
    assert!(version(&last) > version(&changed));
}

/// From any version that was told, a watch goes on with what came after it.
pub async fn watch_resumes(subject: &Subject) {
    let first = subject.create("a").await;
    let second = subject.create("b").await;
    let third = subject.change("a").await;
    let mut from_first = subject.watch(&from(&first)).await;
    from_first.expect(EventKind::Added, &second).await;
    from_first.expect(EventKind::Modified, &third).await;
    let mut from_second = subject.watch(&from(&second)).await;
    from_second.expect(EventKind::Modified, &third).await;
    let mut newest = subject.watch(&from(&third)).await;
    let fourth = subject.create("c").await;
    newest.expect(EventKind::Added, &fourth).await;
}

/// An object that begins or ceases to be selected comes and goes.
pub async fn watch_selects(subject: &Subject) {
    let start = subject.create("other").await;
    let selection = ListOptions { resource_version: from(&start).resource_version, ..labels("tier=gold") };
    let mut watch = subject.watch(&selection).await;
    subject.create("one").await;
    let tier = |tier: &str| json!({ "metadata": { "labels": { "tier": tier } } });
    let gold = subject.merge("one", &tier("gold")).await;
    let changed = subject.change("one").await;
    let lead = subject.merge("one", &tier("lead")).await;
    watch.expect(EventKind::Added, &gold).await;
    watch.expect(EventKind::Modified, &changed).await;
    let (kind, gone) = watch.next().await;
    assert_eq!((kind, super::label(&gone, "tier")), (EventKind::Deleted, "gold".into()), "as it was when it was last seen");
    assert_eq!(version(&gone), version(&lead));
}

/// A streaming list: the state as events, then a marked bookmark, then changes.
pub async fn watch_begins_with_the_state(subject: &Subject) {
    let (a, b) = (subject.create("a").await, subject.create("b").await);
    let options = ListOptions {
        initial_events: Some(true),
        version_match: Some(VersionMatch::NotOlderThan),
        bookmarks: true,
        ..ListOptions::default()
    };
    let mut watch = subject.watch(&options).await;
    watch.expect(EventKind::Added, &a).await;
    watch.expect(EventKind::Added, &b).await;
    match watch.frame().await {
        Frame::Bookmark { revision, initial_events_end: true } => assert!(revision >= version(&b)),
        other => panic!("want the bookmark that ends the state, got {other:?}"),
    }
    let c = subject.create("c").await;
    watch.expect(EventKind::Added, &c).await;
    // In time a bookmark tells that nothing is missing up to there.
    loop {
        if let Frame::Bookmark { revision, initial_events_end } = watch.frame().await
            && revision >= version(&c)
        {
            assert!(!initial_events_end);
            break;
        }
    }
}
