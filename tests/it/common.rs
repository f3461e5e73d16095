//! Servers to test against, and the words that every test uses.

use serde_json::{Value, json};
use std::path::Path;
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::{ServerOptions, TestServer};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vci-apiserver");
pub(crate) const GROUP: &str = "/apis/management.loft.sh/v1";
pub(crate) const COLLECTION: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// A server and what it stands on.
pub(crate) struct Stand {
    pub(crate) label: String,
    pub(crate) server: TestServer,
    _etcd: Option<Etcd>,
}

/// A server on the embedded store.
pub(crate) async fn embedded() -> TestServer {
    TestServer::start(ServerOptions::new(BINARY)).await
}

/// The flags for a server on this etcd.
pub(crate) fn on_etcd(etcd: &Etcd) -> ServerOptions {
    let mut options = ServerOptions::new(BINARY);
    options.flags = vec!["--etcd-servers".into(), etcd.endpoint().into()];
    options
}

/// A server on every store that this machine has.
pub(crate) async fn every_store() -> Vec<Stand> {
    every_store_with(None).await
}

/// The same, with objects from a bootstrap file.
pub(crate) async fn every_store_with(bootstrap: Option<&str>) -> Vec<Stand> {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = bootstrap.map(str::to_owned);
    let mut stands = vec![Stand { label: "embedded".into(), server: TestServer::start(options).await, _etcd: None }];
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(Path::new(&binary)).await;
        let mut options = on_etcd(&etcd);
        options.bootstrap = bootstrap.map(str::to_owned);
        stands.push(Stand { label, server: TestServer::start(options).await, _etcd: Some(etcd) });
    }
    stands
}

/// A small good object.
pub(crate) fn instance(name: &str) -> Value {
    json!({
        "apiVersion": "management.loft.sh/v1",
        "kind": "VirtualClusterInstance",
        "metadata": {"name": name},
        "spec": {"displayName": name, "clusterRef": {}, "templateRef": {"name": "t"}},
    })
}

/// The path of one object.
pub(crate) fn path(name: &str) -> String {
    format!("{COLLECTION}/{name}")
}
