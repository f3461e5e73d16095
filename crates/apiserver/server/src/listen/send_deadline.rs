//! How long an answer may take to be sent.
//!
//! A client that does not read (an HTTP/2 window of 0, a socket that is never read) would hold its request's permit and
//! memory for ever. hyper does not ask a body for more while it waits for the client, so no body can notice: the clock
//! runs outside of it. Over HTTP/2 each stream is a task ([`StreamExecutor`] spawns them) that is dropped when its time is over,
//! which resets that stream alone; kube-apiserver sends the requests of all its users over one connection. Over HTTP/1.1
//! the connection is closed.

use hyper::rt::Executor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// After its time a request is answered with 504: the time to send that.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The clock of one answer.
#[derive(Debug)]
pub(super) enum SendDeadline {
    /// All of it is to be sent by then.
    Whole(Instant),
    /// It goes on for ever, but no frame may wait longer than this for the client.
    Frames { limit: Duration, waiting: Mutex<Option<Instant>> },
}

impl SendDeadline {
    /// For a request that is not long-running, from now.
    pub(super) fn whole(request_timeout: Duration) -> Self {
        Self::Whole(Instant::now() + request_timeout + LAST_WORD)
    }

    /// For a watch.
    pub(super) fn frames(limit: Duration) -> Self {
        Self::Frames { limit, waiting: Mutex::default() }
    }

    /// The body was asked for a frame: what it gave before is on its way.
    pub(super) fn asked(&self) {
        self.set_waiting(None);
    }

    /// The body gave a frame.
    pub(super) fn gave(&self) {
        self.set_waiting(Some(Instant::now()));
    }

    fn set_waiting(&self, since: Option<Instant>) {
        if let Self::Frames { waiting, .. } = self {
            *waiting.lock().unwrap_or_else(PoisonError::into_inner) = since;
        }
    }

    /// Ends when the client has had its time.
    pub(super) async fn overdue(&self) {
        match self {
            Self::Whole(end) => tokio::time::sleep_until(*end).await,
            Self::Frames { limit, waiting } => loop {
                let since = *waiting.lock().unwrap_or_else(PoisonError::into_inner);
                match since.map(|since| since + *limit) {
                    Some(end) if end <= Instant::now() => return,
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => tokio::time::sleep(*limit).await,
                }
            },
        }
    }
}

/// Runs the streams of one HTTP/2 connection, each only as long as its answer may take.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamExecutor {
    /// The clock of the request that was just begun: hyper hands over its stream in the same breath.
    next: Arc<Mutex<Option<Arc<SendDeadline>>>>,
}

impl StreamExecutor {
    /// The stream that is handed over next is that of this answer.
    pub(super) fn begin(&self, deadline: Arc<SendDeadline>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let deadline = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        tokio::spawn(async move {
            let overdue = async {
                match &deadline {
                    Some(deadline) => deadline.overdue().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stream => {}
                () = overdue => tracing::debug!("an answer was not read in time"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_over_within(deadline: &SendDeadline, time: Duration) -> bool {
        tokio::time::timeout(time, deadline.overdue()).await.is_ok()
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_time_however_it_is_read() {
        let deadline = SendDeadline::whole(LIMIT);
        deadline.gave();
        assert!(!is_over_within(&deadline, LIMIT).await, "there is time left to send an error");
        deadline.asked();
        assert!(is_over_within(&deadline, LAST_WORD + Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_goes_on_while_its_frames_are_read() {
        let deadline = SendDeadline::frames(LIMIT);
        assert!(!is_over_within(&deadline, LIMIT * 10).await, "nothing happens");
        for _ in 0..5 {
            deadline.gave();
            assert!(!is_over_within(&deadline, LIMIT / 2).await);
            deadline.asked();
        }
        deadline.gave();
        assert!(is_over_within(&deadline, LIMIT + Duration::from_secs(1)).await, "a frame waits");
    }
}
