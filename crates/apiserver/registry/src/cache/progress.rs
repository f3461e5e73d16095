//! Progress requests: how a cache learns that the store has moved on without a change of its collection.

use apiserver_store::Store;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Requests the store's progress for as long as a reader waits for it.
#[derive(Debug, Default)]
pub(super) struct ProgressRequester {
    waiting: AtomicUsize,
    wanted: Notify,
}

/// A reader's wait for progress, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a ProgressRequester);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ProgressRequester {
    /// How long an answer may take before the store is asked again.
    const REPEAT: Duration = Duration::from_millis(100);
    /// The shortest time between two questions.
    const SPACING: Duration = Duration::from_millis(1);

    /// Has progress requested soon, and again until what is returned is dropped.
    pub(super) fn request(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.wanted.notify_one();
        Waiting(self)
    }

    /// Sends requests while a reader waits; never ends.
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
