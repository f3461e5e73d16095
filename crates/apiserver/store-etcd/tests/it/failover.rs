//! Members that are dead, frozen or strangers, and an etcd that is not there yet.

use apiserver_store::{Expect, Key, ProgressSupport, RangeRequest, Store, StoreError, WriteError};
use apiserver_store_etcd::{ConnectError, EtcdConfig, EtcdStore, Timeouts};
use std::time::Duration;
use vci_testkit::etcd::{Etcd, EtcdOptions, available, free_port};
use vci_testkit::proxy::{Network, Proxy};
use vci_testkit::{PATIENCE, wait_for};

fn nobody() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// Whoever waits for the end of a time with this waits for an hour.
fn patient(endpoint: &str) -> EtcdConfig {
    let hour = Duration::from_secs(3600);
    EtcdConfig { timeouts: Timeouts { connect: hour, request: hour }, ..crate::config(&[endpoint]) }
}

/// What has an answer that no time has to end for.
async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer without waiting")
}

#[tokio::test]
async fn etcd_that_is_not_there_is_told_at_once_in_one_line() {
    let endpoint = nobody();
    let error = soon(EtcdStore::connect(&patient(&endpoint))).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }));
    assert_eq!(error.to_string(), format!("waiting for etcd at {endpoint}: Connection refused (os error 111)"));
}

