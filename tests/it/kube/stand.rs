//! The host cluster with this server in it, as `deploy/` registers it.

use crate::common::BINARY;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::keeper::Keeper;
use vci_testkit::kube::{KubeApiserver, Programs};
use vci_testkit::program::cached;
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

pub(super) const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.management.loft.sh";
pub(super) const SYSTEM: &str = "vci-system";
const AUDIT_LOG: &str = "audit.log";
const SECRET: &str = "vci-apiserver-serving";
/// What kube-apiserver expects of the certificate: the Service's name.
const NAME: &str = "vci-apiserver.vci-system.svc";
pub(super) const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// The host cluster, and this server in it.
pub(super) struct Stand {
    pub(super) cluster: KubeApiserver,
    pub(super) server: TestServer,
    pub(super) kubectl: PathBuf,
    files: TempDir,
}

/// The one stand, with others beside.
pub(super) async fn shared() -> Option<RwLockReadGuard<'static, Stand>> {
    Some(the_one().await?.read().await)
}

/// The one stand and one with the next version of kube-apiserver, with others beside.
pub(super) async fn of_each_version() -> Vec<RwLockReadGuard<'static, Stand>> {
    static NEXT: Slot = OnceCell::const_new();
    let next = match the_stand(&NEXT, Programs::find_next, "bin/kubectl-1.37").await {
        Some(next) => Some(next.read().await),
        None => None,
    };
    shared().await.into_iter().chain(next).collect()
}

/// The one stand, with nobody beside.
pub(super) async fn alone() -> Option<RwLockWriteGuard<'static, Stand>> {
    Some(the_one().await?.write().await)
}

/// Nobody drops a static: the keeper ends what is in it.
static KEEPER: OnceLock<Keeper> = OnceLock::new();

type Slot = OnceCell<RwLock<Stand>>;

async fn the_one() -> Option<&'static RwLock<Stand>> {
    static STAND: Slot = OnceCell::const_new();
    the_stand(&STAND, Programs::find, "bin/kubectl-1.36").await
}

