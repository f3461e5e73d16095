//! What slips into the namespace of a project while the project is deleted.
//!
//! A project is deleted only when the store has nothing in its namespace, and nothing is created where there is no project (a
//! creation is carried out only if its project still is as it was found). Between that look and the deletion something may still
//! be created. Such an object nobody but admins could see, and a later project of the same name would inherit it. So a moment after
//! a project is gone its namespace is looked at, and what is there is deleted, unless there is a project again. What
//! does not hold: a server that ends within that moment, with no other beside it, leaves such an object.
//! Refused: looking for namespaces without a project in general, for a server that is started with another prefix would
//! find them all to be without.

use crate::own_context::own_context;
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_meta::options::{DeleteOptions, ListOptions, Propagation, ResourceVersion};
use vci_meta::{ApiError, Object, ObjectKey, Reason, Scope, View};
use vci_registry::{EventKind, Frame, Registry};

/// How long after the deletion a namespace is looked at, and again when that fails.
const REST: Duration = Duration::from_secs(2);
/// How often it is tried.
const TRIES: usize = 10;
/// How many namespaces are waited for at a time; others are told of later.
const AT_A_TIME: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(30);
/// No watch of the registry lasts longer than this.
const WATCH_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to wait before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the projects and looks after the namespaces of those that are deleted, until `stop`.
pub(crate) async fn clear(registries: Vec<Arc<Registry>>, prefix: String, stop: CancellationToken) {
    let Some(projects) = registries.iter().find(|registry| registry.descriptor().plural == "projects").cloned() else { return };
    let namespaced = registries.into_iter().filter(|registry| registry.descriptor().scope == Scope::Namespaced).collect();
    let leftovers = Leftovers { projects, namespaced, prefix };
    stop.run_until_cancelled(leftovers.follow()).await;
}

struct Leftovers {
    projects: Arc<Registry>,
    namespaced: Vec<Arc<Registry>>,
    prefix: String,
}

impl Leftovers {
    async fn follow(&self) {
        loop {
            self.projects.cache().ready().await;
            let options = ListOptions { resource_version: ResourceVersion::Any, watch: true, ..ListOptions::default() };
            if let Ok(watch) = self.projects.watch(&own_context(WATCH_TIME), "", &options, &View::All).await {
                let deleted = watch.filter_map(|frame| std::future::ready(deleted_by(frame)));
                deleted.for_each_concurrent(AT_A_TIME, |project| self.look_after(project)).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look_after(&self, project: String) {
        for _ in 0..TRIES {
            tokio::time::sleep(REST).await;
            match self.empty(&project).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(project, %error, "what is left of a project's namespace is not deleted"),
            }
        }
    }

    /// What is listed before the project is found to be missing was made for a project that is gone.
    async fn empty(&self, project: &str) -> Result<(), ApiError> {
        let namespace = format!("{}{project}", self.prefix);
        for registry in &self.namespaced {
            let ctx = own_context(TIMEOUT);
            let left = registry.list(&ctx, &namespace, &ListOptions::default(), &View::All).await?.items;
            if left.is_empty() || self.exists(project).await? {
                continue;
            }
            for item in left {
                let uid = serde_json::from_slice(&item.bytes).ok().map(|map| Object(map).uid().to_owned());
                let options = DeleteOptions { uid, propagation: Some(Propagation::Background), ..DeleteOptions::default() };
                tolerate(registry.delete(&ctx, &item.key, &options, &View::All).await)?;
                tracing::info!(key = %item.key, "deleted: its project was deleted while it was made");
            }
        }
        Ok(())
    }

    async fn exists(&self, project: &str) -> Result<bool, ApiError> {
        self.projects.find(&own_context(TIMEOUT), &ObjectKey::new("", project)).await.map(|found| found.is_some())
    }
}

/// The name of what is gone.
fn deleted_by(frame: Frame) -> Option<String> {
    match frame {
        Frame::Event { kind: EventKind::Deleted, item, .. } => Some(item.key.name.clone()),
        _ => None,
    }
}

/// Somebody was faster.
fn tolerate<T>(result: Result<T, ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if !matches!(error.reason, Reason::NotFound | Reason::Conflict) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, context, instance};
    use serde_json::json;
    use vci_auth::directory::DEFAULT_NAMESPACE_PREFIX;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_slipped_in_goes_after_its_project() {
        let rig = Rig::start().await;
        let (registries, stop) = rig.all();
        tokio::spawn(clear(registries, DEFAULT_NAMESPACE_PREFIX.into(), stop));
        // As if these had been let through, and come to the store, around the deletion of their projects.
        let (lawless, vci) = (rig.lawless("projects"), "virtualclusterinstances");
        for project in ["blue", "grey", "kept"] {
            rig.create("root", "projects", project, json!({})).await.unwrap();
            rig.create("root", vci, &format!("loft-p-{project}/i"), instance()).await.unwrap();
        }
        for project in ["blue", "grey"] {
            let (ctx, key, options) = (context("root"), ObjectKey::new("", project), DeleteOptions::default());
            lawless.delete(&ctx, &key, &options, &View::All).await.unwrap();
        }
        rig.create("root", "projects", "grey", json!({})).await.unwrap();
        let there = |namespace: &str| rig.registry(vci).cache().guess(&ObjectKey::new(namespace, "i")).is_some();
        rig.wait_for(|| !there("loft-p-blue")).await;
        assert!(there("loft-p-grey") && there("loft-p-kept"), "there is a project");
    }
}
