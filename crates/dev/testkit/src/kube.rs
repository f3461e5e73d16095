//! A real host cluster's control plane: etcd, kube-apiserver with its aggregation layer, and those controllers of
//! kube-controller-manager that clean up after a namespace. No nodes: nothing runs in it.
//!
//! Services of type ExternalName reach servers on this machine, which is what an APIService needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::PATIENCE;
use crate::certs::{Authority, Issued};
use crate::client::{Client, Protocol};
use crate::etcd::{Etcd, EtcdOptions, free_port};
use crate::keeper::Keeper;
use crate::process::Process;
use crate::program::cached;

/// The front proxy's name; that of its next certificate is this followed by `-next`.
const FRONT_PROXY: &str = "front-proxy-client";

/// The controllers that a test can see the work of.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,\
                           resourcequota-controller,serviceaccount-controller";

/// The programs, as `tests/run` builds them.
#[derive(Clone, Debug)]
pub struct Programs {
    etcd: PathBuf,
    apiserver: PathBuf,
    controller_manager: PathBuf,
}

impl Programs {
    /// Those of `$VCI_TEST_CACHE/bin`. Where one is missing, the running test is marked as [lacking](crate::lacking) it.
    pub fn find() -> Option<Self> {
        Self::with_apiserver("kube-apiserver")
    }

    /// The same with the next minor version of kube-apiserver: controllers may be a version behind it, never ahead.
    pub fn find_next() -> Option<Self> {
        Self::with_apiserver("kube-apiserver-1.37")
    }

    fn with_apiserver(apiserver: &str) -> Option<Self> {
        let [etcd, apiserver, controller_manager] =
            ["etcd-3.6", apiserver, "kube-controller-manager"].map(|name| cached(&format!("bin/{name}")));
        Some(Self { etcd: etcd?, apiserver: apiserver?, controller_manager: controller_manager? })
    }
}

/// A control plane; killed and wiped when dropped.
#[derive(Debug)]
pub struct KubeApiserver {
    controllers: Option<Process>,
    process: Process,
    etcd: Etcd,
    port: u16,
    certificates: Certificates,
    kubeconfigs: AtomicUsize,
    folder: TempDir,
}

/// Who vouches for whom.
#[derive(Debug)]
struct Certificates {
    serving: Authority,
    clients: Authority,
    /// What kube-apiserver shows to the servers behind it, and says of itself in the cluster.
    front_proxy: FrontProxy,
}

/// Files of the front proxy, which rotation replaces.
#[derive(Debug)]
struct FrontProxy {
    authorities: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl KubeApiserver {
    /// One that is ready, on free ports, with RBAC and flags of the caller's on top.
    pub async fn start(programs: &Programs, flags: &[String]) -> Self {
        let etcd = Etcd::spawn_with(&programs.etcd, &EtcdOptions { tls: None, flags: vec!["--unsafe-no-fsync".into()] }).await;
        let folder = TempDir::with_prefix("vci-kube-").expect("a temporary folder");
        let certificates = Certificates::new(folder.path());
        // A free port can be taken by someone else before kube-apiserver listens on it; then it ends, and another is tried.
        for _ in 0..10 {
            let port = free_port();
            let mut command = apiserver(programs, etcd.endpoint(), port, folder.path(), &certificates);
            let mut process = Process::spawn(command.args(flags));
            let admin = certificates.client(port, "admin", &["system:masters"]);
            if ready(&mut process, &admin, &folder.path().join("kube-apiserver.log")).await {
                let mut cluster = Self { controllers: None, process, etcd, port, certificates, kubeconfigs: AtomicUsize::new(0), folder };
                cluster.start_controllers(programs);
                return cluster;
            }
        }
        panic!("kube-apiserver does not come up:\n{}", log_of(folder.path(), "kube-apiserver"));
    }

    /// `https://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        base_url(self.port)
    }

