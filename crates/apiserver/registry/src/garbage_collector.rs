//! The garbage collector, for a server that stands alone: dependents follow their owners.
//!
//! On a cluster kube-controller-manager does this for every resource it discovers; without one, an object
//! deleted with `--cascade=foreground` or `orphan` would keep its finalizer for ever, and dependents of a deleted
//! object would stay. As upstream's, it keeps a [`graph`] of who refers to whom, and works on one object at a time, of which
//! each succeeds or fails by itself. Only owners of the served kinds are followed; an object with an owner of another kind
//! stays. Every step is an ordinary write, for the object as it was looked at, and may be done twice, so several
//! replicas need no leader.

use crate::informer::{self, Delta};
use crate::registry::Registry;
use crate::work_queue::WorkQueue;
use crate::write::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN, Patch, PatchKind, WriteFailure};
use apiserver_meta::options::{DeleteOptions, PatchOptions, Propagation, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, Principal, RequestContext, Subresource, User};
use graph::{Graph, Mode, Node, Task};
use owners::{Dependent, Look, Owners};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

mod graph;
mod owners;

/// How long an object that is deleted with a policy rests before its finalizer is taken off, so that clients see the state
/// that they asked for, and dependents are known that were made right before.
const REST: Duration = Duration::from_secs(1);
/// How many objects are worked on at a time.
const AT_A_TIME: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(30);
const NAME: &str = "garbage-collector";

/// Collects until `stop`.
pub async fn collect(registries: Vec<Arc<Registry>>, stop: CancellationToken) {
    let collector = Collector { registries, graph: Mutex::default(), queue: WorkQueue::new("garbage collection") };
    let followers = collector.registries.iter().enumerate().map(|(index, registry)| {
        let collector = &collector;
        informer::follow(Arc::clone(registry), stop.clone(), move |delta| collector.hear(index, &delta))
    });
    tokio::select! {
        _ = futures::future::join_all(followers) => {}
        () = collector.queue.run(AT_A_TIME, |task| collector.work(task)) => {}
    }
}

struct Collector {
    registries: Vec<Arc<Registry>>,
    graph: Mutex<Graph>,
    queue: WorkQueue<Task>,
}

impl Collector {
    fn hear(&self, registry: usize, delta: &Delta) {
        let tasks = self.graph().apply(registry, delta);
        if let Some(task) = tasks.hurry {
            self.queue.hurry(&task);
        }
        for task in tasks.add {
            let rest = if matches!(task, Task::Finalize(_)) { REST } else { Duration::ZERO };
            self.queue.add_after(task, rest);
        }
    }

