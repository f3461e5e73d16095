//! What a garbage collector does, for a server that stands alone: dependents follow their owners.
//!
//! On a cluster kube-controller-manager does this for every resource it discovers; without one, an object
//! deleted with `--cascade=foreground` or `orphan` would keep its finalizer for ever, and dependents of a deleted
//! object would stay. Only owner references within the served kinds are followed. Every step is an ordinary
//! write and may be done twice, so several replicas need no leader.

use crate::write::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
use crate::{EventKind, Frame, Item, Patch, PatchKind, Registry};
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vci_meta::options::{DeleteOptions, ListOptions, PatchOptions, Propagation, ResourceVersion, WriteOptions};
use vci_meta::{ApiError, Caller, Object, ObjectKey, Reason, RequestContext, Subresource, User, View};

/// How long an object rests before it is looked at, so that clients see the state they asked for; also the pause
/// before another look while dependents are still there.
const REST: Duration = Duration::from_secs(2);
/// How many objects may wait to be looked at; more are found again by the next scan.
const QUEUE: usize = 10_000;
const NAME: &str = "garbage-collector";

/// Collects until `stop`.
pub async fn collect(registries: Vec<Arc<Registry>>, stop: CancellationToken) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let collector = Collector { registries };
    let followers = collector.registries.iter().enumerate().map(|(index, registry)| follow(registry, index, sender.clone()));
    tokio::select! {
        () = stop.cancelled() => {}
        _ = futures::future::join_all(followers) => {}
        () = collector.work(receiver, sender.clone()) => {}
    }
}

/// Something to look at, and when.
struct Task {
    due: Instant,
    registry: usize,
    key: ObjectKey,
    what: What,
}

enum What {
    /// The object is terminating under a finalizer of ours.
    Finalize,
    /// The object with this UID is gone.
    Gone(String),
}

