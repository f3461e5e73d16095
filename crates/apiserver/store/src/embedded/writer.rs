//! The one thread that writes. It takes every write that is queued, carries them out in order in one transaction,
//! commits once, makes the outcome visible, then answers: a write that comes alone waits for nobody, and many that
//! come together share one flush to the disk ([`super::pace`]). Between groups it removes what compaction may remove, a little at a
//! time.

use super::compactor::Compactor;
use super::disk::Medium;
use super::file::{LOG, META, OLDEST, redb_error};
use super::pace::Pace;
use super::queue::Receiver;
use super::record::Record;
use super::shared::{self, Shared};
use crate::{Entry, Event, Expect, Form, Guard, GuardMode, GuardedError, Key, Revision, StoreError, WriteError};
use bytes::Bytes;
use redb::{CommitError, Table};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Maximum number of writes in one commit. Beyond it, sharing a commit saves nothing, and the first write waits for the last.
const GROUP_WRITES: usize = 256;
const GROUP_BYTES: usize = 4 << 20;
/// How many records one step of compaction removes: it takes about as long as one commit.
const COMPACTION_STEP: usize = 128;
/// How often it is seen whether a store that takes no writes could take some.
const RECOVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Job {
    Write(Write),
    Compact { revision: Revision, reply: oneshot::Sender<Result<(), StoreError>> },
    Stop,
}

/// One write that waits to be carried out.
#[derive(Debug)]
pub(super) struct Write {
    pub key: Key,
    /// `None`: delete.
    pub value: Option<Bytes>,
    pub expect: Expect,
    pub guards: Vec<Guard>,
    pub reply: oneshot::Sender<Result<Revision, GuardedError>>,
    /// Its place in the queue, given back once it is answered.
    pub room: OwnedSemaphorePermit,
}

impl Write {
    fn answer(self, result: Result<Revision, GuardedError>) {
        drop(self.room);
        // Whoever asked may have gone.
        let _ = self.reply.send(result);
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    medium: Box<dyn Medium>,
    jobs: Receiver,
    compactor: Compactor,
    /// Of the last group.
    pace: Option<Pace>,
    /// Taken from the queue while a group was gathered, but not part of it.
    next: Option<Job>,
}

/// The outcome of a write before it is durable: its revision, or why it was not carried out.
type Outcome = Result<Revision, Refusal>;

/// An expectation that does not hold.
enum Refusal {
    /// The write's own; this is what is there.
    Conflict(Option<Entry>),
    /// A guard's.
    GuardFailed,
}

impl From<Refusal> for GuardedError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(found) => WriteError::Conflict(found).into(),
            Refusal::GuardFailed => Self::GuardFailed,
        }
    }
}

