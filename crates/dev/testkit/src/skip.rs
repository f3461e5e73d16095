//! Tests that cannot run where they are. The test harness knows no such thing at run time: it counts them as passed.
//!
//! So each says it in a line of its own, `SKIPPED name: why`, which `tests/run` counts. A test that has said it returns.

use std::io::Write as _;
use std::thread;

/// Marks the running test as skipped for want of something that `tests/run` brings: with `CI=true` that is a failure.
///
/// # Panics
/// With `CI=true`.
pub fn lacking(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is missing");
    skip(&format!("no {what}"));
}

/// Marks the running test as skipped on this machine, for a reason that is no failure anywhere.
///
/// The line goes past the harness, which keeps what good tests print to itself. Threads of tests have their names.
pub fn skip(why: &str) {
    let line = format!("SKIPPED {}: {why}\n", thread::current().name().unwrap_or("main"));
    // In one write: other tests say something at the same time.
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}
