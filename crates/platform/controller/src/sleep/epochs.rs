//! How much a virtual cluster has slept, counted over spans of thirty days: the present one and the one before.

use super::names;
use std::collections::BTreeMap;

/// The length of a span, in seconds.
const SPAN: i64 = 30 * 24 * 3600;

type Notes = BTreeMap<&'static str, Option<String>>;

fn seconds(annotations: &BTreeMap<String, String>, name: &str) -> Option<i64> {
    annotations.get(name)?.parse().ok().filter(|seconds| *seconds >= 0)
}

/// Begins the first span, if none was.
pub(super) fn begin(annotations: &BTreeMap<String, String>, created: i64, notes: &mut Notes) {
    if seconds(annotations, names::CURRENT_EPOCH_START).is_none() {
        notes.insert(names::CURRENT_EPOCH_START, Some(created.to_string()));
        notes.insert(names::CURRENT_EPOCH_SLEPT, Some("0".into()));
    }
}

/// Counts a sleep that has ended, and begins the next span when the present one is over.
pub(super) fn count(annotations: &BTreeMap<String, String>, created: i64, since: i64, now: i64, notes: &mut Notes) {
    let start = seconds(annotations, names::CURRENT_EPOCH_START).unwrap_or(created).min(now);
    let before = seconds(annotations, names::CURRENT_EPOCH_SLEPT).unwrap_or(0);
    // No more than has passed, whatever clocks and people have written.
    let slept = before.saturating_add((now - since).max(0)).min(now - start);
    if now - start < SPAN {
        notes.insert(names::CURRENT_EPOCH_START, Some(start.to_string()));
        notes.insert(names::CURRENT_EPOCH_SLEPT, Some(slept.to_string()));
        return;
    }
    notes.insert(names::LAST_EPOCH_START, Some(start.to_string()));
    notes.insert(names::LAST_EPOCH_SLEPT, Some(slept.to_string()));
    notes.insert(names::CURRENT_EPOCH_START, Some(now.to_string()));
    notes.insert(names::CURRENT_EPOCH_SLEPT, Some("0".into()));
}
