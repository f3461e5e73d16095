//! Servers that share an etcd forget its history in turns.

use apiserver_store::{Expect, Key, RangeRequest, Revision, Store, StoreError};
use apiserver_store_etcd::{Compactor, EtcdStore};
use bytes::Bytes;
use vci_testkit::etcd::{Etcd, available};

async fn write(store: &EtcdStore, name: &str) -> Revision {
    store.put(&Key::new(format!("things/{name}")), Bytes::from_static(b"x"), Expect::Absent).await.unwrap()
}

/// Whether the state at this revision can be read no more.
async fn forgotten(store: &EtcdStore, at: Revision) -> bool {
    let request = RangeRequest { prefix: "things/".into(), at: Some(at), ..RangeRequest::default() };
    match store.range(&request).await {
        Ok(_) => false,
        Err(StoreError::Compacted { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_server_forgets_at_a_time_and_another_takes_over() {
    for (version, binary) in available() {
        let etcd = Etcd::spawn(&binary).await;
        let store = EtcdStore::connect(&crate::config(&[etcd.endpoint()])).await.unwrap();
        let [mut one, mut two] = [&store, &store].map(|store| Compactor::new(store.clone()));
        let first = write(&store, "a").await;
        // Nothing is old to somebody who has just come.
        assert_eq!((one.turn().await.unwrap(), two.turn().await.unwrap()), (None, None), "{version}");
        let mut last = first;
        for name in ["b", "c", "d"] {
            let written = write(&store, name).await;
            let compacted = one.turn().await.unwrap().expect("nobody else took the turn");
            assert!(last < compacted && compacted < written, "{version}: {compacted} is of the turn before");
            assert_eq!(two.turn().await.unwrap(), None, "{version}: once in an interval is enough");
            assert!(forgotten(&store, last).await && !forgotten(&store, written).await, "{version}");
            last = written;
        }
        drop(one);
        write(&store, "e").await;
        let taken_over = two.turn().await.unwrap().expect("the other one is gone");
        assert!(taken_over > last && forgotten(&store, last).await, "{version}");
        // A server that comes later, or comes back, is one more of them.
        let mut three = Compactor::new(store.clone());
        assert_eq!(three.turn().await.unwrap(), None, "{version}");
        assert!(two.turn().await.unwrap().is_some(), "{version}");
        assert_eq!(three.turn().await.unwrap(), None, "{version}");
    }
}
