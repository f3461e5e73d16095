//! The audit log: who did what, when, and how it ended, as `audit.k8s.io/v1` events, one line each.
//!
//! Off unless a policy is given; then no layer is there. A policy says how much of a request is logged
//! ([`policy`]); its trail collects that while it is carried out ([`trail`]); a thread writes it ([`writer`]). Secrets are in it
//! at no level ([`confidential`]), nor are `Authorization` headers. Refused: the webhook of upstream. Collectors read files.

mod answer;
mod confidential;
mod counters;
mod event;
mod file;
mod objects;
mod policy;
mod sender;
#[cfg(test)]
mod tests;
mod trail;
mod writer;

pub use counters::AuditStats;
pub use file::{Backups, Rotation};
pub use writer::AuditMode;
#[cfg(feature = "otlp")]
pub(crate) use {policy::one_line, sender::request_uri};

use crate::StartError;
use axum::middleware::from_fn_with_state;
pub(crate) use confidential::Confidential;
use counters::Counters;
use file::LogFile;
use policy::Policy;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;
use writer::{Output, Writer};

const API_VERSION: &str = "audit.k8s.io/v1";

/// What an operator decides about the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// A `Policy` of `audit.k8s.io/v1`.
    pub policy: PathBuf,
    /// Where events go.
    pub path: AuditPath,
    /// Whether requests wait for the log.
    pub mode: AuditMode,
    /// When the file is put aside.
    pub rotation: Rotation,
    /// Bytes of an event; one that is longer loses its objects.
    pub max_event_size: usize,
}

impl AuditConfig {
    /// Logs to a file, or to standard output for the path `-`, by kube-apiserver's defaults: requests wait for the log, and files of
    /// 100 MB are put aside and kept for a year.
    pub fn standard(policy: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = if path.as_os_str() == "-" { AuditPath::Stdout } else { AuditPath::File(path) };
        let max_age = Duration::from_secs(366 * 24 * 60 * 60);
        let rotation = Rotation { max_size: 100 * 1024 * 1024, max_backups: 100, max_age, backups: Backups::Plain };
        Self { policy: policy.into(), path, mode: AuditMode::Blocking, rotation, max_event_size: 100 * 1024 }
    }
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditPath {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

/// A log that can be opened: its policy was found to be good.
#[derive(Debug)]
pub(crate) struct AuditPlan {
    config: AuditConfig,
    policy: Policy,
}

impl AuditPlan {
    /// Reads the policy.
    ///
    /// # Errors
    /// [`StartError`], with the path of the field that is wrong.
    pub(crate) fn read(config: &AuditConfig) -> Result<Self, StartError> {
        Ok(Self { policy: Policy::read(&config.policy)?, config: config.clone() })
    }
}

/// The audit log of a server.
#[derive(Debug)]
pub(crate) struct AuditLog {
    policy: Policy,
    confidential: Confidential,
    writer: Writer,
    counters: Arc<Counters>,
    max_event_size: usize,
    /// Events on their way to the writer.
    tasks: TaskTracker,
}

impl AuditLog {
    /// Opens it.
    ///
    /// # Errors
    /// [`StartError::File`].
    pub(crate) fn open(plan: AuditPlan, confidential: Confidential) -> Result<Arc<Self>, StartError> {
        let AuditPlan { config, policy } = plan;
        let output = match &config.path {
            AuditPath::Stdout => Output::Stdout,
            AuditPath::File(path) => {
                let opened = LogFile::open(path, config.rotation.clone());
                Output::File(opened.map_err(|source| StartError::File { path: path.clone(), source })?)
            }
        };
        let counters = Arc::new(Counters::default());
        let writer = Writer::start(output, config.mode, Arc::clone(&counters)).map_err(|error| StartError::Internal(error.to_string()))?;
        Ok(Arc::new(Self { policy, confidential, writer, counters, max_event_size: config.max_event_size, tasks: TaskTracker::new() }))
    }

    /// The router, whose requests are logged.
    pub(crate) fn around(self: &Arc<Self>, router: axum::Router) -> axum::Router {
        router.layer(from_fn_with_state(Arc::clone(self), answer::follow))
    }

    /// What it has counted since the start.
    pub(crate) fn stats(&self) -> AuditStats {
        self.counters.snapshot()
    }

    /// Returns when the log has every event of requests that have ended. To be called when all have.
    pub(crate) async fn flush(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.writer.flush().await;
    }
}
