//! The queue of the audit log, and the thread that writes it.
//!
//! The queue is bounded in bytes. Disks and pipes block, so the tasks that answer requests never write. Lines are written in
//! the order in which they were queued.

use super::counters::Counters;
use super::file::LogFile;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Maximum bytes of queued lines.
const ROOM: u32 = 32 * 1024 * 1024;
/// Minimum weight of a line: a queued line takes more memory than its own bytes.
const LEAST: u32 = 512;
/// How often an error is logged for the operator.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// Whether requests wait until their events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// Requests do not wait. When the queue is full, events are dropped and counted.
    Batch,
    /// Requests wait until their events are written, or writing them has failed.
    Blocking,
    /// As [`AuditMode::Blocking`], and a request whose RequestReceived event cannot be written is refused with 500.
    BlockingStrict,
}

/// Destination of lines.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File(LogFile),
}

/// The queue, as requests use it.
#[derive(Debug)]
pub(crate) struct AuditQueue {
    mode: AuditMode,
    room: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Message>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
enum Message {
    Line {
        line: Vec<u8>,
        /// Released when the line is written.
        _permit: OwnedSemaphorePermit,
        /// Receives whether the line was written.
        done: Option<oneshot::Sender<Written>>,
    },
    Flush(oneshot::Sender<()>),
}

/// Whether a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The line is written, or in batch mode queued.
    Yes,
    No,
}

impl AuditQueue {
    /// Starts the thread, which ends when the queue is dropped and everything is written.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(output: Output, mode: AuditMode, counters: Arc<Counters>) -> std::io::Result<Self> {
        let (queue, messages) = mpsc::unbounded_channel();
        let audit_writer = AuditWriter { output, torn: false, reported: None, counters: Arc::clone(&counters) };
        std::thread::Builder::new().name("audit-log".into()).spawn(move || audit_writer.run(messages))?;
        Ok(Self { mode, room: Arc::new(Semaphore::new(ROOM as usize)), queue, counters })
    }

    pub(crate) fn mode(&self) -> AuditMode {
        self.mode
    }

    /// Queues a line, which must end with a newline.
    pub(crate) async fn write(&self, line: Vec<u8>) -> Written {
        let weight = u32::try_from(line.len()).unwrap_or(u32::MAX).clamp(LEAST, ROOM);
        let room = Arc::clone(&self.room);
        if self.mode == AuditMode::Batch {
            let queued =
                room.try_acquire_many_owned(weight).ok().map(|_permit| self.queue.send(Message::Line { line, _permit, done: None }));
            return match queued {
                Some(Ok(())) => Written::Yes,
                // The thread tells the operator of faults of the output; that it cannot keep up shows in the count.
                _ => self.lost(),
            };
        }
        // The semaphore is never closed.
        let Ok(_permit) = room.acquire_many_owned(weight).await else { return self.lost() };
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Line { line, _permit, done: Some(done) }).is_err() {
            return self.lost();
        }
        // The thread has counted it, if it could not write it.
        written.await.unwrap_or(Written::No)
    }

    fn lost(&self) -> Written {
        self.counters.error();
        Written::No
    }

    /// Waits until every line queued so far is written.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }
}

/// The thread's part: writes lines to the output.
struct AuditWriter {
    output: Output,
    /// Whether the last line was written only in part.
    torn: bool,
    reported: Option<Instant>,
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
                self.report(&error);
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
            self.report(&error);
        }
    }

    fn report(&mut self, error: &std::io::Error) {
        if self.reported.is_none_or(|at| at.elapsed() >= REPORT_PERIOD) {
            tracing::error!(%error, "audit log cannot be written");
            self.reported = Some(Instant::now());
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
            let queue = AuditQueue::start(Output::File(LogFile::open(&path, endless()).unwrap()), mode, Arc::clone(&counters)).unwrap();
            for number in 0..100 {
                assert_eq!(queue.write(format!("{number}\n").into_bytes()).await, Written::Yes);
                if mode == AuditMode::Blocking {
                    assert!(std::fs::read_to_string(&path).unwrap().ends_with(&format!("{number}\n")), "who waited has it");
                }
            }
            queue.flush().await;
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
        let queue = AuditQueue::start(full(), AuditMode::Blocking, Arc::clone(&counters)).unwrap();
        assert_eq!(queue.write(b"line\n".to_vec()).await, Written::No);
        assert_eq!(counters.snapshot().errors, 1);
        let counters = Arc::new(Counters::default());
        let queue = AuditQueue::start(full(), AuditMode::Batch, Arc::clone(&counters)).unwrap();
        assert_eq!(queue.write(b"line\n".to_vec()).await, Written::Yes, "nobody waits");
        queue.flush().await;
        assert_eq!(counters.snapshot().errors, 1);
    }

    #[tokio::test]
    async fn a_full_queue_loses_events_in_batch_mode_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let counters = Arc::new(Counters::default());
        let start = |mode| AuditQueue::start(Output::File(LogFile::open(&path, endless()).unwrap()), mode, Arc::clone(&counters)).unwrap();
        let queue = start(AuditMode::Batch);
        let all = Arc::clone(&queue.room).acquire_many_owned(ROOM).await.unwrap();
        assert_eq!(queue.write(b"lost\n".to_vec()).await, Written::No);
        assert_eq!(counters.snapshot().errors, 1);
        drop(all);
        let queue = Arc::new(start(AuditMode::Blocking));
        let all = Arc::clone(&queue.room).acquire_many_owned(ROOM).await.unwrap();
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.write(b"waits\n".to_vec()).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(all);
        assert_eq!(waiting.await.unwrap(), Written::Yes);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "waits\n");
    }
}
