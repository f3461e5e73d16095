//! The instances whose keys are good.
//!
//! A virtual cluster calls with a key of its own (`loft:vcluster:NAMESPACE:NAME`). The directory asks here whether the instance is still
//! there, by UID: an instance that is given the name later has none of the keys. Few callers are virtual clusters, so instances are looked
//! up in the cache when one calls, and not kept a second time.

use crate::directory::{Directory, Holder, Instances};
use apiserver_meta::ObjectKey;
use apiserver_registry::informer::Delta;
use apiserver_registry::{Item, Registry};
use serde::Deserialize;
use std::sync::Arc;
use vci_management::access::VirtualClusterIdentity;

/// The instances in a registry's cache.
#[derive(Debug)]
pub(crate) struct CachedInstances(pub(crate) Arc<Registry>);

impl Instances for CachedInstances {
    fn uid(&self, identity: &VirtualClusterIdentity) -> Option<String> {
        let key = ObjectKey::new(identity.namespace.as_str(), identity.name.as_str());
        uid(&*self.0.cache().cached_existing(&key)?)
    }
}

fn uid(item: &Item) -> Option<String> {
    #[derive(Deserialize)]
    struct Stored {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        uid: String,
    }
    Some(serde_json::from_slice::<Stored>(&item.bytes).ok()?.metadata.uid)
}

/// The names of the keys that a change of the instances has taken the holder from. At the beginning all keys of virtual clusters are named:
/// instances may have gone before.
pub(crate) fn bereft(directory: &Directory, delta: &Delta, is_begun: &mut bool) -> Vec<String> {
    match delta {
        Delta::Deleted(last) => {
            let identity = VirtualClusterIdentity { namespace: last.namespace().to_owned(), name: last.name().to_owned() };
            directory.holder_gone(&Holder::VirtualCluster(identity))
        }
        Delta::Gap => directory.keys_of_virtual_clusters(),
        Delta::Synced(_) if !std::mem::replace(is_begun, true) => directory.keys_of_virtual_clusters(),
        Delta::Added(_) | Delta::Updated { .. } | Delta::Synced(_) => Vec::new(),
    }
}
