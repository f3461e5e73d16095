//! Writes: what holds for every kind when an object is created, changed or deleted.
//!
//! Every change runs through one read-modify-write loop ([`commit`]); the verbs only say what the next state
//! is. A write, once begun, runs to its end on a task of its own: a client that goes away or a deadline that
//! passes ends the waiting, never the write. Refused: locks across objects (a rule about several has a
//! [`guard`]), blind overwrites, time from anywhere but [`system`].

use crate::cache::{Cache, CacheConfig, Watch};
use crate::{Item, List, heavy};
use apiserver_meta::options::{DryRun, GetOptions, ListOptions};
use apiserver_meta::{ApiError, Descriptor, Object, ObjectFilter, ObjectKey, RequestContext, Resource, Schema, Subresource, Verb};
use apiserver_store::Store;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod collection;
mod commit;
mod create;
mod delete;
mod failure;
mod guard;
mod patch;
mod system;
mod update;
mod validation;

pub use delete::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
pub use failure::WriteFailure;
pub use guard::{Consistency, Guards};

/// One kind, served: Kubernetes' verbs over a store.
#[derive(Debug)]
pub struct Registry {
    resource: Arc<dyn Resource>,
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    admission: Vec<Arc<dyn Admission>>,
    writes: TaskTracker,
}

impl Registry {
    /// Starts serving a kind: its cache begins to fill. `stop` ends the cache.
    pub fn start(
        resource: Arc<dyn Resource>,
        store: Arc<dyn Store>,
        admission: Vec<Arc<dyn Admission>>,
        config: CacheConfig,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let cache = Cache::start(Arc::clone(&resource), Arc::clone(&store), config, stop);
        Arc::new(Self { resource, store, cache, admission, writes: TaskTracker::new() })
    }

    /// The kind's descriptor.
    pub fn descriptor(&self) -> &'static Descriptor {
        self.resource.descriptor()
    }

    /// The kind's schema.
    pub fn schema(&self) -> &Schema {
        self.resource.schema()
    }

    /// The kind.
    pub fn resource(&self) -> &Arc<dyn Resource> {
        &self.resource
    }

    /// The cache that reads come from.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Waits for the writes under way; called when no new ones come any more.
    pub async fn drain(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` when the view does not show it.
    pub async fn get(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        options: &GetOptions,
        view: &ObjectFilter,
    ) -> Result<Arc<Item>, ApiError> {
        self.cache.get(ctx, key, options, view).await
    }

    /// The same as it is now, whoever may see it; `None` when there is none.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub async fn find(&self, ctx: &RequestContext, key: &ObjectKey) -> Result<Option<Arc<Item>>, ApiError> {
        self.cache.find(ctx, key, &GetOptions::default()).await
    }

    /// The objects of a namespace, or of all when it is empty.
    ///
    /// # Errors
    /// `Expired` when the wanted revision or page is older than history.
    pub async fn list(&self, ctx: &RequestContext, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Result<List, ApiError> {
        self.cache.list(ctx, namespace, options, view).await
    }

    /// The changes of a namespace, or of all when it is empty.
    ///
    /// # Errors
    /// Only what is known before the first frame; later ones are frames.
    pub async fn watch(
        &self,
        ctx: &RequestContext,
        namespace: &str,
        options: &ListOptions,
        view: &ObjectFilter,
    ) -> Result<Watch, ApiError> {
        self.cache.watch(ctx, namespace, options, view).await
    }

    /// About how many bytes the object has that is stored; 0 when none is known.
    pub fn stored_size(&self, key: &ObjectKey) -> usize {
        self.cache.cached_existing(key).map_or(0, |item| item.bytes.len())
    }

    /// Runs a write on a task of its own and waits for it until the deadline. `bytes` is about what it reads and writes.
    async fn detached<T: Send + 'static>(
        &self,
        ctx: &RequestContext,
        bytes: usize,
        write: impl Future<Output = Result<T, WriteFailure>> + Send + 'static,
    ) -> Result<T, WriteFailure> {
        let task = self.writes.spawn(heavy::in_steps(bytes, write));
        match tokio::time::timeout_at(ctx.deadline.into(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(ApiError::internal("the write ended unexpectedly").with_source(panic).into()),
            Err(_) => Err(ApiError::timeout("request did not complete within the allotted timeout").into()),
        }
    }
}

/// What a client sent as a patch.
#[derive(Clone, Debug)]
pub struct Patch {
    /// How to read it.
    pub kind: PatchKind,
    /// Its bytes: JSON, or for [`PatchKind::Apply`] YAML (of which JSON is a part).
    pub body: Bytes,
    /// Why the caller may not create objects, when that is so: an apply of a missing object creates it.
    pub create_denial: Option<String>,
}

/// The kinds of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/apply-patch+yaml`.
    Apply,
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

/// A write's answer.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now stored (or would be, for a dry run), as a client gets it.
    pub bytes: Bytes,
    /// Whether it was created by this write: 201 instead of 200.
    pub created: bool,
}

/// A delete's answer.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone. Its last state.
    Gone {
        /// The object as it was.
        bytes: Bytes,
        /// Its UID.
        uid: String,
    },
    /// It waits for its finalizers. Its state now, with deletionTimestamp.
    Pending {
        /// The object.
        bytes: Bytes,
    },
}

/// What admission sees of a write.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// The kind.
    pub descriptor: &'a Descriptor,
    /// Create, update or delete (a patch is one of these).
    pub verb: Verb,
    /// What is written.
    pub subresource: Subresource,
    /// Namespace and name; the name is empty when it is to be generated.
    pub key: &'a ObjectKey,
    /// What is there now.
    pub old: Option<&'a Object>,
    /// Whether the write is carried out in the end.
    pub dry_run: DryRun,
    /// The form that objects of the kind have. Who changes an object by what somebody else says brings it into that form.
    pub schema: &'a Schema,
}

/// Rules that need I/O, or to know more than one object: asked on every write, in order.
#[async_trait]
pub trait Admission: fmt::Debug + Send + Sync + 'static {
    /// What metrics call it: the name of its type, unless it has another.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }

    /// May change the object, before validation. Not called for deletes.
    async fn mutate(&self, _ctx: &RequestContext, _request: AdmissionRequest<'_>, _object: &mut Object) -> Result<(), ApiError> {
        Ok(())
    }

    /// May refuse the write, after validation. `object` is `None` for deletes.
    async fn validate(&self, _ctx: &RequestContext, _request: AdmissionRequest<'_>, _object: Option<&Object>) -> Result<(), ApiError> {
        Ok(())
    }

    /// May refuse the write by what other objects are like, and names what of these must stay as it was found until the
    /// write is carried out. Asked last, for creates and updates, and again for every attempt; `registry` is the one that
    /// asks. Nothing is to be changed here: the write may never come, and never does for a dry run.
    async fn guards(
        &self,
        _ctx: &RequestContext,
        _registry: &Registry,
        _request: AdmissionRequest<'_>,
        _object: &Object,
        _consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        Ok(Guards::default())
    }
}
