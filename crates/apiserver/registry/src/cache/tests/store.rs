//! A store in memory that keeps all of its history and fails or lags when told to.
#![allow(clippy::unwrap_used)]

use apiserver_store::{
    Entry, Event, Expect, Form, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError,
    WatchMessage, WatchStream, WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Message = Result<WatchMessage, StoreError>;

/// What the store is told to do wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every call fails.
    pub(crate) is_down: bool,
    /// Progress cannot be trusted.
    pub(crate) unreliable: bool,
    /// Progress requests are not answered.
    pub(crate) mute: bool,
    /// Watches hear nothing until this ends.
    pub(crate) silent: bool,
    /// Watches never hear of what happens meanwhile.
    pub(crate) lossy: bool,
    /// History is forgotten up to the newest revision when somebody opens a watch.
    pub(crate) forgetful: bool,
    /// `revision` waits until it may go on.
    pub(crate) slow_revision: bool,
    /// `revision` takes up to so long to say what it was at its beginning.
    pub(crate) late_revision: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    revision: Revision,
    log: Vec<Event>,
    compacted: Revision,
    watchers: Vec<(String, mpsc::UnboundedSender<Message>)>,
    held: Vec<Event>,
    faults: Faults,
    ranges: usize,
    revisions: usize,
    gets: usize,
    progress_requests: usize,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    inner: Mutex<Inner>,
    pub(crate) let_revision_go: Notify,
}

/// How often something was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) ranges: usize,
    pub(crate) revisions: usize,
    pub(crate) gets: usize,
    pub(crate) progress_requests: usize,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn fault(&self, change: impl FnOnce(&mut Faults)) {
        let mut inner = self.lock();
        change(&mut inner.faults);
        if !inner.faults.silent {
            let held = std::mem::take(&mut inner.held);
            for event in held {
                inner.tell(&event);
            }
        }
    }

    pub(crate) fn calls(&self) -> Calls {
        let inner = self.lock();
        Calls { ranges: inner.ranges, revisions: inner.revisions, gets: inner.gets, progress_requests: inner.progress_requests }
    }

    /// Writes without expectation.
    pub(crate) fn set(&self, key: &str, value: Option<&str>) -> Revision {
        self.lock().write(&Key::new(key), value.map(|value| Bytes::from(value.to_owned())))
    }

    /// Ends all watches with an error.
    pub(crate) fn break_watches(&self, error: fn() -> StoreError) {
        for (_, watcher) in self.lock().watchers.drain(..) {
            let _ = watcher.send(Err(error()));
        }
    }

    /// Tells all watches something that the store should not tell.
    pub(crate) fn tell_all(&self, message: &WatchMessage) {
        self.lock().watchers.retain(|(_, watcher)| watcher.send(Ok(message.clone())).is_ok());
    }

    /// Changes what was written last under a key, and tells nobody.
    pub(crate) fn tamper(&self, key: &str, value: &str) -> Revision {
        let mut inner = self.lock();
        let written = inner.log.iter_mut().rfind(|event| event.key.as_str() == key).unwrap();
        written.value = Some(Bytes::from(value.to_owned()));
        written.revision
    }

    /// Forgets everything and begins anew at this revision.
    pub(crate) fn go_back_to(&self, revision: Revision) {
        let mut inner = self.lock();
        inner.log.retain(|event| event.revision <= revision);
        inner.revision = revision;
    }
}

impl Inner {
    fn write(&mut self, key: &Key, value: Option<Bytes>) -> Revision {
        self.revision += 1;
        let event = Event { key: key.clone(), revision: self.revision, value, form: Form::Current };
        self.log.push(event.clone());
        match self.faults {
            Faults { lossy: true, .. } => {}
            Faults { silent: true, .. } => self.held.push(event),
            Faults { .. } => self.tell(&event),
        }
        self.revision
    }

    fn tell(&mut self, event: &Event) {
        self.watchers.retain(|(prefix, watcher)| {
            let concerns = event.key.as_str().starts_with(prefix.as_str());
            !concerns || watcher.send(Ok(WatchMessage::Events(vec![event.clone()]))).is_ok()
        });
    }