    /// Held for as long as a change's own references take, never across a wait.
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, task: Task) -> Result<(), ApiError> {
        let done = match &task {
            Task::Check(node) => self.check(node).await,
            Task::Finalize(node) => self.finalize(node).await,
        };
        match done {
            Ok(()) | Err(WriteFailure::Missing(_)) => Ok(()),
            // It has changed since it was looked at.
            Err(WriteFailure::Stale(_)) => {
                self.queue.add_after(task, REST);
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Does with a dependent what its owners make necessary.
    async fn check(&self, node: &Node) -> Result<(), WriteFailure> {
        let registry = &self.registries[node.registry];
        if let Some(item) = registry.cache().cached_existing(&node.key) {
            let dependent = Dependent::read(item).await?;
            if self.owners(node, &dependent, Look::Cached).await? == (Owners { holds: true, ..Owners::default() }) {
                return Ok(());
            }
        }
        let Some(item) = registry.find(&context(), &node.key).await? else { return Ok(()) };
        if item.owners.is_empty() {
            return Ok(());
        }
        let dependent = Dependent::read(item).await?;
        let owners = self.owners(node, &dependent, Look::Certain).await?;
        if !owners.orphaning.is_empty() {
            return self.release(node, &dependent, &owners.orphaning).await;
        }
        match (dependent.is_terminating, owners.holds) {
            (true, _) => Ok(()),
            (false, true) if owners.foreground.is_empty() => Ok(()),
            (false, true) => self.release(node, &dependent, &owners.foreground).await,
            (false, false) => self.delete(node, &dependent, !owners.foreground.is_empty()).await,
        }
    }

    /// Deletes an object that nobody holds any more. Its own dependents go first where its owner waits for it.
    async fn delete(&self, node: &Node, dependent: &Dependent, in_foreground: bool) -> Result<(), WriteFailure> {
        let (waits, is_circle) = {
            let graph = self.graph();
            (in_foreground && graph.has_dependents(&dependent.uid), in_foreground && graph.has_waiting_dependents(&dependent.uid))
        };
        if is_circle && dependent.item.owners.iter().any(|owner| owner.blocks) {
            // They would wait for each other for ever. The change brings the object here again.
            return self.change_references(node, dependent, |references| references.iter_mut().for_each(unblock)).await;
        }
        let options = DeleteOptions {
            uid: Some(dependent.uid.clone()),
            resource_version: Some(dependent.item.revision.to_string()),
            propagation: waits.then_some(Propagation::Foreground),
            ..DeleteOptions::default()
        };
        self.registries[node.registry].delete(&context(), &node.key, &options, &ObjectFilter::All).await?;
        tracing::debug!(key = %node.key, uid = dependent.uid, "deleted: its owners are gone");
        Ok(())
    }

    /// Takes owners out of an object's references.
    async fn release(&self, node: &Node, dependent: &Dependent, owners: &[String]) -> Result<(), WriteFailure> {
        let owners: std::collections::HashSet<&str> = owners.iter().map(String::as_str).collect();
        let is_kept = |reference: &Value| reference["uid"].as_str().is_none_or(|uid| !owners.contains(uid));
        self.change_references(node, dependent, |references| references.retain(is_kept)).await
    }

    async fn change_references(
        &self,
        node: &Node,
        dependent: &Dependent,
        change: impl FnOnce(&mut Vec<Value>),
    ) -> Result<(), WriteFailure> {
        let mut object = object(&dependent.item.bytes)?;
        let Some(Value::Array(mut references)) = object.metadata_mut().remove("ownerReferences") else { return Ok(()) };
        change(&mut references);
        self.patch(node, &object, "ownerReferences", &references).await
    }

    /// Takes the finalizer off an object that is deleted with a policy, when there is nothing more to wait for.
    async fn finalize(&self, node: &Node) -> Result<(), WriteFailure> {
        let Some(item) = self.registries[node.registry].find(&context(), &node.key).await? else { return Ok(()) };
        let Some(mode) = graph::mode(&item) else { return Ok(()) };
        let owner = object(&item.bytes)?;
        let (finalizer, is_waiting) = {
            let graph = self.graph();
            match mode {
                Mode::Orphan => (FINALIZER_ORPHAN, graph.has_dependents(owner.uid())),
                Mode::Foreground => (FINALIZER_FOREGROUND, graph.is_blocked(owner.uid())),
            }
        };
        if is_waiting {
            // Each dependent is a task of its own; when one goes, this comes again.
            return Ok(());
        }
        let rest: Vec<&str> = owner.finalizers().into_iter().filter(|name| *name != finalizer).collect();
        self.patch(node, &owner, "finalizers", &rest).await
    }

    /// Changes one field of an object's metadata, if the object is still as it was looked at.
    async fn patch(&self, node: &Node, object: &Object, field: &str, value: &impl serde::Serialize) -> Result<(), WriteFailure> {
        let body = json!({"metadata": {"uid": object.uid(), "resourceVersion": object.resource_version(), field: value}});
        let patch = Patch { kind: PatchKind::Merge, body: body.to_string().into(), create_denial: None, mask: None };
        let options = PatchOptions { write: WriteOptions { field_manager: NAME.into(), ..WriteOptions::default() }, force: None };
        let registry = &self.registries[node.registry];
        registry.patch(&context(), &node.key, Subresource::Main, patch, &options, &ObjectFilter::All).await.map(drop)
    }
}

fn unblock(reference: &mut Value) {
    if let Some(reference) = reference.as_object_mut() {
        reference.remove("blockOwnerDeletion");
    }
}

fn object(bytes: &[u8]) -> Result<Object, ApiError> {
    let parsed = serde_json::from_slice(bytes).map(Object);
    parsed.map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))
}

fn context() -> RequestContext {
    let user = User { name: format!("system:{NAME}"), groups: vec![apiserver_meta::context::GROUP_MASTERS.into()], ..User::default() };
    RequestContext::new(Arc::new(user), Principal::default(), Instant::now() + TIMEOUT, NAME.into())
}
