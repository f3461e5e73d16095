//! A project, as far as its quotas are concerned.

use super::limits::Quotas;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use vci_meta::options::GetOptions;
use vci_meta::{ApiError, ObjectKey, Reason, RequestContext, View};
use vci_registry::{Item, Registry, storage_key};
use vci_store::{Expect, Fence, Hold, Key, Revision};

/// A project, as far as its quotas are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The revision that wrote it.
    pub(crate) revision: Revision,
    pub(crate) quotas: Quotas,
    /// Whether it is being deleted.
    pub(crate) is_terminating: bool,
    key: Key,
}

#[derive(Deserialize)]
struct Outer {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "deletionTimestamp")]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Spec {
    quotas: Option<Quotas>,
}

impl Project {
    /// What the cache has under a name, perhaps stale.
    pub(crate) fn cached(projects: &Registry, name: &str) -> Option<Result<Self, ApiError>> {
        let item = projects.cache().guess(&ObjectKey::new("", name))?;
        Some(Self::read(projects, &item))
    }

    /// What the store has under a name.
    pub(crate) async fn live(ctx: &RequestContext, projects: &Registry, name: &str) -> Result<Option<Self>, ApiError> {
        match projects.get(ctx, &ObjectKey::new("", name), &GetOptions::default(), &View::All).await {
            Ok(item) => Self::read(projects, &item).map(Some),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn read(projects: &Registry, item: &Arc<Item>) -> Result<Self, ApiError> {
        let outer: Outer = serde_json::from_slice(&item.bytes)
            .map_err(|error| ApiError::internal("the project's quotas cannot be read").with_source(error))?;
        let key = storage_key(projects.descriptor(), &item.key);
        let is_terminating = outer.metadata.deletion_timestamp.is_some();
        Ok(Self { revision: item.revision, quotas: outer.spec.quotas.unwrap_or_default(), is_terminating, key })
    }

    /// Holds while there is no project of this name.
    pub(crate) fn absent(projects: &Registry, name: &str) -> Fence {
        let key = storage_key(projects.descriptor(), &ObjectKey::new("", name));
        Fence { key, expect: Expect::Absent, hold: Hold::Shared }
    }

    /// Holds while the project is what it was.
    pub(crate) fn unchanged(&self) -> Fence {
        Fence { key: self.key.clone(), expect: Expect::Revision(self.revision), hold: Hold::Shared }
    }
}