    /// The authority of its serving certificate, PEM.
    pub fn ca_pem(&self) -> String {
        self.certificates.serving.pem()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What kube-apiserver has logged.
    pub fn log(&self) -> String {
        log_of(self.folder.path(), "kube-apiserver")
    }

    /// A client that is this user of the cluster, by certificate.
    pub fn client(&self, user: &str, groups: &[&str]) -> Client {
        self.certificates.client(self.port, user, groups)
    }

    /// A certificate of this user, from the authority that the cluster's clients are known by.
    pub fn certificate(&self, user: &str, groups: &[&str]) -> Issued {
        self.certificates.clients.client(user, groups)
    }

    /// A kubeconfig with a certificate of this user of the cluster.
    pub fn kubeconfig(&self, user: &str, groups: &[&str]) -> PathBuf {
        let Issued { cert_pem, key_pem, .. } = self.certificate(user, groups);
        let [certificate, key] = [cert_pem, key_pem].map(|pem| STANDARD.encode(pem));
        self.write_kubeconfig(user, &format!("client-certificate-data: {certificate}, client-key-data: {key}"))
    }

    /// A kubeconfig with this bearer token, such as one of a service account.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str) -> PathBuf {
        self.write_kubeconfig(name, &format!("token: {token}"))
    }

    /// The file of authorities that vouch for clients of the cluster.
    pub fn client_ca_file(&self) -> PathBuf {
        self.certificates.clients.file()
    }

    /// The file of authorities that vouch for the front proxy. Rotation rewrites it.
    pub fn front_proxy_ca_file(&self) -> &Path {
        &self.certificates.front_proxy.authorities
    }

    /// Makes the front proxy be vouched for by both: those who did up to now, and a new authority, which is returned. It
    /// takes kube-apiserver up to a minute to tell the cluster, by its ConfigMap.
    pub fn trust_front_proxies_of_another(&self) -> Authority {
        let FrontProxy { authorities, .. } = &self.certificates.front_proxy;
        let next = Authority::new("front proxies, next");
        let known = std::fs::read_to_string(authorities).expect("the authorities' file");
        replace(authorities, &format!("{known}{}", next.pem()));
        next
    }

    /// Makes kube-apiserver show a certificate of this authority to the servers behind it.
    pub fn show_front_proxy_certificate_of(&self, authority: &Authority) {
        let FrontProxy { certificate, key, .. } = &self.certificates.front_proxy;
        let issued = authority.client(&format!("{FRONT_PROXY}-next"), &[]);
        replace(key, &issued.key_pem);
        replace(certificate, &issued.cert_pem);
    }

    /// Lets the keeper end and wipe all of it, for a cluster that lives in a `static`.
    pub fn leave_to(&self, keeper: &Keeper) {
        let pids = [Some(self.process.pid()), self.controllers.as_ref().map(Process::pid), self.etcd.pid()];
        pids.into_iter().flatten().for_each(|pid| keeper.kill_at_the_end(pid));
        let Certificates { serving, clients, .. } = &self.certificates;
        for folder in [self.folder.path(), self.etcd.folder(), serving.folder(), clients.folder()] {
            keeper.wipe_at_the_end(folder);
        }
    }

    fn start_controllers(&mut self, programs: &Programs) {
        let kubeconfig = self.kubeconfig("system:kube-controller-manager", &[]);
        let mut command = Command::new(&programs.controller_manager);
        command.arg(format!("--kubeconfig={}", kubeconfig.display())).arg(format!("--controllers={CONTROLLERS}"));
        // Each controller is a service account of its own, as in a cluster.
        command.args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"]);
        log_to(&mut command, &self.folder.path().join("kube-controller-manager.log"));
        self.controllers = Some(Process::spawn(&mut command));
    }

