//! The state that writer, readers and watches share, and all reads. Reads may block on the disk: call them on a thread for that.

use super::disk::Medium;
use super::file::{self, Log};
use super::hub::{Gap, Hub};
use super::index::{Index, Version};
use super::record::Record;
use crate::{Entry, Event, Form, Key, RangeRequest, RangeResponse, Revision, StoreError};
use bytes::Bytes;
use redb::{Database, ReadableTable, WriteTransaction};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How much of history one step reads: events, their bytes, and records looked at.
const STEP_EVENTS: usize = 512;
const STEP_BYTES: usize = 1 << 20;
const STEP_RECORDS: usize = 8192;
/// Up to so many keys are looked up one by one in the index, which takes less time than to read what all keys had.
const STEP_KEYS: usize = 1024;

/// Why nothing is written at the moment.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no room; the file is as it was.
    Full(String),
    /// A commit failed, and the file takes no more until it is opened again.
    Broken(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(why) => Self::Full(why),
            Failure::Broken(why) => Self::Unavailable(why),
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the file is being opened again".into())
}

#[derive(Debug)]
pub(super) struct Shared {
    pub hub: Hub,
    /// `None` while it is opened again, or cannot be.
    db: RwLock<Option<Database>>,
    index: RwLock<Index>,
    /// `index.current`, for those who want nothing else.
    current: AtomicU64,
    /// Why writes are not carried out at the moment, when that is so.
    failure: Mutex<Option<Failure>>,
}

impl Shared {
    pub(super) fn new(db: Database, index: Index) -> Self {
        let current = index.current;
        Self {
            db: RwLock::new(Some(db)),
            hub: Hub::new(current),
            index: RwLock::new(index),
            current: AtomicU64::new(current),
            failure: Mutex::default(),
        }
    }

    pub(super) fn current(&self) -> Revision {
        self.current.load(Ordering::Acquire)
    }