    fn state(&self, at: Revision) -> BTreeMap<Key, Entry> {
        let mut state = BTreeMap::new();
        for event in self.log.iter().filter(|event| event.revision <= at) {
            match &event.value {
                Some(value) => {
                    let entry = Entry { key: event.key.clone(), value: value.clone(), revision: event.revision, form: Form::Current };
                    state.insert(event.key.clone(), entry);
                }
                None => drop(state.remove(&event.key)),
            }
        }
        state
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.faults.is_down { Err(StoreError::Unavailable("told to be down".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let mut inner = self.lock();
        inner.gets += 1;
        inner.up()?;
        Ok(inner.state(inner.revision).remove(key))
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let mut inner = self.lock();
        inner.ranges += 1;
        inner.up()?;
        let at = request.at.unwrap_or(inner.revision);
        if at < inner.compacted {
            return Err(StoreError::Compacted { oldest: inner.compacted });
        }
        if at > inner.revision {
            return Err(StoreError::Future { requested: at, current: inner.revision });
        }
        let found = inner.state(at).into_values();
        let mut entries: Vec<Entry> =
            found.filter(|entry| entry.key.as_str().starts_with(&request.prefix) && entry.key.as_str() >= request.start.as_str()).collect();
        let found = entries.len();
        if request.limit > 0 {
            entries.truncate(request.limit);
        }
        let remaining = found - entries.len();
        Ok(RangeResponse { entries, more: remaining > 0, remaining: Some(remaining as u64), revision: at })
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let mut inner = self.lock();
        inner.up()?;
        let current = inner.state(inner.revision).remove(key);
        let expected = match expect {
            Expect::Absent => None,
            Expect::Revision(revision) => Some(revision),
        };
        if current.as_ref().map(|entry| entry.revision) != expected {
            return Err(WriteError::Conflict(current));
        }
        Ok(inner.write(key, Some(value)))
    }

    async fn put_guarded(&self, _: &Key, _: Bytes, _: Expect, _: &[Guard]) -> Result<Revision, GuardedError> {
        Err(StoreError::Unavailable("a cache writes nothing".into()).into())
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        let mut inner = self.lock();
        inner.up()?;
        let current = inner.state(inner.revision).remove(key);
        if current.as_ref().map(|entry| entry.revision) != Some(expect) {
            return Err(WriteError::Conflict(current));
        }
        Ok(inner.write(key, None))
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        let mut inner = self.lock();
        inner.up()?;
        if inner.faults.forgetful {
            inner.compacted = inner.revision;
        }
        if after + 1 < inner.compacted {
            return Err(StoreError::Compacted { oldest: inner.compacted });
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let missed = inner.log.iter().filter(|event| event.revision > after && event.key.as_str().starts_with(prefix));
        for event in missed {
            let _ = sender.send(Ok(WatchMessage::Events(vec![event.clone()])));
        }
        inner.watchers.push((prefix.to_owned(), sender));
        Ok(UnboundedReceiverStream::new(receiver).boxed())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let (revision, slow, late) = {
            let mut inner = self.lock();
            inner.revisions += 1;
            inner.up()?;
            let dice = (inner.revisions as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
            (inner.revision, inner.faults.slow_revision, inner.faults.late_revision.mul_f64(dice as f64 / 256.0))
        };
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        if slow {
            // The answer is the one of the beginning: what a reader must not take who came later.
            self.let_revision_go.notified().await;
        }
        Ok(revision)
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        let inner = self.lock();
        inner.up()?;
        Ok(inner.compacted.max(1))
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.progress_requests += 1;
        inner.up()?;
        if !inner.faults.mute && !inner.faults.silent {
            let revision = inner.revision;
            inner.watchers.retain(|(_, watcher)| watcher.send(Ok(WatchMessage::Progress(revision))).is_ok());
        }
        Ok(())
    }

    fn progress_support(&self) -> ProgressSupport {
        if self.lock().faults.unreliable { ProgressSupport::Unreliable } else { ProgressSupport::Reliable }
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.compacted = inner.compacted.max(revision);
        Ok(())
    }
}
