//! One run of a program, within bounds.

use super::HelmError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// How much of what a program says on standard error is kept.
const ERRORS: usize = 64 << 10;
/// How large a file may be that a program writes, such as the index of a repository.
#[cfg(target_os = "linux")]
const LARGEST_FILE: u64 = 256 << 20;
/// The variables that a run has from this process, besides those that point to its home: how to reach the network.
const PASSED: [&str; 9] =
    ["PATH", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The bounds of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From start to end.
    pub(super) time: Duration,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Bytes on standard output.
    pub(super) output: usize,
}

/// What a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Output {
    /// All of it, for reading causes of failure. Paths of the run mean nothing to anybody.
    pub(super) fn text(&self, home: &Path) -> String {
        let text = format!("{}\n{}", String::from_utf8_lossy(&self.stderr), String::from_utf8_lossy(&self.stdout));
        text.replace(&format!("{}/", home.display()), "")
    }
}

/// Kills a process group when dropped. Its leader must not have been waited for: until then nobody else has its number.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Runs a program in its home until it ends, or its bounds.
///
/// # Errors
/// It cannot be run, or goes beyond its bounds. A program that fails is no error here.
pub(super) async fn run(program: &Path, home: &Path, arguments: &[String], bounds: Bounds) -> Result<Output, HelmError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home).env_clear();
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("HOME", home).env("TMPDIR", home);
    for (name, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
        ("HELM_PLUGINS", "plugins"),
        ("HELM_REPOSITORY_CONFIG", "repositories.yaml"),
        ("HELM_REGISTRY_CONFIG", "registry.json"),
    ] {
        command.env(name, home.join(folder));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| HelmError::Missing { program: program.to_owned(), cause: error.to_string() })?;
    let mut group = Group(child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)));
    limit(group.0, bounds.memory);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr) = tokio::try_join!(whole(stdout, bounds.output), beginning(stderr, ERRORS))?;
        let status = child.wait().await;
        // From here on somebody else may have its number.
        group.0 = None;
        let status = status.map_err(|error| HelmError::Failed(error.to_string()))?;
        Ok::<_, HelmError>((status, Output { success: status.success(), stdout, stderr }))
    };
    let ended = timeout(bounds.time, work).await;
    let (status, output) = ended.map_err(|_| HelmError::Timeout { after: bounds.time })??;
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::KILL.as_raw());
    // The runtime of Go ends like this when the kernel gives it nothing more.
    let fatal = !output.success && contains(&output.stderr, b"fatal error: ") && contains(&output.stderr, b"out of memory");
    let denied = contains(&output.stderr, b"cannot allocate memory");
    if killed || fatal || denied {
        return Err(HelmError::OutOfMemory);
    }
    Ok(output)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The program runs already; what it takes before this is little.
