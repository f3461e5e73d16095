//! How fresh a read is: which revision it must see, and waiting for the cache to have it.

use super::Cache;
use super::snapshot::Snapshot;
use crate::store_error::from_store;
use apiserver_meta::ApiError;
use apiserver_meta::options::ResourceVersion;
use apiserver_store::{ProgressSupport, Revision, Store, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// Where a read is answered from.
#[derive(Debug)]
pub(super) enum Freshness {
    /// From this snapshot.
    Cached(Arc<Snapshot>),
    /// From the store: the cache is behind, or cannot know whether it is.
    AskStore,
}

impl Cache {
    /// The snapshot at hand.
    pub(super) fn loaded(&self) -> Result<Arc<Snapshot>, ApiError> {
        self.state().snapshot().ok_or_else(|| ApiError::too_many_requests("storage is (re)initializing", 1))
    }

    /// A state as fresh as a reader asks for.
    pub(super) async fn fresh(
        &self,
        version: ResourceVersion,
        deadline: std::time::Instant,
        operation: &str,
    ) -> Result<Freshness, ApiError> {
        match version {
            ResourceVersion::Any => self.loaded().map(Freshness::Cached),
            ResourceVersion::At(revision) => self.at_least(revision, deadline).await,
            ResourceVersion::Unset => self.consistent(deadline, operation).await,
        }
    }

    /// A state that is not older than the revision.
    pub(super) async fn at_least(&self, revision: Revision, deadline: std::time::Instant) -> Result<Freshness, ApiError> {
        let snapshot = self.loaded()?;
        if snapshot.revision >= revision {
            self.counters.wait(Duration::ZERO);
            return Ok(Freshness::Cached(snapshot));
        }
        if self.hears_of_all_writes()
            && let Some(snapshot) = self.wait_for(revision, deadline).await
        {
            return Ok(Freshness::Cached(snapshot));
        }
        // It may be the revision of a write elsewhere in the store, as a list that was read there tells it.
        match tokio::time::timeout_at(deadline.into(), self.revision_reader.current()).await {
            Ok(Ok(current)) if current >= revision => Ok(Freshness::AskStore),
            _ => Err(ApiError::resource_version_too_large(revision, self.loaded()?.revision)),
        }
    }

    /// A state that is not older than any write acknowledged before this call.
    async fn consistent(&self, deadline: std::time::Instant, operation: &str) -> Result<Freshness, ApiError> {
        let snapshot = self.loaded()?;
        if !self.hears_of_all_writes() {
            return Ok(Freshness::AskStore);
        }
        let revision = tokio::time::timeout_at(deadline.into(), self.revision_reader.current())
            .await
            .map_err(|_| ApiError::timeout("request did not complete within the allotted timeout"))?
            .map_err(|error| from_store(error, self.descriptor(), operation))?;
        if snapshot.revision >= revision {
            self.counters.wait(Duration::ZERO);
            self.counters.consistent_read(true);
            return Ok(Freshness::Cached(snapshot));
        }
        let reached = self.wait_for(revision, deadline).await;
        self.counters.consistent_read(reached.is_some());
        Ok(reached.map_or(Freshness::AskStore, Freshness::Cached))
    }

    /// Whether the cache learns how far the store is also when the writes are not its collection's.
    fn hears_of_all_writes(&self) -> bool {
        self.source().store.progress_support() == ProgressSupport::Reliable
    }

    pub(super) async fn wait_for(&self, revision: Revision, deadline: std::time::Instant) -> Option<Arc<Snapshot>> {
        let mut published = self.state().subscribe();
        let reached = |snapshot: &Option<Arc<Snapshot>>| snapshot.as_ref().is_some_and(|s| s.revision >= revision);
        let _asking = self.asker.ask();
        let begun = Instant::now();
        let until = Instant::from(deadline).min(begun + self.config.freshness_timeout);
        let waited = tokio::time::timeout_at(until, published.wait_for(reached)).await;
        self.counters.wait(begun.elapsed());
        waited.ok()?.ok()?.clone()
    }
}

type Answer = Result<Revision, Arc<StoreError>>;
type Pending = Shared<BoxFuture<'static, Answer>>;

/// Asks the store for its revision on behalf of many readers at once.
///
/// One question is under way at a time. Who arrives meanwhile waits for the next one: the one under way may have begun
/// before the reader's own last write was acknowledged.
#[derive(Debug)]
pub(super) struct RevisionReader {
    store: Arc<dyn Store>,
    permits: Arc<Semaphore>,
    /// The next question, while it can still be joined.
    permit: Arc<Mutex<Option<Pending>>>,
}

impl RevisionReader {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, permits: Arc::new(Semaphore::new(1)), permit: Arc::default() }
    }

    /// A revision that is not older than any write acknowledged before this call.
    pub(super) async fn current(&self) -> Answer {
        // Without another reader in the way there is nothing to share.
        if let Ok(_alone) = self.permits.try_acquire() {
            return self.store.revision().await.map_err(Arc::new);
        }
        self.board().await
    }

    fn board(&self) -> Pending {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.get_or_insert_with(|| self.pending()).clone()
    }

    fn pending(&self) -> Pending {
        let (store, permits, permit) = (Arc::clone(&self.store), Arc::clone(&self.permits), Arc::clone(&self.permit));
        async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            permit.lock().unwrap_or_else(PoisonError::into_inner).take();
            store.revision().await.map_err(Arc::new)
        }
        .boxed()
        .shared()
    }
}

/// Makes a store tell its progress while somebody waits for it.
#[derive(Debug, Default)]
pub(super) struct ProgressAsker {
    waiting: AtomicUsize,
    wanted: Notify,
}

/// Somebody waits for progress, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a ProgressAsker);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ProgressAsker {
    /// How long an answer may take before the store is asked again.
    const REPEAT: Duration = Duration::from_millis(100);
    /// The shortest time between two questions.
    const SPACING: Duration = Duration::from_millis(1);

    /// Asks soon, and again until the answer is dropped.
    pub(super) fn ask(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.wanted.notify_one();
        Waiting(self)
    }

    /// Asks for whoever waits; never ends.
    pub(super) async fn run(&self, store: &dyn Store) {
        loop {
            self.wanted.notified().await;
            while self.waiting.load(Ordering::Relaxed) > 0 {
                match tokio::time::timeout(Self::REPEAT, store.request_progress()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "no progress from the store"),
                    Err(_) => tracing::debug!("the store does not answer a progress request"),
                }
                tokio::time::sleep(Self::SPACING).await;
                let _ = tokio::time::timeout(Self::REPEAT, self.wanted.notified()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
