//! What every request shares: the configuration, and the documents made from it once.

use crate::Config;
use crate::discovery::Discovery;
use crate::openapi::OpenApi;
use std::sync::Arc;
use vci_meta::{Descriptor, Schema};
use vci_registry::Registry;

/// The shared state of the router.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        let descriptors: Vec<&'static Descriptor> = config.registries.iter().map(|registry| registry.descriptor()).collect();
        let discovery = Discovery::new(&descriptors, &config);
        Self { discovery, openapi: OpenApi::default(), config }
    }

    /// Hands over all kinds with their schemas, namespaces first.
    pub(crate) fn with_schemas<T>(&self, make: impl FnOnce(&[(&'static Descriptor, &Schema)]) -> T) -> T {
        let core = self.config.namespaces.as_ref().map(|_| crate::namespaces::schema());
        let mut kinds: Vec<(&'static Descriptor, &Schema)> = core.iter().map(|schema| (&crate::namespaces::DESCRIPTOR, schema)).collect();
        kinds.extend(self.config.registries.iter().map(|registry| (registry.descriptor(), registry.schema())));
        make(&kinds)
    }

    /// The kind under a path.
    pub(crate) fn registry(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Registry>> {
        self.config.registries.iter().find(|registry| {
            let kind = registry.descriptor();
            kind.plural == plural && kind.group == group && kind.version == version
        })
    }

    /// Whether anything is served under this group and version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        let core = group.is_empty() && version == "v1" && self.config.namespaces.is_some();
        core || self.config.registries.iter().any(|registry| {
            let kind = registry.descriptor();
            kind.group == group && kind.version == version
        })
    }
}