/// Why a whole group failed.
enum Failure {
    /// Nothing of it was carried out.
    NotDone(StoreError),
    /// It may be on the disk or not. The file takes no more writes until it is opened again.
    Unknown(CommitError),
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, medium: Box<dyn Medium>, jobs: Receiver, compactor: Compactor) -> Self {
        Self { shared, medium, jobs, compactor, pace: None, next: None }
    }

    /// Serves until [`Job::Stop`].
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Some(Job::Write(write)) => {
                    let group = self.gather(write);
                    let (writes, begun) = (group.len(), Instant::now());
                    self.serve(group);
                    self.pace = Some(Pace::of(writes, begun, Instant::now()));
                }
                Some(Job::Compact { revision, reply }) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.compact(revision));
                }
                Some(Job::Stop) => return,
                None => self.recover(),
            }
            self.compact_a_little();
        }
    }

    /// The next job; `None` when it is time for compaction, or to look whether writes are possible again.
    fn wait(&mut self) -> Option<Job> {
        if let Some(job) = self.next.take() {
            return Some(job);
        }
        if self.has_expired() {
            return self.jobs.try_next();
        }
        let due = self.compactor.until_due(Instant::now());
        let patience = if self.shared.failure().is_some() { due.min(RECOVERY) } else { due };
        self.jobs.next(patience)
    }

    /// A write together with those that are queued behind it, or will be in a moment.
    fn gather(&mut self, first: Write) -> Vec<Write> {
        let size = |write: &Write| write.value.as_ref().map_or(0, Bytes::len);
        let mut bytes = size(&first);
        let mut group = vec![first];
        if let Some((others, until)) = self.pace.as_ref().and_then(Pace::others) {
            self.jobs.gather(others, until);
        }
        while group.len() < GROUP_WRITES && bytes < GROUP_BYTES {
            match self.jobs.try_next() {
                Some(Job::Write(write)) => {
                    bytes += size(&write);
                    group.push(write);
                }
                Some(other) => {
                    self.next = Some(other);
                    break;
                }
                None => break,
            }
        }
        group
    }

    fn serve(&self, group: Vec<Write>) {
        self.recover();
        match self.possible(&group).map_err(Failure::NotDone).and_then(|()| self.commit(&group)) {
            Ok(outcomes) => {
                self.shared.note(None);
                for (write, outcome) in group.into_iter().zip(outcomes) {
                    write.answer(outcome.map_err(GuardedError::from));
                }
            }
            Err(failure) => {
                if self.shared.failure().is_none() {
                    tracing::error!(writes = group.len(), error = %failure.to_error(), "the store could not commit");
                }
                self.shared.note(Some(match failure.to_error() {
                    StoreError::Full(why) => shared::Failure::Full(why),
                    other => shared::Failure::Broken(other.to_string()),
                }));
                for write in group {
                    write.answer(Err(failure.to_error().into()));
                }
            }
        }
    }

    /// Whether a group can be committed: known before anything is begun, so that nothing of it is.
    fn possible(&self, group: &[Write]) -> Result<(), StoreError> {
        let bytes: usize = group.iter().map(|write| write.value.as_ref().map_or(0, Bytes::len)).sum();
        self.medium.room(bytes as u64)?;
        match self.shared.failure() {
            Some(failure @ shared::Failure::Broken(_)) => Err(failure.into()),
            Some(shared::Failure::Full(_)) | None => Ok(()),
        }
    }

    /// Makes writes possible again after a failure, if what stood in their way is gone.
    fn recover(&self) {
        let recovered = match self.shared.failure() {
            None => return,
            Some(shared::Failure::Full(_)) => self.medium.room(0),
            Some(shared::Failure::Broken(_)) => {
                self.medium.room(0).and_then(|()| self.medium.probe()).and_then(|()| self.shared.reopen(&*self.medium))
            }
        };
        match recovered {
            Ok(()) => {
                tracing::info!("the store takes writes again");
                self.shared.note(None);
            }
            Err(error) => tracing::debug!(%error, "the store still takes no writes"),
        }
    }

    /// Carries out a group and makes it durable and visible.
    fn commit(&self, group: &[Write]) -> Result<Vec<Outcome>, Failure> {
        let not_done = Failure::NotDone;
        let transaction = self.shared.begin_write().map_err(not_done)?;
        let mut outcomes = Vec::with_capacity(group.len());
        let events = {
            let log = transaction.open_table(LOG).map_err(redb_error).map_err(not_done)?;
            let mut state = State::new(&self.shared, log);
            for write in group {
                outcomes.push(state.apply(write).map_err(not_done)?);
            }
            state.events
        };
        if events.is_empty() {
            return Ok(outcomes); // Dropping the transaction takes nothing back: there is nothing.
        }
        transaction.commit().map_err(|error| match error {
            CommitError::TransactionPoisoned => Failure::NotDone(redb_error(error)),
            other => Failure::Unknown(other),
        })?;
        self.shared.publish(&events);
        Ok(outcomes)
    }

    fn has_expired(&self) -> bool {
        self.compactor.may_work() && self.shared.index().has_expired()
    }

    fn compact(&mut self, revision: Revision) -> Result<(), StoreError> {
        let (current, oldest) = {
            let index = self.shared.index();
            (index.current, index.oldest)
        };
        if revision > current {
            return Err(StoreError::Future { requested: revision, current });
        }
        if revision <= oldest {
            return Ok(());
        }
        self.remove_expired(revision)
    }

    /// One step of what is due.
    fn compact_a_little(&mut self) {
        let due = self.compactor.due(Instant::now(), self.shared.current());
        let oldest = self.shared.index().oldest;
        let result = match due {
            Some(revision) if revision > oldest => self.remove_expired(revision),
            _ if self.has_expired() => self.remove_expired(oldest),
            _ => return,
        };
        if let Err(error) = result {
            tracing::warn!(%error, "compaction stops for now");
            self.compactor.pause();
        }
    }

    /// Moves the beginning of history, and removes a bounded number of records that nobody can ask for any more.
    fn remove_expired(&self, oldest: Revision) -> Result<(), StoreError> {
        let expired = {
            let mut index = self.shared.index_mut();
            // Before anything is removed, so that readers who come later know.
            index.oldest = oldest;
            index.expired(COMPACTION_STEP)
        };
        self.possible(&[])?;
        let transaction = self.shared.begin_write()?;
        {
            let mut meta = transaction.open_table(META).map_err(redb_error)?;
            meta.insert(OLDEST, oldest).map_err(redb_error)?;
            let mut log = transaction.open_table(LOG).map_err(redb_error)?;
            for superseded in &expired {
                log.remove(superseded.revision).map_err(redb_error)?;
            }
        }
        if let Err(error) = transaction.commit().map_err(redb_error) {
            self.shared.note(Some(shared::Failure::Broken(error.to_string())));
            return Err(error);
        }
        self.shared.index_mut().forget(&expired);
        Ok(())
    }
}

