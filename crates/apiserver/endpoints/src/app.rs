//! What every request shares: the configuration, and the documents made from it once.

use crate::Config;
use crate::discovery::Discovery;
use crate::layers::Permits;
use crate::openapi::OpenApi;
use apiserver_meta::{Descriptor, Schema, VirtualDescriptor};
use apiserver_registry::Registry;
use std::sync::Arc;

/// The shared state of the router.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) places: Permits,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        let discovery = Discovery::new(&stored(&config), &computed(&config), &config);
        Self { discovery, openapi: OpenApi::default(), places: Permits::new(&config.limits), config }
    }

    /// Every kind that is served from a registry or as if it were.
    pub(crate) fn kinds(&self) -> Vec<&'static Descriptor> {
        stored(&self.config)
    }

    /// Hands over all kinds with their schemas.
    pub(crate) fn with_schemas<T>(
        &self,
        make: impl FnOnce(&[(&'static Descriptor, &Schema)], &[(&'static VirtualDescriptor, &Schema)]) -> T,
    ) -> T {
        let virtual_collections = self.config.virtual_collections.iter().map(|kind| kind.resource().schema());
        let schemas = virtual_collections.chain(self.config.registries.iter().map(|registry| registry.schema()));
        let stored: Vec<_> = self.kinds().into_iter().zip(schemas).collect();
        let computed: Vec<_> = self.config.computed.iter().map(|computed| (computed.descriptor(), computed.schema())).collect();
        make(&stored, &computed)
    }

    /// The kind under a path.
    pub(crate) fn registry(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Registry>> {
        self.config.registries.iter().find(|registry| {
            let kind = registry.descriptor();
            kind.plural == plural && kind.group == group && kind.version == version
        })
    }

    /// Whether anything is served of this kind, be it only a subresource.
    pub(crate) fn serves_kind(&self, group: &str, version: &str, plural: &str) -> bool {
        let stored = self.kinds().into_iter().any(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural));
        stored || self.config.computed.iter().any(|computed| computed.descriptor().is_of(group, version, plural))
    }

    /// Whether anything is served under this group and version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        let stored = self.kinds().into_iter().map(|kind| (kind.group, kind.version));
        let computed = self.config.computed.iter().map(|computed| computed.descriptor()).map(|kind| (kind.group, kind.version));
        stored.chain(computed).any(|served| served == (group, version))
    }
}

/// Every kind that is served from a registry or as if it were, in the order of discovery.
fn stored(config: &Config) -> Vec<&'static Descriptor> {
    let virtual_collections = config.virtual_collections.iter().map(|kind| kind.resource().descriptor());
    virtual_collections.chain(config.registries.iter().map(|registry| registry.descriptor())).collect()
}

/// Every kind that is computed, in the order of discovery.
fn computed(config: &Config) -> Vec<&'static VirtualDescriptor> {
    config.computed.iter().map(|computed| computed.descriptor()).collect()
}
