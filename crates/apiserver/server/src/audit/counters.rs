//! Counters of the audit log.

use super::policy::Level;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, under upstream's names.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    events: AtomicU64,
    errors: AtomicU64,
    rejected: AtomicU64,
    levels: [AtomicU64; 4],
}

/// Counters of the audit log since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStats {
    /// Events that were to be logged: `apiserver_audit_event_total`.
    pub events: u64,
    /// Events that were lost: `apiserver_audit_error_total`, plugin `log`.
    pub errors: u64,
    /// Requests that were refused because their event could not be logged: `apiserver_audit_requests_rejected_total`.
    pub rejected: u64,
    /// Requests by the level that the policy gave them: `apiserver_audit_level_total`.
    pub levels: [(&'static str, u64); 4],
}

impl Counters {
    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn level(&self, level: Level) {
        for (known, count) in Level::ALL.iter().zip(&self.levels) {
            if *known == level {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn snapshot(&self) -> AuditStats {
        let mut levels = [("", 0); 4];
        for (slot, (level, count)) in levels.iter_mut().zip(Level::ALL.iter().zip(&self.levels)) {
            *slot = (level.as_str(), count.load(Ordering::Relaxed));
        }
        AuditStats {
            events: self.events.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            levels,
        }
    }
}
