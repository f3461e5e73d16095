//! The authorizers of a server, made once: a request and a question that admission has are answered by the same ones.

use crate::extension::{Extension, Extensions};
use crate::host_cluster::Host;
use apiserver_auth::{AlwaysAllowedPaths, Authorizer, Masters};
use apiserver_host::AllowedObjects;
use std::sync::Arc;

/// The authorizers, in order: those that go by nothing but the request and the credentials it came with, then the host cluster,
/// then the rules of the extensions.
pub(super) struct Authorizers {
    before: Vec<Arc<dyn Authorizer>>,
    /// The host cluster's rules.
    host: Option<Arc<dyn Authorizer>>,
    after: Vec<Arc<dyn Authorizer>>,
}

impl Authorizers {
    pub(super) fn new(extensions: &Extensions, host: Option<&Host>) -> Self {
        let mut before: Vec<Arc<dyn Authorizer>> = vec![Arc::new(AlwaysAllowedPaths)];
        before.extend(extensions.iter().flat_map(Extension::restrictions));
        before.push(Arc::new(Masters));
        let rules: Vec<_> = extensions.iter().flat_map(Extension::authorizers).collect();
        let allowed = if rules.is_empty() { AllowedObjects::Allowed } else { AllowedObjects::Undecided };
        let bypass = host.and_then(Host::bypass);
        Self { before, host: host.map(|host| host.authorizer(allowed)), after: bypass.into_iter().chain(rules).collect() }
    }

    /// The authorizers of requests.
    pub(super) fn of_requests(&self) -> Vec<Arc<dyn Authorizer>> {
        self.before.iter().chain(&self.host).chain(&self.after).cloned().collect()
    }

    /// The authorizers of questions that are no requests of their own, such as whether the caller may hand an object over. The
    /// host cluster's rules do not know such questions.
    pub(super) fn of_questions(&self) -> Vec<Arc<dyn Authorizer>> {
        self.before.iter().chain(&self.after).cloned().collect()
    }
}
