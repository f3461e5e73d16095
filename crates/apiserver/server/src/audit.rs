//! The audit log: `audit.k8s.io/v1` events, one line each.
//!
//! Without a policy there is no audit layer. With one:
//!
//! 1. The policy sets the level of a request ([`policy`]).
//! 2. A [`RequestAudit`](request_audit::RequestAudit) collects the event while the request is served.
//! 3. A thread writes the line ([`writer`]).
//!
//! Secrets are logged at no level ([`confidential`]), nor are `Authorization` headers. Refused: upstream's webhook. Collectors
//! read files.

mod answer;
mod confidential;
mod counters;
mod event;
mod file;
mod objects;
mod policy;
mod request_audit;
mod sender;
#[cfg(test)]
mod tests;
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
use writer::{AuditQueue, Output};

const API_VERSION: &str = "audit.k8s.io/v1";

/// Configuration of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// A `Policy` of `audit.k8s.io/v1`.
    pub policy: PathBuf,
    /// Destination of events.
    pub path: AuditPath,
    /// Whether requests wait until their events are written.
    pub mode: AuditMode,
    /// Rotation of the file.
    pub rotation: Rotation,
    /// Maximum size of an event in bytes. A longer one is logged without its objects.
    pub max_event_size: usize,
}

impl AuditConfig {
    /// Logs to a file, or to standard output for the path `-`, with kube-apiserver's defaults: requests wait for the log, and the file
    /// is rotated at 100 MB. Rotated files are kept for a year.
    pub fn standard(policy: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = if path.as_os_str() == "-" { AuditPath::Stdout } else { AuditPath::File(path) };
        let max_age = Duration::from_secs(366 * 24 * 60 * 60);
        let rotation = Rotation { max_size: 100 * 1024 * 1024, max_backups: 100, max_age, backups: Backups::Plain };
        Self { policy: policy.into(), path, mode: AuditMode::Blocking, rotation, max_event_size: 100 * 1024 }
    }
}

/// Destination of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditPath {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

/// A configuration whose policy is valid, before the log is opened.
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
    queue: AuditQueue,
    counters: Arc<Counters>,
    max_event_size: usize,
    /// Events on their way to the writer.
    tasks: TaskTracker,
}

impl AuditLog {
    /// Opens the log.
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
        let queue =
            AuditQueue::start(output, config.mode, Arc::clone(&counters)).map_err(|error| StartError::Internal(error.to_string()))?;
        Ok(Arc::new(Self { policy, confidential, queue, counters, max_event_size: config.max_event_size, tasks: TaskTracker::new() }))
    }

    /// Adds the audit layer to a router.
    pub(crate) fn around(self: &Arc<Self>, router: axum::Router) -> axum::Router {
        router.layer(from_fn_with_state(Arc::clone(self), answer::follow))
    }

    /// Returns the counters since the start.
    pub(crate) fn stats(&self) -> AuditStats {
        self.counters.snapshot()
    }

    /// Waits until the events of all requests are written. To be called when every request has ended.
    pub(crate) async fn flush(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.queue.flush().await;
    }
}
