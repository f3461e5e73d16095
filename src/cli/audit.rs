//! The flags of the audit log. They are upstream's.

use apiserver_server::{AuditConfig, AuditMode, AuditPath, Backups, Rotation};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MEGABYTE: u64 = 1024 * 1024;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Audit log")]
pub(super) struct Audit {
    /// Which requests are logged, and how much of them: a Policy of audit.k8s.io/v1. Nothing is logged without it.
    #[arg(long, env = "VCI_AUDIT_POLICY_FILE", value_name = "FILE", requires = "audit_log_path")]
    audit_policy_file: Option<PathBuf>,
    /// Where events go, one line of JSON each; `-` is standard output.
    #[arg(long, env = "VCI_AUDIT_LOG_PATH", value_name = "FILE", requires = "audit_policy_file")]
    audit_log_path: Option<PathBuf>,
    /// Whether requests wait until their events are written.
    #[arg(long, env = "VCI_AUDIT_LOG_MODE", value_enum, value_name = "MODE", default_value_t = Mode::Blocking)]
    audit_log_mode: Mode,
    /// Megabytes of the file before it is put aside and a new one begun; 0: never.
    #[arg(long, env = "VCI_AUDIT_LOG_MAXSIZE", value_name = "MB", default_value_t = 100)]
    audit_log_maxsize: u32,
    /// How many files that were put aside are kept; 0: all.
    #[arg(long, env = "VCI_AUDIT_LOG_MAXBACKUP", value_name = "COUNT", default_value_t = 100)]
    audit_log_maxbackup: u32,
    /// For how many days they are kept; 0: for ever.
    #[arg(long, env = "VCI_AUDIT_LOG_MAXAGE", value_name = "DAYS", default_value_t = 366)]
    audit_log_maxage: u32,
    /// Pack them with gzip.
    #[arg(long, env = "VCI_AUDIT_LOG_COMPRESS")]
    audit_log_compress: bool,
    /// Bytes of an event; one that is longer loses its objects, and says so.
    #[arg(long, env = "VCI_AUDIT_LOG_TRUNCATE_MAX_EVENT_SIZE", value_name = "BYTES", default_value_t = 100 * 1024)]
    audit_log_truncate_max_event_size: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// No; when events come faster than they can be written, some are lost and counted.
    Batch,
    /// Yes.
    Blocking,
    /// Yes, and a request whose first event cannot be written is refused.
    BlockingStrict,
}

impl Audit {
    /// What is logged, and where; `None`: nothing.
    pub(super) fn config(&self) -> Option<AuditConfig> {
        let (policy, path) = self.audit_policy_file.clone().zip(self.audit_log_path.clone())?;
        let path = if path.as_os_str() == "-" { AuditPath::Stdout } else { AuditPath::File(path) };
        let mode = match self.audit_log_mode {
            Mode::Batch => AuditMode::Batch,
            Mode::Blocking => AuditMode::Blocking,
            Mode::BlockingStrict => AuditMode::BlockingStrict,
        };
        let rotation = Rotation {
            max_size: u64::from(self.audit_log_maxsize) * MEGABYTE,
            max_backups: usize::try_from(self.audit_log_maxbackup).unwrap_or(usize::MAX),
            max_age: DAY * self.audit_log_maxage,
            backups: if self.audit_log_compress { Backups::Compressed } else { Backups::Plain },
        };
        let max_event_size = usize::try_from(self.audit_log_truncate_max_event_size).unwrap_or(usize::MAX);
        Some(AuditConfig { policy, path, mode, rotation, max_event_size })
    }
}
