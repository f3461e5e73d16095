//! How long until something that failed is tried again: twice as long each time, with jitter, up to a bound.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);

/// How often in a row passes over instances have failed, by UID.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Counts another failure, and says how long to wait.
    pub(crate) fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        let wait = FIRST.saturating_mul(1 << (*count).min(10)).min(LONGEST);
        *count = count.saturating_add(1);
        jittered(wait)
    }

    /// Begins anew: it went well, or there is no such instance any more.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// A time between nine tenths and eleven tenths of this, so that what began together does not go on together.
pub(crate) fn jittered(time: Duration) -> Duration {
    let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
    #[allow(clippy::cast_precision_loss, reason = "any fraction will do")]
    let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
    time.mul_f64(0.9 + 0.2 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_begin_anew() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.failed("a").as_secs_f64()).collect();
        for (wait, want) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0, 300.0]) {
            assert!((want * 0.9..=want * 1.1).contains(wait), "{wait} {want}");
        }
        assert!(backoff.failed("b").as_secs_f64() <= 1.1);
        backoff.forget("a");
        assert!(backoff.failed("a").as_secs_f64() <= 1.1);
    }
}
