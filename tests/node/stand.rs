//! The one cluster of these tests, and an overlay that is up in it.

use serde_json::{Value, json};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::nodes::NodeCluster;

/// How kube-apiserver finds the pods of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routing {
    /// By the Service's address, which kube-proxy leads to one of them.
    Service,
    /// By itself: `--enable-aggregator-routing`.
    Endpoints,
}

pub(super) const COLLECTION: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances";
const GROUP: &str = "/apis/management.loft.sh/v1";
const NAMESPACE: &str = "vci-system";
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
/// Far longer than anything takes, on a machine that has other work as well.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// The cluster, and what the test before has left there.
#[derive(Debug)]
struct Shared {
    cluster: NodeCluster,
    overlay: Option<&'static str>,
}

/// An overlay of `deploy/` that is up, seen from a thread in the cluster's network.
#[derive(Debug)]
pub(super) struct Stand<'a> {
    pub(super) cluster: &'a mut NodeCluster,
    pub(super) admin: Client,
    runtime: tokio::runtime::Runtime,
    overlay: &'static str,
    routing: Routing,
}

/// A pod as the tests want to know it.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) node: String,
    uid: String,
    restarts: u64,
    ready: bool,
}

/// Runs a test with this overlay, freshly installed, and with nobody else in the cluster.
pub(super) fn with(overlay: &'static str, test: impl FnOnce(&mut Stand<'_>) + Send) {
    let Some(shared) = the_one() else { return };
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let Shared { cluster, overlay: installed } = &mut *shared;
    let body = || {
        cluster.enter();
        let admin = cluster.admin(Protocol::Http1);
        let mut stand = Stand { cluster, admin, runtime: runtime(), overlay, routing: Routing::Service };
        if let Some(old) = installed.replace(overlay) {
            stand.uninstall(old);
            stand.route(Routing::Service);
        }
        stand.install();
        test(&mut stand);
    };
    let ended = std::thread::scope(|scope| scope.spawn(body).join());
    ended.unwrap_or_else(|panic| resume_unwind(panic));
}

/// Nobody drops it; it ends with this process.
fn the_one() -> Option<&'static Mutex<Shared>> {
    static SHARED: OnceLock<Option<Mutex<Shared>>> = OnceLock::new();
    let (scripts, product) = (Path::new(REPOSITORY).join("tests/node/cluster"), env!("CARGO_BIN_EXE_vci-apiserver"));
    // Each test looks: where something is missing, each is skipped.
    if !NodeCluster::is_possible(&scripts) {
        return None;
    }
    let start = || {
        let cluster = runtime().block_on(NodeCluster::start(&scripts, product.as_ref()))?;
        Some(Mutex::new(Shared { cluster, overlay: None }))
    };
    SHARED.get_or_init(start).as_ref()
}