#[cfg(target_os = "linux")]
fn limit(pid: Option<Pid>, memory: u64) {
    use rustix::process::{Resource, Rlimit, prlimit};
    if pid.is_some() {
        for (resource, most) in [(Resource::Data, memory), (Resource::Fsize, LARGEST_FILE), (Resource::Core, 0)] {
            // A process that has ended needs no bound.
            let _ = prlimit(pid, resource, Rlimit { current: Some(most), maximum: Some(most) });
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn limit(_pid: Option<Pid>, _memory: u64) {}

/// All that comes, which must not be more than this.
async fn whole(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, HelmError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(most as u64 + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| HelmError::Failed(error.to_string()))?;
    }
    if bytes.len() > most {
        return Err(HelmError::TooMuchOutput { most });
    }
    Ok(bytes)
}

/// The beginning of what comes. The rest is read and dropped, so that the writer does not wait.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, HelmError> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(bytes) };
    let mut buffer = [0; 4096];
    loop {
        match pipe.read(&mut buffer).await.map_err(|error| HelmError::Failed(error.to_string()))? {
            0 => return Ok(bytes),
            read => bytes.extend(&buffer[..read.min(most - bytes.len())]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Instant;
    use tempfile::TempDir;

    const WIDE: Bounds = Bounds { time: Duration::from_secs(60), memory: 1 << 30, output: 1 << 20 };

    async fn shell(home: &Path, script: &str, bounds: Bounds) -> Result<Output, HelmError> {
        run(Path::new("/bin/sh"), home, &["-c".into(), script.into()], bounds).await
    }

    /// Whether a process with this number, as the script wrote it, is there and not yet dead.
    fn lives(file: &Path) -> bool {
        let pid = std::fs::read_to_string(file).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }

    #[tokio::test]
    async fn a_run_sees_nothing_of_this_process() {
        let home = TempDir::new().unwrap();
        let output = shell(home.path(), "env; pwd; exit 3", WIDE).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.success);
        let known = ["HOME=", "TMPDIR=", "HELM_", "PWD=", "OLDPWD=", "SHLVL=", "_="];
        for line in text.lines().filter(|line| line.contains('=')) {
            let passed = PASSED.iter().any(|name| line.starts_with(&format!("{name}=")));
            assert!(passed || known.iter().any(|name| line.starts_with(name)), "{line}");
        }
        assert!(text.contains(&format!("HOME={}\n", home.path().display())), "{text}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_its_children() {
        let home = TempDir::new().unwrap();
        let script = "sleep 600 & echo $! >child; wait";
        let bounds = Bounds { time: Duration::from_secs(1), ..WIDE };
        let start = Instant::now();
        assert_eq!(shell(home.path(), script, bounds).await, Err(HelmError::Timeout { after: bounds.time }));
        assert!(start.elapsed() < Duration::from_secs(50));
        let child = home.path().join("child");
        vci_testkit::wait_for("the child to die", async || !lives(&child)).await;
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_is_killed() {
        let home = TempDir::new().unwrap();
        let child = home.path().join("child");
        let path = home.path().to_owned();
        let running = tokio::spawn(async move { shell(&path, "sleep 600 & echo $! >started; mv started child; wait", WIDE).await });
        vci_testkit::wait_for("the child", async || child.exists()).await;
        assert!(lives(&child));
        running.abort();
        vci_testkit::wait_for("the child to die", async || !lives(&child)).await;
    }

    #[tokio::test]
    async fn output_is_bounded() {
        let home = TempDir::new().unwrap();
        let bounds = Bounds { output: 10, ..WIDE };
        assert_eq!(shell(home.path(), "printf 0123456789", bounds).await.unwrap().stdout, b"0123456789");
        let much = shell(home.path(), "while :; do echo 0123456789; done", bounds).await;
        assert_eq!(much, Err(HelmError::TooMuchOutput { most: 10 }));
        let output = shell(home.path(), "head -c 1000000 /dev/zero >&2", bounds).await.unwrap();
        assert_eq!((output.success, output.stderr.len()), (true, ERRORS));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn files_and_memory_are_bounded() {
        let home = TempDir::new().unwrap();
        // The bounds are set when the program runs already.
        let script = "until [ \"$(ulimit -c)\" = 0 ]; do :; done; ulimit -d; ulimit -f";
        let output = shell(home.path(), script, Bounds { memory: 123 << 20, ..WIDE }).await.unwrap();
        let limits: Vec<u64> = String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        // In kibibytes, and in blocks of 512 bytes.
        assert_eq!(limits, [123 << 10, LARGEST_FILE / 512]);
    }

    #[tokio::test]
    async fn what_is_missing_or_killed_by_somebody_is_told() {
        let home = TempDir::new().unwrap();
        let none = run(Path::new("/nowhere/helm"), home.path(), &[], WIDE).await;
        assert!(matches!(none, Err(HelmError::Missing { .. })), "{none:?}");
        assert_eq!(shell(home.path(), "kill -9 $$", WIDE).await, Err(HelmError::OutOfMemory));
    }
}
