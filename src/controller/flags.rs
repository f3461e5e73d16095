//! The flags of a controller, wherever it runs.

use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use vci_virtualcluster::Route;

/// How often an instance is looked at when nothing changes.
const RESYNC: Duration = Duration::from_secs(60);

/// The flags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Controller")]
pub(crate) struct Flags {
    /// The helm program, version 3.14 or later of helm 3.
    #[arg(long, env = "VCI_HELM", value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
    /// The chart of virtual clusters whose template names none: a name in --chart-repository, or a path that begins with / or ./.
    #[arg(long, env = "VCI_CHART", value_name = "NAME|PATH", default_value = "vcluster")]
    chart: String,
    /// The repository of charts of virtual clusters whose template names none.
    #[arg(long, env = "VCI_CHART_REPOSITORY", value_name = "URL", default_value = "https://charts.loft.sh")]
    chart_repository: String,
    /// Where charts may come from: URLs, and what is below them; * allows every place.
    #[arg(
        long,
        env = "VCI_ALLOWED_CHART_REPOSITORIES",
        value_name = "URL",
        value_delimiter = ',',
        default_values = ["https://charts.loft.sh", "oci://ghcr.io/loft-sh"]
    )]
    allowed_chart_repositories: Vec<String>,
    /// How many virtual clusters are worked on at a time.
    #[arg(long, env = "VCI_CONCURRENT_SYNCS", value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrent_syncs: u16,
    /// Work only while holding the Lease vci-controller in this namespace, so that several controllers may run.
    #[arg(long, env = "VCI_LEADER_ELECT_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) leader_elect_namespace: Option<String>,
}

impl Flags {
    pub(super) fn config(&self, project_namespace_prefix: &str, route: Route) -> vci_controller::Config {
        vci_controller::Config {
            project_namespace_prefix: project_namespace_prefix.into(),
            helm: self.helm.clone(),
            chart: self.chart.clone(),
            chart_repository: self.chart_repository.clone(),
            allowed_chart_repositories: self.allowed_chart_repositories.clone(),
            concurrent_syncs: self.concurrent_syncs,
            resync: RESYNC,
            route,
        }
    }
}
