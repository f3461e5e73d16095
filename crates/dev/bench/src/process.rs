//! The server and the etcd that are measured: started, asked for their CPU and memory, ended.

use crate::client::{Connector, Http};
use base64::Engine;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) connector: Connector,
}

impl Server {
    /// Starts it on a free port; returns it with the time from exec to the first good `/readyz`.
    pub(crate) async fn start(binary: &Path, folder: &Path, etcd: Option<&str>, http: Http, flags: &[String]) -> (Self, Duration) {
        let data = folder.join("data");
        let mut command = Command::new(binary);
        command.args(["serve", "--secure-port", "0", "--data-dir"]).arg(&data);
        if let Some(url) = etcd {
            command.args(["--etcd-servers", url]);
        }
        command.args(flags);
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().split("https://").nth(1).map(|rest| rest.trim().to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let kubeconfig = std::fs::read_to_string(data.join("admin.kubeconfig")).unwrap();
        let field = |name: &str| {
            let line = kubeconfig.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(name)).unwrap();
            line.trim().trim_matches('"').to_owned()
        };
        let authority = base64::engine::general_purpose::STANDARD.decode(field("certificate-authority-data:")).unwrap();
        let connector = Connector::new(&address, &authority, &field("token:"), http);
        while !matches!(connector.connect().await.get("/readyz").await, Ok((200, _))) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (Self { child, connector }, start.elapsed())
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu(&self) -> Cpu {
        cpu_of(self.child.id())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.connector.port()
    }

    /// Resident memory.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// The processor time that a process has taken so far.
pub(crate) fn cpu_of(pid: u32) -> Cpu {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The fields behind the command name, which may hold anything, are counted from its closing bracket.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ms = |field: &str| field.parse::<f64>().unwrap() * 10.0;
    Cpu { user: ms(fields[11]), system: ms(fields[12]) }
}

/// Processor time in milliseconds: in the program, and in the kernel on its behalf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: (self.user - before.user).max(0.0), system: (self.system - before.system).max(0.0) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A running etcd.
pub(crate) struct Etcd {
    child: Child,
    pub(crate) url: String,
}

impl Etcd {
    /// The binary to use where none is named: a new one from the tests' cache, or what the path has.
    pub(crate) fn default_binary() -> PathBuf {
        let cached = std::env::var_os("VCI_TEST_CACHE").map(|cache| Path::new(&cache).join("bin/etcd-3.6"));
        cached.filter(|binary| binary.exists()).unwrap_or_else(|| "etcd".into())
    }

    /// What a binary says of its version.
    pub(crate) fn version(binary: &Path) -> String {
        let told = Command::new(binary).arg("--version").output().expect("etcd tells its version").stdout;
        String::from_utf8_lossy(&told).lines().next().unwrap_or_default().replace("etcd Version: ", "etcd ")
    }

    pub(crate) fn start(binary: &Path, folder: &Path) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (client, peer) = (format!("http://127.0.0.1:{}", free()), format!("http://127.0.0.1:{}", free()));
        let child = Command::new(binary)
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        Self { child, url: client }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
