//! Real etcds: found on the machine, spawned, stopped, killed, frozen, started again.

use rustix::process::Signal;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::certs::{Authority, Issued};
use crate::process::Process;
use crate::{PATIENCE, lacking};

/// Which etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// `etcd` on PATH or `/usr/bin/etcd`, of whatever version.
    OnPath,
    /// 3.6: `$VCI_TEST_ETCD_36`, or `bin/etcd-3.6` of `$VCI_TEST_CACHE` (by default `~/.cache/vci-apiserver`).
    V3_6,
}

/// This etcd on this machine with its version. Where it is missing, the running test is marked as [`lacking`] it.
pub fn find(release: Release) -> Option<(String, PathBuf)> {
    let (what, found) = match release {
        Release::OnPath => {
            let on_path = std::env::var_os("PATH").unwrap_or_default();
            let mut files = std::env::split_paths(&on_path).map(|folder| folder.join("etcd")).chain([PathBuf::from("/usr/bin/etcd")]);
            ("etcd on PATH", files.find(|path| path.is_file()))
        }
        Release::V3_6 => {
            let files = [
                std::env::var_os("VCI_TEST_ETCD_36").map(PathBuf::from),
                std::env::var_os("VCI_TEST_CACHE").map(|cache| Path::new(&cache).join("bin/etcd-3.6")),
                std::env::home_dir().map(|home| home.join(".cache/vci-apiserver/bin/etcd-3.6")),
            ];
            ("etcd 3.6 ($VCI_TEST_ETCD_36, $VCI_TEST_CACHE/bin/etcd-3.6)", files.into_iter().flatten().find(|path| path.is_file()))
        }
    };
    match found {
        Some(binary) => Some((version(&binary), binary)),
        None => {
            lacking(what);
            None
        }
    }
}

/// The etcds on this machine with their versions, one of each [`Release`].
pub fn available() -> Vec<(String, PathBuf)> {
    [Release::OnPath, Release::V3_6].into_iter().filter_map(find).collect()
}

fn version(binary: &Path) -> String {
    let output = Command::new(binary).arg("--version").output().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    version.unwrap_or_else(|| panic!("{} does not say its version: {text}", binary.display())).to_owned()
}

/// What can differ from a plain etcd.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// Serve clients over TLS and ask them for certificates.
    pub tls: Option<EtcdTls>,
    /// More flags for etcd.
    pub flags: Vec<String>,
}

/// The files that etcd serves TLS with.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    ca: PathBuf,
    server: Issued,
}

impl EtcdTls {
    /// A certificate for 127.0.0.1 by this authority, which must have issued the clients' certificates as well.
    pub fn new(authority: &Authority) -> Self {
        Self { ca: authority.file(), server: authority.server(&["127.0.0.1", "localhost"]) }
    }
}

/// One member of an etcd cluster (mostly of one), killed and wiped when dropped.
#[derive(Debug)]
pub struct Etcd {
    binary: PathBuf,
    arguments: Vec<String>,
    endpoint: String,
    health: u16,
    folder: TempDir,
    process: Option<Process>,
}

/// The ports of one member.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    metrics: u16,
}

impl Etcd {
    /// A plain etcd of one member, answering.
    pub async fn spawn(binary: &Path) -> Self {
        Self::spawn_with(binary, &EtcdOptions::default()).await
    }

    /// An etcd of one member, answering.
    pub async fn spawn_with(binary: &Path, options: &EtcdOptions) -> Self {
        Self::cluster(binary, 1, options).await.remove(0)
    }

    /// A cluster of that many members, all answering.
    pub async fn cluster(binary: &Path, members: usize, options: &EtcdOptions) -> Vec<Self> {
        // A free port can be taken by someone else before etcd listens on it; then etcd ends, and others are tried.
        for _ in 0..10 {
            let ports: Vec<Ports> = (0..members).map(|_| Ports { client: free_port(), peer: free_port(), metrics: free_port() }).collect();
            let mut cluster: Vec<Self> = (0..members).map(|index| Self::prepare(binary, &ports, index, options)).collect();
            for member in &mut cluster {
                member.launch();
            }
            let mut healthy = true;
            for member in &mut cluster {
                healthy &= member.answering().await;
            }
            if healthy {
                return cluster;
            }
        }
        panic!("{} did not come up on ten sets of ports", binary.display());
    }

