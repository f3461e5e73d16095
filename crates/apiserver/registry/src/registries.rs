//! All registries of a server, for rules that look at more than one kind. Such rules are made before the registries are.

use crate::registry::Registry;
use std::sync::{Arc, OnceLock, Weak};

/// The registries of a server: none until they are started. Held weakly, because registries hold the rules that look here.
#[derive(Clone, Debug, Default)]
pub struct Registries(Arc<OnceLock<Vec<Weak<Registry>>>>);

impl Registries {
    /// Fills the index. A second call changes nothing.
    pub fn fill(&self, started: &[Arc<Registry>]) {
        let _ = self.0.set(started.iter().map(Arc::downgrade).collect());
    }

    /// Every registry, in the order of discovery.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Registry>> + '_ {
        self.0.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// The registry of a plural name in a group.
    pub fn find(&self, group: &str, plural: &str) -> Option<Arc<Registry>> {
        self.iter().find(|registry| (registry.descriptor().group, registry.descriptor().plural) == (group, plural))
    }
}
