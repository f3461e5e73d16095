//! How fresh a read is: which revision it must see, and waiting for the cache to have it.

use super::Cache;
use super::snapshot::Snapshot;
use crate::store_error::from_store;
use apiserver_meta::ApiError;
use apiserver_meta::options::ResourceVersion;
use apiserver_store::{ProgressSupport, Revision};
use std::sync::Arc;
use std::time::Duration;
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
        // It may be the revision of a write elsewhere in the store, as a list that was read there has it.
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
        let _request = self.progress.request();
        let begun = Instant::now();
        let until = Instant::from(deadline).min(begun + self.config.freshness_timeout);
        let waited = tokio::time::timeout_at(until, published.wait_for(reached)).await;
        self.counters.wait(begun.elapsed());
        waited.ok()?.ok()?.clone()
    }
}
