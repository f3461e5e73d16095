//! What every request shares: the configuration, and the documents made from it once.

use crate::Config;
use crate::discovery::Discovery;
use crate::layers::Places;
use crate::namespaces;
use crate::openapi::OpenApi;
use std::sync::Arc;
use vci_meta::{ComputedDescriptor, Descriptor, Schema};
use vci_registry::Registry;

/// The shared state of the router.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) places: Places,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        let discovery = Discovery::new(&stored(&config), &computed(&config), &config);
        Self { discovery, openapi: OpenApi::default(), places: Places::new(&config.limits), config }
    }

    /// Every kind that is served from a registry or as if it were.
    pub(crate) fn kinds(&self) -> Vec<&'static Descriptor> {
        stored(&self.config)
    }

    /// Hands over all kinds with their schemas.
    pub(crate) fn with_schemas<T>(
        &self,
        make: impl FnOnce(&[(&'static Descriptor, &Schema)], &[(&'static ComputedDescriptor, &Schema)]) -> T,
    ) -> T {
        let core = self.stands_alone().then(namespaces::schema);
        let schemas = core.iter().chain(self.config.registries.iter().map(|registry| registry.schema()));
        let stored: Vec<_> = self.kinds().into_iter().zip(schemas).collect();
        let computed: Vec<_> = self.config.computed.iter().map(|computed| (computed.descriptor(), computed.schema())).collect();
        make(&stored, &computed)
    }

    /// Whether no cluster stands behind this server, so that it answers what clients ask of one.
    pub(crate) fn stands_alone(&self) -> bool {
        self.config.namespaces.is_some()
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
    let core = config.namespaces.is_some().then_some(&namespaces::DESCRIPTOR);
    core.into_iter().chain(config.registries.iter().map(|registry| registry.descriptor())).collect()
}

/// Every kind that is computed, in the order of discovery.
fn computed(config: &Config) -> Vec<&'static ComputedDescriptor> {
    config.computed.iter().map(|computed| computed.descriptor()).collect()
}
