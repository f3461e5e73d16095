//! The state that every request shares: the configuration, and what is made from it once.

use crate::config::Config;
use crate::discovery::Discovery;
use crate::kinds::Kinds;
use crate::openapi::OpenApi;
use crate::permits::Permits;
use crate::request_info::{RequestInfoResolver, ResourceInfo};
use crate::virtual_collection::VirtualCollection;
use crate::virtual_resource::{Services, VirtualResource};
use apiserver_registry::Registry;
use std::sync::Arc;

/// The shared state of the router.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) requests: RequestInfoResolver,
    pub(crate) kinds: Kinds,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) permits: Permits,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        let virtual_collections = config.virtual_collections.iter().map(|kind| kind.resource().descriptor());
        let stored = virtual_collections.chain(config.registries.iter().map(|registry| registry.descriptor())).collect();
        let computed = config.computed.iter().map(|computed| computed.descriptor()).collect();
        let kinds = Kinds { stored, computed };
        let discovery = Discovery::new(&kinds, &config);
        let requests = RequestInfoResolver::new(&config.prefix, config.proxies.clone());
        Self { requests, kinds, discovery, openapi: OpenApi::default(), permits: Permits::new(&config.limits), config }
    }

    /// The parts that the answer of a virtual resource may need.
    pub(crate) fn services(&self) -> Services<'_> {
        Services { authorizers: &self.config.authorizers, registries: &self.config.registries, kinds: &self.kinds }
    }

    /// The registry of the kind that a path names.
    pub(crate) fn registry(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Registry>> {
        self.config.registries.iter().find(|registry| {
            let kind = registry.descriptor();
            kind.plural == plural && kind.group == group && kind.version == version
        })
    }

    /// The virtual resource that a path names.
    pub(crate) fn virtual_resource(&self, resource: &ResourceInfo) -> Option<&Arc<dyn VirtualResource>> {
        let ResourceInfo { group, version, resource, subresource, .. } = resource;
        self.config.computed.iter().find(|computed| computed.descriptor().is_at(group, version, resource, subresource))
    }

    /// The virtual collection that a path names.
    pub(crate) fn virtual_collection(&self, resource: &ResourceInfo) -> Option<&Arc<dyn VirtualCollection>> {
        self.config.virtual_collections.iter().find(|kind| {
            let kind = kind.resource().descriptor();
            (kind.group, kind.version, kind.plural) == (&resource.group, &resource.version, &resource.resource)
        })
    }
}
