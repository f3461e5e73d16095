//! Metrics of the audit log.

use super::Source;
use super::text::Text;
use crate::audit::AuditLog;

impl Source for AuditLog {
    fn write(&self, text: &mut Text) {
        let stats = self.stats();
        text.counter("apiserver_audit_event_total", "Events for the audit log.").sample(&[], stats.events);
        let mut errors = text.counter("apiserver_audit_error_total", "Events that the audit log has lost.");
        errors.sample(&[("plugin", "log")], stats.errors);
        let help = "Requests that were refused because they could not be logged.";
        text.counter("apiserver_audit_requests_rejected_total", help).sample(&[], stats.rejected);
        let mut levels = text.counter("apiserver_audit_level_total", "Requests by the level at which they are logged.");
        for (level, count) in stats.levels {
            levels.sample(&[("level", level)], count);
        }
    }
}
