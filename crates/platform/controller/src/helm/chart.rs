//! Where a chart comes from.

use super::home::File;
use super::{HelmError, REPOSITORY, argument, repositories};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fmt;
use std::path::PathBuf;
use vci_management::types::{HelmChart, TemplateHelmChart};

/// The chart of a control plane where a template names none.
const CONTROL_PLANE: (&str, &str) = ("vcluster", "https://charts.loft.sh");
/// The scheme of registries.
const OCI: &str = "oci://";

/// A user name and a password of a repository. Debug output shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// `None` when both are empty.
    pub fn new(username: &str, password: &str) -> Option<Self> {
        let some = !username.is_empty() || !password.is_empty();
        some.then(|| Self { username: username.to_owned(), password: password.to_owned() })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// An index over HTTP.
    Repository(String),
    /// A folder of a registry, `oci://...`.
    Registry(String),
    /// A folder or an archive on this machine.
    Local(PathBuf),
}

/// A chart, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    name: String,
    source: Source,
    version: String,
    credentials: Option<Credentials>,
    skip_tls_verification: bool,
}

impl Chart {
    /// A chart of a repository (`https://...`, `http://...`) or a registry (`oci://...`). The newest one when the version is
    /// empty. Whoever calls this decides which repositories are allowed.
    ///
    /// # Errors
    /// The name, the URL or the version is none. Helm would read a name like `/etc` or `https://...` as a file or a URL.
    pub fn remote(name: &str, repository: &str, version: &str) -> Result<Self, HelmError> {
        let refuse = |detail: String| Err(HelmError::InvalidChart(detail));
        let sane = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        let is_name = name.starts_with(|char: char| char.is_ascii_alphanumeric()) && name.len() <= 250 && name.chars().all(sane);
        if !is_name {
            return refuse(format!("the chart's name {name:?} must be letters, digits, '-', '_' and '.'"));
        }
        let version = version.strip_prefix('v').unwrap_or(version);
        if version.len() > 250 || version.chars().any(|char| !sane(char) && char != '+') {
            return refuse(format!("the chart's version {version:?} must be a semantic version, such as 0.27.0"));
        }
        let repository = repository.trim_end_matches('/');
        let source = match repository.split_once("://") {
            Some(("http" | "https", rest)) if is_place(rest) => Source::Repository(repository.to_owned()),
            Some(("oci", rest)) if is_place(rest) => Source::Registry(repository.to_owned()),
            _ => {
                return refuse(format!(
                    "the chart's repository {:?} must begin with https://, http:// or oci://, {NO_USER}",
                    shown(repository)
                ));
            }
        };
        Ok(Self { name: name.into(), source, version: version.into(), credentials: None, skip_tls_verification: false })
    }

    /// A chart on this machine's disk: a folder or an archive. Never of a path that a user names.
    pub fn local(path: PathBuf) -> Self {
        Self {
            name: path.display().to_string(),
            source: Source::Local(path),
            version: String::new(),
            credentials: None,
            skip_tls_verification: false,
        }
    }

    /// The chart of a control plane. It is `vcluster` of the vendor's repository unless the template says something else.
    ///
    /// # Errors
    /// As of [`Chart::remote`].
    pub fn of_control_plane(chart: &HelmChart) -> Result<Self, HelmError> {
        let or = |given: &str, standard: &str| if given.is_empty() { standard.to_owned() } else { given.to_owned() };
        let (name, repository) = (or(&chart.name, CONTROL_PLANE.0), or(&chart.repo, CONTROL_PLANE.1));
        let remote = Self::remote(&name, &repository, &chart.version)?;
        Ok(remote.with(Credentials::new(&chart.username, &chart.password), chart.insecure_skip_tls_verify))
    }

    /// A chart that a template deploys. Its credentials are given by who looked up the secrets that it names.
    ///
    /// # Errors
    /// As of [`Chart::remote`].
    pub fn of_template(chart: &TemplateHelmChart, credentials: Option<Credentials>) -> Result<Self, HelmError> {
        Ok(Self::remote(&chart.name, &chart.repo_url, &chart.version)?.with(credentials, chart.insecure_skip_tls_verify))
    }

    /// The chart with credentials for its repository, and with or without a look at the repository's certificate.
    #[must_use]
    pub fn with(self, credentials: Option<Credentials>, skip_tls_verification: bool) -> Self {
        Self { credentials, skip_tls_verification, ..self }
    }

    /// The URL of the repository or the registry; `None` of a chart on disk.
    pub fn repository(&self) -> Option<&str> {
        match &self.source {
            Source::Repository(url) | Source::Registry(url) => Some(url),
            Source::Local(_) => None,
        }
    }

