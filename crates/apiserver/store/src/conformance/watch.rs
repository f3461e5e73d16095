//! Watches: nothing lost, nothing doubled, nothing out of order.

use super::*;
use crate::ProgressSupport;
use std::sync::Arc;

/// Watch: create, update and delete are told; other prefixes are not.
pub async fn watch(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("pods/ns/", start).await.unwrap();
    let first = add(&*store, "pods/ns/foo", "1").await;
    add(&*store, "pods/ns2/foo", "1").await;
    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let third = remove(&*store, "pods/ns/foo", second).await;
    let fourth = add(&*store, "pods/ns/foo", "3").await;
    let event = |revision, value: Option<&str>| Event { key: key("pods/ns/foo"), revision, value: value.map(bytes), form: Form::Current };
    assert_eq!(
        events(&mut watch, 4).await,
        [event(first, Some("1")), event(second, Some("2")), event(third, None), event(fourth, Some("3"))]
    );
}

/// WatchFromZero: every change since the first, when nothing is compacted.
pub async fn watch_from_zero(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let mut watch = store.watch("pods/", 0).await.unwrap();
    let third = remove(&*store, "pods/ns/foo", second).await;
    assert_eq!(
        brief(&events(&mut watch, 3).await),
        [(first, "pods/ns/foo", Some(&b"1"[..])), (second, "pods/ns/foo", Some(&b"2"[..])), (third, "pods/ns/foo", None)]
    );
}

/// WatchFromNonZero: only what is newer than the revision, old changes and new ones.
pub async fn watch_after_revision(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "1").await;
    let second = replace(&*store, "pods/ns/foo", "2", first).await;
    let mut watch = store.watch("pods/", first).await.unwrap();
    let third = replace(&*store, "pods/ns/foo", "3", second).await;
    let told = events(&mut watch, 2).await;
    assert_eq!(brief(&told), [(second, "pods/ns/foo", Some(&b"2"[..])), (third, "pods/ns/foo", Some(&b"3"[..]))]);
}

/// A watch that is cut anywhere and resumed after the last event it told gives the same whole.
pub async fn watch_resume(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut want = Vec::new();
    for number in 0..40 {
        let name = format!("pods/ns/{}", number % 7);
        let revision = match read(&*store, &name).await {
            None => add(&*store, &name, number.to_string()).await,
            Some(found) if number % 5 == 0 => remove(&*store, &name, found.revision).await,
            Some(found) => replace(&*store, &name, number.to_string(), found.revision).await,
        };
        want.push(revision);
        add(&*store, &format!("nodes/{number}"), "noise").await;
    }
    let whole = events(&mut store.watch("pods/", start).await.unwrap(), 40).await;
    assert_eq!(whole.iter().map(|event| event.revision).collect::<Vec<_>>(), want);
    for cut in 0..40 {
        let after = if cut == 0 { start } else { want[cut - 1] };
        let rest = events(&mut store.watch("pods/", after).await.unwrap(), 40 - cut).await;
        assert_eq!(rest, whole[cut..], "resumed after {cut} events");
    }
}

/// DeleteTriggerWatch and WatchDeleteEventObjectHaveLatestRV: the deletion has its own revision, live and from history.
pub async fn watch_delete(store: Arc<dyn Store>) {
    let first = add(&*store, "pods/ns/foo", "last words").await;
    let mut live = store.watch("pods/", first).await.unwrap();
    let deleted = remove(&*store, "pods/ns/foo", first).await;
    let want = Event { key: key("pods/ns/foo"), revision: deleted, value: None, form: Form::Current };
    assert!(deleted > first);
    let mut from_history = store.watch("pods/", first).await.unwrap();
    for watch in [&mut live, &mut from_history] {
        assert_eq!(events(watch, 1).await, std::slice::from_ref(&want));
    }
}

/// A revision of the future is no error: the watch tells only what is newer than it.
pub async fn watch_from_future(store: Arc<dyn Store>) {
    let mut revision = add(&*store, "pods/ns/foo", "0").await;
    let after = revision + 3;
    let mut watch = store.watch("pods/", after).await.unwrap();
    while revision <= after {
        revision = replace(&*store, "pods/ns/foo", "x", revision).await;
    }
    assert_eq!(events(&mut watch, 1).await[0].revision, revision);
}

/// DelayedWatchDelivery: events that nobody reads yet are not lost.
pub async fn delayed_watch_delivery(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("pods/", start).await.unwrap();
    let mut want = Vec::new();
    for number in 0..21 {
        want.push(add(&*store, &format!("pods/ns/{number}"), "x").await);
    }
    let told = events(&mut watch, 21).await;
    assert_eq!(told.iter().map(|event| event.revision).collect::<Vec<_>>(), want);
}

