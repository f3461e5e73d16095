//! What every request shares: the configuration, and the documents made from it once.

use crate::Config;
use crate::discovery::Discovery;
use crate::layers::Places;
use crate::openapi::OpenApi;
use crate::{namespaces, reviews};
use std::sync::Arc;
use vci_meta::{Descriptor, Schema};
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
        let discovery = Discovery::new(&kinds(&config), &config);
        Self { discovery, openapi: OpenApi::default(), places: Places::new(&config.limits), config }
    }

    /// Every kind that is served.
    pub(crate) fn kinds(&self) -> Vec<&'static Descriptor> {
        kinds(&self.config)
    }

    /// Hands over all kinds with their schemas.
    pub(crate) fn with_schemas<T>(&self, make: impl FnOnce(&[(&'static Descriptor, &Schema)]) -> T) -> T {
        let of_a_cluster = self.stands_alone().then(|| (namespaces::schema(), reviews::schemas()));
        let (core, reviews): (&[_], &[_]) = match &of_a_cluster {
            Some((core, reviews)) => (std::slice::from_ref(core), reviews),
            None => (&[], &[]),
        };
        let own = self.config.registries.iter().map(|registry| registry.schema());
        let schemas = core.iter().chain(own).chain(reviews);
        make(&self.kinds().into_iter().zip(schemas).collect::<Vec<_>>())
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

    /// Whether anything is served under this group and version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        self.kinds().iter().any(|kind| kind.group == group && kind.version == version)
    }
}

/// Every kind that is served, in the order of discovery.
fn kinds(config: &Config) -> Vec<&'static Descriptor> {
    let own = config.registries.iter().map(|registry| registry.descriptor());
    let (core, reviews): (&[_], &[_]) = match config.namespaces {
        Some(_) => (&[&namespaces::DESCRIPTOR], &reviews::DESCRIPTORS),
        None => (&[], &[]),
    };
    core.iter().copied().chain(own).chain(reviews.iter().copied()).collect()
}
