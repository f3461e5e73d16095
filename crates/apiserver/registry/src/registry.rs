//! One kind, served: what every read and every write of it goes through.

use crate::admission::Admission;
use crate::cache::{Cache, CacheConfig, Watch};
use crate::item::Item;
use crate::list::{List, ListRows};
use crate::offload;
use crate::shared_store::SharedStore;
use crate::write::WriteFailure;
use apiserver_meta::options::{GetOptions, ListOptions};
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, ObjectKey, RequestContext, Resource, Schema};
use apiserver_store::Store;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One kind, served: Kubernetes' verbs over a store.
#[derive(Debug)]
pub struct Registry {
    pub(crate) resource: Arc<dyn Resource>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) admission: Vec<Arc<dyn Admission>>,
    writes: TaskTracker,
    /// Where it was started.
    runtime: Handle,
}

impl Registry {
    /// Starts serving a kind: its cache begins to fill. `stop` ends the cache.
    pub fn start(
        resource: Arc<dyn Resource>,
        store: impl Into<SharedStore>,
        admission: Vec<Arc<dyn Admission>>,
        config: CacheConfig,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let shared = store.into();
        let store = Arc::clone(&shared.store);
        let cache = Cache::start(Arc::clone(&resource), shared, config, stop);
        Arc::new(Self { resource, store, cache, admission, writes: TaskTracker::new(), runtime: Handle::current() })
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

    /// The fields that are computed for readers and never stored, by the member names that lead to them.
    pub(crate) fn computed_fields(&self) -> impl Iterator<Item = &'static [&'static str]> {
        let extended = self.descriptor().extended.iter().map(|field| field.path);
        extended.chain(self.resource.computed_fields().iter().copied())
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

    /// One object as it is now, without regard to who may see it; `None` when there is none.
    ///
    /// # Errors
    /// A failure of the store.
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

    /// The objects of a namespace, or of all when it is empty, for somebody who takes one after the other.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub async fn list_rows(
        &self,
        ctx: &RequestContext,
        namespace: &str,
        options: &ListOptions,
        view: &ObjectFilter,
    ) -> Result<ListRows, ApiError> {
        self.cache.list_rows(ctx, namespace, options, view).await
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

    /// Runs a write on a task of its own and waits for it until the deadline. `bytes` is about what it reads and writes: a light
    /// write runs on the runtime that it was asked on, which may be that of connections, and any other on the registry's own.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        ctx: &RequestContext,
        bytes: usize,
        write: impl Future<Output = Result<T, WriteFailure>> + Send + 'static,
    ) -> Result<T, WriteFailure> {
        let work = offload::in_steps(bytes, write);
        let task = if bytes <= offload::LIGHT { self.writes.spawn(work) } else { self.writes.spawn_on(work, &self.runtime) };
        match tokio::time::timeout_at(ctx.deadline.into(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(ApiError::internal("the write ended unexpectedly").with_source(panic).into()),
            Err(_) => Err(ApiError::timeout("request did not complete within the allotted timeout").into()),
        }
    }
}