/// Turns a kind's changes into tasks, for ever.
async fn follow(registry: &Arc<Registry>, index: usize, tasks: mpsc::Sender<Task>) {
    loop {
        registry.cache().ready().await;
        let options = ListOptions { resource_version: ResourceVersion::Any, watch: true, ..ListOptions::default() };
        if let Ok(mut frames) = registry.watch(&context(), "", &options, &View::All).await {
            while let Some(Frame::Event { kind, item, .. }) = frames.next().await {
                let what = match kind {
                    EventKind::Deleted => object(&item).map(|object| What::Gone(object.uid().to_owned())),
                    EventKind::Added | EventKind::Modified => waits_for_us(&item).then_some(What::Finalize),
                };
                if let Some(what) = what {
                    let task = Task { due: Instant::now() + REST, registry: index, key: item.key.clone(), what };
                    if tasks.send(task).await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(REST).await;
    }
}

struct Collector {
    registries: Vec<Arc<Registry>>,
}

impl Collector {
    async fn work(&self, mut tasks: mpsc::Receiver<Task>, again: mpsc::Sender<Task>) {
        while let Some(task) = tasks.recv().await {
            tokio::time::sleep_until(task.due.into()).await;
            let result = match &task.what {
                What::Finalize => self.finalize(task.registry, &task.key).await,
                What::Gone(uid) => self.after(uid).await.map(|()| Progress::Done),
            };
            match result {
                Ok(Progress::Done) => {}
                Ok(Progress::Waiting) => {
                    // A full queue drops it; the next change of the object brings it back.
                    let _ = again.try_send(Task { due: Instant::now() + REST, ..task });
                }
                Err(error) => {
                    tracing::warn!(key = %task.key, %error, "garbage collection failed, trying again");
                    let _ = again.try_send(Task { due: Instant::now() + REST, ..task });
                }
            }
        }
    }

    /// Does what the object's finalizers stand for, then takes them off.
    async fn finalize(&self, registry: usize, key: &ObjectKey) -> Result<Progress, ApiError> {
        let registry = &self.registries[registry];
        let Some(item) = registry.cache().guess(key) else { return Ok(Progress::Done) };
        let Some(owner) = object(&item).filter(|owner| owner.is_terminating()) else { return Ok(Progress::Done) };
        let dependents = self.dependents(owner.uid());
        let finalizer = if owner.finalizers().contains(&FINALIZER_ORPHAN) {
            for dependent in &dependents {
                self.release(dependent, owner.uid()).await?;
            }
            FINALIZER_ORPHAN
        } else if owner.finalizers().contains(&FINALIZER_FOREGROUND) {
            let blocking: Vec<_> = dependents.iter().filter(|dependent| dependent.blocks(owner.uid())).collect();
            for dependent in dependents.iter().filter(|dependent| !dependent.object.is_terminating()) {
                dependent.delete(Propagation::Foreground).await?;
            }
            if !blocking.is_empty() {
                return Ok(Progress::Waiting);
            }
            FINALIZER_FOREGROUND
        } else {
            return Ok(Progress::Done);
        };
        let rest: Vec<&str> = owner.finalizers().into_iter().filter(|name| *name != finalizer).collect();
        let body = json!({"metadata": {"uid": owner.uid(), "resourceVersion": owner.resource_version(), "finalizers": rest}});
        patch(registry, key, &body).await?;
        Ok(Progress::Done)
    }

    /// Deletes the dependents of a deleted object that have no other owner left.
    async fn after(&self, uid: &str) -> Result<(), ApiError> {
        for dependent in self.dependents(uid) {
            let orphaned = dependent.owners().all(|owner| owner == uid || !self.exists(owner));
            if orphaned && !dependent.object.is_terminating() {
                dependent.delete(Propagation::Background).await?;
            }
        }
        Ok(())
    }

    async fn release(&self, dependent: &Dependent, owner: &str) -> Result<(), ApiError> {
        let references = dependent.object.metadata().get("ownerReferences").and_then(Value::as_array);
        let rest: Vec<&Value> = references.into_iter().flatten().filter(|r| r["uid"] != owner).collect();
        let body = json!({"metadata": {
            "uid": dependent.object.uid(), "resourceVersion": dependent.object.resource_version(), "ownerReferences": rest,
        }});
        patch(&dependent.registry, &dependent.object.key(), &body).await
    }

    fn dependents(&self, uid: &str) -> Vec<Dependent> {
        let mut found = Vec::new();
        for registry in &self.registries {
            let items = registry.cache().items();
            let dependents = items.iter().filter(|item| item.owners.iter().any(|owner| owner == uid));
            found.extend(dependents.filter_map(|item| Some(Dependent { registry: Arc::clone(registry), object: object(item)? })));
        }
        found
    }

    fn exists(&self, uid: &str) -> bool {
        let has = |item: &Arc<Item>| contains(&item.bytes, uid) && object(item).is_some_and(|object| object.uid() == uid);
        self.registries.iter().any(|registry| registry.cache().items().iter().any(has))
    }
}

enum Progress {
    Done,
    Waiting,
}

struct Dependent {
    registry: Arc<Registry>,
    object: Object,
}

impl Dependent {
    fn references(&self) -> impl Iterator<Item = &Value> {
        self.object.metadata().get("ownerReferences").and_then(Value::as_array).into_iter().flatten()
    }

    fn owners(&self) -> impl Iterator<Item = &str> {
        self.references().filter_map(|reference| reference["uid"].as_str())
    }

    fn blocks(&self, owner: &str) -> bool {
        self.references().any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
    }

    async fn delete(&self, propagation: Propagation) -> Result<(), ApiError> {
        let options = DeleteOptions { uid: Some(self.object.uid().into()), propagation: Some(propagation), ..DeleteOptions::default() };
        tolerate(self.registry.delete(&context(), &self.object.key(), &options, &View::All).await)
    }
}

async fn patch(registry: &Arc<Registry>, key: &ObjectKey, body: &Value) -> Result<(), ApiError> {
    let patch = Patch { kind: PatchKind::Merge, body: body.to_string().into(), create_denial: None };
    let options = PatchOptions { write: WriteOptions { field_manager: NAME.into(), ..WriteOptions::default() }, force: None };
    tolerate(registry.patch(&context(), key, Subresource::Main, patch, &options, &View::All).await)
}

/// Somebody was faster: another replica, or a client. What is left to do is seen at the next look.
fn tolerate<T>(result: Result<T, ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if !matches!(error.reason, Reason::NotFound | Reason::Conflict) => Err(error),
        _ => Ok(()),
    }
}

fn waits_for_us(item: &Item) -> bool {
    (contains(&item.bytes, FINALIZER_FOREGROUND) || contains(&item.bytes, FINALIZER_ORPHAN))
        && object(item).is_some_and(|object| object.is_terminating())
}

/// Asked of every change: the search for text is several times faster than one by windows of bytes.
fn contains(json: &[u8], text: &str) -> bool {
    !text.is_empty() && std::str::from_utf8(json).is_ok_and(|json| json.contains(text))
}

fn object(item: &Item) -> Option<Object> {
    serde_json::from_slice(&item.bytes).ok().map(Object)
}

fn context() -> RequestContext {
    let user = User { name: format!("system:{NAME}"), groups: vec![vci_meta::context::GROUP_MASTERS.into()], ..User::default() };
    RequestContext::new(Arc::new(user), Arc::new(Caller::default()), Instant::now() + Duration::from_secs(30), NAME.into())
}
