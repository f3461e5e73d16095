//! What a controller counts of its own work, under the names that controller-runtime has for it.

use crate::reconcile::Outcome;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// The name of the controller in labels.
const CONTROLLER: &str = "virtualclusterinstance";
/// Bounds of the histogram, in seconds: from a look at something that is as it should be to the installation of a chart.
const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfController {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfQueue {
    name: &'static str,
}

/// The metrics of one controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciled: Family<Result, Counter>,
    failed: Family<OfController, Counter>,
    took: Histogram,
    active: Gauge,
    added: Family<OfQueue, Counter>,
    retried: Family<OfQueue, Counter>,
    leads: Family<OfQueue, Gauge>,
}

impl Metrics {
    /// Those of a controller that makes so many passes at a time.
    pub fn new(workers: u16) -> Self {
        let mut registry = Registry::default();
        let (reconciled, failed) = (Family::default(), Family::<OfController, Counter>::default());
        let (took, active, most) = (Histogram::new(BUCKETS), Gauge::<i64>::default(), Gauge::<i64>::default());
        let (added, retried, leads) = (Family::default(), Family::default(), Family::default());
        most.set(i64::from(workers));
        let mut of_controller = registry.sub_registry_with_labels([("controller".into(), CONTROLLER.into())].into_iter());
        let scoped = &mut of_controller;
        scoped.register("controller_runtime_reconcile_time_seconds", "Length of time per reconciliation", took.clone());
        scoped.register("controller_runtime_active_workers", "Number of currently used workers", active.clone());
        scoped.register("controller_runtime_max_concurrent_reconciles", "Maximum number of concurrent reconciles", most);
        registry.register("controller_runtime_reconcile", "Number of reconciliations per result", Family::clone(&reconciled));
        registry.register("controller_runtime_reconcile_errors", "Number of reconciliation errors", failed.clone());
        registry.register("workqueue_adds", "Number of adds handled by the workqueue", Family::clone(&added));
        registry.register("workqueue_retries", "Number of retries handled by the workqueue", Family::clone(&retried));
        registry.register("leader_election_master_status", "Whether this process leads: 0 or 1", Family::clone(&leads));
        drop(failed.get_or_create(&OfController { controller: CONTROLLER }));
        Self { registry, reconciled, failed, took, active, added, retried, leads }
    }

    /// The page, in the text format of Prometheus.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // A string takes whatever is written to it.
        let _ = text::encode(&mut page, &self.registry);
        page
    }

    /// Says whether this process leads.
    pub fn leads(&self, does: Leads) {
        self.leads.get_or_create(&OfQueue { name: "vci-controller" }).set(i64::from(does == Leads::Yes));
    }

    /// Counts an instance that is to be looked at.
    pub(crate) fn queued(&self) {
        self.added.get_or_create(&OfQueue { name: CONTROLLER }).inc();
    }

    /// Counts a worker until it is dropped.
    pub(crate) fn worker(&self) -> Worker<'_> {
        self.active.inc();
        Worker(&self.active)
    }

    /// Counts a pass.
    pub(crate) fn reconciled(&self, outcome: &Outcome, took: Duration) {
        let result = match outcome {
            Outcome::Done => "success",
            Outcome::Again(_) => "requeue_after",
            Outcome::Failed(_) => "error",
        };
        self.reconciled.get_or_create(&Result { controller: CONTROLLER, result }).inc();
        self.took.observe(took.as_secs_f64());
        if matches!(outcome, Outcome::Failed(_)) {
            self.failed.get_or_create(&OfController { controller: CONTROLLER }).inc();
            self.retried.get_or_create(&OfQueue { name: CONTROLLER }).inc();
        }
    }
}

/// Whether a process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It does.
    Yes,
    /// Another one does, or none.
    No,
}

/// A pass that is being made.
#[derive(Debug)]
pub(crate) struct Worker<'a>(&'a Gauge);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_controller_runtimes_names() {
        let metrics = Metrics::new(4);
        metrics.leads(Leads::Yes);
        metrics.queued();
        drop(metrics.worker());
        metrics.reconciled(&Outcome::Failed(Duration::ZERO), Duration::from_millis(20));
        let page = metrics.page();
        for line in [
            r#"controller_runtime_reconcile_total{controller="virtualclusterinstance",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="virtualclusterinstance"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_bucket{controller="virtualclusterinstance",le="0.025"} 1"#,
            r#"controller_runtime_active_workers{controller="virtualclusterinstance"} 0"#,
            r#"controller_runtime_max_concurrent_reconciles{controller="virtualclusterinstance"} 4"#,
            r#"workqueue_adds_total{name="virtualclusterinstance"} 1"#,
            r#"workqueue_retries_total{name="virtualclusterinstance"} 1"#,
            r#"leader_election_master_status{name="vci-controller"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
