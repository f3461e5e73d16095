//! Watches over restarts, compaction and restored backups.

use apiserver_store::{Expect, Key, ProgressSupport, Revision, Store, StoreError, WatchMessage, WatchStream, WriteError};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use vci_testkit::etcd::{Etcd, available};
use vci_testkit::proxy::{Network, Proxy};
use vci_testkit::{PATIENCE, wait_for};

async fn message(watch: &mut WatchStream) -> Option<Result<WatchMessage, StoreError>> {
    timeout(PATIENCE, watch.next()).await.expect("the watch is silent")
}

/// Writes to keys of its own until it is told to stop; whatever fails, it reads and goes on.
async fn load(store: Arc<dyn Store>, writer: usize, mut stop: tokio::sync::watch::Receiver<bool>) -> Revision {
    let key = Key::new(format!("pods/{writer}"));
    let mut last = 0;
    let mut number = 0_u64;
    while !*stop.borrow_and_update() {
        number += 1;
        let expect = match last {
            0 => Expect::Absent,
            revision => Expect::Revision(revision),
        };
        match store.put(&key, number.to_string().into(), expect).await {
            Ok(revision) => last = revision,
            Err(WriteError::Conflict(Some(found))) => last = found.revision,
            Err(WriteError::Conflict(None)) => panic!("nobody deletes"),
            Err(WriteError::Store(_)) => last = current(&*store, &key).await,
        }
    }
    last
}

/// The revision that a key has once etcd can be read again; 0 is none.
async fn current(store: &dyn Store, key: &Key) -> Revision {
    loop {
        match store.get(key).await {
            Ok(found) => return found.map_or(0, |entry| entry.revision),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The changes that a watch tells, in order, up to that of `pods/end`.
async fn told(watch: &mut WatchStream) -> Vec<(Key, Revision)> {
    let mut told = Vec::new();
    loop {
        let WatchMessage::Events(events) = message(watch).await.expect("it goes on").expect("it survives") else { continue };
        for event in events {
            told.push((event.key.clone(), event.revision));
            if event.key.as_str() == "pods/end" {
                return told;
            }
        }
    }
}

/// A watch of the same time that nothing interrupts tells the same: a gap or a double cannot hide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_outlives_etcd_without_gap_or_double() {
    for (version, binary) in available() {
        let mut etcd = Etcd::spawn(&binary).await;
        let store = crate::store(&etcd).await;
        let start = store.revision().await.unwrap();
        let mut watch = store.watch("pods/", start).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writers: Vec<_> = (0..4).map(|writer| tokio::spawn(load(store.clone(), writer, stopped.clone()))).collect();
        let restarts = async {
            for round in 0..3 {
                sleep(Duration::from_millis(300)).await;
                if round == 1 {
                    etcd.stop().await
                } else {
                    etcd.kill()
                }
                etcd.start().await;
            }
            sleep(Duration::from_millis(300)).await;
            stop.send(true).unwrap();
            let last = futures::future::try_join_all(writers).await.unwrap();
            let end = store.put(&Key::new("pods/end"), "".into(), Expect::Absent).await.unwrap();
            (last, end)
        };
        let ((written, end), interrupted) = tokio::join!(restarts, told(&mut watch));
        let whole = told(&mut store.watch("pods/", start).await.unwrap()).await;
        assert_eq!(interrupted, whole, "{version}");
        assert!(whole.is_sorted_by(|one, next| one.1 < next.1), "{version}");
        let last_of = |key: &str| whole.iter().rfind(|(told, _)| told.as_str() == key).map_or(0, |(_, revision)| *revision);
        let last: Vec<Revision> = (0..4).map(|writer| last_of(&format!("pods/{writer}"))).collect();
        assert_eq!((last, last_of("pods/end")), (written, end), "{version}");
        assert!(end > 100, "{version}: only {end} writes");
    }
}

#[tokio::test]
async fn compaction_while_disconnected_ends_the_watch() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let proxy = Proxy::to(etcd.authority()).await;
        let direct = crate::store(&etcd).await;
        let store = crate::connect(&[&format!("http://{}", proxy.authority())]).await;
        let key = Key::new("pods/a");
        let first = direct.put(&key, "1".into(), Expect::Absent).await.unwrap();
        let mut watch = store.watch("pods/", first - 1).await.unwrap();
        assert!(matches!(message(&mut watch).await, Some(Ok(WatchMessage::Events(_)))));
        proxy.turn(Network::Down);
        let mut revision = first;
        for number in 0..10 {
            revision = direct.put(&key, number.to_string().into(), Expect::Revision(revision)).await.unwrap();
        }
        direct.compact(revision).await.unwrap();
        proxy.turn(Network::Up);
        let told = message(&mut watch).await;
        assert!(matches!(told, Some(Err(StoreError::Compacted { oldest })) if oldest == revision), "{version}: {told:?}");
        assert!(watch.next().await.is_none(), "{version}: it ends with the error");
    }
}