    /// Notes how the last commit went.
    pub(super) fn note(&self, failure: Option<Failure>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn writable(&self) -> Result<(), StoreError> {
        self.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.database().as_ref().ok_or_else(closed)?.begin_write().map_err(file::redb_error)
    }

    pub(super) fn snapshot(&self) -> Result<Log, StoreError> {
        file::snapshot(self.database().as_ref().ok_or_else(closed)?)
    }

    /// Opens the store once more and makes visible what it turns out to have: writes whose outcome was not known.
    pub(super) fn reopen(&self, medium: &dyn Medium) -> Result<(), StoreError> {
        let current = self.current();
        let newest = {
            let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
            // Closed first: a file is open once.
            db.take();
            let (opened, index) = medium.open()?;
            *db = Some(opened);
            index.current
        };
        if newest < current {
            return Err(StoreError::Corrupt(format!("the newest revision is {newest}, and {current} was acknowledged")));
        }
        let log = self.snapshot()?;
        let mut events = Vec::new();
        for record in log.range(current + 1..=newest).map_err(file::redb_error)? {
            let (revision, bytes) = record.map_err(file::redb_error)?;
            events.push(event(revision.value(), &Record::decode(revision.value(), bytes.value())?));
        }
        if !events.is_empty() {
            self.publish(&events);
        }
        Ok(())
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        // The index is changed by code that does not panic halfway.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes committed writes visible to everyone at once: nobody who saw a revision can meet an older one afterwards.
    pub(super) fn publish(&self, events: &[Event]) {
        let mut index = self.index_mut();
        for Event { key, revision, value, .. } in events {
            index.apply(key, if value.is_some() { Version::Value(*revision) } else { Version::Deleted(*revision) });
        }
        self.hub.publish(events);
        self.current.store(index.current, Ordering::Release);
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let (revision, log) = {
            let index = self.index();
            let Some(revision) = index.newest(key) else { return Ok(None) };
            // Taken under the lock: compaction removes a record only after a newer one is in the index.
            (revision, self.snapshot()?)
        };
        entry(&log, key.clone(), revision).map(Some)
    }

    pub(super) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let RangeRequest { prefix, start, at, limit, .. } = request;
        let limit = if *limit == 0 { usize::MAX } else { *limit };
        let index = self.index();
        let at = at.unwrap_or(index.current);
        if at > index.current {
            return Err(StoreError::Future { requested: at, current: index.current });
        }
        if at < index.oldest {
            return Err(StoreError::Compacted { oldest: index.oldest });
        }
        let log = self.snapshot()?;
        let mut found = index.range(prefix, start, at).enumerate();
        let mut chosen: Vec<_> = found.by_ref().take(limit).map(|(place, (key, revision))| (place, key.clone(), revision)).collect();
        let more = found.next().is_some();
        drop(found);
        drop(index);
        // Read in the order of the file, so that each of its pages is read once.
        chosen.sort_unstable_by_key(|(_, _, revision)| *revision);
        let read = |(place, key, revision)| Ok((place, entry(&log, key, revision)?));
        let mut entries = chosen.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        entries.sort_unstable_by_key(|(place, _)| *place);
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        // More are not counted: that would walk the index under its lock.
        let remaining = (!more).then_some(0);
        Ok(RangeResponse { entries, more, remaining, revision: at })
    }

    /// Reads the beginning of a gap; tells the events under a prefix and what remains of the gap.
    pub(super) fn history(&self, prefix: &str, gap: Gap) -> Result<(Vec<Event>, Option<Gap>), StoreError> {
        let log = self.snapshot()?;
        // Asked after the snapshot: compaction announces before it removes.
        let changes = {
            let index = self.index();
            let oldest = index.oldest;
            if gap.after < oldest {
                return Err(StoreError::Compacted { oldest });
            }
            index.changes(prefix, gap.after, gap.until, STEP_KEYS)
        };
        match changes {
            Some(changes) => looked_up(&log, gap, &changes),
            None => scanned(&log, prefix, gap),
        }
    }
}

/// The beginning of a gap by the revisions of its changes.
fn looked_up(log: &Log, gap: Gap, changes: &[Revision]) -> Result<(Vec<Event>, Option<Gap>), StoreError> {
    let (mut events, mut size) = (Vec::new(), 0);
    for &revision in changes {
        if events.len() >= STEP_EVENTS || size >= STEP_BYTES {
            return Ok((events, Some(Gap { after: revision - 1, until: gap.until })));
        }
        let bytes = log.get(revision).map_err(file::redb_error)?;
        let bytes = bytes.ok_or_else(|| StoreError::Corrupt(format!("revision {revision} is missing")))?;
        let event = event(revision, &Record::decode(revision, bytes.value())?);
        size += event_size(&event);
        events.push(event);
    }
    Ok((events, None))
}

/// The beginning of a gap, by reading everything that is in it.
fn scanned(log: &Log, prefix: &str, gap: Gap) -> Result<(Vec<Event>, Option<Gap>), StoreError> {
    let (mut events, mut size) = (Vec::new(), 0);
    for (scanned, record) in log.range(gap.after + 1..=gap.until).map_err(file::redb_error)?.enumerate() {
        let (revision, bytes) = record.map_err(file::redb_error)?;
        let revision = revision.value();
        if events.len() >= STEP_EVENTS || size >= STEP_BYTES || scanned >= STEP_RECORDS {
            return Ok((events, Some(Gap { after: revision - 1, until: gap.until })));
        }
        let record = Record::decode(revision, bytes.value())?;
        if record.key.starts_with(prefix) {
            let event = event(revision, &record);
            size += event_size(&event);
            events.push(event);
        }
    }
    Ok((events, None))
}

/// About how many bytes an event holds on to.
pub(super) fn event_size(event: &Event) -> usize {
    event.value.as_ref().map_or(0, Bytes::len)
}

fn event(revision: Revision, record: &Record<'_>) -> Event {
    Event { key: Key::new(record.key), revision, value: record.value.map(Bytes::copy_from_slice), form: Form::Current }
}

/// The value that a revision wrote; the index says that it is there.
pub(super) fn entry(log: &impl ReadableTable<Revision, &'static [u8]>, key: Key, revision: Revision) -> Result<Entry, StoreError> {
    let damaged = || StoreError::Corrupt(format!("revision {revision} of {key} is missing"));
    let bytes = log.get(revision).map_err(file::redb_error)?.ok_or_else(damaged)?;
    let record = Record::decode(revision, bytes.value())?;
    let value = record.value.filter(|_| record.key == key.as_str()).ok_or_else(damaged)?;
    Ok(Entry { value: Bytes::copy_from_slice(value), key, revision, form: Form::Current })
}
