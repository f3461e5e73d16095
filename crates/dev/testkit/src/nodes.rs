//! A real cluster of three nodes on this machine, with pods, Services and volumes: what `tests/node/cluster/run` runs.
//!
//! Its network is a namespace of its own. A thread has to go there to reach it, and takes along what it starts.

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

use crate::certs::Issued;
use crate::client::{Client, Protocol};
use crate::lacking;
use crate::program::{Program, cached};

/// Its programs are many, and start at once.
const START: Duration = Duration::from_secs(300);
const KUBECTL: &str = "bin/kubectl-1.36";
const APISERVER: &str = "https://192.168.77.11:6443";

/// A cluster; it ends, and all of it is removed, when this is dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct NodeCluster {
    program: Program,
    network: File,
    folder: PathBuf,
    kubectl: PathBuf,
}

impl NodeCluster {
    /// Whether this machine can run one. `scripts` is the folder of `run`. Where something is missing, the running test is
    /// marked as [`lacking`] it.
    pub fn is_possible(scripts: &Path) -> bool {
        let lacks = Command::new(scripts.join("run")).args(["lacks", "machine", "tools", "programs"]).output().expect("bash runs");
        if lacks.status.success() {
            lacking(&format!("real nodes, which need {}", String::from_utf8_lossy(&lacks.stdout).trim()));
            return false;
        }
        cached(KUBECTL).is_some()
    }

    /// One that is up, with this binary of the product in an image on each node; `None` where none [is possible](Self::is_possible).
    pub async fn start(scripts: &Path, product: &Path) -> Option<Self> {
        let (run, kubectl) = (scripts.join("run"), cached(KUBECTL)?);
        // The script removes it, when nothing that runs there uses it any more.
        let folder = TempDir::with_prefix("vci-node-").expect("a temporary folder").keep();
        let mut program = Program::spawn(Command::new(&run).args([&folder, product]));
        assert_eq!(program.line_within(START).await, "ready");
        let pid = std::fs::read_to_string(folder.join("pid")).expect("a process id");
        let network = File::open(format!("/proc/{}/ns/net", pid.trim())).expect("a network namespace");
        Some(Self { program, network, folder, kubectl })
    }

    /// Moves this thread into the cluster's network, for good.
    pub fn enter(&self) {
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network)).expect("a thread may go there");
    }

    /// A client of kube-apiserver that may do everything, for threads in the cluster's network.
    pub fn admin(&self, protocol: Protocol) -> Client {
        let file = |name: &str| self.folder.join("keys").join(name);
        let text = |path: &Path| std::fs::read_to_string(path).expect("a file in PEM");
        let (cert_file, key_file) = (file("admin.crt"), file("admin.key"));
        let issued = Issued { cert_pem: text(&cert_file), key_pem: text(&key_file), cert_file, key_file };
        Client::with_certificate(APISERVER, &text(&file("ca.crt")), protocol, &issued)
    }

    /// `kubectl` as the administrator, for threads in the cluster's network.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        // Where it keeps what it has found out about servers.
        command.env("HOME", &self.folder).arg("--kubeconfig").arg(self.folder.join("keys/admin.kubeconfig"));
        command
    }

    /// Starts kube-apiserver again, with or without `--enable-aggregator-routing`.
    pub async fn route_to_endpoints(&mut self, on: bool) {
        self.program.write(&format!("routing {on}"));
        assert_eq!(self.program.line_within(START).await, "done", "{}", self.program.errors());
    }

    /// Puts the images of what runs in virtual clusters onto the nodes.
    pub async fn load_virtual_cluster_images(&mut self) {
        self.program.write("load virtual-clusters");
        assert_eq!(self.program.line_within(START).await, "done", "{}", self.program.errors());
    }

    /// Kills what runs in the pod with this UID and has a command line that begins like this, as the kernel would that is short
    /// of memory. Tells how many there were.
    pub fn kill(&self, pod: &str, command_line: &str) -> usize {
        let cgroup = format!("/pod{pod}/");
        let processes = std::fs::read_dir("/proc").expect("processes");
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let meant = pids.filter(|pid| {
            let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            words.starts_with(command_line) && String::from_utf8_lossy(&read("cgroup")).contains(&cgroup)
        });
        meant.filter_map(Pid::from_raw).map(|pid| kill_process(pid, Signal::KILL).expect("root may")).count()
    }
}

impl Drop for NodeCluster {
    fn drop(&mut self) {
        self.program.finish();
    }
}
