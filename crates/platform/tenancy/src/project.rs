//! The project of a namespace, for rules about what the namespace holds.

use crate::namespace_prefix::NamespacePrefix;
use apiserver_meta::{ApiError, ObjectKey, RequestContext};
use apiserver_registry::{AdmissionRequest, Item, Memo, Registries, Registry, storage_key};
use apiserver_store::{Expect, Guard, GuardMode, Revision};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use vci_management::GROUP;
use vci_management::plural;
use vci_management::project::ProjectSpec;

/// The projects, by their namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Projects {
    registries: Registries,
    prefix: NamespacePrefix,
}

/// A project, as far as rules go by it.
#[derive(Debug)]
pub(crate) struct Project {
    name: String,
    /// The revision that wrote it.
    pub(crate) revision: Revision,
    /// The project's spec.
    pub(crate) spec: ProjectSpec,
    /// Whether it is being deleted.
    pub(crate) is_terminating: bool,
}

impl Projects {
    pub(crate) fn new(registries: Registries, prefix: NamespacePrefix) -> Self {
        Self { registries, prefix }
    }

    /// The namespace's project as an earlier rule has found it for this attempt, or else as the cache has it, for this rule and
    /// later ones. It may be a moment old: good enough to let something happen, and to be asked before [`Projects::current`]
    /// for that.
    pub(crate) fn known(&self, memo: &Memo, namespace: &str) -> Option<Arc<Project>> {
        let name = self.prefix.project_of(namespace)?;
        memo.get::<Project>().filter(|project| project.name == name).or_else(|| self.cached(memo, namespace))
    }

    /// The namespace's project as the cache has it at this moment.
    pub(crate) fn cached(&self, memo: &Memo, namespace: &str) -> Option<Arc<Project>> {
        let project = Arc::new(Project::read(&*self.registry()?.cache().cached_existing(&self.key(namespace)?)?).ok()?);
        memo.put(Arc::clone(&project));
        Some(project)
    }

    /// The namespace's project as it is now; `None` when there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the project cannot be decoded.
    pub(crate) async fn current(&self, ctx: &RequestContext, memo: &Memo, namespace: &str) -> Result<Option<Arc<Project>>, ApiError> {
        let Some(key) = self.key(namespace) else { return Ok(None) };
        let registry = self.registry().ok_or_else(|| ApiError::internal("projects are not served"))?;
        let Some(item) = registry.find(ctx, &key).await? else { return Ok(None) };
        let project = Arc::new(Project::read(&item)?);
        memo.put(Arc::clone(&project));
        Ok(Some(project))
    }

    /// Whether the project of the request's namespace agrees. What lets something happen may be a moment old, a refusal may not.
    ///
    /// # Errors
    /// The store cannot be read, or the project cannot be decoded.
    pub(crate) async fn agrees(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        rule: impl Fn(&ProjectSpec) -> bool,
    ) -> Result<bool, ApiError> {
        let AdmissionRequest { memo, key, .. } = request;
        if self.known(memo, &key.namespace).is_some_and(|project| rule(&project.spec)) {
            return Ok(true);
        }
        // No project wants nothing: whether something may be there at all is asked elsewhere.
        Ok(self.current(ctx, memo, &key.namespace).await?.is_none_or(|project| rule(&project.spec)))
    }

    /// Holds while the namespace's project is what it was found to be; `None` for a namespace that can be no project's.
    pub(crate) fn guard(&self, namespace: &str, found: Option<&Project>) -> Option<Guard> {
        let key = storage_key(vci_management::projects().descriptor(), &self.key(namespace)?);
        let expect = found.map_or(Expect::Absent, |project| Expect::Revision(project.revision));
        Some(Guard { key, expect, mode: GuardMode::Shared })
    }

    fn registry(&self) -> Option<Arc<Registry>> {
        self.registries.find(GROUP, plural::PROJECTS)
    }

    fn key(&self, namespace: &str) -> Option<ObjectKey> {
        Some(ObjectKey::new("", self.prefix.project_of(namespace)?))
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
        Ok(Self {
            name: item.name().to_owned(),
            revision: item.revision,
            spec: stored.spec,
            is_terminating: stored.metadata.deletion_timestamp.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, context};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn rules_of_one_attempt_share_what_they_found() {
        let rig = Rig::start().await;
        rig.create("root", "projects", "blue", json!({"requireTemplate": {"disabled": true}})).await.unwrap();
        rig.create("root", "projects", "red", json!({})).await.unwrap();
        let registries = Registries::default();
        registries.fill(&rig.all().0);
        let (projects, memo, ctx) = (Projects::new(registries, NamespacePrefix::default()), Memo::default(), context("root"));

        let current = projects.current(&ctx, &memo, "loft-p-blue").await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&current, &projects.known(&memo, "loft-p-blue").unwrap()), "nothing is looked up again");
        assert!(projects.known(&memo, "blue").is_none(), "a namespace of no project");
        projects.current(&ctx, &memo, "loft-p-red").await.unwrap().unwrap();
        let red = projects.known(&memo, "loft-p-red").unwrap();
        assert!(!red.spec.require_template.disabled, "another namespace has another project");

        // A later attempt begins with an empty memo.
        rig.patch("root", "projects", "red", &json!({"spec": {"requireTemplate": {"disabled": true}}})).await.unwrap();
        let red = projects.current(&ctx, &Memo::default(), "loft-p-red").await.unwrap().unwrap();
        assert!(red.spec.require_template.disabled);
        assert!(!projects.known(&memo, "loft-p-red").unwrap().spec.require_template.disabled);
    }
}
