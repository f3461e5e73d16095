//! Two stores on one etcd, and two prefixes.

use apiserver_store::{Expect, Key, RangeRequest, Store, WatchMessage, WriteError};
use apiserver_store_etcd::{EtcdConfig, EtcdStore};
use futures::StreamExt;
use vci_testkit::etcd::{Etcd, available};

#[tokio::test]
async fn two_stores_see_each_others_writes_and_conflicts() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let (one, two) = (crate::store(&etcd).await, crate::store(&etcd).await);
        let key = Key::new("pods/a");
        let mut watch = two.watch("pods/", one.revision().await.unwrap()).await.unwrap();
        let first = one.put(&key, "1".into(), Expect::Absent).await.unwrap();
        assert_eq!(two.get(&key).await.unwrap().unwrap().value, "1", "{version}");
        let second = two.put(&key, "2".into(), Expect::Revision(first)).await.unwrap();
        let WriteError::Conflict(Some(found)) = one.put(&key, "3".into(), Expect::Revision(first)).await.unwrap_err() else {
            panic!("{version}: no conflict")
        };
        assert_eq!((found.revision, &found.value[..]), (second, &b"2"[..]));
        let mut told = Vec::new();
        while told.len() < 2 {
            if let WatchMessage::Events(events) = watch.next().await.unwrap().unwrap() {
                told.extend(events.into_iter().map(|event| event.revision));
            }
        }
        assert_eq!(told, [first, second], "{version}");
    }
}

#[tokio::test]
async fn prefixes_do_not_mix() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let key = Key::new("pods/a");
        let mut stores = Vec::new();
        for prefix in ["/registry/test", "/registry/test2", "registry"] {
            let config = EtcdConfig { prefix: prefix.into(), ..crate::config(&[etcd.endpoint()]) };
            let store = EtcdStore::connect(&config).await.unwrap();
            store.put(&key, prefix.into(), Expect::Absent).await.unwrap();
            stores.push((prefix, store));
        }
        for (prefix, store) in stores {
            let request = RangeRequest { prefix: "pods/".into(), ..RangeRequest::default() };
            let found = store.range(&request).await.unwrap().entries;
            assert_eq!(found.iter().map(|entry| &entry.value[..]).collect::<Vec<_>>(), [prefix.as_bytes()], "{version}");
        }
    }
}
