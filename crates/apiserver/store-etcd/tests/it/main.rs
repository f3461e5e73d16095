//! The etcd store against real etcds: every version that the machine has.
#![allow(clippy::unwrap_used)]

mod compaction;
mod conformance;
mod failover;
mod interruption;
mod several;
mod tls;

use apiserver_store::Store;
use apiserver_store_etcd::{EtcdConfig, EtcdStore, Timeouts};
use std::sync::Arc;
use vci_testkit::etcd::Etcd;

fn config(endpoints: &[&str]) -> EtcdConfig {
    let endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
    EtcdConfig { endpoints, prefix: "/registry/test".into(), tls: None, timeouts: Timeouts::default() }
}

async fn connect(endpoints: &[&str]) -> Arc<dyn Store> {
    Arc::new(EtcdStore::connect(&config(endpoints)).await.unwrap())
}

async fn store(etcd: &Etcd) -> Arc<dyn Store> {
    connect(&[etcd.endpoint()]).await
}
