//! The store's conformance suite. Every case has an etcd of its own, because some of them compact.

use apiserver_store::Store;
use std::sync::Arc;
use vci_testkit::etcd::{Etcd, available};

async fn fresh(minor: &str) -> Option<(Arc<dyn Store>, Etcd)> {
    let (_, binary) = available().into_iter().find(|(version, _)| version.starts_with("3.6.") == (minor == "3.6"))?;
    let etcd = Etcd::spawn(&binary).await;
    Some((crate::store(&etcd).await, etcd))
}

macro_rules! suite {
    ($name:ident, $minor:expr) => {
        mod $name {
            apiserver_store::conformance_suite!(match super::fresh($minor).await {
                Some(fresh) => std::future::ready(fresh),
                None => return,
            });
        }
    };
}

suite!(with_etcd_on_path, "any other");
suite!(with_etcd_3_6, "3.6");
