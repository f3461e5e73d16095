//! How long the API is away when something happens to a pod or a node, and how long it may.

use crate::probe::{Seen, during};
use crate::stand::Stand;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// A pause may be this much longer on a machine that has too much to do.
const BUSY: u32 = 4;
/// So often may what else there is on the machine be to blame.
const ATTEMPTS: usize = 3;

/// Lets something happen and checks that within `bound` somebody answers again.
pub(super) fn away_at_most(bound: Duration, stand: &Stand<'_>, what: &str, mut happens: impl FnMut()) {
    let mut allowed = bound;
    for _ in 0..ATTEMPTS {
        let (start, waited) = (Instant::now(), waited_for_cpu());
        let seen = during(stand, &mut happens);
        tell(stand, what, &seen);
        // Without the kernel's word the machine is taken for a busy one.
        let busy = waited.zip(waited_for_cpu()).is_none_or(|(before, after)| after - before > start.elapsed().mul_f64(0.6));
        allowed = if busy { bound * BUSY } else { bound };
        if seen.away() <= allowed {
            return;
        }
    }
    panic!("{what}: without an answer for more than {allowed:?}, {ATTEMPTS} times");
}

/// Lets something happen and checks that no request fails.
pub(super) fn unnoticed(stand: &Stand<'_>, what: &str, happens: impl FnOnce()) {
    let seen = during(stand, happens);
    tell(stand, what, &seen);
    assert!(seen.failures().is_empty(), "{what}: {:?}", seen.failures());
}

/// On standard error, past the test harness, which shows what a test writes only when it fails.
fn tell(stand: &Stand<'_>, what: &str, seen: &Seen) {
    let failed = seen.reads.failures.len() + seen.writes.failures.len();
    let line = format!(
        "{}: {what}: longest time between answers {:.2} s for reads, {:.2} s for writes; {failed} of {} requests failed {:?}\n",
        stand.name(),
        seen.reads.longest.as_secs_f64(),
        seen.writes.longest.as_secs_f64(),
        failed + seen.reads.good + seen.writes.good,
        seen.failures(),
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// For how long somebody on this machine has waited for a processor, since it was started.
fn waited_for_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let total = text.lines().find(|line| line.starts_with("some"))?.rsplit("total=").next()?;
    total.parse().ok().map(Duration::from_micros)
}
