//! How long an answer may take to be sent.
//!
//! A client that does not read (an HTTP/2 window of 0, a socket that is never read) would hold its request's permit and
//! memory for ever. hyper does not ask a body for more while it waits for the client, so no body can notice: the clock
//! runs outside of it. Over HTTP/2 each stream is a future of its own ([`super::streams`]) that is dropped when its time is over,
//! which resets that stream alone; kube-apiserver sends the requests of all its users over one connection. Over HTTP/1.1
//! the connection is closed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// After its time a request is answered with 504: the time to send that.
const LAST_WORD: Duration = Duration::from_secs(5);

/// No frame waits.
const NOTHING: u64 = u64::MAX;

/// The clock of one answer.
#[derive(Debug)]
pub(super) enum SendDeadline {
    /// All of it is to be sent by then.
    Whole(Instant),
    /// It goes on for ever, but no frame may wait longer than this for the client. One waits since so many milliseconds behind the
    /// beginning, none when this is [`NOTHING`].
    Frames { limit: Duration, begun: Instant, waiting: AtomicU64 },
}

impl SendDeadline {
    /// For a request that is not long-running, from now.
    pub(super) fn whole(request_timeout: Duration) -> Self {
        Self::Whole(Instant::now() + request_timeout + LAST_WORD)
    }

    /// For a watch.
    pub(super) fn frames(limit: Duration) -> Self {
        Self::Frames { limit, begun: Instant::now(), waiting: AtomicU64::new(NOTHING) }
    }

    /// The body was asked for a frame: what it gave before is on its way.
    pub(super) fn asked(&self) {
        if let Self::Frames { waiting, .. } = self {
            waiting.store(NOTHING, Ordering::Relaxed);
        }
    }

    /// The body gave a frame.
    pub(super) fn gave(&self) {
        if let Self::Frames { begun, waiting, .. } = self {
            let since = u64::try_from(begun.elapsed().as_millis()).unwrap_or(NOTHING);
            waiting.store(since, Ordering::Relaxed);
        }
    }

    /// Ends when the client has had its time.
    pub(super) async fn overdue(&self) {
        match self {
            Self::Whole(end) => tokio::time::sleep_until(*end).await,
            Self::Frames { limit, begun, waiting } => loop {
                let since = Some(waiting.load(Ordering::Relaxed)).filter(|since| *since != NOTHING);
                match since.map(|since| *begun + Duration::from_millis(since) + *limit) {
                    Some(end) if end <= Instant::now() => return,
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => tokio::time::sleep(*limit).await,
                }
            },
        }
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