    fn prepare(binary: &Path, ports: &[Ports], index: usize, options: &EtcdOptions) -> Self {
        let folder = TempDir::with_prefix("vci-etcd-").expect("a temporary folder");
        let Ports { client, peer, metrics } = ports[index];
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let members: Vec<String> = ports.iter().enumerate().map(|(n, ports)| format!("m{n}=http://127.0.0.1:{}", ports.peer)).collect();
        let mut arguments = vec![
            format!("--name=m{index}"),
            format!("--data-dir={}", folder.path().join("data").display()),
            format!("--listen-client-urls={endpoint}"),
            format!("--advertise-client-urls={endpoint}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster={}", members.join(",")),
            format!("--listen-metrics-urls=http://127.0.0.1:{metrics}"),
            "--logger=zap".to_owned(),
        ];
        if let Some(EtcdTls { ca, server }) = &options.tls {
            arguments.push("--client-cert-auth".to_owned());
            arguments.push(format!("--trusted-ca-file={}", ca.display()));
            arguments.push(format!("--cert-file={}", server.cert_file.display()));
            arguments.push(format!("--key-file={}", server.key_file.display()));
        }
        arguments.extend_from_slice(&options.flags);
        Self { binary: binary.to_owned(), arguments, endpoint, health: metrics, folder, process: None }
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `host:port` for clients.
    pub fn authority(&self) -> &str {
        self.endpoint.rsplit('/').next().expect("a URL has an authority")
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Where its data is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends it orderly (SIGTERM) and waits for it.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::TERM);
            process.end().await;
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same data and ports and waits until it answers; frozen or running, it is killed first.
    pub async fn start(&mut self) {
        self.process = None;
        self.launch();
        let endpoint = self.endpoint.clone();
        assert!(self.answering().await, "etcd at {endpoint} did not come up again:\n{}", self.log());
    }

    /// Stops its clock (SIGSTOP): connections stay, nothing answers.
    pub fn freeze(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.running().signal(Signal::CONT);
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("etcd is running")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn launch(&mut self) {
        let log: File = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).stdin(Stdio::null()).stderr(log.try_clone().expect("a second handle")).stdout(log);
        self.process = Some(Process::spawn(&mut command));
    }

    /// Whether it came up; false when it ended instead.
    async fn answering(&mut self) -> bool {
        let process = self.process.as_mut().expect("etcd was launched");
        let deadline = Instant::now() + PATIENCE;
        while process.exited().is_none() {
            if health(self.health).await {
                // Not somebody else's etcd on a port that this one did not get.
                return process.exited().is_none();
            }
            assert!(Instant::now() < deadline, "etcd does not come up");
            sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

/// Asks `/health`, which is served without TLS beside the metrics.
async fn health(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer.contains(r#""health":"true""#))
    };
    tokio::time::timeout(Duration::from_secs(2), ask).await.ok().flatten().unwrap_or(false)
}

/// A port that is free now and outside the range from which the kernel takes the ports of outgoing connections, so that it is
/// still free when a stopped etcd starts again.
pub fn free_port() -> u16 {
    let random = RandomState::new();
    for attempt in 0..1000_u32 {
        let port = 10_000 + (random.hash_one(attempt) % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_available_etcd_survives_a_restart_and_a_kill() {
        for (version, binary) in available() {
            let mut etcd = Etcd::spawn(&binary).await;
            let endpoint = etcd.endpoint().to_owned();
            etcd.stop().await;
            assert!(!health(etcd.health).await, "{version}");
            etcd.start().await;
            etcd.kill();
            etcd.start().await;
            assert_eq!(etcd.endpoint(), endpoint, "{version}");
            let (folder, port) = (etcd.folder.path().to_owned(), etcd.health);
            drop(etcd);
            assert!(!folder.exists() && !health(port).await, "{version}");
        }
    }
}
