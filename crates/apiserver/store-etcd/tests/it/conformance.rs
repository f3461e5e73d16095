//! The store's conformance suite. Every case has an etcd of its own, because some of them compact.

use apiserver_store::Store;
use std::sync::Arc;
use vci_testkit::etcd::{Etcd, Release, find};

async fn fresh(release: Release) -> Option<(Arc<dyn Store>, Etcd)> {
    let (_, binary) = find(release)?;
    let etcd = Etcd::spawn(&binary).await;
    Some((crate::store(&etcd).await, etcd))
}

macro_rules! suite {
    ($name:ident, $release:expr) => {
        mod $name {
            apiserver_store::conformance_suite!(match super::fresh($release).await {
                Some(fresh) => std::future::ready(fresh),
                None => return,
            });
        }
    };
}

suite!(with_etcd_on_path, vci_testkit::etcd::Release::OnPath);
suite!(with_etcd_3_6, vci_testkit::etcd::Release::V3_6);
