//! Namespaces are the projects': nothing is created in others.

use crate::own_context::own_context;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use vci_auth::directory::Directory;
use vci_meta::error::GroupResource;
use vci_meta::options::GetOptions;
use vci_meta::{ApiError, Object, ObjectKey, RequestContext, Scope, Verb, View};
use vci_registry::{Admission, AdmissionRequest, Registry};

/// Time to ask the store about a project that the directory does not know.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
const NAMESPACES: GroupResource<'_> = GroupResource { group: "", resource: "namespaces" };

/// Refuses to create objects in namespaces that are no project's, as upstream's NamespaceLifecycle does.
#[derive(Debug)]
pub(crate) struct ProjectNamespaces {
    directory: Arc<Directory>,
    projects: Arc<Registry>,
    prefix: String,
}

impl ProjectNamespaces {
    /// Asks the directory first, then `projects`: a project that was made a moment ago may not be in the directory yet.
    pub(crate) fn new(directory: Arc<Directory>, projects: Arc<Registry>, prefix: impl Into<String>) -> Self {
        Self { directory, projects, prefix: prefix.into() }
    }

    async fn exists(&self, namespace: &str) -> Result<bool, ApiError> {
        if self.directory.project_of(namespace).is_some() {
            return Ok(true);
        }
        let Some(project) = namespace.strip_prefix(&self.prefix).filter(|name| !name.is_empty()) else { return Ok(false) };
        let ctx = own_context(LOOK_TIMEOUT);
        match self.projects.get(&ctx, &ObjectKey::new("", project), &GetOptions::default(), &View::All).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Admission for ProjectNamespaces {
    async fn mutate(&self, _: &RequestContext, request: AdmissionRequest<'_>, _: &mut Object) -> Result<(), ApiError> {
        let namespace = &request.key.namespace;
        let concerned = request.verb == Verb::Create && request.descriptor.scope == Scope::Namespaced;
        if concerned && !self.exists(namespace).await? {
            return Err(ApiError::not_found(NAMESPACES, namespace));
        }
        Ok(())
    }
}