/// WatcherTimeout: a watcher that does not read holds up neither writers nor other watchers, and still misses
/// nothing when it reads at last.
pub async fn slow_watcher_blocks_nobody(store: Arc<dyn Store>) {
    const WRITES: usize = 3000;
    let start = store.revision().await.unwrap();
    let mut slow = store.watch("pods/", start).await.unwrap();
    let mut quick = store.watch("pods/", start).await.unwrap();
    let reader = tokio::spawn(async move { events(&mut quick, WRITES).await });
    let writers = (0..10).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let name = format!("pods/ns/{writer}");
            let mut revision = add(&*store, &name, vec![0; 4000]).await;
            for number in 1..WRITES / 10 {
                revision = replace(&*store, &name, vec![(number % 256) as u8; 4000], revision).await;
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let quick = reader.await.unwrap();
    let slow = events(&mut slow, WRITES).await;
    assert!(quick == slow, "both watchers are told the same");
    assert_eq!(quick.len(), WRITES);
}

/// WatchContextCancel: a watch that is dropped ends, and takes nothing with it.
pub async fn watch_dropped(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut kept = store.watch("pods/", start).await.unwrap();
    for number in 0..50 {
        let mut dropped = store.watch("pods/", start).await.unwrap();
        if number % 2 == 0 {
            add(&*store, &format!("pods/ns/{number:02}"), "x").await;
            events(&mut dropped, 1).await;
        }
    }
    assert_eq!(events(&mut kept, 25).await.len(), 25);
}

/// Many watchers with different prefixes and beginnings are each told exactly their part.
pub async fn many_watchers(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut watches = Vec::new();
    let mut want: Vec<Vec<Revision>> = vec![Vec::new(); 20];
    for number in 0..200_usize {
        if number.is_multiple_of(10) {
            let prefix = format!("pods/{}/", (number / 10) % 4);
            watches.push(store.watch(&prefix, start).await.unwrap());
        }
        let revision = add(&*store, &format!("pods/{}/{number}", number % 4), "x").await;
        for (watcher, want) in want.iter_mut().enumerate() {
            if watcher % 4 == number % 4 {
                want.push(revision);
            }
        }
    }
    for (watch, want) in watches.iter_mut().zip(want) {
        let told = events(watch, want.len()).await;
        assert_eq!(told.iter().map(|event| event.revision).collect::<Vec<_>>(), want);
    }
}

/// ProgressNotify: after a request every open watch tells progress at or above the store's revision, also one whose
/// prefix is quiet, once and not only the first time.
pub async fn progress(store: Arc<dyn Store>) {
    if store.progress_support() == ProgressSupport::Unreliable {
        return;
    }
    let start = store.revision().await.unwrap();
    let mut quiet = store.watch("quiet/", start).await.unwrap();
    let mut busy = store.watch("pods/", start).await.unwrap();
    for number in 0..5 {
        add(&*store, &format!("pods/ns/{number}"), "x").await;
        let revision = store.revision().await.unwrap();
        store.request_progress().await.unwrap();
        for watch in [&mut quiet, &mut busy] {
            while progress_or_event(watch).await < revision {}
        }
    }
}

async fn progress_or_event(watch: &mut WatchStream) -> Revision {
    match message(watch).await.unwrap() {
        WatchMessage::Progress(revision) => revision,
        // An event tells that everything before it was told.
        WatchMessage::Events(events) => events.last().unwrap().revision - 1,
    }
}

/// WatchBookmarksWithCorrectResourceVersion: progress never runs ahead of an event that is still to come.
pub async fn progress_never_ahead_of_events(store: Arc<dyn Store>) {
    const WRITES: usize = 400;
    if store.progress_support() == ProgressSupport::Unreliable {
        return;
    }
    let start = store.revision().await.unwrap();
    let mut watches = Vec::new();
    for prefix in ["pods/0/", "pods/1/", "pods/"] {
        watches.push(store.watch(prefix, start).await.unwrap());
    }
    let asker = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                store.request_progress().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let writers = (0..2).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..WRITES {
                add(&*store, &format!("pods/{writer}/{number}"), "x").await;
            }
        })
    });
    let writers = futures::future::try_join_all(writers);
    // The helper compares every event with the progress told before it.
    let (zero, one, both) = {
        let [zero, one, both] = &mut watches[..] else { unreachable!() };
        let readers = async { tokio::join!(events(zero, WRITES), events(one, WRITES), events(both, 2 * WRITES)) };
        let (written, told) = tokio::join!(writers, readers);
        written.unwrap();
        told
    };
    asker.abort();
    assert_eq!((zero.len(), one.len(), both.len()), (WRITES, WRITES, 2 * WRITES));
}