/// One that stays on its thread, and so in the network that this is in.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Stand<'_> {
    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// From now on kube-apiserver finds the pods like this.
    pub(super) fn route(&mut self, routing: Routing) {
        self.runtime.block_on(self.cluster.route_to_endpoints(routing == Routing::Endpoints));
        self.routing = routing;
        self.until("kube-apiserver to be back", || self.run(self.admin.get(GROUP)).status != 503);
    }

    /// Puts the images of what runs in virtual clusters onto the nodes.
    pub(super) fn load_virtual_cluster_images(&mut self) {
        self.runtime.block_on(self.cluster.load_virtual_cluster_images());
    }

    /// What it is, for figures.
    pub(super) fn name(&self) -> String {
        let routing = if self.routing == Routing::Endpoints { " with aggregator routing" } else { "" };
        format!("{}{routing}", self.overlay)
    }

    fn install(&self) {
        self.kubectl(&["apply", "--server-side", "-k", &path(self.overlay)]);
        self.settled();
        self.until("discovery through kube-apiserver", || self.run(self.admin.get(GROUP)).status == 200);
        let project = json!({"metadata": {"name": "loft-p-my-project"}});
        let made = self.run(self.admin.post("/api/v1/namespaces", &project));
        assert!([201, 409].contains(&made.status.as_u16()), "{}", made.text());
    }

    /// The namespace goes last: its controller would wait for an API that is not served any more, and for half the time that
    /// pods may take. These go by themselves, so that it is said only once how long they may.
    fn uninstall(&self, overlay: &str) {
        self.kubectl(&["delete", "--ignore-not-found", "apiservice", "v1.management.loft.sh"]);
        let owners = "cronjobs,jobs,deployments,replicasets,statefulsets";
        self.kubectl_there(&["delete", owners, "--all", "--cascade=orphan", "--timeout=180s"]);
        self.kubectl_there(&["delete", "pods", "--all", "--grace-period=1", "--timeout=180s"]);
        self.kubectl(&["delete", "--ignore-not-found", "--timeout=180s", "-k", &path(overlay)]);
        self.until("the namespace to be gone", || self.run(self.admin.get(&format!("/api/v1/namespaces/{NAMESPACE}"))).status == 404);
    }

    /// What `kubectl` says, which has to succeed.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        output(self.cluster.kubectl().args(arguments))
    }

    /// `kubectl` in the namespace of the product.
    pub(super) fn kubectl_there(&self, arguments: &[&str]) -> String {
        self.kubectl(&[&["--namespace", NAMESPACE], arguments].concat())
    }

    /// The pods of servers.
    pub(super) fn servers(&self) -> Vec<Pod> {
        self.pods("app.kubernetes.io/component=server")
    }

    /// The pods of servers and of controllers.
    fn workers(&self) -> Vec<Pod> {
        self.pods("app.kubernetes.io/component+in+(server,controller)")
    }

    /// Kills the controller, whatever it is doing.
    pub(super) fn kill_controller(&self) {
        let pod = self.pods("app.kubernetes.io/component=controller").pop().expect("a controller");
        // One that was killed a moment ago may not be there again yet.
        self.cluster.kill(&pod.uid, "/vci-apiserver controller");
    }

    /// The pods of etcd.
    pub(super) fn members(&self) -> Vec<Pod> {
        self.pods("app.kubernetes.io/name=vci-etcd")
    }

    fn pods(&self, selector: &str) -> Vec<Pod> {
        self.items("api/v1", &format!("pods?labelSelector={selector}")).iter().map(Pod::read).collect()
    }

    /// Waits until every pod that there should be is ready, and there is no other.
    pub(super) fn settled(&self) {
        self.until("all pods to be ready", || {
            let wanted =
                |kind: &str| self.items("apis/apps/v1", kind).iter().filter_map(|item| item["spec"]["replicas"].as_u64()).sum::<u64>();
            let as_wanted = |pods: &[Pod], kind: &str| pods.len() as u64 == wanted(kind) && pods.iter().all(|pod| pod.ready);
            as_wanted(&self.workers(), "deployments") && as_wanted(&self.members(), "statefulsets")
        });
    }

    /// Kills what runs in the only container of a pod, and waits until it runs again.
    pub(super) fn kill(&self, pod: &Pod, command_line: &str) {
        assert_eq!(self.cluster.kill(&pod.uid, command_line), 1, "{pod:?}");
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{}", pod.name);
        self.until("the container to be started again", || {
            Pod::read(&self.run(self.admin.get(&path)).expect(200).json()).restarts > pod.restarts
        });
        self.settled();
    }

    fn items(&self, group: &str, resource: &str) -> Vec<Value> {
        let path = format!("/{group}/namespaces/{NAMESPACE}/{resource}");
        let list = self.run(self.admin.get(&path)).expect(200).json();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub(super) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            if start.elapsed() > PATIENCE {
                let pods = self.kubectl(&["get", "pods,events", "--all-namespaces", "--output=wide"]);
                panic!("waited {PATIENCE:?} in vain for {what}:\n{pods}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Pod {
    fn read(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        Self {
            name: text(&pod["metadata"]["name"]),
            node: text(&pod["spec"]["nodeName"]),
            uid: text(&pod["metadata"]["uid"]),
            restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default(),
            ready: ready && pod["metadata"]["deletionTimestamp"].is_null(),
        }
    }
}

fn path(overlay: &str) -> String {
    format!("{REPOSITORY}/deploy/overlays/{overlay}")
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout.into_owned()
}
