//! Deletion of objects that were created in a project's namespace while the project was being deleted.
//!
//! A project is deleted only when the store has nothing in its namespace, and nothing is created where there is no project (a
//! creation is carried out only if its project is still as it was found). Between the check of the namespace and the deletion of the
//! project an object may still be created. Only administrators could see it, and a later project of the same name would inherit it.
//! So the namespace of a deleted project is listed again a moment later, and its objects are deleted unless the project exists again.
//!
//! Such an object stays when a server ends within that moment with no other server beside it, or when a server heard neither of the
//! project's creation nor of its deletion, because both fell between two watches of which the second could not go on.
//!
//! Refused: searching for namespaces without a project in general. A server that is started with another prefix would take all of
//! them for such namespaces.

use crate::namespace_prefix::NamespacePrefix;
use apiserver_meta::options::{DeleteOptions, ListOptions, Propagation};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Scope};
use apiserver_registry::informer::{self, Delta};
use apiserver_registry::loopback;
use apiserver_registry::work_queue::WorkQueue;
use apiserver_registry::{Item, Registry, WriteFailure};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_management::plural;

/// How long after the deletion a namespace is looked at.
const REST: Duration = Duration::from_secs(2);
/// How many namespaces are looked at at a time.
const AT_A_TIME: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Follows the projects and looks after the namespaces of those that are deleted, until `stop`.
pub(crate) async fn clear(registries: Vec<Arc<Registry>>, prefix: NamespacePrefix, stop: CancellationToken) {
    let Some(projects) = registries.iter().find(|registry| registry.descriptor().plural == plural::PROJECTS).cloned() else { return };
    let namespaced = registries.into_iter().filter(|registry| registry.descriptor().scope == Scope::Namespaced).collect();
    let leftovers = Leftovers { projects: Arc::clone(&projects), namespaced, prefix };
    let deleted = WorkQueue::new("leftovers of deleted projects");
    tokio::select! {
        () = informer::follow(projects, stop, |delta| note(&deleted, delta)) => {}
        () = deleted.run(AT_A_TIME, |project| async { leftovers.empty(project).await }) => {}
    }
}

fn note(deleted: &WorkQueue<String>, delta: Delta) {
    if let Delta::Deleted(project) = delta {
        deleted.add_after(project.name().to_owned(), REST);
    }
}

struct Leftovers {
    projects: Arc<Registry>,
    namespaced: Vec<Arc<Registry>>,
    prefix: NamespacePrefix,
}

impl Leftovers {
    /// Deletes the objects of a namespace whose project is gone. The objects are listed before the project is found to be missing, so
    /// they belong to the deleted project and not to a new one of its name. A failure to delete one object does not keep the others.
    async fn empty(&self, project: String) -> Result<(), ApiError> {
        let namespace = self.prefix.namespace_of(&project);
        let mut failed = None;
        for registry in &self.namespaced {
            let left = registry.list(&loopback::context(TIMEOUT), &namespace, &ListOptions::default(), &ObjectFilter::All).await?.items;
            if left.is_empty() || self.exists(&project).await? {
                continue;
            }
            for item in left {
                failed = delete(registry, &item).await.err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn exists(&self, project: &str) -> Result<bool, ApiError> {
        self.projects.find(&loopback::context(TIMEOUT), &ObjectKey::new("", project)).await.map(|found| found.is_some())
    }
}

async fn delete(registry: &Arc<Registry>, item: &Item) -> Result<(), ApiError> {
    let uid = serde_json::from_slice(&item.bytes).ok().map(|map| Object(map).uid().to_owned());
    let options = DeleteOptions { uid, propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    match registry.delete(&loopback::context(TIMEOUT), &item.key(), &options, &ObjectFilter::All).await {
        Ok(_) => tracing::info!(key = %item.key(), "deleted: its project was deleted while it was made"),
        // Somebody was faster.
        Err(WriteFailure::Missing(_) | WriteFailure::Stale(_)) => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, context, instance};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_slipped_in_goes_after_its_project() {
        let rig = Rig::start().await;
        let (registries, stop) = rig.all();
        tokio::spawn(clear(registries, NamespacePrefix::default(), stop));
        // As if these had been let through, and come to the store, around the deletion of their projects.
        let (lawless, vci) = (rig.lawless("projects"), "virtualclusterinstances");
        for project in ["blue", "grey", "kept"] {
            rig.create("root", "projects", project, json!({})).await.unwrap();
            rig.create("root", vci, &format!("loft-p-{project}/i"), instance()).await.unwrap();
        }
        for project in ["blue", "grey"] {
            let (ctx, key, options) = (context("root"), ObjectKey::new("", project), DeleteOptions::default());
            lawless.delete(&ctx, &key, &options, &ObjectFilter::All).await.unwrap();
        }
        rig.create("root", "projects", "grey", json!({})).await.unwrap();
        let there = |namespace: &str| rig.registry(vci).cache().cached_existing(&ObjectKey::new(namespace, "i")).is_some();
        rig.wait_for(|| !there("loft-p-blue")).await;
        assert!(there("loft-p-grey") && there("loft-p-kept"), "there is a project");
    }
}
