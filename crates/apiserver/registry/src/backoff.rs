//! How long to wait before what failed is tried again.

use std::time::Duration;

/// A pause that doubles with each failure in a row, up to a longest one; half as long again at random, so that what failed
/// together does not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        let doubled = 2u32.checked_pow(failures.saturating_sub(1)).and_then(|factor| self.first.checked_mul(factor));
        doubled.unwrap_or(self.longest).min(self.longest).mul_f64(1.0 + jitter() / 2.0)
    }
}

/// A random number from 0 to below 1, so that what happens again and again does not happen everywhere at once.
pub(crate) fn jitter() -> f64 {
    // Without random numbers everything works, only less evenly.
    getrandom::u32().map_or(0.5, |random| f64::from(random) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60), (u32::MAX, 60)] {
            let pause = backoff.pause(failures).as_secs_f64();
            assert!((f64::from(seconds)..f64::from(seconds) * 1.5).contains(&pause), "{failures}: {pause}");
        }
    }
}
