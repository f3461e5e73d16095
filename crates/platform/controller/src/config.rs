//! The configuration of a controller.

use std::path::PathBuf;
use std::time::Duration;

/// How a controller works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of project P is this followed by P.
    pub project_namespace_prefix: String,
    /// The helm program.
    pub helm: PathBuf,
    /// The chart of virtual clusters whose template names none: a name in [`Self::chart_repository`], or a path that begins with `/` or `./`.
    pub chart: String,
    /// The repository of charts that name none.
    pub chart_repository: String,
    /// Where charts may come from: prefixes of URLs. `*` allows every place.
    pub allowed_chart_repositories: Vec<String>,
    /// How many instances are worked on at a time.
    pub concurrent_syncs: u16,
    /// How often an instance is looked at when nothing changes.
    pub resync: Duration,
    /// How the controller reaches virtual clusters.
    pub route: vci_virtualcluster::Route,
}

impl Config {
    /// Whether the chart of virtual clusters is on this machine's disk.
    pub fn has_local_chart(&self) -> bool {
        self.chart.starts_with('/') || self.chart.starts_with("./")
    }

    /// Whether a chart may come from this repository. `https://charts.example.com` allows what is below it, and no other host.
    pub fn allows_repository(&self, repository: &str) -> bool {
        self.allowed_chart_repositories.iter().any(|allowed| {
            let allowed = allowed.trim_end_matches('/');
            allowed == "*" || repository.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_come_from_allowed_repositories_only() {
        let config = |allowed: &[&str]| Config {
            project_namespace_prefix: "loft-p-".into(),
            helm: "helm".into(),
            chart: "vcluster".into(),
            chart_repository: "https://charts.loft.sh".into(),
            allowed_chart_repositories: allowed.iter().map(|&text| text.into()).collect(),
            concurrent_syncs: 1,
            resync: Duration::from_secs(60),
            route: vci_virtualcluster::Route::Service,
        };
        let one = config(&["https://charts.loft.sh/", "oci://ghcr.io/loft-sh"]);
        for (repository, want) in [
            ("https://charts.loft.sh", true),
            ("https://charts.loft.sh/", true),
            ("https://charts.loft.sh/stable", true),
            ("https://charts.loft.sh.example.com", false),
            ("https://charts.loft.sh@example.com", false),
            ("http://charts.loft.sh", false),
            ("oci://ghcr.io/loft-sh/vcluster", true),
            ("oci://ghcr.io/loft-sh-2/vcluster", false),
            ("https://charts.loft.sh/../..", true),
            ("", false),
        ] {
            assert_eq!(one.allows_repository(repository), want, "{repository}");
        }
        assert!(config(&["*"]).allows_repository("http://anything"));
        assert!(!config(&[]).allows_repository("https://charts.loft.sh"));
    }
}