/// Started by the first test that wants it. Each looks for the programs: where one is missing, each is skipped.
async fn the_stand(slot: &'static Slot, programs: fn() -> Option<Programs>, kubectl: &str) -> Option<&'static RwLock<Stand>> {
    let (programs, kubectl) = (programs()?, cached(kubectl)?);
    let start = async || {
        let stand = Stand::start(&programs, kubectl).await;
        let keeper = KEEPER.get_or_init(Keeper::start);
        stand.cluster.leave_to(keeper);
        keeper.kill_at_the_end(stand.server.pid());
        [stand.server.folder(), stand.files.path()].into_iter().for_each(|folder| keeper.wipe_at_the_end(folder));
        RwLock::new(stand)
    };
    Some(slot.get_or_init(start).await)
}

/// Where a test works: a project of its own, and its namespace in the cluster.
pub(super) struct Place {
    pub(super) namespace: String,
}

impl Place {
    /// The path of the instances, or of one of them.
    pub(super) fn path(&self, name: &str) -> String {
        let collection = format!("/apis/management.loft.sh/v1/namespaces/{}/virtualclusterinstances", self.namespace);
        if name.is_empty() { collection } else { format!("{collection}/{name}") }
    }
}

impl Stand {
    async fn start(programs: &Programs, kubectl: PathBuf) -> Self {
        let cluster = KubeApiserver::start(programs, &[]).await;
        let files = TempDir::with_prefix("vci-stand-").expect("a temporary folder");
        let admin = cluster.kubeconfig("admin", &["system:masters"]);
        install(&kubectl, &admin, files.path());
        let policy = files.path().join("policy.yaml");
        std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n").expect("a file");
        let identity = token(&cluster, "vci-apiserver").await;
        let identity = cluster.kubeconfig_with_token("vci-apiserver", &identity);
        keep_certificate(&cluster, files.path(), NAME).await;

        let mut options = ServerOptions::new(BINARY);
        let file = |flag: &str, path: &Path| [flag.to_owned(), path.display().to_string()];
        let flags = [
            file("--tls-cert-file", &files.path().join("tls.crt")),
            file("--tls-private-key-file", &files.path().join("tls.key")),
            file("--kubeconfig", &identity),
            file("--audit-policy-file", &policy),
            file("--audit-log-path", &files.path().join(AUDIT_LOG)),
        ];
        options.flags = flags.into_iter().flatten().collect();
        options.serving_ca = Some(std::fs::read_to_string(files.path().join("ca.crt")).expect("an authority"));
        let server = TestServer::start(options).await;
        let port: u16 = server.base_url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let admin = cluster.client("admin", &["system:masters"]);
        let patch = json!({"spec": {"service": {"port": port}}});
        admin.patch(API_SERVICE, "application/merge-patch+json", &patch).await.expect(200);
        let stand = Self { cluster, server, kubectl, files };
        stand.available().await;
        stand
    }

    /// Waits until kube-apiserver passes requests on.
    pub(super) async fn available(&self) {
        let admin = self.admin();
        wait_for("the APIService to be available", async || available(&admin).await).await;
        wait_for("discovery through kube-apiserver", async || admin.get("/apis/management.loft.sh/v1").await.status == 200).await;
    }

    /// Starts this server again, on the same data and port.
    pub(super) async fn restart(&mut self) {
        self.server.restart().await;
        KEEPER.get_or_init(Keeper::start).kill_at_the_end(self.server.pid());
    }

    /// This server's audit log so far.
    pub(super) fn audit_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.files.path().join(AUDIT_LOG)).expect("an audit log");
        // The last line may be in the making.
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The cluster's administrator.
    pub(super) fn admin(&self) -> Client {
        self.cluster.client("admin", &["system:masters"])
    }

    /// This server itself, asked by a user of the cluster with a certificate.
    pub(super) fn direct(&self, user: &str) -> Client {
        let certificate = self.cluster.certificate(user, &[]);
        Client::with_certificate(self.server.base_url(), &self.server.ca_pem(), Protocol::Http2, &certificate)
    }

    /// A token of a service account of `deploy/`.
    pub(super) async fn token(&self, service_account: &str) -> String {
        token(&self.cluster, service_account).await
    }

    /// A project of this name with these users, and its namespace in the cluster.
    pub(super) async fn project(&self, name: &str, members: &[&str]) -> Place {
        let namespace = format!("loft-p-{name}");
        let admin = self.admin();
        let host = json!({"metadata": {"name": namespace}});
        admin.post("/api/v1/namespaces", &host).await.expect(201);
        for member in members {
            let user = json!({"metadata": {"name": member}});
            let made = admin.post("/apis/management.loft.sh/v1/users", &user).await;
            assert!([201, 409].contains(&made.status.as_u16()), "{}", made.text());
        }
        let role = |member: &&str| json!({"kind": "User", "name": member, "clusterRole": "loft-management-project-user"});
        let members: Vec<Value> = members.iter().map(role).collect();
        let spec = json!({"members": members, "requireTemplate": {"disabled": true}});
        let project = json!({"metadata": {"name": name}, "spec": spec});
        admin.post("/apis/management.loft.sh/v1/projects", &project).await.expect(201);
        Place { namespace }
    }

    /// Binds a user to one of the cluster's roles in a namespace.
    pub(super) async fn bind(&self, place: &Place, user: &str, role: &str) {
        let binding = json!({
            "metadata": {"name": format!("{user}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", place.namespace);
        self.admin().post(&path, &binding).await.expect(201);
        // The cluster's own roles are put together by a controller.
        let review = json!({"spec": {"user": user, "resourceAttributes": {
            "group": "management.loft.sh", "resource": "virtualclusterinstances", "verb": "list", "namespace": place.namespace}}});
        let admin = self.admin();
        wait_for("the role to allow", async || {
            let answer = admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await;
            answer.json()["status"]["allowed"] == true
        })
        .await;
    }

    /// Has the job of `deploy/` make the certificate for these names as well, and the server find it in its files.
    pub(super) async fn renew_certificate(&self, names: &str) {
        keep_certificate(&self.cluster, self.files.path(), &format!("{NAME},{names}")).await;
    }
}

/// Whether the APIService's condition says so.
pub(super) async fn available(admin: &Client) -> bool {
    let found = admin.get(API_SERVICE).await.json();
    let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Available" && condition["status"] == "True")
}

/// Applies the overlay for one replica, whose pods nobody runs here; its Service leads to this machine instead.
fn install(kubectl: &Path, kubeconfig: &Path, folder: &Path) {
    let overlay = folder.join("overlay");
    std::fs::create_dir(&overlay).expect("a folder");
    let text = format!(
        "resources: [{deploy}/overlays/single]\npatches:\n- target: {{kind: Service, name: vci-apiserver}}\n  patch: |-\n    \
         {{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"vci-apiserver\", \"namespace\": \"{SYSTEM}\"}}, \
         \"spec\": {{\"$patch\": \"replace\", \"type\": \"ExternalName\", \"externalName\": \"localhost\"}}}}\n",
        deploy = relative(&overlay, DEPLOY),
    );
    std::fs::write(overlay.join("kustomization.yaml"), text).expect("a file");
    let output = Command::new(kubectl).arg("--kubeconfig").arg(kubeconfig).args(["apply", "--server-side", "-k"]).arg(&overlay).output();
    let output = output.expect("kubectl runs");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// The path to an absolute one from a folder: kustomize takes no absolute ones.
pub(super) fn relative(folder: &Path, to: &str) -> String {
    let folder = folder.canonicalize().expect("a folder");
    format!("{}{}", "../".repeat(folder.components().count() - 1), to.trim_start_matches('/'))
}

/// A token of a service account of `deploy/`.
async fn token(cluster: &KubeApiserver, service_account: &str) -> String {
    let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/{service_account}/token");
    let request = json!({"spec": {"expirationSeconds": 24 * 60 * 60}});
    let answer = cluster.client("admin", &["system:masters"]).post(&path, &request).await.expect(201).json();
    answer["status"]["token"].as_str().expect("a token").to_owned()
}

/// Runs what the job runs, as the job's service account, and puts the Secret into files as the kubelet does.
async fn keep_certificate(cluster: &KubeApiserver, folder: &Path, names: &str) {
    let kubeconfig = cluster.kubeconfig_with_token("certificate", &token(cluster, "vci-apiserver-certificate").await);
    let mut command = Command::new(BINARY);
    command.arg("certificate").arg("--kubeconfig").arg(kubeconfig);
    command.args(["--namespace", SYSTEM, "--secret", SECRET, "--api-service", "v1.management.loft.sh"]);
    let output = command.args(["--names", &format!("{names},127.0.0.1")]).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = format!("/api/v1/namespaces/{SYSTEM}/secrets/{SECRET}");
    let secret = cluster.client("admin", &["system:masters"]).get(&path).await.expect(200).json();
    for key in ["ca.crt", "tls.key", "tls.crt"] {
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, secret["data"][key].as_str().expect("a key"));
        let fresh = folder.join("fresh");
        std::fs::write(&fresh, decoded.expect("base64")).expect("a file");
        std::fs::rename(&fresh, folder.join(key)).expect("a file in its place");
    }
}
