//! The project that a namespace is of, as rules about what the namespace holds go by it.

use apiserver_meta::{ApiError, ObjectKey, RequestContext};
use apiserver_registry::{Item, Registries, Registry, storage_key};
use apiserver_store::{Expect, Guard, GuardMode, Revision};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use vci_management::GROUP;
use vci_management::project::ProjectSpec;

/// The projects, by their namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Projects {
    registries: Registries,
    prefix: Arc<str>,
}

/// A project, as far as rules go by it.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The revision that wrote it.
    pub(crate) revision: Revision,
    /// The project's spec.
    pub(crate) spec: ProjectSpec,
    /// Whether it is being deleted.
    pub(crate) is_terminating: bool,
}

impl Projects {
    /// The namespace of project P is `prefix` followed by P.
    pub(crate) fn new(registries: Registries, prefix: &str) -> Self {
        Self { registries, prefix: prefix.into() }
    }

    /// The project as it is known here, which may be a moment old: good enough to let something happen, and to be asked
    /// before [`Projects::current`] for that.
    pub(crate) fn known(&self, namespace: &str) -> Option<Project> {
        Project::read(&*self.registry()?.cache().cached_existing(&self.key(namespace)?)?).ok()
    }

    /// The project as it is now; `None` when there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the project cannot be decoded.
    pub(crate) async fn current(&self, ctx: &RequestContext, namespace: &str) -> Result<Option<Project>, ApiError> {
        let Some(key) = self.key(namespace) else { return Ok(None) };
        let registry = self.registry().ok_or_else(|| ApiError::internal("projects are not served"))?;
        registry.find(ctx, &key).await?.map(|item| Project::read(&item)).transpose()
    }

    /// Holds while the namespace's project is what it was found to be; `None` for a namespace that can be no project's.
    pub(crate) fn guard(&self, namespace: &str, found: Option<&Project>) -> Option<Guard> {
        let key = storage_key(vci_management::projects().descriptor(), &self.key(namespace)?);
        let expect = found.map_or(Expect::Absent, |project| Expect::Revision(project.revision));
        Some(Guard { key, expect, mode: GuardMode::Shared })
    }

    fn registry(&self) -> Option<Arc<Registry>> {
        self.registries.find(GROUP, "projects")
    }

    fn key(&self, namespace: &str) -> Option<ObjectKey> {
        let name = namespace.strip_prefix(&*self.prefix).filter(|name| !name.is_empty())?;
        Some(ObjectKey::new("", name))
    }
}

impl Project {
    /// Reads no more than what rules go by.
    fn read(item: &Item) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Stored {
            metadata: Metadata,
            #[serde(default)]
            spec: ProjectSpec,
        }
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(rename = "deletionTimestamp")]
            deletion_timestamp: Option<IgnoredAny>,
        }
        let stored: Stored =
            serde_json::from_slice(&item.bytes).map_err(|error| ApiError::internal("the project cannot be read").with_source(error))?;
        Ok(Self { revision: item.revision, spec: stored.spec, is_terminating: stored.metadata.deletion_timestamp.is_some() })
    }
}
