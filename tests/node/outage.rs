//! How long the API is away when something happens to a pod or a node, and how long it may.
//!
//! How long it is depends on the machine: three nodes, their containers and the probe share it, and a pod that starts beside
//! a busy one takes several times as long. So the times that are asserted are those that only a broken mechanism needs, and
//! the times that were seen are printed beside those of an idle machine.

use crate::probe::{Seen, during};
use crate::stand::Stand;
use std::io::Write as _;
use std::time::Duration;

/// Shorter than an outage that something else ends than what is meant to: the ping of a dead connection (30 seconds and
/// more), a liveness probe (80), the grace period of a pod (90).
const LIMIT: Duration = Duration::from_secs(20);

/// Lets something happen and checks that somebody answers again soon. On an idle machine it takes at most `idle`.
pub(super) fn soon_back(idle: Duration, stand: &Stand<'_>, what: &str, happens: impl FnOnce()) {
    let seen = during(stand, happens);
    tell(stand, what, &seen);
    if seen.away() > idle {
        say(&format!("{}: {what}: longer than the {idle:?} of an idle machine\n", stand.name()));
    }
    assert!(seen.away() <= LIMIT, "{what}: without an answer for {:?}", seen.away());
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
    say(&line);
}

fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}
