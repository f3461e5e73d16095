//! Runs the `helm` program: the engine of templates, and what installs charts.
//!
//! The program of the Helm project is used as it is, since charts are written for its quirks. Each run is alone: a home of its
//! own that is removed afterwards, no plugins, no environment but the proxy's, a process group that is killed when the run takes
//! too long or when nobody waits for it any more, bounded memory and output. Values, credentials and kubeconfigs travel in files
//! that only this user can read, never in arguments, which every process of a machine can see.
//!
//! Refused: charts on this machine's disk unless the code names them ([`Chart::local`]); names that helm would take for options,
//! files or URLs; and anything that helm prints in front of a person without [`HelmError`] having cut and cleaned it.

use async_trait::async_trait;
use serde_json::json;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Semaphore;

mod chart;
mod error;
mod home;
mod process;
pub mod releases;

pub use chart::{Chart, Credentials};
pub use error::HelmError;

use error::Stage;
use home::{Base, File, Home};
use process::{Bounds, Output};

#[cfg(test)]
mod tests;

/// The oldest helm of which all options are known.
const OLDEST: (u64, u64) = (3, 14);
/// How many revisions of a release helm keeps.
const HISTORY: &str = "3";
/// What helm calls the only repository of a run.
const REPOSITORY: &str = "repo";
/// How much longer than helm's own timeout a run may take: for the download of the chart and the work beside waiting.
const GRACE: Duration = Duration::from_secs(60);

/// Bounds of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many helms run at the same time; the others wait.
    pub concurrent: usize,
    /// How long rendering a template may take.
    pub template_time: Duration,
    /// How much memory rendering a template may take, in bytes.
    pub template_memory: u64,
    /// How much text rendering a template may give, in bytes.
    pub template_output: usize,
    /// How long an operation of Kubernetes may take while a chart is installed, unless the chart says something else.
    pub deploy_time: Duration,
    /// How much memory installing a chart may take, in bytes.
    pub deploy_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent: 4,
            template_time: Duration::from_secs(20),
            template_memory: 512 << 20,
            template_output: 8 << 20,
            deploy_time: Duration::from_secs(300),
            deploy_memory: 1 << 30,
        }
    }
}

/// The text of a kubeconfig. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Kubeconfig(pub String);

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kubeconfig(..)")
    }
}

/// A chart of one template, which is all that rendering needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneFileChart {
    /// The template. Helm reads what it gives as YAML.
    pub template: String,
    /// The values, as YAML or JSON.
    pub values: String,
}

/// A release in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name of the release: a DNS label of at most 53 characters.
    pub name: String,
    /// The namespace that holds it.
    pub namespace: String,
    /// The way to the cluster.
    pub kubeconfig: Kubeconfig,
}

/// What a release is to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The release.
    pub release: Release,
    /// The chart.
    pub chart: Chart,
    /// The values, as YAML.
    pub values: String,
    /// Whether the run lasts until everything in the chart is ready.
    pub wait: bool,
    /// How long one operation of Kubernetes may take; [`Limits::deploy_time`] when absent.
    pub timeout: Option<Duration>,
}

/// Without the values, which hold what people pass as parameters of the type password.
impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, chart, values: _, wait, timeout } = self;
        let mut shown = f.debug_struct("Upgrade");
        shown.field("release", release).field("chart", chart).field("wait", wait).field("timeout", timeout).finish_non_exhaustive()
    }
}

/// What is asked of helm, so that tests can answer in its place.
#[async_trait]
pub trait HelmRunner: fmt::Debug + Send + Sync {
    /// Renders a chart of one file, without a cluster and without a network. Gives what the template gave, below helm's heading.
    ///
    /// # Errors
    /// The template fails, or takes too much.
    async fn template(&self, chart: &OneFileChart) -> Result<String, HelmError>;

    /// Installs the chart, or upgrades the release to it.
    ///
    /// # Errors
    /// The chart cannot be had, or cannot be installed.
    async fn upgrade(&self, upgrade: &Upgrade) -> Result<(), HelmError>;