#[tokio::test]
async fn one_dead_endpoint_of_two_fails_nothing() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let dead = nobody();
        for endpoints in [[etcd.endpoint(), &dead], [&dead, etcd.endpoint()]] {
            let store = crate::connect(&endpoints).await;
            let key = Key::new(format!("pods/{}", endpoints[0].len()) + endpoints[0]);
            let mut revision = store.put(&key, "0".into(), Expect::Absent).await.unwrap();
            for number in 1..50 {
                assert_eq!(store.get(&key).await.unwrap().unwrap().revision, revision, "{version}");
                revision = store.put(&key, number.to_string().into(), Expect::Revision(revision)).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn members_of_different_clusters_are_refused() {
    for (version, binary) in available() {
        let (one, two) = (Etcd::spawn(&binary).await, Etcd::spawn(&binary).await);
        let error = EtcdStore::connect(&crate::config(&[one.endpoint(), two.endpoint()])).await.unwrap_err();
        assert!(error.to_string().contains("different clusters"), "{version}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_its_member_serves_on() {
    for (version, binary) in available() {
        let mut members = Etcd::cluster(&binary, 3, &EtcdOptions::default()).await;
        let endpoints: Vec<String> = members.iter().map(|member| member.endpoint().to_owned()).collect();
        let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
        let store = crate::connect(&endpoints).await;
        let key = Key::new("pods/a");
        let mut revision = store.put(&key, "0".into(), Expect::Absent).await.unwrap();
        members[0].kill();
        for number in 1..20 {
            // The killed member may have been the leader, so a write can get lost in the change: then what is there decides.
            revision = match store.put(&key, number.to_string().into(), Expect::Revision(revision)).await {
                Ok(revision) => revision,
                Err(WriteError::Store(StoreError::Unknown(_))) => store.get(&key).await.unwrap().unwrap().revision,
                Err(error) => panic!("{version}: {error}"),
            };
            assert!(store.get(&key).await.unwrap().unwrap().revision >= revision, "{version}");
        }
        // A member that hangs is left as well, after its time.
        members[0].start().await;
        members[1].freeze();
        wait_for("reads to go on", || async { store.get(&key).await.is_ok() }).await;
        members[1].thaw();
    }
}

fn impatient(endpoint: &str) -> EtcdConfig {
    let timeouts = Timeouts { request: Duration::from_millis(500), ..Timeouts::default() };
    EtcdConfig { timeouts, ..crate::config(&[endpoint]) }
}

#[tokio::test]
async fn a_frozen_etcd_is_told_within_the_deadline() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let store = EtcdStore::connect(&impatient(etcd.endpoint())).await.unwrap();
        let key = Key::new("pods/a");
        etcd.freeze();
        let write = soon(store.put(&key, "x".into(), Expect::Absent)).await;
        assert!(matches!(write, Err(WriteError::Store(StoreError::Unknown(_)))), "{version}: {write:?}");
        let read = soon(store.get(&key)).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{version}: {read:?}");
        assert!(matches!(store.probe().await, Err(StoreError::Unavailable(_))), "{version}");
        etcd.thaw();
        wait_for("etcd to go on", || async { store.probe().await.is_ok() }).await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_done_once() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let proxy = Proxy::to(etcd.authority()).await;
        let store = EtcdStore::connect(&impatient(&format!("http://{}", proxy.authority()))).await.unwrap();
        let direct = crate::store(&etcd).await;
        let key = Key::new("pods/a");
        let first = store.put(&key, "1".into(), Expect::Absent).await.unwrap();
        // An answer that never comes, and a connection that breaks while waiting for it.
        let mut expect = first;
        for hang in [true, false] {
            proxy.turn(Network::AnswersLost);
            let write = store.put(&key, "2".into(), Expect::Revision(expect));
            let cut = async {
                let done = || async { direct.get(&key).await.unwrap().unwrap().revision > expect };
                wait_for("the write", done).await;
                if !hang {
                    proxy.turn(Network::Down);
                }
            };
            let (outcome, ()) = tokio::join!(write, cut);
            assert!(matches!(outcome, Err(WriteError::Store(StoreError::Unknown(_)))), "{version}: {outcome:?}");
            proxy.turn(Network::Down);
            proxy.turn(Network::Up);
            wait_for("the connection", || async { store.probe().await.is_ok() }).await;
            let found = store.get(&key).await.unwrap().unwrap();
            assert!(found.revision > expect, "{version}");
            expect = found.revision;
        }
        assert_eq!(expect, first + 2, "{version}: each write was carried out once");
    }
}

/// The answer is lost, and another member knows: whoever wrote is told what became of it.
#[tokio::test]
async fn the_outcome_of_a_write_is_found_out_at_another_member() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let proxy = Proxy::to(etcd.authority()).await;
        let through = format!("http://{}", proxy.authority());
        let direct = crate::store(&etcd).await;
        let key = Key::new("pods/a");
        let lose = async |done: &dyn Fn(Option<apiserver_store::Entry>) -> bool| {
            wait_for("the write", async || done(direct.get(&key).await.unwrap())).await;
            proxy.turn(Network::Down);
        };
        let connect = async || {
            proxy.turn(Network::Up);
            let store = crate::connect(&[&through, etcd.endpoint()]).await;
            proxy.turn(Network::AnswersLost);
            store
        };
        let store = connect().await;
        let (created, ()) = tokio::join!(store.put(&key, "1".into(), Expect::Absent), lose(&|found| found.is_some()));
        let created = created.unwrap();
        assert_eq!(direct.get(&key).await.unwrap().unwrap().revision, created, "{version}");
        let store = connect().await;
        let updated = store.put(&key, "2".into(), Expect::Revision(created));
        let (updated, ()) = tokio::join!(updated, lose(&|found| found.is_some_and(|found| found.value == "2")));
        let updated = updated.unwrap();
        assert_eq!(direct.get(&key).await.unwrap().unwrap().revision, updated, "{version}: written once");
        let store = connect().await;
        let (deleted, ()) = tokio::join!(store.delete(&key, updated), lose(&|found| found.is_none()));
        assert!(deleted.unwrap() > updated, "{version}");
    }
}