    /// The name, and the version when there is one, for people.
    pub(super) fn shown(&self) -> String {
        let separator = if self.version.is_empty() { "" } else { " " };
        format!("{}{separator}{}", self.name, self.version)
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(super) fn is_in_repository(&self) -> bool {
        matches!(self.source, Source::Repository(_))
    }

    pub(super) fn skips_tls_verification(&self) -> bool {
        self.skip_tls_verification
    }

    pub(super) fn version(&self) -> Option<&str> {
        Some(self.version.as_str()).filter(|version| !version.is_empty())
    }

    /// What helm is told to install.
    pub(super) fn reference(&self) -> Result<String, HelmError> {
        match &self.source {
            Source::Repository(_) => Ok(format!("{REPOSITORY}/{}", self.name)),
            Source::Registry(url) => Ok(format!("{url}/{}", self.name)),
            Source::Local(path) => argument(path),
        }
    }

    /// The files in which helm looks for the repository and its credentials.
    pub(super) fn files(&self) -> Vec<File> {
        match (&self.source, &self.credentials) {
            (Source::Repository(url), credentials) => {
                vec![File::new("repositories.yaml", repositories(url, credentials.as_ref(), self.skip_tls_verification))]
            }
            (Source::Registry(url), Some(Credentials { username, password })) => {
                let host = url.strip_prefix(OCI).and_then(|rest| rest.split('/').next()).unwrap_or_default();
                let auth = STANDARD.encode(format!("{username}:{password}"));
                vec![File::new("registry.json", json!({"auths": {host: {"auth": auth}}}).to_string())]
            }
            (Source::Registry(_) | Source::Local(_), _) => Vec::new(),
        }
    }
}

const NO_USER: &str = "without a user name in it (use username and password)";

/// The part of a URL behind the scheme: a host and a path. Not a user, who would be told in messages.
fn is_place(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or_default();
    let strange = |char: char| char.is_whitespace() || char.is_control() || matches!(char, '"' | '\'' | '\\' | '#');
    !host.is_empty() && !rest.contains('@') && !rest.contains(strange) && rest.len() <= 2000
}

/// A URL without what may be a password.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://...@{place}"),
        (None, Some((_, place))) => format!("...@{place}"),
        _ => url.chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn charts_come_from_repositories_and_registries_only() {
        let table = [
            ("vcluster", "https://charts.loft.sh/", "v0.27.0", Some("repo/vcluster")),
            ("a.b_c-1", "http://10.0.0.1:8080/x", "1.0.0-rc.1+b", Some("repo/a.b_c-1")),
            ("chart", "oci://registry.example.com/a/b", "", Some("oci://registry.example.com/a/b/chart")),
            ("/etc", "https://charts.loft.sh", "", None),
            ("../x", "https://charts.loft.sh", "", None),
            ("a/b", "https://charts.loft.sh", "", None),
            ("https://x/y.tgz", "https://charts.loft.sh", "", None),
            ("--post-renderer=x", "https://charts.loft.sh", "", None),
            ("", "https://charts.loft.sh", "", None),
            ("a", "", "", None),
            ("a", "file:///etc", "", None),
            ("a", "/etc", "", None),
            ("a", "repo", "", None),
            ("a", "https://", "", None),
            ("a", "https:///x", "", None),
            ("a", "https://u:s3cret@h/x", "", None),
            ("a", "https://h/x y", "", None),
            ("a", "https://h", ">1 --x", None),
            ("a", "https://h", "-1\n", None),
        ];
        for (name, repository, version, want) in table {
            let chart = Chart::remote(name, repository, version);
            assert_eq!(chart.as_ref().ok().map(|chart| chart.reference().unwrap()).as_deref(), want, "{name} {repository}");
            let text = format!("{chart:?} {}", chart.as_ref().err().map(ToString::to_string).unwrap_or_default());
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_control_plane_has_the_vendors_chart_by_default() {
        let chart = Chart::of_control_plane(&HelmChart { version: "v0.36.1".into(), ..HelmChart::default() }).unwrap();
        assert_eq!((chart.repository(), chart.version()), (Some("https://charts.loft.sh"), Some("0.36.1")));
        assert_eq!(chart.shown(), "vcluster 0.36.1");
    }

    #[test]
    fn credentials_stand_in_files_and_nowhere_else() {
        let credentials = Credentials::new("ann", "s3cret");
        for repository in ["https://charts.loft.sh", "oci://registry.example.com/a"] {
            let chart = Chart::remote("a", repository, "").unwrap().with(credentials.clone(), false);
            assert!(!format!("{chart:?}{}", chart.reference().unwrap()).contains("s3cret"));
            assert_eq!(chart.files().len(), 1);
        }
        assert_eq!(Credentials::new("", ""), None);
    }
}