    /// Removes the release and everything that it brought. One that is not there is removed already.
    ///
    /// # Errors
    /// Something of it could not be removed.
    async fn uninstall(&self, release: &Release) -> Result<(), HelmError>;
}

/// The helm program.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    limits: Limits,
    base: Base,
    permits: Semaphore,
}

impl Helm {
    /// Looks whether the program is there and of a version that can be used.
    ///
    /// # Errors
    /// It is missing, too old or too new; or there is no room for its files.
    pub async fn new(program: PathBuf, limits: Limits) -> Result<Self, HelmError> {
        let base = blocking(Base::new).await?;
        let helm = Self { program, limits, base, permits: Semaphore::new(limits.concurrent.max(1)) };
        let home = helm.home(Vec::new()).await?;
        let arguments = ["version", "--template", "{{.Version}}"].map(str::to_owned);
        let output = helm.run(&home, &arguments, helm.template_bounds()).await?;
        check_version(&String::from_utf8_lossy(&output.stdout))?;
        Ok(helm)
    }

    /// The bounds of its runs.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn home(&self, files: Vec<File>) -> Result<Home, HelmError> {
        let folder = self.base.path().to_owned();
        blocking(move || Home::new(&folder, &files)).await
    }

    async fn run(&self, home: &Home, arguments: &[String], bounds: Bounds) -> Result<Output, HelmError> {
        let _permit = self.permits.acquire().await.map_err(|_| HelmError::Failed("the program ends".into()))?;
        process::run(&self.program, home.path(), arguments, bounds).await
    }

    fn template_bounds(&self) -> Bounds {
        let Limits { template_time, template_memory, template_output, .. } = self.limits;
        Bounds { time: template_time, memory: template_memory, output: template_output }
    }

    fn deploy_bounds(&self, timeout: Duration) -> Bounds {
        Bounds { time: timeout.saturating_add(GRACE), memory: self.limits.deploy_memory, output: 1 << 20 }
    }

    /// One run that must succeed.
    async fn succeed(&self, home: &Home, arguments: &[String], bounds: Bounds, stage: Stage<'_>) -> Result<Output, HelmError> {
        let output = self.run(home, arguments, bounds).await?;
        if output.success {
            return Ok(output);
        }
        Err(error::classify(&output.text(home.path()), stage))
    }
}

