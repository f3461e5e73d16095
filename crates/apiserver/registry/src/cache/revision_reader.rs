//! The store's current revision, asked for on behalf of many readers at once (singleflight).

use apiserver_store::{Revision, Store, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, oneshot};

type Answer = Result<Revision, Arc<StoreError>>;
type Pending = Shared<BoxFuture<'static, Answer>>;

/// Asks the store for its revision on behalf of many readers at once.
///
/// One question is under way at a time. A reader that arrives meanwhile waits for the next one: the one under way may have
/// begun before the reader's own last write was acknowledged. That is asked by a task of its own, so that its readers are woken
/// once, by the answer: a future that they drive together would wake all of them at every step of the way.
#[derive(Debug)]
pub(super) struct RevisionReader {
    store: Arc<dyn Store>,
    permit: Arc<Semaphore>,
    /// The next question, while it can still be joined.
    pending: Arc<Mutex<Option<Pending>>>,
}

impl RevisionReader {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, permit: Arc::new(Semaphore::new(1)), pending: Arc::default() }
    }

    /// A revision that is not older than any write acknowledged before this call.
    pub(super) async fn current(&self) -> Answer {
        // Without another reader in the way there is nothing to share.
        if let Ok(_alone) = self.permit.try_acquire() {
            return self.store.revision().await.map_err(Arc::new);
        }
        self.join().await
    }

    fn join(&self) -> Pending {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.get_or_insert_with(|| self.begin()).clone()
    }

    fn begin(&self) -> Pending {
        let (store, permit, pending) = (Arc::clone(&self.store), Arc::clone(&self.permit), Arc::clone(&self.pending));
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            // The semaphore is never closed.
            let _permit = permit.acquire().await;
            pending.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Its readers may all have given up.
            let _ = answer.send(store.revision().await.map_err(Arc::new));
        });
        let lost = |_| Err(Arc::new(StoreError::Unavailable("the question for the revision was lost".into())));
        answered.map(move |answer| answer.unwrap_or_else(lost)).boxed().shared()
    }
}

#[cfg(test)]
mod tests;