/// The same data folder with an older state in it: what a restored backup is to a client.
#[tokio::test]
async fn etcd_that_went_back_is_an_error_and_not_silence() {
    for (version, binary) in available() {
        let (ahead, behind) = (Etcd::spawn(&binary).await, Etcd::spawn(&binary).await);
        let proxy = Proxy::to(ahead.authority()).await;
        let store = crate::connect(&[&format!("http://{}", proxy.authority())]).await;
        let mut watch = store.watch("pods/", store.revision().await.unwrap()).await.unwrap();
        for number in 0..5 {
            store.put(&Key::new(format!("pods/{number}")), "x".into(), Expect::Absent).await.unwrap();
            assert!(matches!(message(&mut watch).await, Some(Ok(WatchMessage::Events(_)))));
        }
        proxy.lead_to(behind.authority());
        let told = message(&mut watch).await;
        assert!(matches!(told, Some(Err(StoreError::Corrupt(_)))), "{version}: {told:?}");
    }
}

/// A deletion at the very revision that history begins at is forgotten, so a watch from just before it must not begin.
#[tokio::test]
async fn no_deletion_is_lost_at_the_edge_of_history() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let store = crate::store(&etcd).await;
        let key = Key::new("pods/a");
        let first = store.put(&key, "1".into(), Expect::Absent).await.unwrap();
        let deleted = store.delete(&key, first).await.unwrap();
        store.put(&Key::new("nodes/a"), "x".into(), Expect::Absent).await.unwrap();
        store.compact(deleted).await.unwrap();
        let told = message(&mut store.watch("pods/", first).await.unwrap()).await;
        assert!(matches!(told, Some(Err(StoreError::Compacted { .. }))), "{version}: {told:?}");
    }
}

/// Progress that was told is where a quiet watch resumes, also when history has moved on.
#[tokio::test]
async fn a_quiet_watch_survives_compaction_by_its_progress() {
    for (version, binary) in available() {
        let mut etcd = Etcd::spawn(&binary).await;
        let store = crate::store(&etcd).await;
        if store.progress_support() == ProgressSupport::Unreliable {
            continue;
        }
        let mut watch = store.watch("quiet/", store.revision().await.unwrap()).await.unwrap();
        let mut revision = store.put(&Key::new("pods/a"), "0".into(), Expect::Absent).await.unwrap();
        for number in 1..10 {
            revision = store.put(&Key::new("pods/a"), number.to_string().into(), Expect::Revision(revision)).await.unwrap();
        }
        store.request_progress().await.unwrap();
        loop {
            match message(&mut watch).await {
                Some(Ok(WatchMessage::Progress(told))) if told >= revision => break,
                Some(Ok(WatchMessage::Progress(_))) => {}
                other => panic!("{version}: {other:?}"),
            }
        }
        store.compact(revision).await.unwrap();
        etcd.kill();
        etcd.start().await;
        wait_for("etcd", || async { store.revision().await.is_ok() }).await;
        let last = store.put(&Key::new("quiet/a"), "x".into(), Expect::Absent).await.unwrap();
        loop {
            match message(&mut watch).await {
                Some(Ok(WatchMessage::Events(events))) => break assert_eq!(events[0].revision, last, "{version}"),
                Some(Ok(WatchMessage::Progress(_))) => {}
                other => panic!("{version}: {other:?}"),
            }
        }
    }
}
