//! The project that a namespace is of.

use crate::own_context::own_context;
use std::sync::Arc;
use std::time::Duration;
use vci_meta::options::GetOptions;
use vci_meta::{ApiError, Object, ObjectKey, Reason, View};
use vci_registry::{Item, Registry};

/// Time to ask the store about a project.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The projects, by their namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Projects {
    registry: Arc<Registry>,
    prefix: Arc<str>,
}

impl Projects {
    /// The namespace of project P is `prefix` followed by P.
    pub(crate) fn new(registry: Arc<Registry>, prefix: &str) -> Self {
        Self { registry, prefix: prefix.into() }
    }

    /// The project as it is known here, which may be a moment old: good enough to let something happen, and to be asked
    /// before [`Projects::current`] for that.
    pub(crate) fn known(&self, namespace: &str) -> Option<Object> {
        object(&*self.registry.cache().guess(&self.key(namespace)?)?)
    }

    /// The project as it is now; `None` when there is none.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(crate) async fn current(&self, namespace: &str) -> Result<Option<Object>, ApiError> {
        let Some(key) = self.key(namespace) else { return Ok(None) };
        match self.registry.get(&own_context(LOOK_TIMEOUT), &key, &GetOptions::default(), &View::All).await {
            Ok(item) => Ok(object(&item)),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn key(&self, namespace: &str) -> Option<ObjectKey> {
        let name = namespace.strip_prefix(&*self.prefix).filter(|name| !name.is_empty())?;
        Some(ObjectKey::new("", name))
    }
}

fn object(item: &Item) -> Option<Object> {
    serde_json::from_slice(&item.bytes).ok().map(Object)
}
