//! The history from before this process: what lets a watch resume that was begun at another server, or before a restart.
//!
//! The state at an older revision is read, and the store's watch followed from there to the revision that was the newest at
//! the start. So the events get their previous states as they always do, and the history its bounds. Readers see nothing of it
//! before it has arrived: a cache is never older than its start. Nothing depends on it: where the store does not play along in
//! time, the cache begins with the present state and an empty history.

use super::follow::{Follower, in_batches};
use super::state::State;
use apiserver_store::{ProgressSupport, Revision, StoreError, WatchMessage, WatchStream};
use futures::StreamExt;
use std::future::Future;
use std::time::Duration;

/// How long the store may be silent before it is asked again how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A present state with the history that led to it.
pub(super) struct Replayed {
    pub(super) state: State,
    /// Tells what comes behind it.
    pub(super) stream: WatchStream,
}

impl Follower {
    /// The state at the newest revision, or later, with its history; `None` where the store has no history, or cannot say when all of it is sent.
    ///
    /// # Errors
    /// A failure of the store. To begin without history may still work.
    pub(super) async fn replay(&self, newest: Revision) -> Result<Option<Replayed>, StoreError> {
        let store = &self.source.store;
        if store.progress_support() == ProgressSupport::Unreliable {
            return Ok(None);
        }
        let oldest = self.in_time(store.oldest_revision()).await?;
        let begin = oldest.max(newest.saturating_sub(self.depth)).max(1);
        if begin >= newest {
            return Ok(None);
        }
        let (entries, _) = self.entries(Some(begin)).await?;
        let state = State::new(self.state.bounds());
        state.load(entries, begin);
        let stream = self.in_time(self.catch_up(&state, begin, newest)).await?;
        if state.has_corrupt() {
            return Err(StoreError::Corrupt("an object cannot be read".into()));
        }
        Ok(Some(Replayed { state, stream }))
    }

    /// Follows the store until a revision is reached. What cannot be read on the way is no cause for alarm: its key may be out
    /// of use for good reasons, and what is readable again later is resumed from later.
    async fn catch_up(&self, state: &State, begin: Revision, newest: Revision) -> Result<WatchStream, StoreError> {
        let store = &self.source.store;
        let mut stream = store.watch(&self.source.prefix, begin).await?;
        store.request_progress().await?;
        while state.revision() < newest {
            let Ok(message) = tokio::time::timeout(ASK_AGAIN, stream.next()).await else {
                store.request_progress().await?;
                continue;
            };
            match message {
                Some(Ok(WatchMessage::Events(events))) => {
                    let changes = events.into_iter().filter_map(|event| self.source.change(event));
                    in_batches(changes, |batch| state.apply(batch)).await;
                }
                Some(Ok(WatchMessage::Progress(revision))) => state.progress(revision),
                Some(Err(error)) => return Err(error),
                None => return Err(StoreError::Unavailable("the watch ended".into())),
            }
        }
        Ok(stream)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late = |_| StoreError::Unavailable(format!("the history was not told within {:?}", self.patience));
        tokio::time::timeout(self.patience, work).await.map_err(late)?
    }
}