#[async_trait]
impl HelmRunner for Helm {
    async fn template(&self, chart: &OneFileChart) -> Result<String, HelmError> {
        const HEAD: &str = "apiVersion: v2\nname: render\nversion: 0.0.0\n";
        let files = vec![
            File::new("chart/Chart.yaml", HEAD),
            File::new("chart/values.yaml", chart.values.as_str()),
            File::new("chart/templates/rendered.yaml", chart.template.as_str()),
        ];
        let home = self.home(files).await?;
        let arguments = ["template".to_owned(), "render".into(), argument(&home.path().join("chart"))?];
        let output = self.succeed(&home, &arguments, self.template_bounds(), Stage::Template).await?;
        let text = String::from_utf8(output.stdout).map_err(|_| HelmError::Failed("what was rendered is not UTF-8".into()))?;
        // Helm writes `---` and a comment that names the file.
        let body = text.split_once("# Source: ").and_then(|(_, rest)| rest.split_once('\n'));
        Ok(body.map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    async fn upgrade(&self, upgrade: &Upgrade) -> Result<(), HelmError> {
        let Upgrade { release, chart, values, wait, timeout } = upgrade;
        check_release(release)?;
        let timeout = timeout.unwrap_or(self.limits.deploy_time);
        let mut files = chart.files();
        files.extend([File::new("values.yaml", values.as_str()), File::new("kubeconfig", release.kubeconfig.0.as_str())]);
        let home = self.home(files).await?;
        if chart.is_in_repository() {
            let arguments = ["repo", "update", REPOSITORY, "--fail-on-repo-update-fail"].map(str::to_owned);
            self.succeed(&home, &arguments, self.deploy_bounds(GRACE), Stage::Repository(chart)).await?;
        }
        let mut arguments = vec!["upgrade".to_owned(), release.name.clone(), chart.reference()?];
        // Without values helm would take those of the last revision.
        arguments.extend(["--install", "--reset-values", "--hide-notes", "--history-max", HISTORY].map(str::to_owned));
        arguments.extend(chart.version().map(|version| format!("--version={version}")));
        arguments.extend(chart.skips_tls_verification().then(|| "--insecure-skip-tls-verify".to_owned()));
        arguments.push(format!("--values={}", argument(&home.path().join("values.yaml"))?));
        arguments.extend(wait.then(|| "--wait".to_owned()));
        arguments.extend(common(release, &home, timeout)?);
        self.succeed(&home, &arguments, self.deploy_bounds(timeout), Stage::Deploy(chart)).await.map(|_| ())
    }

    async fn uninstall(&self, release: &Release) -> Result<(), HelmError> {
        check_release(release)?;
        let home = self.home(vec![File::new("kubeconfig", release.kubeconfig.0.as_str())]).await?;
        let timeout = self.limits.deploy_time;
        let mut arguments = ["uninstall", &release.name, "--ignore-not-found"].map(str::to_owned).to_vec();
        arguments.extend(common(release, &home, timeout)?);
        match self.succeed(&home, &arguments, self.deploy_bounds(timeout), Stage::Uninstall).await {
            // What is in a namespace that is gone is gone with it.
            Ok(_) | Err(HelmError::NamespaceGone(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The arguments of every run that works on a release.
fn common(release: &Release, home: &Home, timeout: Duration) -> Result<[String; 3], HelmError> {
    Ok([
        format!("--namespace={}", release.namespace),
        format!("--kubeconfig={}", argument(&home.path().join("kubeconfig"))?),
        format!("--timeout={}s", timeout.as_secs().max(1)),
    ])
}

/// Names become arguments: none may look like an option.
fn check_release(release: &Release) -> Result<(), HelmError> {
    for (name, most, what) in [(&release.name, 53, "release"), (&release.namespace, 63, "namespace")] {
        if !is_label(name) || name.len() > most {
            let detail = format!("the {what} {name:?} must be a DNS label of at most {most} characters");
            return Err(HelmError::InvalidRelease(detail));
        }
    }
    Ok(())
}

/// Whether a text is a DNS label, of any length.
fn is_label(text: &str) -> bool {
    let sane = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(sane) && !text.starts_with('-') && !text.ends_with('-')
}

fn argument(path: &Path) -> Result<String, HelmError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| HelmError::Failed(format!("the path {} is not UTF-8", path.display())))
}

/// Helm says `v3.22.0`, or `v3.22` where it was built by hand.
fn check_version(said: &str) -> Result<(), HelmError> {
    let said = said.trim();
    let mut parts = said.strip_prefix('v').unwrap_or(said).split(['.', '-', '+']).map(|part| part.parse::<u64>().ok());
    let version = parts.next().flatten().zip(parts.next().flatten());
    match version {
        Some(version) if version >= OLDEST && version.0 == OLDEST.0 => Ok(()),
        _ => Err(HelmError::Unsupported { found: said.chars().take(40).collect() }),
    }
}

/// Work on files, off the threads of the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, HelmError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HelmError::Failed(error.to_string()))?.map_err(|error| HelmError::Files(error.to_string()))
}

/// A file of helm's that lists the only repository of a run.
fn repositories(url: &str, credentials: Option<&Credentials>, insecure: bool) -> String {
    let (username, password) = credentials.map(|both| (both.username.as_str(), both.password.as_str())).unwrap_or_default();
    let entry = json!({
        "name": REPOSITORY, "url": url, "username": username, "password": password,
        "insecure_skip_tls_verify": insecure, "pass_credentials_all": false,
    });
    json!({"apiVersion": "", "generated": "2000-01-01T00:00:00Z", "repositories": [entry]}).to_string()
}
