//! The store in one file: nothing to install, nothing to run.
//!
//! It lies on redb: a single file, readers that never block (MVCC), crash safe by copy-on-write and checksums, no C
//! code, one small dependency. An LSM tree would commit faster but be a folder of files; LMDB and SQLite bring C; a
//! log of our own would have to earn the trust that redb has. What redb has not is group commit: [`EmbeddedStore`] has
//! one thread that writes, and it commits everything that is queued at once.
//!
//! The file has one table of writes by revision; which revisions a key has is kept in memory, about 200 bytes a key,
//! as etcd does it. An acknowledged write survives a killed process, and a power failure as far as the disk keeps what
//! it was told to flush. One process has the file at a time. While the disk is full, writes are refused and reads go on;
//! when there is room again, so do writes.

mod compactor;
mod disk;
mod file;
mod hub;
mod index;
mod pace;
mod queue;
mod record;
mod shared;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use crate::{
    Entry, Expect, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchStream,
    WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use compactor::Compactor;
use disk::{Medium, OnDisk};
use queue::Sender;
use shared::Shared;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};
use writer::{Job, Write, Writer};

/// The largest value, in bytes: etcd's default for a whole request, so that what fits here fits there.
pub const MAX_VALUE: usize = 3 << 19;
/// The bytes of writes that may wait for the writer; who comes later waits before queueing.
const QUEUE_BYTES: usize = 32 << 20;
/// Approximate memory of a queued write beside its key and value.
const QUEUE_OVERHEAD: usize = 512;

/// How the store behaves.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// For how long changes and old states can be read. They take room in the file and about 100 bytes of memory each.
    pub history: Duration,
    /// Bytes of memory for pages of the file. The operating system caches the file as well, so little is lost with
    /// little; pages are taken as they are read, not at start.
    pub cache_bytes: usize,
}

impl EmbeddedConfig {
    /// The defaults of a server: five minutes of history, as kube-apiserver lets etcd keep, and 2 MiB.
    pub fn standard() -> Self {
        Self { history: Duration::from_secs(300), cache_bytes: 2 << 20 }
    }
}

/// A store in a file of its own. Dropping it ends its watches, carries out what is queued and closes the file.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    jobs: Sender,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    /// The file; `None` where there is none, in memory.
    file: Option<PathBuf>,
}

impl EmbeddedStore {
    /// Opens a store, or makes a new one where there is no file; its folder must exist. Checks and reads the whole
    /// file on the calling thread: about 10 ms for 3,000 values of 1.3 KB, a second for 100,000.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened, above all when another process has it open;
    /// [`StoreError::Corrupt`] when it is damaged or something else.
    pub fn open(path: impl AsRef<Path>, config: &EmbeddedConfig) -> Result<Self, StoreError> {
        let medium = OnDisk { path: path.as_ref().to_owned(), cache_bytes: config.cache_bytes };
        let mut store = Self::start(Box::new(medium), config)?;
        store.file = Some(path.as_ref().to_owned());
        Ok(store)
    }

    fn start(medium: Box<dyn Medium>, config: &EmbeddedConfig) -> Result<Self, StoreError> {
        let (db, index) = medium.open()?;
        let shared = Arc::new(Shared::new(db, index));
        let (jobs, queue) = queue::queue();
        let writer = Writer::new(shared.clone(), medium, queue, Compactor::new(config.history, Instant::now()));
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { shared, jobs, room: Arc::new(Semaphore::new(QUEUE_BYTES)), writer: Some(writer), file: None })
    }

    async fn write(&self, key: &Key, value: Option<Bytes>, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        let size = value.as_ref().map_or(0, Bytes::len);
        let keys = || std::iter::once(key).chain(guards.iter().map(|guard| &guard.key)).map(|key| key.as_str().len());
        let longest = keys().max().unwrap_or_default();
        if size > MAX_VALUE || longest > record::MAX_KEY {
            return Err(StoreError::TooLarge { size: size.max(longest) }.into());
        }
        let cost = (size + keys().sum::<usize>() + QUEUE_OVERHEAD) as u32;
        let room = self.room.clone().acquire_many_owned(cost).await.map_err(|_| writer_is_gone())?;
        let (reply, answer) = oneshot::channel();
        let write = Write { key: key.clone(), value, expect, guards: guards.to_vec(), reply, room };
        self.jobs.send(Job::Write(write)).map_err(|_| writer_is_gone())?;
        answer.await.map_err(|_| StoreError::Unknown("the writer ended while it had the write".into()))?
    }

    async fn write_alone(&self, key: &Key, value: Option<Bytes>, expect: Expect) -> Result<Revision, WriteError> {
        self.write(key, value, expect, &[]).await.map_err(|error| match error {
            GuardedError::Write(error) => error,
            GuardedError::GuardFailed => StoreError::Corrupt("a guard moved that nobody had put up".into()).into(),
        })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shared.hub.close();
        // Both fail only when the writer has ended in a panic, which was reported then.
        let _ = self.jobs.send(Job::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let (shared, key) = (self.shared.clone(), key.clone());
        on_a_thread(move || shared.get(&key)).await
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let (shared, request) = (self.shared.clone(), request.clone());
        on_a_thread(move || shared.range(&request)).await
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        self.write_alone(key, Some(value), expect).await
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        self.write(key, Some(value), expect, guards).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.write_alone(key, None, Expect::Revision(expect)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        watch::open(&self.shared, prefix, after)
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(self.shared.current())
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        // Revision 1 is that of an empty store.
        Ok(self.shared.index().oldest.max(1))
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.shared.hub.request_progress();
        Ok(())
    }

    fn progress_support(&self) -> ProgressSupport {
        ProgressSupport::Reliable
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.shared.writable()
    }

    async fn size(&self) -> Result<Option<u64>, StoreError> {
        let Some(file) = self.file.clone() else { return Ok(None) };
        let bytes = move || std::fs::metadata(file).map(|file| file.len()).map_err(|error| StoreError::Unavailable(error.to_string()));
        on_a_thread(bytes).await.map(Some)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Compact { revision, reply }).map_err(|_| writer_is_gone())?;
        answer.await.map_err(|_| writer_is_gone())?
    }
}

/// Runs what may wait for the disk where it holds up nobody.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(StoreError::Corrupt(format!("reading the file failed badly: {error}"))),
        Err(_) => Err(StoreError::Unavailable("the process is shutting down".into())),
    }
}

fn writer_is_gone() -> StoreError {
    StoreError::Unavailable("the writer has ended".into())
}
