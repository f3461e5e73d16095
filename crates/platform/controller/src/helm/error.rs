//! Why helm did not do it, in words that name the remedy.
//!
//! Helm knows its errors as sentences only. They are recognised by their words, which is why the oldest version that is taken is
//! fixed; a sentence that is not recognised is passed on, cut and cleaned.

use super::Chart;
use apiserver_meta::excerpt::shorten;
use std::path::PathBuf;
use std::time::Duration;

/// How much of helm's own words a message holds.
const DETAIL: usize = 600;
/// How much of them is kept where they are read on: they repeat the text of the template that failed.
const TEMPLATE_DETAIL: usize = 64 << 10;

/// Why a run of helm failed. The texts are for people and hold no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelmError {
    /// The program cannot be run.
    #[error("helm cannot be run as {}: {cause}; install helm 3 or say where it is", program.display())]
    Missing {
        /// The program that was looked for.
        program: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The program is of another version.
    #[error("helm {found:?} is not supported; install helm 3.14 or a later version 3")]
    Unsupported {
        /// What it says of its version.
        found: String,
    },
    /// Files of a run could not be written.
    #[error("helm's files cannot be written: {0}; look at the space and the rights of the temporary folder")]
    Files(String),
    /// A chart that helm may not be asked for.
    #[error("{0}")]
    InvalidChart(String),
    /// A release that cannot be.
    #[error("{0}")]
    InvalidRelease(String),
    /// There is no such chart, or no such version of it.
    #[error("chart {chart} is not in {repository}; correct the name, the version or the repository of the chart")]
    ChartNotFound {
        /// The chart.
        chart: String,
        /// The repository.
        repository: String,
    },
    /// The repository does not answer as one.
    #[error("the chart repository {repository} cannot be reached: {detail}; check its URL, the network and the proxy")]
    RepositoryUnreachable {
        /// The repository.
        repository: String,
        /// In helm's words.
        detail: String,
    },
    /// The repository wants other credentials.
    #[error("the chart repository {repository} refuses the credentials; check the user name and the password of the chart")]
    RepositoryUnauthorized {
        /// The repository.
        repository: String,
    },
    /// The values are no YAML, or not what the chart's schema wants.
    #[error("the chart refuses the values: {0}")]
    ValuesRefused(String),
    /// A template fails: that which was rendered, or one of the chart.
    #[error("{0}")]
    TemplateFailed(String),
    /// Something in the cluster was not ready or did not answer in time, or helm was killed for taking too long.
    #[error("helm did not end within {} seconds; look at the pods and events of the namespace, or raise the timeout of the chart", after.as_secs())]
    Timeout {
        /// The bound.
        after: Duration,
    },
    /// Something in the cluster did not become ready in the time that the chart was given.
    #[error(
        "what the chart brings did not become ready in time: {0}; look at the pods and events of the namespace, or raise the timeout of the chart"
    )]
    NotReady(String),
    /// Helm took more memory than it was given.
    #[error("helm was killed for the memory that it took; make the template or the chart smaller")]
    OutOfMemory,
    /// Helm printed more than it was allowed to.
    #[error("what helm gives is larger than {most} bytes; make the template smaller")]
    TooMuchOutput {
        /// The bound.
        most: usize,
    },
    /// The cluster does not allow it.
    #[error("the cluster forbids it: {0}; grant the right to the controller, or use a chart that needs less")]
    Forbidden(String),
    /// A quota of the cluster is used up.
    #[error("a quota of the host namespace is used up: {0}")]
    QuotaExceeded(String),
    /// The namespace is gone or is being removed.
    #[error("the namespace {0} is gone or is being removed")]
    NamespaceGone(String),
    /// The cluster does not answer.
    #[error("the cluster cannot be reached: {0}")]
    ClusterUnreachable(String),
    /// Something with the same name is there already and is not the release's.
    #[error("something that the chart brings is there already and does not belong to the release: {0}; remove it or choose another name")]
    Conflict(String),
    /// Another run works on the release, or was killed while it did.
    #[error("another helm works on the release, or was killed while it did")]
    InProgress,
    /// Anything else, in helm's words.
    #[error("helm failed: {0}")]
    Failed(String),
}

