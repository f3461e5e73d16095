//! Two servers on one etcd: its history is forgotten, and goes on being so when one of them is gone.

use crate::common::{COLLECTION, instance, on_etcd};
use apiserver_store::{RangeRequest, Revision, Store, StoreError};
use apiserver_store_etcd::{EtcdConfig, EtcdStore, Timeouts};
use vci_testkit::client::Protocol;
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::TestServer;
use vci_testkit::wait_for;

const ROOT: &str = "{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: root}, spec: {groups: [\"system:masters\"]}}\n---\n\
    {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: root}, spec: {user: root, key: root-key}}\n";

async fn is_forgotten(store: &EtcdStore, at: Revision) -> bool {
    let request = RangeRequest { at: Some(at), limit: 1, ..RangeRequest::default() };
    matches!(store.range(&request).await, Err(StoreError::Compacted { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_forgotten_by_whoever_is_there() {
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        options.flags.extend(["--etcd-compaction-interval".into(), "100ms".into()]);
        // Whoever comes second has no kubeconfig to give, unless it knows the user.
        options.bootstrap = Some(ROOT.into());
        let mut one = TestServer::start(options.clone()).await;
        one.anonymous(Protocol::Http1).bearer("root-key").post(COLLECTION, &instance("a")).await.expect(201);
        let config =
            EtcdConfig { endpoints: vec![etcd.endpoint().into()], prefix: "/registry".into(), tls: None, timeouts: Timeouts::default() };
        let store = EtcdStore::connect(&config).await.expect("an etcd");
        let before = store.revision().await.expect("a revision");
        let what = format!("etcd {label} to forget revision {before}");
        // The clock that they share moves on by itself.
        wait_for(&what, async || is_forgotten(&store, before).await).await;
        let _two = TestServer::start(options).await;
        one.kill();
        let before = store.revision().await.expect("a revision");
        let what = format!("etcd {label} to forget revision {before} with the other server");
        wait_for(&what, async || is_forgotten(&store, before).await).await;
    }
}
