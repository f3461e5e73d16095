//! Virtual resources: the caller's identity, and views of projects, users and teams. They are answered and never stored.

mod access_keys;
mod objects;
mod offered_template;
mod project;
mod selves;
mod virtual_cluster_key;

use crate::directory::Directory;
use crate::identity_informer::IdentityInformer;
use access_keys::AccessKeys;
use apiserver_auth::IdentityMapper;
use apiserver_endpoints::VirtualResource;
use apiserver_endpoints::reviews::{Subject, access_review};
use apiserver_registry::Registry;
use objects::Objects;
use project::{Clusters, Members, Templates};
use selves::Selves;
use std::sync::Arc;
use std::time::Duration;
use vci_management::computed::{SELF_SUBJECT_ACCESS_REVIEW, SUBJECT_ACCESS_REVIEW};
use virtual_cluster_key::VirtualClusterKeys;

/// All virtual resources, in the order of discovery.
pub(crate) fn all(
    registries: &[Arc<Registry>],
    directory: &Arc<Directory>,
    feed: Option<IdentityInformer>,
    longest_key_life: Option<Duration>,
) -> Vec<Arc<dyn VirtualResource>> {
    let identities: Arc<dyn IdentityMapper> = Arc::<Directory>::clone(directory);
    let objects = || Objects::new(registries);
    vec![
        Arc::new(Selves::new(objects(), Arc::clone(directory))),
        access_review(&SELF_SUBJECT_ACCESS_REVIEW, Subject::Caller),
        access_review(&SUBJECT_ACCESS_REVIEW, Subject::Named(identities)),
        Arc::new(Members(objects())),
        Arc::new(Templates(objects())),
        Arc::new(Clusters(objects())),
        Arc::new(AccessKeys::of_users(objects())),
        Arc::new(AccessKeys::of_teams(objects())),
        Arc::new(VirtualClusterKeys::new(registries, Arc::clone(directory), feed, longest_key_life)),
    ]
}