impl HelmError {
    /// The cause in CamelCase, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "HelmMissing",
            Self::Unsupported { .. } => "HelmUnsupported",
            Self::Files(_) => "HelmFilesFailed",
            Self::InvalidChart(_) => "InvalidChart",
            Self::InvalidRelease(_) => "InvalidRelease",
            Self::ChartNotFound { .. } => "ChartNotFound",
            Self::RepositoryUnreachable { .. } => "ChartRepositoryUnreachable",
            Self::RepositoryUnauthorized { .. } => "ChartRepositoryUnauthorized",
            Self::ValuesRefused(_) => "ChartValuesRefused",
            Self::TemplateFailed(_) => "TemplateFailed",
            Self::Timeout { .. } => "HelmTimeout",
            Self::NotReady(_) => "ChartNotReady",
            Self::OutOfMemory => "HelmOutOfMemory",
            Self::TooMuchOutput { .. } => "HelmOutputTooLarge",
            Self::Forbidden(_) => "Forbidden",
            Self::QuotaExceeded(_) => "QuotaExceeded",
            Self::NamespaceGone(_) => "NamespaceGone",
            Self::ClusterUnreachable(_) => "ClusterUnreachable",
            Self::Conflict(_) => "ResourceConflict",
            Self::InProgress => "HelmInProgress",
            Self::Failed(_) => "HelmFailed",
        }
    }
}

/// What helm was doing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage<'a> {
    Template,
    /// Reads the index of the chart's repository.
    Repository(&'a Chart),
    Deploy(&'a Chart),
    Uninstall,
}

impl<'a> Stage<'a> {
    fn chart(self) -> Option<&'a Chart> {
        match self {
            Self::Repository(chart) | Self::Deploy(chart) => Some(chart),
            Self::Template | Self::Uninstall => None,
        }
    }
}

/// Reads the cause from what a failed run printed.
pub(super) fn classify(text: &str, stage: Stage<'_>) -> HelmError {
    let detail = detail(text, stage);
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let repository = || stage.chart().and_then(Chart::repository).unwrap_or("the folder of charts").to_owned();
    if matches!(stage, Stage::Template) {
        return HelmError::TemplateFailed(detail);
    }
    if matches!(stage, Stage::Repository(_)) {
        return match has(&["401 Unauthorized", "403 Forbidden"]) {
            true => HelmError::RepositoryUnauthorized { repository: repository() },
            false => HelmError::RepositoryUnreachable { repository: repository(), detail },
        };
    }
    if has(&["Kubernetes cluster unreachable", "the server is currently unable to handle the request"]) {
        return HelmError::ClusterUnreachable(detail);
    }
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        return HelmError::InProgress;
    }
    if has(&[
        "don't meet the specifications of the schema",
        "error converting YAML to JSON",
        "cannot unmarshal",
        "failed to parse values.yaml",
    ]) {
        return HelmError::ValuesRefused(detail);
    }
    if let Some(chart) = stage.chart()
        && let Some(error) = chart_error(chart, &has, &detail)
    {
        return error;
    }
    if has(&["exceeded quota"]) {
        return HelmError::QuotaExceeded(detail);
    }
    if has(&["because it is being terminated"]) || text.contains("namespaces \"") && text.contains("not found") {
        let name = text.split("namespaces \"").nth(1).or_else(|| text.split("in namespace ").nth(1)).unwrap_or_default();
        return HelmError::NamespaceGone(name.split(['"', ' ']).next().unwrap_or_default().to_owned());
    }
    if has(&["invalid ownership metadata", "cannot be imported into the current release"]) {
        return HelmError::Conflict(detail);
    }
    if has(&["is forbidden", "Unauthorized", "forbidden: "]) {
        return HelmError::Forbidden(detail);
    }
    if has(&["context deadline exceeded", "timed out waiting", "client rate limiter Wait returned an error"]) {
        return HelmError::NotReady(detail);
    }
    if has(&["execution error at (", "error calling ", "template: "]) {
        return HelmError::TemplateFailed(format!("a template of the chart fails: {detail}"));
    }
    HelmError::Failed(detail)
}

