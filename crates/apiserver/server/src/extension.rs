//! How a product plugs into a server: identities, rules and virtual resources of its own.
//!
//! An [`Extension`] is asked for its parts in the order of a start: first who callers are and what they may do, then what it says
//! to writes, then what it follows and answers, and at last, when everything is loaded, what has to be there before the server
//! is ready. Refused: to change what the library does with a request; a part is added or it is not.

use crate::admission::{OwnerReferences, Permissions};
use crate::{Loopback, StartError};
use apiserver_auth::{Authenticator, Authorizer, IdentityMapper};
use apiserver_endpoints::{HealthCheck, Proxy, VirtualCollection, VirtualResource};
use apiserver_meta::error::GroupResource;
use apiserver_meta::{Descriptor, Resource, VirtualDescriptor};
use apiserver_registry::{Admission, Registries, Registry};
use apiserver_store::Store;
use async_trait::async_trait;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A product's part of a server. Every method but the name has a default that adds nothing.
#[async_trait]
pub trait Extension: fmt::Debug + Send + Sync + 'static {
    /// The name, for logs and errors.
    fn name(&self) -> &'static str;

    /// Maps users whom others vouch for to identities. At most one extension of a server does.
    fn identities(&self) -> Option<Arc<dyn IdentityMapper>> {
        None
    }

    /// Authenticators, asked after client certificates and front proxies, and before the tokens of the host cluster.
    fn authenticators(&self) -> Vec<Arc<dyn Authenticator>> {
        Vec::new()
    }

    /// Authorizers that only deny, because credentials are narrowed: asked before `system:masters` are let through.
    fn restrictions(&self) -> Vec<Arc<dyn Authorizer>> {
        Vec::new()
    }

    /// Authorizers that are asked last, after the host cluster.
    fn authorizers(&self) -> Vec<Arc<dyn Authorizer>> {
        Vec::new()
    }

    /// The resource on which the host cluster grants the verb `bypass` to those for whom the rules of [`Self::authorizers`] do
    /// not count.
    fn bypass(&self) -> Option<GroupResource<'static>> {
        None
    }

    /// Admission for a kind, in order; asked before that of the host cluster.
    fn admission(&self, _kind: &Descriptor, _parts: &AdmissionParts) -> Vec<Arc<dyn Admission>> {
        Vec::new()
    }

    /// Whether the host cluster's admission sees objects of a kind, unless another extension hides it.
    fn shows_to_host(&self, _kind: &Descriptor) -> bool {
        true
    }

    /// Virtual resources that hold secrets: their requests are audited at level Metadata at most.
    fn confidential(&self) -> Vec<&'static VirtualDescriptor> {
        Vec::new()
    }

    /// Begins to follow what is stored, until `stop`. The registries are there; their caches fill later.
    ///
    /// # Errors
    /// An error that keeps the server from starting, such as a kind that is not served.
    fn follow(&self, _registries: &[Arc<Registry>], _stop: &CancellationToken) -> Result<(), StartError> {
        Ok(())
    }

    /// Virtual resources, in the order of discovery.
    fn virtual_resources(&self, _registries: &[Arc<Registry>]) -> Vec<Arc<dyn VirtualResource>> {
        Vec::new()
    }

    /// Kinds whose objects are computed, in the order of discovery.
    fn virtual_collections(&self, _deployment: Deployment) -> Vec<Arc<dyn VirtualCollection>> {
        Vec::new()
    }

    /// Parts of the URL space that lead, by objects of a kind, to other APIs. Their requests pass what all requests pass.
    fn proxies(&self, _registries: &[Arc<Registry>]) -> Vec<Arc<dyn Proxy>> {
        Vec::new()
    }

    /// Health checks beside the library's.
    fn health_checks(&self) -> Vec<Arc<dyn HealthCheck>> {
        Vec::new()
    }

    /// Runs when the caches are full and before the server is ready: makes what has to be there, and begins what works in the
    /// background until `started.stop`.
    ///
    /// # Errors
    /// An error that keeps the server from starting.
    async fn post_start(&self, _started: &Started<'_>) -> Result<(), StartError> {
        Ok(())
    }

    /// Runs when no request is under way any more: writes what is still to be written.
    async fn pre_stop(&self) {}
}

/// Where a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// By itself: it answers what clients ask of a cluster.
    StandAlone,
    /// Behind the kube-apiserver of a host cluster.
    Aggregated,
}

/// Inputs for admission plugins.
#[derive(Clone, Debug)]
pub struct AdmissionParts {
    /// The store, for rules that may not go by what a cache knows.
    pub store: Arc<dyn Store>,
    /// The kinds.
    pub resources: Vec<Arc<dyn Resource>>,
    /// Answers to questions that are no requests of their own. The host cluster's rules, which do not know such questions, have
    /// no say in them.
    pub permissions: Arc<Permissions>,
    /// All registries, once they are started.
    pub registries: Registries,
}

impl AdmissionParts {
    /// The rule that the library puts before every kind's: who may say what an object depends on.
    pub fn owner_references(&self) -> Vec<Arc<dyn Admission>> {
        vec![Arc::new(OwnerReferences::new(Arc::clone(&self.permissions), self.resources.clone(), self.registries.clone()))]
    }
}

/// A server whose caches are full.
#[derive(Clone, Debug)]
pub struct Started<'a> {
    /// Its registries.
    pub registries: &'a [Arc<Registry>],
    /// Its URL, for clients on this machine.
    pub url: &'a str,
    /// The authority that signed its certificate, PEM; empty when the certificate came from a file.
    pub ca_certificate: &'a str,
    /// A client of this server's API that is the server itself. It is answered once the server is ready.
    pub loopback: &'a Loopback,
    /// Where the server keeps what is its own.
    pub data_dir: &'a Path,
    /// Whether other servers use the store.
    pub store_use: crate::StoreUse,
    /// Ends what works in the background.
    pub stop: &'a CancellationToken,
}

/// The extensions of a server, asked in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions(pub(crate) Vec<Arc<dyn Extension>>);

impl Extensions {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Extension> {
        self.0.iter().map(|extension| &**extension)
    }

    /// The one mapper of identities.
    ///
    /// # Errors
    /// More than one extension has one.
    pub(crate) fn identities(&self) -> Result<Arc<dyn IdentityMapper>, StartError> {
        let mut mappers = self.iter().filter_map(Extension::identities);
        let mapper = mappers.next().unwrap_or_else(|| Arc::new(apiserver_auth::Unmapped));
        if mappers.next().is_some() {
            return Err(StartError::Internal("more than one extension maps identities".into()));
        }
        Ok(mapper)
    }

    pub(crate) fn shows_to_host(&self, kind: &Descriptor) -> bool {
        self.iter().all(|extension| extension.shows_to_host(kind))
    }
}
