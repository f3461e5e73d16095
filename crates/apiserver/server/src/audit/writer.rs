//! From requests to the log: a queue with a bound, and one thread that writes.
//!
//! Disks and pipes block, so that writing is no business of the tasks that answer requests. Lines leave in the order in
//! which they were queued.

use super::counters::Counters;
use super::file::LogFile;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Bytes of lines that wait to be written.
const ROOM: u32 = 32 * 1024 * 1024;
/// What a line counts for at least: one that waits takes more than its own bytes.
const LEAST: u32 = 512;
/// How often a fault is told to the operator.
const TELLING_PERIOD: Duration = Duration::from_secs(10);

/// Whether requests wait for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// No. When the queue is full, events are lost and counted.
    Batch,
    /// Until their events are written, or cannot be.
    Blocking,
    /// As [`AuditMode::Blocking`]; and a request whose first event cannot be written is refused.
    BlockingStrict,
}

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File(LogFile),
}

/// The end that requests have.
#[derive(Debug)]
pub(crate) struct Writer {
    mode: AuditMode,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Message>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
enum Message {
    Line {
        line: Vec<u8>,
        /// Given back when the line is written.
        _place: OwnedSemaphorePermit,
        /// Told whether it is written.
        done: Option<oneshot::Sender<Written>>,
    },
    Flush(oneshot::Sender<()>),
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is in the log, or in batch mode on its way.
    Yes,
    No,
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped and everything is written.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(output: Output, mode: AuditMode, counters: Arc<Counters>) -> std::io::Result<Self> {
        let (queue, messages) = mpsc::unbounded_channel();
        let audit_writer = AuditWriter { output, torn: false, told: None, counters: Arc::clone(&counters) };
        std::thread::Builder::new().name("audit-log".into()).spawn(move || audit_writer.run(messages))?;
        Ok(Self { mode, room: Arc::new(Semaphore::new(ROOM as usize)), queue, counters })
    }

    pub(crate) fn mode(&self) -> AuditMode {
        self.mode
    }

    /// Logs a line that ends with its newline.
    pub(crate) async fn write(&self, line: Vec<u8>) -> Written {
        let weight = u32::try_from(line.len()).unwrap_or(u32::MAX).clamp(LEAST, ROOM);
        let room = Arc::clone(&self.room);
        if self.mode == AuditMode::Batch {
            let queued = room.try_acquire_many_owned(weight).ok().map(|_place| self.queue.send(Message::Line { line, _place, done: None }));
            return match queued {
                Some(Ok(())) => Written::Yes,
                // The thread tells the operator of faults of the output; that it cannot keep up shows in the count.
                _ => self.lost(),
            };
        }
        // The semaphore is never closed.
        let Ok(_place) = room.acquire_many_owned(weight).await else { return self.lost() };
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Line { line, _place, done: Some(done) }).is_err() {
            return self.lost();
        }
        // The thread has counted it, if it could not write it.
        written.await.unwrap_or(Written::No)
    }

    fn lost(&self) -> Written {
        self.counters.error();
        Written::No
    }

    /// Returns when everything that was queued before is written.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }
}

/// The end that writes.
struct AuditWriter {
    output: Output,
    /// The last line was written in part.
    torn: bool,
    told: Option<Instant>,
    counters: Arc<Counters>,
}

impl AuditWriter {
    fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Line { line, done, .. } => {
                    let written = self.write(&line);
                    if let Some(done) = done {
                        // A request that is gone does not want to know.
                        let _ = done.send(written);
                    }
                }
                Message::Flush(done) => {
                    self.flush();
                    let _ = done.send(());
                }
            }
        }
        self.flush();
    }

    fn write(&mut self, line: &[u8]) -> Written {
        let ended = if self.torn { self.append(b"\n") } else { Ok(()) };
        match ended.and_then(|()| self.append(line)) {
            Ok(()) => {
                self.torn = false;
                Written::Yes
            }
            Err(error) => {
                self.torn = true;
                self.counters.error();
                self.tell(&error);
                Written::No
            }
        }
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        match &mut self.output {
            Output::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            }
            Output::File(file) => file.write(line),
        }
    }

    fn flush(&mut self) {
        if let Output::File(file) = &self.output
            && let Err(error) = file.sync()
        {
            self.tell(&error);
        }
    }

    fn tell(&mut self, error: &std::io::Error) {
        if self.told.is_none_or(|told| told.elapsed() >= TELLING_PERIOD) {
            tracing::error!(%error, "audit log cannot be written");
            self.told = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::file::{Backups, Rotation};
    use super::*;

    fn endless() -> Rotation {
        Rotation { max_size: 0, max_backups: 0, max_age: Duration::ZERO, backups: Backups::Plain }
    }

    #[tokio::test]
    async fn lines_are_written_in_order_and_flushed() {
        for mode in [AuditMode::Batch, AuditMode::Blocking] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let counters = Arc::new(Counters::default());
            let writer = Writer::start(Output::File(LogFile::open(&path, endless()).unwrap()), mode, Arc::clone(&counters)).unwrap();
            for number in 0..100 {
                assert_eq!(writer.write(format!("{number}\n").into_bytes()).await, Written::Yes);
                if mode == AuditMode::Blocking {
                    assert!(std::fs::read_to_string(&path).unwrap().ends_with(&format!("{number}\n")), "who waited has it");
                }
            }
            writer.flush().await;
            let text: String = (0..100).map(|number| format!("{number}\n")).collect();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(counters.snapshot().errors, 0);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told_and_counted() {
        // Every write to this device says that there is no space left.
        let full = || Output::File(LogFile::open(std::path::Path::new("/dev/full"), endless()).unwrap());
        let counters = Arc::new(Counters::default());
        let writer = Writer::start(full(), AuditMode::Blocking, Arc::clone(&counters)).unwrap();
        assert_eq!(writer.write(b"line\n".to_vec()).await, Written::No);
        assert_eq!(counters.snapshot().errors, 1);
        let counters = Arc::new(Counters::default());
        let writer = Writer::start(full(), AuditMode::Batch, Arc::clone(&counters)).unwrap();
        assert_eq!(writer.write(b"line\n".to_vec()).await, Written::Yes, "nobody waits");
        writer.flush().await;
        assert_eq!(counters.snapshot().errors, 1);
    }

    #[tokio::test]
    async fn a_full_queue_loses_events_in_batch_mode_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let counters = Arc::new(Counters::default());
        let start = |mode| Writer::start(Output::File(LogFile::open(&path, endless()).unwrap()), mode, Arc::clone(&counters)).unwrap();
        let writer = start(AuditMode::Batch);
        let all = Arc::clone(&writer.room).acquire_many_owned(ROOM).await.unwrap();
        assert_eq!(writer.write(b"lost\n".to_vec()).await, Written::No);
        assert_eq!(counters.snapshot().errors, 1);
        drop(all);
        let writer = Arc::new(start(AuditMode::Blocking));
        let all = Arc::clone(&writer.room).acquire_many_owned(ROOM).await.unwrap();
        let waiting = tokio::spawn({
            let writer = Arc::clone(&writer);
            async move { writer.write(b"waits\n".to_vec()).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(all);
        assert_eq!(waiting.await.unwrap(), Written::Yes);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "waits\n");
    }
}