/// Errors of having the chart.
fn chart_error(chart: &Chart, has: &dyn Fn(&[&str]) -> bool, detail: &str) -> Option<HelmError> {
    let repository = chart.repository().unwrap_or("the folder of charts").to_owned();
    // Requests for charts are told in other words than those to a cluster.
    let fetching = has(&["failed to fetch", "FetchReference", "/tags/list", "failed to authorize"]);
    let refused = ["status code 401", "401 Unauthorized", "status code 403", "403 Forbidden", "denied", "basic credential not found"];
    if fetching && has(&refused) {
        return Some(HelmError::RepositoryUnauthorized { repository });
    }
    let absent =
        ["no chart version found", "no chart name found", "not found in repo", "Could not locate a version", "unable to locate any tags"];
    let missing = fetching && has(&[": not found", "status code 404", "404 Not Found"]) || has(&["path \""]) && has(&["not found"]);
    if missing || has(&absent) {
        return Some(HelmError::ChartNotFound { chart: chart.shown(), repository });
    }
    if fetching || has(&["is not a valid chart repository or cannot be reached"]) {
        return Some(HelmError::RepositoryUnreachable { repository, detail: detail.to_owned() });
    }
    None
}

/// Helm's words on one line, without what it says besides and without credentials.
fn detail(text: &str, stage: Stage<'_>) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_noise(line));
    let mut detail = lines.map(|line| line.strip_prefix("Error: ").unwrap_or(line)).collect::<Vec<_>>().join(" ");
    if let Some(both) = stage.chart().and_then(Chart::credentials) {
        for secret in [&both.password, &both.username].into_iter().filter(|secret| !secret.is_empty()) {
            detail = detail.replace(secret.as_str(), "...");
        }
    }
    detail.retain(|char| !char.is_control());
    shorten(&mut detail, if matches!(stage, Stage::Template) { TEMPLATE_DETAIL } else { DETAIL });
    if detail.is_empty() { "it says nothing".into() } else { detail }
}