/// A write that somebody has overwritten since is not known to have been carried out, and never carried out again.
#[tokio::test]
async fn a_lost_write_that_others_have_written_over_is_unknown() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let proxy = Proxy::to(etcd.authority()).await;
        let direct = crate::store(&etcd).await;
        let store = crate::connect(&[&format!("http://{}", proxy.authority()), etcd.endpoint()]).await;
        let key = Key::new("pods/a");
        let first = direct.put(&key, "1".into(), Expect::Absent).await.unwrap();
        proxy.turn(Network::AnswersLost);
        let meanwhile = async {
            wait_for("the write", async || direct.get(&key).await.unwrap().is_some_and(|found| found.revision > first)).await;
            direct.put(&key, "3".into(), Expect::Revision(first + 1)).await.unwrap();
            proxy.turn(Network::Down);
        };
        let (lost, ()) = tokio::join!(store.put(&key, "2".into(), Expect::Revision(first)), meanwhile);
        assert!(matches!(lost, Err(WriteError::Store(StoreError::Unknown(_)))), "{version}: {lost:?}");
        assert_eq!(direct.get(&key).await.unwrap().unwrap().value, "3", "{version}");
    }
}

/// etcd answers reads and says that it is well, and refuses every write.
#[tokio::test]
async fn an_etcd_without_room_is_not_writable() {
    for (version, binary) in available() {
        let options = EtcdOptions { flags: vec!["--quota-backend-bytes=4194304".into()], ..EtcdOptions::default() };
        let etcd = Etcd::spawn_with(&binary, &options).await;
        let store = crate::store(&etcd).await;
        store.writable().await.unwrap();
        let value = bytes::Bytes::from(vec![b'v'; 1 << 20]);
        let mut refused = Ok(0);
        for number in 0..20 {
            refused = store.put(&Key::new(format!("pods/{number}")), value.clone(), Expect::Absent).await;
            if refused.is_err() {
                break;
            }
        }
        assert!(matches!(refused, Err(WriteError::Store(StoreError::Full(_)))), "{version}: {refused:?}");
        assert!(matches!(store.writable().await, Err(StoreError::Full(_))), "{version}");
        store.revision().await.unwrap();
    }
}

#[tokio::test]
async fn a_write_that_reached_nobody_is_unavailable() {
    for (version, binary) in available() {
        let mut etcd = Etcd::spawn(&binary).await;
        let store = EtcdStore::connect(&patient(etcd.endpoint())).await.unwrap();
        etcd.stop().await;
        // The first call may still find the connection half closed; from the second on, nothing is sent.
        let read = soon(store.get(&Key::new("pods/a"))).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{version}: {read:?}");
        let write = soon(store.put(&Key::new("pods/a"), "x".into(), Expect::Absent)).await;
        let Err(WriteError::Store(StoreError::Unavailable(text))) = write else { panic!("{version}: {write:?}") };
        assert_eq!(text, format!("{}: Connection refused (os error 111)", etcd.endpoint()));
    }
}

#[tokio::test]
async fn progress_support_follows_the_version() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        // Told truthfully from 3.4.31 and 3.5.13 on (etcd issue 15220).
        let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        let is_reliable = match [(); 3].map(|()| numbers.next().unwrap_or_default()) {
            [3, 4, patch] => patch >= 31,
            [3, 5, patch] => patch >= 13,
            [major, minor, _] => (major, minor) >= (3, 6),
        };
        let want = if is_reliable { ProgressSupport::Reliable } else { ProgressSupport::Unreliable };
        assert_eq!(crate::store(&etcd).await.progress_support(), want, "{version}");
    }
}

#[tokio::test]
async fn pages_shrink_to_what_fits_in_an_answer() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let store = crate::store(&etcd).await;
        // 80 MiB within the first page's 1000 entries, more than one answer may have.
        let value = bytes::Bytes::from(vec![b'v'; 1 << 20]);
        for number in 0..80 {
            store.put(&Key::new(format!("pods/{number:03}")), value.clone(), Expect::Absent).await.unwrap();
        }
        let found = store.range(&RangeRequest { prefix: "pods/".into(), ..RangeRequest::default() }).await.unwrap();
        assert_eq!(found.entries.len(), 80, "{version}");
        assert!(found.entries.is_sorted_by(|a, b| a.key < b.key));
    }
}
