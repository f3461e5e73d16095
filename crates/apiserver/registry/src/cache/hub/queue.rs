//! The queue of one watcher: bounded, for one writer and one reader. It has room for one value, and other memory only while more
//! wait: most watchers wait for most of their lives, and tokio's channels keep room for 32 values ready. Each end takes one lock,
//! in one place of memory, for a value.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A queue for at most so many values.
pub(crate) fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared { capacity: capacity.max(1), state: Mutex::default() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

#[derive(Debug)]
struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// The oldest value, nearly always the only one, and the others.
    first: Option<T>,
    others: VecDeque<T>,
    /// One of the two ends is gone.
    is_closed: bool,
    reader: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { first: None, others: VecDeque::new(), is_closed: false, reader: None }
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn push(&mut self, value: T) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.others.push_back(value),
        }
    }

    fn pop(&mut self) -> Option<T> {
        let value = self.first.take()?;
        self.first = self.others.pop_front();
        if self.others.is_empty() {
            self.others.shrink_to_fit();
        }
        Some(value)
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
    /// Never waits. The reader is woken with the others.
    pub(super) fn try_send(&self, value: T, wakes: &mut Wakes) -> Result<(), Refused> {
        let mut state = self.0.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.len() >= self.0.capacity {
            return Err(Refused::Full);
        }
        state.push(value);
        wakes.0.extend(state.reader.take());
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        let reader = state.reader.take();
        drop(state);
        // It takes the lock first thing.
        drop(Wakes(reader.into_iter().collect()));
    }
}

/// Readers that are woken when this is dropped. By then everything is in their queues, so that watches of one connection that got the
/// same event are polled together, and no lock is held for it.
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Waker>);

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

/// The end that is read from.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next value; `None` when there is none and never will be.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.state();
        match state.pop() {
            None if !state.is_closed => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    /// Whether nothing waits, and the other end is there: what it sends next is the next there is.
    pub(crate) fn is_up_to_date(&self) -> bool {
        let state = self.0.state();
        state.first.is_none() && !state.is_closed
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        let unread = (state.first.take(), std::mem::take(&mut state.others), state.reader.take());
        // Values may be costly to drop, and whoever writes holds a lock.
        drop(state);
        drop(unread);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::poll_fn;

    async fn recv<T>(receiver: &mut Receiver<T>) -> Option<T> {
        poll_fn(|cx| receiver.poll_recv(cx)).await
    }

    fn try_send<T>(sender: &Sender<T>, value: T) -> Result<(), Refused> {
        sender.try_send(value, &mut Wakes::default())
    }

    /// Everything that waits.
    pub(crate) fn drained<T>(receiver: &mut Receiver<T>) -> Vec<T> {
        std::iter::from_fn(|| recv(receiver).now_or_never().flatten()).collect()
    }

    pub(crate) fn is_closed<T>(receiver: &mut Receiver<T>) -> bool {
        matches!(recv(receiver).now_or_never(), Some(None))
    }

    #[test]
    fn a_full_queue_refuses_and_is_none_the_worse() {
        let (sender, mut receiver) = queue(2);
        assert_eq!([1, 2, 3].map(|value| try_send(&sender, value)), [Ok(()), Ok(()), Err(Refused::Full)]);
        assert_eq!((drained(&mut receiver), receiver.is_up_to_date(), is_closed(&mut receiver)), (vec![1, 2], true, false));
        assert_eq!(try_send(&sender, 4), Ok(()));
        drop(sender);
        assert_eq!((drained(&mut receiver), is_closed(&mut receiver)), (vec![4], true));
    }

    #[test]
    fn nobody_writes_to_a_queue_that_nobody_reads() {
        let (sender, receiver) = queue(2);
        let value = Arc::new(());
        assert_eq!(try_send(&sender, Arc::clone(&value)), Ok(()));
        drop(receiver);
        assert_eq!((try_send(&sender, Arc::clone(&value)), Arc::strong_count(&value)), (Err(Refused::Closed), 1));
    }

    #[test]
    fn an_empty_queue_has_no_room_ready() {
        let (sender, mut receiver) = queue(1000);
        (0..1000).for_each(|value| assert_eq!(try_send(&sender, value), Ok(())));
        assert_eq!(drained(&mut receiver).len(), 1000);
        assert_eq!(sender.0.state().others.capacity(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_that_waits_is_woken_by_each_value_and_by_the_end() {
        let (sender, mut receiver) = queue(10_000);
        let read = tokio::spawn(async move {
            let mut read = Vec::new();
            while let Some(value) = recv(&mut receiver).await {
                read.push(value);
            }
            read
        });
        for value in 0..10_000 {
            assert_eq!(try_send(&sender, value), Ok(()));
            if value % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(sender);
        assert_eq!(read.await.ok(), Some((0..10_000).collect()));
    }
}