/// Lines that do not tell the cause: hints, progress, and the log of the Kubernetes client (`W1129 12:00:00.000000 ...`).
fn is_noise(line: &str) -> bool {
    let hints = ["WARNING: ", "Use --debug flag", "Hang tight", "Update Complete", "level=", "Release \""];
    let is_log = line.starts_with(['I', 'W', 'E']) && line.as_bytes().get(1..5).is_some_and(|date| date.iter().all(u8::is_ascii_digit));
    is_log || hints.iter().any(|hint| line.starts_with(hint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::helm::Credentials;

    #[test]
    fn sentences_of_helm_are_recognised() {
        let chart = Chart::remote("app", "https://charts.example.com", "1.0.0").unwrap().with(Credentials::new("ann", "s3cret"), false);
        let repository = Stage::Repository(&chart);
        let deploy = Stage::Deploy(&chart);
        let table = [
            (
                repository,
                "...Unable to get an update from the \"repo\" chart repository (https://x):\n\tfailed to fetch https://x/index.yaml : 401 Unauthorized",
                "ChartRepositoryUnauthorized",
            ),
            (
                repository,
                "...Unable to get an update: Get \"https://x/index.yaml\": dial tcp: lookup x: no such host",
                "ChartRepositoryUnreachable",
            ),
            (
                deploy,
                "Error: chart \"app\" matching 1.0.0 not found in repo index. (try 'helm repo update'): no chart version found for app-1.0.0",
                "ChartNotFound",
            ),
            (
                deploy,
                "Error: values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n- (root): Additional property a is not allowed",
                "ChartValuesRefused",
            ),
            (
                deploy,
                "Error: failed to parse values.yaml: error converting YAML to JSON: yaml: line 2: mapping values are not allowed",
                "ChartValuesRefused",
            ),
            (deploy, "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", "HelmInProgress"),
            (
                deploy,
                "Error: Kubernetes cluster unreachable: Get \"http://localhost:8080/version\": connection refused",
                "ClusterUnreachable",
            ),
            (deploy, "Error: INSTALLATION FAILED: pods \"x\" is forbidden: exceeded quota: q, requested: pods=1", "QuotaExceeded"),
            (
                deploy,
                "Error: query: failed to query with labels: secrets is forbidden: User \"u\" cannot list resource \"secrets\"",
                "Forbidden",
            ),
            (deploy, "Error: create: failed to create: namespaces \"loft-a-v-b\" not found", "NamespaceGone"),
            (
                deploy,
                "Error: secrets \"x\" is forbidden: unable to create new content in namespace loft-a-v-b because it is being terminated",
                "NamespaceGone",
            ),
            (
                deploy,
                "Error: Unable to continue with install: Service \"a\" in namespace \"n\" exists and cannot be imported into the current release: invalid ownership metadata",
                "ResourceConflict",
            ),
            (deploy, "Error: INSTALLATION FAILED: context deadline exceeded", "ChartNotReady"),
            (deploy, "Error: execution error at (app/templates/service.yaml:2:4): cannot be installed here", "TemplateFailed"),
            (deploy, "Error: something new", "HelmFailed"),
            // Of registries.
            (deploy, "Error: failed to perform \"FetchReference\" on source: h/a/app:2.0.0: not found", "ChartNotFound"),
            (deploy, "Error: Could not locate a version matching provided version string 2.x.x", "ChartNotFound"),
            (deploy, "Error: GET \"https://h/v2/a/app/tags/list\": response status code 404: manifest unknown: unknown", "ChartNotFound"),
            (
                deploy,
                "Error: failed to perform \"FetchReference\" on source: GET \"https://h/v2/a\": response status code 401: unauthorized",
                "ChartRepositoryUnauthorized",
            ),
            (
                deploy,
                "Error: failed to perform \"FetchReference\" on source: GET \"https://h/v2/a\": basic credential not found",
                "ChartRepositoryUnauthorized",
            ),
            (
                deploy,
                "Error: failed to perform \"FetchReference\" on source: Get \"https://h/v2/a\": dial tcp: lookup h: no such host",
                "ChartRepositoryUnreachable",
            ),
            (
                deploy,
                "Error: Get \"https://h/v2/a/tags/list\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "ChartRepositoryUnreachable",
            ),
            (Stage::Uninstall, "Error: uninstallation completed with 1 error(s): x", "HelmFailed"),
        ];
        for (stage, text, want) in table {
            let error = classify(text, stage);
            assert_eq!(error.reason(), want, "{text}: {error:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let gone = classify("namespaces \"loft-a-v-b\" not found", deploy);
        assert_eq!(gone, HelmError::NamespaceGone("loft-a-v-b".into()));
    }

    #[test]
    fn messages_are_short_and_hold_no_credentials() {
        let chart = Chart::remote("app", "https://charts.example.com", "").unwrap().with(Credentials::new("ann-user", "s3cret"), false);
        let text = format!("WARNING: file is readable\nError: GET ann-user:s3cret@x {}", "long ".repeat(1000));
        let message = classify(&text, Stage::Deploy(&chart)).to_string();
        assert!(
            message.len() < 1000 && !message.contains("s3cret") && !message.contains("ann-user") && !message.contains("WARNING"),
            "{message}"
        );
    }
}
