//! The process itself, as Prometheus' own client libraries show it.

use super::text::Text;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::time::SystemTime;

/// Writes what the system knows about the process; what it does not say is left out.
pub(crate) fn write(started: SystemTime, text: &mut Text) {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    text.counter("process_cpu_seconds_total", "Seconds of processor time that the process has used.").sample(&[], seconds);
    if let Ok(since) = started.duration_since(SystemTime::UNIX_EPOCH) {
        text.gauge("process_start_time_seconds", "When the process was started, in seconds since 1970.").sample(&[], since.as_secs_f64());
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        text.gauge("process_max_fds", "How many files the process may have open.").sample(&[], limit);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        text.gauge("process_open_fds", "How many files the process has open.").sample(&[], files.count().saturating_sub(1));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = field(&status, "VmRSS:") {
        text.gauge("process_resident_memory_bytes", "Memory of the process that is in use.").sample(&[], bytes);
    }
    if let Some(bytes) = field(&status, "VmSize:") {
        text.gauge("process_virtual_memory_bytes", "Memory that the process has asked for.").sample(&[], bytes);
    }
}

/// Bytes of a field that is given in KiB.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\tx\nVmSize:\t  3060 kB\nVmRSS:\t    1772 kB\n";
        for (name, want) in [("VmRSS:", Some(1772 * 1024)), ("VmSize:", Some(3060 * 1024)), ("VmHWM:", None)] {
            assert_eq!(field(status, name), want, "{name}");
        }
    }
}
