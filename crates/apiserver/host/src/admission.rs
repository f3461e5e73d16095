//! The host cluster's admission, run here because kube-apiserver does not run it for requests that it passes on: its
//! namespaces, webhooks, policies and quotas.

mod authorizer;
mod events;
mod expressions;
mod facts;
mod matching;
mod namespaces;
mod policy;
mod quota;
mod request;
mod review;
mod webhooks;

use crate::HostCluster;
use apiserver_registry::Admission;
use namespaces::{ClusterNamespaces, NamespaceLifecycle};
use policy::ValidatingAdmissionPolicies;
use quota::ResourceQuotas;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use webhooks::{MutatingWebhooks, ValidatingWebhooks};

/// What is asked on every write, in kube-apiserver's order. Each part follows the cluster's objects that it goes by, until
/// `stop`.
pub fn chain(cluster: &HostCluster, stop: &CancellationToken) -> Vec<Arc<dyn Admission>> {
    let namespaces = ClusterNamespaces::follow(cluster, stop);
    let known = Arc::new(namespaces.clone());
    vec![
        Arc::new(NamespaceLifecycle(namespaces)),
        Arc::new(MutatingWebhooks::follow(cluster, Arc::clone(&known) as _, stop)),
        Arc::new(ValidatingAdmissionPolicies::follow(cluster, Arc::clone(&known) as _, stop)),
        Arc::new(ValidatingWebhooks::follow(cluster, known, stop)),
        Arc::new(ResourceQuotas::follow(cluster, stop)),
    ]
}
