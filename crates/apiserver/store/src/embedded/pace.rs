//! How long a write waits for others to share its commit.
//!
//! Writers that were answered together mostly come back together, each with its next write. The first of them to come would be
//! committed alone, while all others wait for that commit to end and then for one of their own. So a write waits for as many others
//! as were in the last group, but not longer than that group's commit took, counted from its end. A write that comes alone, or
//! later, waits for nobody.

use std::time::{Duration, Instant};

/// The longest time that a write waits for others.
const MOST: Duration = Duration::from_millis(5);

/// The last group of writes.
#[derive(Debug)]
pub(super) struct Pace {
    writes: usize,
    /// Until when those who were in it are expected to come back.
    until: Instant,
}

impl Pace {
    /// The pace after a group of so many writes, which was begun and answered at these times.
    pub(super) fn of(writes: usize, begun: Instant, answered: Instant) -> Self {
        Self { writes, until: answered + answered.saturating_duration_since(begun).min(MOST) }
    }

    /// How many others a write waits for, and until when; `None`: it waits for nobody.
    pub(super) fn others(&self) -> Option<(usize, Instant)> {
        (self.writes > 1).then(|| (self.writes - 1, self.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_waits_for_those_of_the_last_group_as_long_as_that_took() {
        let begun = Instant::now();
        let after = |micros| begun + Duration::from_micros(micros);
        for (writes, took, want) in [
            (0, 300, None),
            (1, 300, None),
            (2, 300, Some((1, after(600)))),
            (8, 300, Some((7, after(600)))),
            (8, 20_000, Some((7, after(25_000)))),
        ] {
            assert_eq!(Pace::of(writes, begun, after(took)).others(), want, "{writes} in {took}");
        }
    }
}
