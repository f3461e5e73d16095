//! Old history is forgotten, so that the store does not grow for ever.

use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_store::{Store, StoreError};

/// How long history is kept at least; kube-apiserver does the same with its etcd.
pub(crate) const KEEP: Duration = Duration::from_secs(300);

/// Compacts to the revision that was current one period ago, again and again until `stop`. Replicas that share a store
/// may all do so: it is the older of their revisions that counts for nothing.
pub(crate) async fn run(store: Arc<dyn Store>, period: Duration, stop: CancellationToken) {
    let mut before = None;
    while stop.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
        let now = match store.revision().await {
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(%error, "compaction: the store does not tell its revision");
                continue;
            }
        };
        match before.replace(now) {
            Some(revision) if revision > 0 => match store.compact(revision).await {
                Ok(()) | Err(StoreError::Compacted { .. }) => tracing::debug!(revision, "compacted"),
                Err(error) => tracing::warn!(%error, revision, "compaction"),
            },
            _ => {}
        }
    }
}
