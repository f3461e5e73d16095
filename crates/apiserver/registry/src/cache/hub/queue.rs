//! The queue of one watcher: bounded, for one writer and one reader. While nothing waits in it, it has next to no memory: most
//! watchers wait for most of their lives, and tokio's channels keep room for 32 values ready.

use futures::task::AtomicWaker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Room that an empty queue keeps.
const KEPT: usize = 4;

/// A queue for at most so many values.
pub(crate) fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared { capacity: capacity.max(1), state: Mutex::default(), reader: AtomicWaker::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

#[derive(Debug)]
struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    reader: AtomicWaker,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// One of the two ends is gone.
    is_closed: bool,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), is_closed: false }
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a value was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    /// Nobody reads any more.
    Closed,
}

/// The end that is written to. When it is dropped, the reader gets what waits, and then the end.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Never waits.
    pub(super) fn try_send(&self, value: T) -> Result<(), Refused> {
        let mut state = self.0.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.0.capacity {
            return Err(Refused::Full);
        }
        state.waiting.push_back(value);
        drop(state);
        self.0.reader.wake();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.reader.wake();
    }
}

/// The end that is read from.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next value; `None` when there is none and never will be.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(next) = self.next() {
            return Poll::Ready(next);
        }
        self.0.reader.register(cx.waker());
        // What came before the waker was there has woken nobody.
        self.next().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next value or the end; `None` while it has to be waited for.
    fn next(&mut self) -> Option<Option<T>> {
        let mut state = self.0.state();
        let next = state.waiting.pop_front();
        if state.waiting.is_empty() {
            state.waiting.shrink_to(KEPT);
        }
        match next {
            None if !state.is_closed => None,
            next => Some(next),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.state().waiting.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        let unread = std::mem::take(&mut state.waiting);
        // Values may be costly to drop, and whoever writes holds a lock.
        drop(state);
        drop(unread);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures::FutureExt;

    /// Everything that waits.
    pub(crate) fn drained<T>(receiver: &mut Receiver<T>) -> Vec<T> {
        std::iter::from_fn(|| receiver.recv().now_or_never().flatten()).collect()
    }

    pub(crate) fn is_closed<T>(receiver: &mut Receiver<T>) -> bool {
        matches!(receiver.recv().now_or_never(), Some(None))
    }

    #[test]
    fn a_full_queue_refuses_and_is_none_the_worse() {
        let (sender, mut receiver) = queue(2);
        assert_eq!([1, 2, 3].map(|value| sender.try_send(value)), [Ok(()), Ok(()), Err(Refused::Full)]);
        assert_eq!((drained(&mut receiver), receiver.is_empty(), is_closed(&mut receiver)), (vec![1, 2], true, false));
        assert_eq!(sender.try_send(4), Ok(()));
        drop(sender);
        assert_eq!((drained(&mut receiver), is_closed(&mut receiver)), (vec![4], true));
    }

    #[test]
    fn nobody_writes_to_a_queue_that_nobody_reads() {
        let (sender, receiver) = queue(2);
        let value = Arc::new(());
        assert_eq!(sender.try_send(Arc::clone(&value)), Ok(()));
        drop(receiver);
        assert_eq!((sender.try_send(Arc::clone(&value)), Arc::strong_count(&value)), (Err(Refused::Closed), 1));
    }

    #[test]
    fn an_empty_queue_has_no_room_ready() {
        let (sender, mut receiver) = queue(1000);
        (0..1000).for_each(|value| assert_eq!(sender.try_send(value), Ok(())));
        assert_eq!(drained(&mut receiver).len(), 1000);
        assert!(sender.0.state().waiting.capacity() <= KEPT);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_that_waits_is_woken_by_each_value_and_by_the_end() {
        let (sender, mut receiver) = queue(10_000);
        let read = tokio::spawn(async move {
            let mut read = Vec::new();
            while let Some(value) = receiver.recv().await {
                read.push(value);
            }
            read
        });
        for value in 0..10_000 {
            assert_eq!(sender.try_send(value), Ok(()));
            if value % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(sender);
        assert_eq!(read.await.ok(), Some((0..10_000).collect()));
    }
}