    fn write_kubeconfig(&self, user: &str, credentials: &str) -> PathBuf {
        let name = user.replace([':', '/'], "_");
        // Others may be reading that of the same user.
        let count = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.path().join(format!("{name}-{count}.kubeconfig"));
        let (server, ca) = (self.base_url(), self.certificates.serving.file());
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: host\n\
             clusters: [{{name: host, cluster: {{server: \"{server}\", certificate-authority: {ca}}}}}]\n\
             users: [{{name: \"{name}\", user: {{{credentials}}}}}]\n\
             contexts: [{{name: host, context: {{cluster: host, user: \"{name}\"}}}}]\n",
            ca = ca.display()
        );
        std::fs::write(&file, text).expect("a kubeconfig");
        file
    }
}

impl Certificates {
    fn new(folder: &Path) -> Self {
        let [serving, clients, proxies] = ["kube-apiserver", "clients of the cluster", "front proxies"].map(Authority::new);
        let [authorities, certificate, key] = ["front-proxy-ca.crt", "front-proxy.crt", "front-proxy.key"].map(|file| folder.join(file));
        let issued = proxies.client(FRONT_PROXY, &[]);
        let written = [(&authorities, &proxies.pem()), (&certificate, &issued.cert_pem), (&key, &issued.key_pem)];
        for (file, text) in written {
            std::fs::write(file, text).expect("a file");
        }
        Self { serving, clients, front_proxy: FrontProxy { authorities, certificate, key } }
    }

    fn client(&self, port: u16, user: &str, groups: &[&str]) -> Client {
        Client::with_certificate(&base_url(port), &self.serving.pem(), Protocol::Http2, &self.clients.client(user, groups))
    }
}

fn base_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

fn apiserver(programs: &Programs, etcd: &str, port: u16, folder: &Path, certificates: &Certificates) -> Command {
    let Certificates { serving, clients, front_proxy } = certificates;
    // The key of a certificate signs the tokens of service accounts, and the public one is read from the certificate.
    let (service_accounts, serving) = (serving.client("service-accounts", &[]), serving.server(&["127.0.0.1", "localhost"]));
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut command = Command::new(&programs.apiserver);
    command.arg(format!("--etcd-servers={etcd}")).arg(format!("--secure-port={port}"));
    command.args([
        file("tls-cert-file", &serving.cert_file),
        file("tls-private-key-file", &serving.key_file),
        file("client-ca-file", &clients.file()),
        file("requestheader-client-ca-file", &front_proxy.authorities),
        file("proxy-client-cert-file", &front_proxy.certificate),
        file("proxy-client-key-file", &front_proxy.key),
        file("service-account-key-file", &service_accounts.cert_file),
        file("service-account-signing-key-file", &service_accounts.key_file),
        file("cert-dir", folder),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-uid-headers=X-Remote-Uid",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        // There is one, and nobody asks the cluster where it is.
        "--endpoint-reconciler-type=none",
        "--profiling=false",
        // So that a test can see when the front proxy's certificate was read again.
        "--vmodule=dynamic_serving_content=2",
    ]);
    // An empty list would let every certificate of the authority be a front proxy.
    command.arg(format!("--requestheader-allowed-names={FRONT_PROXY},{FRONT_PROXY}-next"));
    log_to(&mut command, &folder.join("kube-apiserver.log"));
    command
}

/// Whether it became ready; false when it ended because somebody else has its port.
async fn ready(process: &mut Process, admin: &Client, log: &Path) -> bool {
    let deadline = Instant::now() + 2 * PATIENCE;
    while process.exited().is_none() {
        let answer = admin.try_request(http::Method::GET, "/readyz", None, "").await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return true;
        }
        assert!(Instant::now() < deadline, "kube-apiserver does not become ready:\n{}", std::fs::read_to_string(log).unwrap_or_default());
        sleep(std::time::Duration::from_millis(50)).await;
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    assert!(said.contains("address already in use"), "kube-apiserver ends:\n{said}");
    false
}

fn log_to(command: &mut Command, file: &Path) {
    let log = Arc::new(std::fs::File::create(file).expect("a log file"));
    let [out, err] = [&log, &log].map(|log| log.try_clone().expect("a second handle"));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
}

fn log_of(folder: &Path, program: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{program}.log"))).unwrap_or_default()
}

/// Replaces a file in one step, so that nobody reads half of it.
fn replace(file: &Path, text: &str) {
    let fresh = file.with_extension("fresh");
    std::fs::write(&fresh, text).expect("a file");
    std::fs::rename(&fresh, file).expect("a file in its place");
}
