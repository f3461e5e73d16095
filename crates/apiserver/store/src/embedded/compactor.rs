//! When history is old enough to be forgotten. Times are of this process: after a restart, what the file holds is
//! kept for the whole period again.

use crate::Revision;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many marks the kept period is divided into: history is kept up to one part longer than asked for.
const PARTS: u32 = 10;

#[derive(Debug)]
pub(super) struct Compactor {
    history: Duration,
    /// Which revision was current when.
    marks: VecDeque<(Instant, Revision)>,
    next: Instant,
    paused: bool,
}

impl Compactor {
    pub(super) fn new(history: Duration, now: Instant) -> Self {
        Self { history, marks: VecDeque::new(), next: now, paused: false }
    }

    /// How long nothing will be due.
    pub(super) fn until_due(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Returns the revision to compact to, if a mark is old enough. Sets a new mark when it is due.
    pub(super) fn due(&mut self, now: Instant, current: Revision) -> Option<Revision> {
        if now < self.next {
            return None;
        }
        self.next = now + (self.history / PARTS).max(Duration::from_millis(1));
        self.paused = false;
        let mut due = None;
        while let Some((then, revision)) = self.marks.front().copied()
            && now.duration_since(then) >= self.history
        {
            self.marks.pop_front();
            due = Some(revision);
        }
        if self.marks.back().is_none_or(|(_, revision)| *revision != current) {
            self.marks.push_back((now, current));
        }
        due
    }

    /// Removes nothing until the next mark: something is wrong with the file.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    pub(super) fn may_work(&self) -> bool {
        !self.paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_due_when_it_was_current_long_enough_ago() {
        let start = Instant::now();
        let mut compactor = Compactor::new(Duration::from_secs(100), start);
        // (second, current revision, due)
        let cases = [
            (0, 5, None),
            (5, 6, None),
            (10, 7, None),
            (20, 7, None),
            (99, 8, None),
            (110, 9, Some(7)),
            (111, 9, None),
            (300, 9, Some(9)),
            (320, 9, None),
        ];
        for (second, current, want) in cases {
            assert_eq!(compactor.due(start + Duration::from_secs(second), current), want, "second {second}");
        }
        assert_eq!(compactor.until_due(start + Duration::from_secs(325)), Duration::from_secs(5));
    }

    #[test]
    fn a_pause_ends_with_the_next_mark() {
        let start = Instant::now();
        let mut compactor = Compactor::new(Duration::from_secs(100), start);
        compactor.pause();
        assert!(!compactor.may_work());
        compactor.due(start, 1);
        assert!(compactor.may_work());
    }
}
