//! The real binary, run as an operator runs it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::{Client, Protocol};
use crate::process::Process;
use crate::{PATIENCE, wait_for};

/// How the line on standard output begins that says the address.
const ADDRESS: &str = "serving on ";

/// What to run.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The binary; in the tests of the root package `env!("CARGO_BIN_EXE_vci-apiserver")`.
    pub binary: PathBuf,
    /// A text for `--bootstrap`.
    pub bootstrap: Option<String>,
    /// What comes before the flags.
    pub subcommand: Option<&'static str>,
    /// Whether it writes `admin.kubeconfig` into its data directory.
    pub admin_kubeconfig: bool,
    /// Flags besides `--data-dir`, `--bind-address`, `--secure-port` and `--bootstrap`.
    pub flags: Vec<String>,
    /// Environment variables on top of the test's own.
    pub env: Vec<(String, String)>,
    /// The authority (PEM) of the serving certificate that the flags name; without one the server makes its own.
    pub serving_ca: Option<String>,
}

impl ServerOptions {
    /// The binary with nothing else.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            bootstrap: None,
            subcommand: Some("serve"),
            admin_kubeconfig: true,
            flags: Vec::new(),
            env: Vec::new(),
            serving_ca: None,
        }
    }
}

/// A server on a data folder of its own; killed and wiped when dropped.
#[derive(Debug)]
pub struct TestServer {
    options: ServerOptions,
    folder: TempDir,
    process: Option<Process>,
    base_url: String,
    logs: Arc<Mutex<String>>,
    kubeconfig: Value,
}

impl TestServer {
    /// Runs it on a free port and waits until it is ready.
    pub async fn start(options: ServerOptions) -> Self {
        let folder = TempDir::with_prefix("vci-server-").expect("a temporary folder");
        if let Some(bootstrap) = &options.bootstrap {
            std::fs::write(folder.path().join("bootstrap.yaml"), bootstrap).expect("the bootstrap file");
        }
        let logs = Arc::default();
        let mut server = Self { options, folder, process: None, base_url: String::new(), logs, kubeconfig: Value::Null };
        server.launch("0").await;
        server
    }

    /// `https://127.0.0.1:PORT`; the same after a restart.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The authority of its certificate, in PEM: the one that the options name, else from the admin's kubeconfig.
    pub fn ca_pem(&self) -> String {
        if let Some(authority) = &self.options.serving_ca {
            return authority.clone();
        }
        let encoded = self.kubeconfig_text("/clusters/0/cluster/certificate-authority-data");
        String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("PEM is text")
    }

    /// The admin's access key, from the admin's kubeconfig.
    pub fn admin_token(&self) -> String {
        self.kubeconfig_text("/users/0/user/token").to_owned()
    }

    /// The admin's kubeconfig, for kubectl.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.data_dir().join("admin.kubeconfig")
    }

    /// Its `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A client that is the admin.
    pub fn admin(&self, protocol: Protocol) -> Client {
        self.anonymous(protocol).bearer(&self.admin_token())
    }

    /// A client without credentials.
    pub fn anonymous(&self, protocol: Protocol) -> Client {
        Client::new(&self.base_url, &self.ca_pem(), protocol)
    }

    /// The folder that has all of its files and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").pid()
    }

    /// All it has written to standard output and standard error, over all its lives.
    pub fn logs(&self) -> String {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it at once (kill -9).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends SIGTERM and doesn't wait.
    pub fn terminate(&self) {
        self.process.as_ref().expect("the server runs").signal(Signal::TERM);
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// Waits for the end of a server that was told to end.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.take().expect("the server runs").end().await
    }

    /// Runs it again on the same data, address and flags; if it still runs it is killed first.
    pub async fn restart(&mut self) {
        self.process = None;
        let port = self.base_url.rsplit(':').next().expect("a port").to_owned();
        self.launch(&port).await;
    }

    /// The same with other [`ServerOptions::flags`].
    pub async fn restart_with(&mut self, flags: Vec<String>) {
        self.options.flags = flags;
        self.restart().await;
    }

    /// Runs it again on the same data, address and flags, and waits only until somebody listens: that it is ready may take long.
    pub async fn restart_unready(&mut self) {
        self.process = None;
        let address = self.base_url.rsplit('/').next().expect("an address").to_owned();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        let (process, _) = self.spawn(&port);
        self.process = Some(process);
        wait_for("the server to listen", async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
    }

    /// Runs it; the receiver hears where it serves, or nothing when it closes its standard output, which is when it ends.
    fn spawn(&self, port: &str) -> (Process, mpsc::UnboundedReceiver<String>) {
        let mut process = Process::spawn(&mut self.command(port));
        let child = process.child();
        capture(child.stderr.take().expect("a pipe"), Arc::clone(&self.logs), |_| ());
        let (address, said) = mpsc::unbounded_channel();
        capture(child.stdout.take().expect("a pipe"), Arc::clone(&self.logs), move |line| {
            if let Some(url) = line.strip_prefix(ADDRESS) {
                let _ = address.send(url.trim().trim_end_matches('/').to_owned());
            }
        });
        (process, said)
    }

    async fn launch(&mut self, port: &str) {
        let (mut process, mut said) = self.spawn(port);
        let base_url = timeout(PATIENCE, said.recv()).await.ok().flatten();
        self.base_url = base_url.unwrap_or_else(|| panic!("the server says no address, ended: {:?}\n{}", process.exited(), self.logs()));
        self.process = Some(process);
        self.ready().await;
    }

    async fn ready(&mut self) {
        if self.options.admin_kubeconfig {
            let path = self.kubeconfig_path();
            wait_for("the admin's kubeconfig", async || path.is_file()).await;
            let text = std::fs::read_to_string(&path).expect("a readable kubeconfig");
            self.kubeconfig = serde_yaml::from_str(&text).expect("a kubeconfig is YAML");
        }
        let client = self.anonymous(Protocol::Http1);
        wait_for("the server to be ready", async || {
            let answer = client.try_request(http::Method::GET, "/readyz", None, "").await;
            answer.is_ok_and(|response| response.status == 200)
        })
        .await;
    }

    fn command(&self, port: &str) -> Command {
        let mut command = Command::new(&self.options.binary);
        command.args(self.options.subcommand).arg("--data-dir").arg(self.data_dir());
        command.args(["--bind-address", "127.0.0.1", "--secure-port", port]);
        if self.options.bootstrap.is_some() {
            command.arg("--bootstrap").arg(self.folder.path().join("bootstrap.yaml"));
        }
        command.args(&self.options.flags).envs(self.options.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn kubeconfig_text(&self, pointer: &str) -> &str {
        let text = self.kubeconfig.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{} has no {pointer}", self.kubeconfig_path().display()))
    }
}

/// Runs the binary to its end, for what fails before it serves: exit status, standard output, standard error.
pub fn run(binary: &Path, arguments: &[&str]) -> (ExitStatus, String, String) {
    let output = Command::new(binary).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display()));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status, text(output.stdout), text(output.stderr))
}

/// Reads lines on a thread of its own, so that the server never waits for its pipe.
fn capture(pipe: impl Read + Send + 'static, logs: Arc<Mutex<String>>, on_line: impl Fn(&str) + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            on_line(&line);
            let mut logs = logs.lock().unwrap_or_else(PoisonError::into_inner);
            logs.push_str(&line);
            logs.push('\n');
        }
    });
}
