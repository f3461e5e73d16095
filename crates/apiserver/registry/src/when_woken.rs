//! Futures that nearly always wait, beside one that is woken often.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled only when it was woken itself, and not whenever its task was.
///
/// What a future waits on may be locked by each poll, be shared with thousands of tasks, and lie anywhere in memory: with ten thousand
/// watches, an event cost more time for what had not happened than for itself. To find that nothing has happened is a read here.
#[derive(Debug)]
pub struct WhenWoken<F> {
    future: F,
    signal: Arc<Signal>,
    /// What the signal wakes, to be compared without it.
    task: Waker,
}

#[derive(Debug)]
struct Signal {
    is_due: AtomicBool,
    /// What it wakes. It stays there: a poll that finds nothing due puts nothing back.
    task: Mutex<Waker>,
}

impl Signal {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_due.store(true, Ordering::Release);
        let task = self.task().clone();
        task.wake();
    }
}

impl<F> WhenWoken<F> {
    /// The future is polled for the first time when this is.
    pub fn new(future: F) -> Self {
        let task = Waker::noop().clone();
        let signal = Signal { is_due: AtomicBool::new(true), task: Mutex::new(task.clone()) };
        Self { future, signal: Arc::new(signal), task }
    }

    /// Whether the future is to be polled.
    pub fn is_due(&self) -> bool {
        self.signal.is_due.load(Ordering::Acquire)
    }

    /// The future, to be changed: it is polled again when this is.
    pub fn change(&mut self) -> &mut F {
        self.signal.is_due.store(true, Ordering::Release);
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Before it is looked whether something is due: whoever wakes from here on wakes this task.
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
            self.signal.task().clone_from(cx.waker());
        }
        if !self.is_due() {
            return Poll::Pending;
        }
        self.signal.is_due.swap(false, Ordering::AcqRel);
        let waker = Waker::from(Arc::clone(&self.signal));
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn is_polled_first_and_then_when_it_was_woken() {
        let (notify, polls) = (Notify::new(), AtomicUsize::new(0));
        let mut notified = pin!(notify.notified());
        let mut quiet = WhenWoken::new(poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            notified.as_mut().poll(cx)
        }));
        for _ in 0..3 {
            assert!(futures::poll!(&mut quiet).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        notify.notify_one();
        assert!(futures::poll!(&mut quiet).is_ready());
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_is_lost() {
        let (sender, mut values) = tokio::sync::mpsc::channel(1);
        let read = tokio::spawn(async move {
            for value in 0..20_000 {
                assert_eq!(WhenWoken::new(std::pin::pin!(values.recv())).await, Some(value));
            }
            // One that waits again and again.
            let mut next = WhenWoken::new(Box::pin(async move {
                for value in 20_000..40_000 {
                    assert_eq!(values.recv().await, Some(value));
                }
            }));
            poll_fn(|cx| Pin::new(&mut next).poll(cx)).await;
        });
        for value in 0..40_000 {
            assert!(sender.send(value).await.is_ok());
        }
        assert!(read.await.is_ok());
    }

    #[tokio::test]
    async fn what_was_changed_is_polled_again() {
        let mut quiet = WhenWoken::new(Box::pin(tokio::time::sleep(Duration::from_secs(3600))));
        assert!(futures::poll!(&mut quiet).is_pending());
        quiet.change().as_mut().reset(tokio::time::Instant::now());
        tokio::time::timeout(Duration::from_secs(5), quiet).await.expect("it has fired");
    }

    #[tokio::test]
    async fn wakes_its_task_wherever_that_is_polled() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let mut quiet = WhenWoken::new(receive);
        assert!(futures::poll!(&mut quiet).is_pending());
        let elsewhere = tokio::spawn(quiet);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(send.send("a value").is_ok());
        assert_eq!(elsewhere.await.ok(), Some(Ok("a value")));
    }
}
