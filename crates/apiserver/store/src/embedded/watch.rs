//! A watch as a stream: what its queue says, and the gaps read from the file.

use super::hub::{Gap, Next, Watcher};
use super::on_a_thread;
use super::shared::Shared;
use crate::{Event, Revision, StoreError, WatchMessage, WatchStream};
use futures::{StreamExt, stream};
use std::sync::{Arc, Weak};

pub(super) fn open(shared: &Arc<Shared>, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
    let oldest = shared.index().oldest;
    if after < oldest {
        return Err(StoreError::Compacted { oldest });
    }
    // Weak: a watch that somebody forgot must not keep the file locked.
    let watch = Watch { watcher: shared.hub.open(prefix, after), shared: Arc::downgrade(shared), gap: None, ended: false };
    Ok(stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) }).boxed())
}

struct Watch {
    watcher: Arc<Watcher>,
    shared: Weak<Shared>,
    /// Events that are read from the file, before those in the queue.
    gap: Option<Gap>,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<WatchMessage, StoreError>> {
        if self.ended {
            return None;
        }
        let message = self.message().await;
        self.ended = message.is_err();
        Some(message)
    }

    async fn message(&mut self) -> Result<WatchMessage, StoreError> {
        loop {
            if let Some(gap) = self.gap.take() {
                let events = self.read(gap).await?;
                if !events.is_empty() {
                    return Ok(WatchMessage::Events(events));
                }
                continue;
            }
            match self.watcher.next() {
                Next::Tell(message) => return Ok(message),
                Next::Read(gap) => self.gap = Some(gap),
                Next::Wait => self.watcher.changed().await,
                Next::End => return Err(closed()),
            }
        }
    }

    async fn read(&mut self, gap: Gap) -> Result<Vec<Event>, StoreError> {
        let shared = self.shared.upgrade().ok_or_else(closed)?;
        let watcher = self.watcher.clone();
        let (events, rest) = on_a_thread(move || shared.history(&watcher.prefix, gap)).await?;
        self.gap = rest;
        Ok(events)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.hub.leave(&self.watcher);
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
