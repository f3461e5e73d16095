//! Our server: started, started again, ended.

use crate::api::Api;
use crate::args::{Args, Store};
use crate::client::{Call, Connector, Credentials, Http, JSON};
use crate::etcd::Etcd;
use crate::failure::fail;
use crate::process::Process;
use crate::target::Target;
use base64::Engine;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How to start a server: on a folder that keeps its data from one start to the next.
pub(crate) struct Launch {
    /// The store's name, with the version of etcd.
    pub(crate) name: String,
    binary: PathBuf,
    folder: TempDir,
    etcd: Option<Etcd>,
    http: Http,
    flags: Vec<String>,
}

impl Launch {
    /// A launch on an empty store.
    pub(crate) fn new(args: &Args, store: Store, flags: Vec<String>) -> Self {
        let binary = args.server.clone().unwrap_or_else(|| std::env::current_exe().unwrap().with_file_name("vci-apiserver"));
        if !binary.exists() {
            fail(&format!("{} is not there: cargo build --release", binary.display()));
        }
        let folder = tempfile::tempdir().unwrap();
        let etcd_binary = args.etcd.clone().unwrap_or_else(Etcd::default_binary);
        let (name, etcd) = match store {
            Store::Embedded => ("embedded".to_owned(), None),
            Store::Etcd => (Etcd::version(&etcd_binary), Some(Etcd::start(&etcd_binary, folder.path()))),
        };
        Self { name, binary, folder, etcd, http: args.http, flags }
    }

    /// Starts a server on a free port; returns it with the time from exec to the first good `/readyz`.
    pub(crate) async fn start(&self) -> (Server, Duration) {
        let data = self.folder.path().join("data");
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--secure-port", "0", "--data-dir"]).arg(&data).args(&self.flags);
        if let Some(etcd) = &self.etcd {
            command.args(["--etcd-servers", &etcd.url]);
        }
        let log = self.folder.path().join("log");
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let start = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| fail(&format!("{}: {error}", self.binary.display())));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ending = Ending { child, log };
        let address = lines.find_map(|line| line.unwrap().split("https://").nth(1).map(|rest| rest.trim().to_owned()));
        let address = address.unwrap_or_else(|| fail("the server ended before it served"));
        std::thread::spawn(move || lines.for_each(drop));
        let kubeconfig = std::fs::read_to_string(data.join("admin.kubeconfig")).unwrap();
        let field = |name: &str| {
            let line = kubeconfig.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(name)).unwrap();
            line.trim().trim_matches('"').to_owned()
        };
        let authority = base64::engine::general_purpose::STANDARD.decode(field("certificate-authority-data:")).unwrap();
        let connector = Connector::new(&address, &authority, Credentials::Token(field("token:")), self.http);
        let is_ready = async || {
            let answer = connector.connect().await.try_open(Call::get("/readyz".into(), JSON)).await;
            answer.is_ok_and(|response| response.status() == 200)
        };
        while !is_ready().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ready = start.elapsed();
        (Server { name: self.name.clone(), ending, connector }, ready)
    }
}

/// A running server; ended when dropped.
pub(crate) struct Server {
    name: String,
    ending: Ending,
    pub(crate) connector: Connector,
}

impl Server {
    pub(crate) fn process(&self) -> Process {
        Process(self.ending.child.id())
    }

    /// What the steps measure.
    pub(crate) fn target(&self) -> Target {
        let (name, connector) = (self.name.clone(), self.connector.clone());
        Target { name, process: self.process(), connector, api: Arc::new(Api::ours()) }
    }
}

/// The server's process, which ends with this.
struct Ending {
    child: Child,
    log: PathBuf,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let signal = if failed { Signal::KILL } else { Signal::TERM };
        let _ = kill_process(Pid::from_child(&self.child), signal);
        let _ = self.child.wait();
        if failed {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the server's log:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"));
        }
    }
}
