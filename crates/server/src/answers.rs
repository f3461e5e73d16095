//! What is answered and never stored: who somebody is, and views of projects, users and teams.

mod access_keys;
mod objects;
mod offered_template;
mod project;
mod selves;

use access_keys::AccessKeys;
use objects::Objects;
use project::{Clusters, Members, Templates};
use selves::Selves;
use std::sync::Arc;
use vci_auth::directory::Directory;
use vci_endpoints::Computed;
use vci_endpoints::reviews::{Subject, access_review, of_a_cluster};
use vci_management::computed::{SELF_SUBJECT_ACCESS_REVIEW, SUBJECT_ACCESS_REVIEW};
use vci_registry::Registry;

/// All answers, in the order of discovery; then those of a cluster, because none stands behind this server.
pub(crate) fn all(registries: &[Arc<Registry>], directory: &Arc<Directory>, namespace_prefix: &str) -> Vec<Arc<dyn Computed>> {
    let objects = || Objects::new(registries);
    let own: [Arc<dyn Computed>; 8] = [
        Arc::new(Selves::new(objects(), Arc::clone(directory), namespace_prefix)),
        access_review(&SELF_SUBJECT_ACCESS_REVIEW, Subject::Caller),
        access_review(&SUBJECT_ACCESS_REVIEW, Subject::Named(Arc::clone(directory))),
        Arc::new(Members(objects())),
        Arc::new(Templates(objects())),
        Arc::new(Clusters),
        Arc::new(AccessKeys::of_users(objects())),
        Arc::new(AccessKeys::of_teams(objects())),
    ];
    own.into_iter().chain(of_a_cluster(directory)).collect()
}