/// The state that a write of a group sees: what is committed, and the writes before it in the group.
struct State<'a, 'txn> {
    shared: &'a Shared,
    log: Table<'txn, Revision, &'static [u8]>,
    /// The revision of the value that a key has now, where the group changed it; `None`: deleted.
    changed: HashMap<&'a Key, Option<Revision>>,
    revision: Revision,
    /// The events of the group so far.
    events: Vec<Event>,
}

impl<'a, 'txn> State<'a, 'txn> {
    fn new(shared: &'a Shared, log: Table<'txn, Revision, &'static [u8]>) -> Self {
        Self { shared, log, changed: HashMap::new(), revision: shared.current(), events: Vec::new() }
    }

    /// Carries out a write if all that it expects holds.
    fn apply(&mut self, write: &'a Write) -> Result<Outcome, StoreError> {
        let Write { key, value, expect, guards, .. } = write;
        if !self.holds(key, *expect) {
            return Ok(Err(Refusal::Conflict(self.entry(key)?)));
        }
        if !guards.iter().all(|guard| self.holds(&guard.key, guard.expect)) {
            return Ok(Err(Refusal::GuardFailed));
        }
        let revision = self.write(key, value.as_ref())?;
        for guard in guards.iter().filter(|guard| guard.mode == GuardMode::Exclusive) {
            self.write(&guard.key, Some(&Bytes::new()))?;
        }
        Ok(Ok(revision))
    }

    fn holds(&self, key: &Key, expect: Expect) -> bool {
        match expect {
            Expect::Absent => self.newest(key).is_none(),
            Expect::Revision(expected) => self.newest(key) == Some(expected),
        }
    }

    /// The revision of the value that a key has now.
    fn newest(&self, key: &Key) -> Option<Revision> {
        self.changed.get(key).copied().unwrap_or_else(|| self.shared.index().newest(key))
    }

    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.newest(key).map(|revision| shared::entry(&self.log, key.clone(), revision)).transpose()
    }

    fn write(&mut self, key: &'a Key, value: Option<&Bytes>) -> Result<Revision, StoreError> {
        let previous = self.newest(key).unwrap_or(0);
        self.revision += 1;
        let record = Record { previous, key: key.as_str(), value: value.map(|value| &value[..]) };
        let mut place = self.log.insert_reserve(self.revision, record.size()).map_err(redb_error)?;
        record.encode(place.as_mut());
        drop(place);
        self.changed.insert(key, value.is_some().then_some(self.revision));
        self.events.push(Event { key: key.clone(), revision: self.revision, value: value.cloned(), form: Form::Current });
        Ok(self.revision)
    }
}

impl Failure {
    fn to_error(&self) -> StoreError {
        match self {
            Self::NotDone(StoreError::Corrupt(text)) => StoreError::Corrupt(text.clone()),
            Self::NotDone(StoreError::Full(text)) => StoreError::Full(text.clone()),
            Self::NotDone(StoreError::Unavailable(text)) => StoreError::Unavailable(text.clone()),
            Self::NotDone(other) => StoreError::Unavailable(other.to_string()),
            Self::Unknown(error) => StoreError::Unknown(error.to_string()),
        }
    }
}
