//! Comparison of the cache with the store. Nothing should ever make the two differ; should it happen all the same, it is found
//! within minutes instead of never.
//!
//! The store is read at the revision of a snapshot, page by page, and each page compared with that snapshot, object by
//! object: both are at hand, so a digest would only hide where they differ. A cache that differs is not mended but thrown
//! away, and its watches end: whatever was read or sent from it may be wrong.

use super::Cache;
use super::freshness::Freshness;
use super::snapshot::Snapshot;
use crate::backoff::jitter;
use crate::item::Item;
use apiserver_meta::ApiError;
use apiserver_meta::options::ResourceVersion;
use apiserver_store::{RangeRequest, RangeResponse, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// About how many bytes are read at once, and how many entries at most.
const PAGE: (usize, usize) = (1 << 20, 1000);

/// Why a comparison did not come to an end.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("{}", .0.message)]
    Cache(ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Cache {
    /// Compares again and again; never ends.
    pub(super) async fn keep_comparing(&self) {
        loop {
            tokio::time::sleep(self.config().check_period.mul_f64(1.0 + jitter() / 2.0)).await;
            let collection = &self.source().prefix;
            let counter = match self.compare().await {
                Ok(None) => &self.consistency.success,
                Ok(Some(path)) => {
                    tracing::error!(collection, path, "the cache is not what the store has, it loads again");
                    self.follower.mismatch.notify_one();
                    &self.consistency.mismatch
                }
                Err(error) => {
                    tracing::debug!(collection, %error, "the cache could not be compared with the store");
                    &self.consistency.error
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first path at which cache and store differ.
    async fn compare(&self) -> Result<Option<String>, CheckError> {
        // As new as can be had: what was the state long ago, the store may have forgotten.
        let deadline = (Instant::now() + self.config().freshness_timeout).into();
        let snapshot = match self.fresh(ResourceVersion::Unset, deadline, "list").await.map_err(CheckError::Cache)? {
            Freshness::Cached(snapshot) => snapshot,
            Freshness::AskStore => self.loaded().map_err(CheckError::Cache)?,
        };
        let (mut start, mut is_last) = (String::new(), false);
        while !is_last {
            let request = RangeRequest {
                prefix: self.source().prefix.clone(),
                start: format!("{}{start}", self.source().prefix),
                at: Some(snapshot.revision),
                limit: page_length(&snapshot, &start),
                ..RangeRequest::default()
            };
            let page = self.source().store.range(&request).await?;
            is_last = !page.more;
            // Where the next page begins; nothing when everything behind `start` is on this one.
            let next =
                page.entries.last().filter(|_| page.more).and_then(|entry| self.source().path(entry)).map(|path| format!("{path}\0"));
            if let Some(path) = self.differs(&snapshot, &page, &start, next.as_deref()) {
                return Ok(Some(path));
            }
            start = next.unwrap_or_default();
            tokio::task::yield_now().await;
        }
        Ok(None)
    }

    /// The first path from `start` to before `next` at which a snapshot and what the store has there differ.
    fn differs(&self, snapshot: &Snapshot, page: &RangeResponse, start: &str, next: Option<&str>) -> Option<String> {
        let is_here = |path: &str| path >= start && next.is_none_or(|next| path < next);
        let mut objects = snapshot.objects.range("", start).take_while(|(path, _)| is_here(path));
        let mut unreadable = snapshot.corrupt.iter().filter(|path| is_here(path));
        for entry in &page.entries {
            let path = self.source().path(entry)?;
            let cached = match Item::from_entry(&*self.source().resource, entry) {
                Ok(item) => objects.next().is_some_and(|(_, cached)| **cached == item),
                Err(_) => unreadable.next().is_some_and(|cached| **cached == *path),
            };
            if !cached {
                return Some(path.to_owned());
            }
        }
        objects.next().map(|(path, _)| path).or_else(|| unreadable.next()).map(|path| path.to_string())
    }
}

/// How many entries make a page, by what the cache knows of their size.
fn page_length(snapshot: &Snapshot, start: &str) -> usize {
    let mut bytes = 0;
    let fits = snapshot.objects.range("", start).take(PAGE.1).take_while(|(_, item): &(_, &Arc<Item>)| {
        bytes += item.bytes.len();
        bytes <= PAGE.0
    });
    fits.count().max(1)
}
