//! How fresh a read is: which revision it must see, and waiting for the cache to have it.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use vci_store::{Revision, Store, StoreError};

type Answer = Result<Revision, Arc<StoreError>>;
type Flight = Shared<BoxFuture<'static, Answer>>;

/// Asks the store for its revision on behalf of many readers at once.
///
/// One question is under way at a time. Who arrives meanwhile waits for the next one: the one under way may have begun
/// before the reader's own last write was acknowledged.
#[derive(Debug)]
pub(super) struct RevisionCheck {
    store: Arc<dyn Store>,
    runway: Arc<Semaphore>,
    /// The next question, while it can still be joined.
    boarding: Arc<Mutex<Option<Flight>>>,
}

impl RevisionCheck {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, runway: Arc::new(Semaphore::new(1)), boarding: Arc::default() }
    }

    /// A revision that is not older than any write acknowledged before this call.
    pub(super) async fn current(&self) -> Answer {
        // Without another reader in the way there is nothing to share.
        if let Ok(_alone) = self.runway.try_acquire() {
            return self.store.revision().await.map_err(Arc::new);
        }
        self.board().await
    }

    fn board(&self) -> Flight {
        let mut boarding = self.boarding.lock().unwrap_or_else(PoisonError::into_inner);
        boarding.get_or_insert_with(|| self.flight()).clone()
    }

    fn flight(&self) -> Flight {
        let (store, runway, boarding) = (Arc::clone(&self.store), Arc::clone(&self.runway), Arc::clone(&self.boarding));
        async move {
            // The semaphore is never closed.
            let _permit = runway.acquire().await;
            boarding.lock().unwrap_or_else(PoisonError::into_inner).take();
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
