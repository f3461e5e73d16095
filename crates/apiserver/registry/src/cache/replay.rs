//! The history from before this process: what lets a watch resume that was begun at another server, or before a restart.
//!
//! The cache begins with the present state, and readers do not wait for more. Meanwhile the store's watch is followed from an
//! older revision to that of the start, and what was there before is read of the objects that changed since. The events are put in
//! front of the history when all of them are there, and only if nothing is missing between the two. A watch that goes on
//! from that time waits until then. Nothing else depends on it: where the store does not play along in time, the history begins
//! with the present state.

use super::event::Event;
use super::follow::Follower;
use super::load::on_a_thread;
use super::past::Past;
use super::snapshot::Snapshot;
use apiserver_store::{Event as StoreEvent, ProgressSupport, RangeRequest, Revision, StoreError, WatchMessage};
use futures::{StreamExt, TryStreamExt};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the store may be silent before it is asked again how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// An object that is asked for by its key costs as much as so many on a page.
const FAR: usize = 32;

impl Follower {
    /// Brings what the store has of the history, once; never ends.
    pub(super) async fn join_past(&self) -> Infallible {
        // Later on there are watches, which end: then nobody resumes from before.
        if self.loads.load(Ordering::Relaxed) == 1
            && let Some(present) = self.state.snapshot()
        {
            let (collection, at) = (&self.source.prefix, present.revision);
            match self.past(present).await {
                Ok(Some((events, begin))) => {
                    let count = events.len();
                    let joined = self.state.join_past(events, begin, at);
                    tracing::info!(collection, begin, count, joined, "the history from before the start is there");
                }
                Ok(None) => {}
                Err(error) => tracing::info!(collection, %error, "watches from before the start cannot be resumed"),
            }
        }
        self.state.settle_past();
        std::future::pending().await
    }

    /// What led to the present state, and where that begins; `None` where the store has no history, or cannot say when all of it
    /// is sent.
    async fn past(&self, present: Arc<Snapshot>) -> Result<Option<(VecDeque<Arc<Event>>, Revision)>, StoreError> {
        let store = &self.source.store;
        if store.progress_support() == ProgressSupport::Unreliable || !present.corrupt.is_empty() {
            return Ok(None);
        }
        let newest = present.revision;
        let oldest = self.in_time(store.oldest_revision()).await?;
        let begin = oldest.max(newest.saturating_sub(self.depth)).max(1);
        if begin >= newest {
            return Ok(None);
        }
        let past = Past::new(Arc::clone(&self.source), present, self.state.bounds(), begin);
        let mut past = self.told(past, begin, newest).await?;
        while past.floor() < newest {
            past.begin_anew();
            match self.begun(&mut past).await {
                Ok(true) => return past.into_events().map(Some),
                // What is before so many changes is more than is held.
                Ok(false) => past.forget_half(),
                Err(StoreError::Compacted { oldest }) if oldest > past.floor() => past.forget(oldest),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Reads what was there where the past begins, of what it changes: one by one if that is little of the collection, otherwise
    /// all of it, page by page. Whether it is little enough to be held.
    async fn begun(&self, past: &mut Past) -> Result<bool, StoreError> {
        let (at, mut changed, source) = (past.floor(), past.changed(), &self.source);
        if changed.len() * FAR < past.objects_now() {
            for path in &changed {
                let key = format!("{}{path}", source.prefix);
                let one = RangeRequest { prefix: key.clone(), at: Some(at), limit: 1, ..RangeRequest::default() };
                let mut found = self.in_time(source.store.range(&one)).await?.entries;
                // Keys of others begin like that too.
                found.retain(|entry| entry.key.as_str() == key);
                if !past.begin_with(source.decoded(found).await?) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let mut pages = std::pin::pin!(source.pages(Some(at)));
        while let Some(mut page) = self.in_time(pages.try_next()).await? {
            page.entries.retain(|entry| source.path(entry).is_some_and(|path| changed.remove(path)));
            if !past.begin_with(source.decoded(page.entries).await?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Follows the store from one revision to another.
    async fn told(&self, mut past: Past, begin: Revision, newest: Revision) -> Result<Past, StoreError> {
        let store = &self.source.store;
        let mut stream = self.in_time(store.watch(&self.source.prefix, begin)).await?;
        store.request_progress().await?;
        let (mut reached, mut heard) = (begin, Instant::now());
        while reached < newest {
            let Ok(message) = timeout(ASK_AGAIN, stream.next()).await else {
                if heard.elapsed() >= self.patience {
                    return Err(self.late());
                }
                store.request_progress().await?;
                continue;
            };
            let before = reached;
            match message {
                Some(Ok(WatchMessage::Events(events))) => {
                    reached = events.last().map_or(reached, |event| event.revision);
                    past = take(past, events, newest).await?;
                }
                Some(Ok(WatchMessage::Progress(revision))) => reached = reached.max(revision),
                Some(Err(error)) => return Err(error),
                None => return Err(StoreError::Unavailable("the watch ended".into())),
            }
            if reached > before {
                heard = Instant::now();
            }
        }
        Ok(past)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        timeout(self.patience, work).await.map_err(|_| self.late())?
    }

    fn late(&self) -> StoreError {
        StoreError::Unavailable(format!("the store told nothing of its history for {:?}", self.patience))
    }
}

/// Takes the events of a message over, as far as the present state knows of them.
async fn take(mut past: Past, events: Vec<StoreEvent>, newest: Revision) -> Result<Past, StoreError> {
    on_a_thread(move || {
        events.into_iter().take_while(|event| event.revision <= newest).for_each(|event| past.push(event));
        past
    })
    .await
}
