//! The server as a part of a real cluster, installed by `deploy.yaml`.

use base64::Engine as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use vci_testkit::certs::Authority;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::kube::{KubeApiserver, Programs};
use vci_testkit::program::cached;
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

const BINARY: &str = env!("CARGO_BIN_EXE_widget");
const DEPLOY: &str = include_str!("../deploy.yaml");
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/shelf/widgets";
const FACTORIES: &str = "/apis/example.com/v1/factories";

/// The objects of `deploy.yaml`.
fn deployed() -> Vec<Value> {
    DEPLOY.split("\n---\n").map(vci_testkit::yaml).collect()
}

/// A cluster with the server in it, which runs here instead of in a pod.
struct Stand {
    cluster: KubeApiserver,
    server: TestServer,
    authority: Authority,
    kubectl: PathBuf,
    folder: TempDir,
}

impl Stand {
    async fn start() -> Option<Self> {
        let (programs, kubectl) = (Programs::find()?, cached("bin/kubectl-1.36")?);
        let cluster = KubeApiserver::start(&programs, &[]).await;
        let (authority, folder) = (Authority::new("widget"), TempDir::new().expect("a folder"));
        install(&cluster, &authority, &kubectl, folder.path());
        let server = serve(&cluster, &authority, folder.path()).await;
        let port: u16 = server.base_url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let stand = Self { cluster, server, authority, kubectl, folder };
        let patch = json!({"spec": {"service": {"port": port}}});
        stand.admin().patch(API_SERVICE, "application/merge-patch+json", &patch).await.expect(200);
        Some(stand)
    }

    fn admin(&self) -> Client {
        self.cluster.client("admin", &["system:masters"])
    }

    /// The server itself, asked by a user of the cluster.
    fn direct(&self, user: &str) -> Client {
        let certificate = self.cluster.certificate(user, &[]);
        Client::with_certificate(self.server.base_url(), &self.authority.pem(), Protocol::Http2, &certificate)
    }

    async fn grant(&self, user: &str, role: &str, namespace: Option<&str>) {
        let (kind, path) = match namespace {
            Some(namespace) => ("RoleBinding", format!("{RBAC}/namespaces/{namespace}/rolebindings")),
            None => ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings")),
        };
        let binding = json!({
            "kind": kind,
            "metadata": {"name": format!("{user}-{}", role.replace(':', "-"))},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        self.admin().post(&path, &binding).await.expect(201);
    }

    fn kubectl(&self, user: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig(user, &[])).env("HOME", self.folder.path());
        let output = command.args(arguments).output().expect("kubectl runs");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// What kubectl says, once it succeeds: kube-apiserver takes a while to tell what an APIService serves.
    async fn kubectl_says(&self, user: &str, arguments: &[&str]) -> String {
        let mut said = String::new();
        wait_for(&format!("kubectl {arguments:?}"), || {
            let (good, text) = self.kubectl(user, arguments);
            said = text;
            std::future::ready(good)
        })
        .await;
        said
    }
}

/// Applies `deploy.yaml` without the objects of cert-manager. The Service leads to this machine.
fn install(cluster: &KubeApiserver, authority: &Authority, kubectl: &Path, folder: &Path) {
    let mut objects = deployed();
    objects.retain(|object| object["apiVersion"] != "cert-manager.io/v1");
    for object in &mut objects {
        match object["kind"].as_str() {
            Some("Service") => object["spec"] = json!({"type": "ExternalName", "externalName": "localhost"}),
            Some("APIService") => {
                object["spec"]["caBundle"] = base64::engine::general_purpose::STANDARD.encode(authority.pem()).into();
            }
            _ => {}
        }
    }
    let file = folder.join("deploy.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).expect("a file");
    let mut command = Command::new(kubectl);
    command.arg("--kubeconfig").arg(cluster.kubeconfig("admin", &["system:masters"])).env("HOME", folder);
    let output = command.args(["apply", "--server-side", "-f"]).arg(&file).output().expect("kubectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the server as the service account of `deploy.yaml`.
async fn serve(cluster: &KubeApiserver, authority: &Authority, folder: &Path) -> TestServer {
    let path = "/api/v1/namespaces/widget-system/serviceaccounts/widget/token";
    let answer = cluster.client("admin", &["system:masters"]).post(path, &json!({"spec": {}})).await.expect(201).json();
    let kubeconfig = cluster.kubeconfig_with_token("widget", answer["status"]["token"].as_str().expect("a token"));
    let serving = authority.server(&["widget.widget-system.svc", "127.0.0.1"]);
    let policy = folder.join("policy.yaml");
    std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n").expect("a file");
    let flags = [
        ("--kubeconfig", &kubeconfig),
        ("--tls-cert-file", &serving.cert_file),
        ("--tls-private-key-file", &serving.key_file),
        ("--audit-policy-file", &policy),
        ("--audit-log-path", &folder.join("audit.log")),
    ];
    let mut options = ServerOptions::new(BINARY);
    (options.subcommand, options.admin_kubeconfig) = (None, false);
    options.flags = flags.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]).collect();
    options.serving_ca = Some(authority.pem());
    TestServer::start(options).await
}

#[test]
fn the_deployment_says_only_what_the_server_understands() {
    let help = Command::new(BINARY).arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let deployment = deployed().into_iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().expect("arguments").clone();
    for argument in &arguments {
        let flag = argument.as_str().and_then(|text| text.split('=').next()).expect("a flag");
        assert!(help.contains(&format!("{flag} ")), "{flag} is not in\n{help}");
    }
    assert!(arguments.len() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_serves_both_kinds_and_its_rbac_decides() {
    let Some(mut stand) = Stand::start().await else { return };
    let admin = stand.admin();
    wait_for("the APIService to be available", async || {
        let found = admin.get(API_SERVICE).await.json();
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Available" && condition["status"] == "True")
    })
    .await;
    admin.post("/api/v1/namespaces", &json!({"metadata": {"name": "shelf"}})).await.expect(201);
    stand.grant("ann", "widget:edit", Some("shelf")).await;
    stand.grant("ann", "widget:factories", None).await;
    let ann = stand.cluster.client("ann", &["people"]);
    for (collection, spec) in [(WIDGETS, json!({"material": "brass"})), (FACTORIES, json!({"city": "Ulm"}))] {
        a_life(&ann, collection, &spec).await;
    }

    strangers_are_refused(&stand).await;
    kubectl_knows_the_kinds(&stand).await;
    metrics_are_granted_by_the_cluster(&stand).await;
    the_audit_log_names_the_user(&stand).await;

    // The cluster's controllers need no more than their own roles.
    ann.post(WIDGETS, &json!({"metadata": {"name": "left-behind"}, "spec": {}})).await.expect(201);
    admin.delete("/api/v1/namespaces/shelf").await.expect(200);
    wait_for("the namespace and what is in it to be gone", async || admin.get("/api/v1/namespaces/shelf").await.status == 404).await;

    let direct = stand.direct("ann");
    let mut watch = direct.watch(&format!("{FACTORIES}?watch=true")).await;
    assert_eq!(watch.status, 200);
    let ended = stand.server.stop().await;
    assert!(ended.success(), "{ended}: {}", stand.server.logs());
    while watch.next().await.is_some() {}
}

/// Create, get, list, watch and delete through kube-apiserver.
async fn a_life(user: &Client, collection: &str, spec: &Value) {
    let object = json!({"metadata": {"name": "one"}, "spec": spec});
    wait_for("the role to be heard of, and the APIService", async || user.get(collection).await.status == 200).await;
    wait_for("the creation", async || user.post(collection, &object).await.status == 201).await;
    let found = user.get(&format!("{collection}/one")).await.expect(200).json();
    let list = user.get(collection).await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["items"][0]["metadata"]["uid"], found["metadata"]["uid"]);
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    let mut watch = user.watch(&format!("{collection}?watch=true&resourceVersion={version}")).await;
    user.delete(&format!("{collection}/one")).await.expect(200);
    let event = watch.next().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["metadata"]["uid"]), (&json!("DELETED"), &found["metadata"]["uid"]));
}

/// Neither through kube-apiserver nor by the way around it.
async fn strangers_are_refused(stand: &Stand) {
    for bob in [stand.cluster.client("bob", &[]), stand.direct("bob")] {
        for (collection, spec) in [(WIDGETS, json!({})), (FACTORIES, json!({"city": "Ulm"}))] {
            let object = json!({"metadata": {"name": "one"}, "spec": spec});
            for answer in [bob.get(collection).await, bob.get(&format!("{collection}/one")).await, bob.post(collection, &object).await] {
                assert_eq!(answer.status, 403, "{}", answer.text());
                assert!(answer.text().contains("\\\"bob\\\" cannot"), "{}", answer.text());
            }
        }
    }
    // A role in one namespace is none in another.
    let elsewhere = WIDGETS.replace("shelf", "default");
    assert_eq!(stand.direct("ann").get(&elsewhere).await.status, 403);
    assert_eq!(stand.direct("ann").get(WIDGETS).await.status, 200);
}

async fn kubectl_knows_the_kinds(stand: &Stand) {
    let ann = stand.cluster.client("ann", &[]);
    ann.post(WIDGETS, &json!({"metadata": {"name": "hinge"}, "spec": {}})).await.expect(201);
    let table = stand.kubectl_says("ann", &["-n", "shelf", "get", "wd"]).await;
    let words: Vec<&str> = table.split_whitespace().collect();
    assert!(words.starts_with(&["NAME", "WIDTH", "PHASE", "AGE", "hinge", "10"]), "{table}");
    let explained = stand.kubectl_says("ann", &["explain", "widgets.spec.width"]).await;
    assert!(explained.contains("The width in millimetres"), "{explained}");
    let explained = stand.kubectl_says("ann", &["explain", "factories.spec"]).await;
    assert!(explained.contains("The number of machines"), "{explained}");
    let (good, refused) = stand.kubectl("bob", &["-n", "shelf", "get", "widgets"]);
    assert!(!good && refused.contains("Forbidden"), "{refused}");
}

async fn metrics_are_granted_by_the_cluster(stand: &Stand) {
    let role = json!({"metadata": {"name": "metrics"}, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]});
    stand.admin().post(&format!("{RBAC}/clusterroles"), &role).await.expect(201);
    assert_eq!(stand.direct("bob").get("/metrics").await.status, 403);
    stand.grant("scraper", "metrics", None).await;
    let scraper = stand.direct("scraper");
    wait_for("the role to be heard of", async || scraper.get("/metrics").await.status == 200).await;
    let page = scraper.get("/metrics").await.expect(200).text();
    assert!(page.contains("apiserver_request_total") && page.contains("resource=\"widgets\""), "{page}");
}

async fn the_audit_log_names_the_user(stand: &Stand) {
    let created_by_ann = |event: &Value| {
        let created = event["verb"] == "create" && event["objectRef"]["resource"] == "widgets" && event["responseStatus"]["code"] == 201;
        created && event["stage"] == "ResponseComplete" && event["user"]["username"] == "ann"
    };
    let find = || {
        let text = std::fs::read_to_string(stand.folder.path().join("audit.log")).expect("an audit log");
        // The last line may be in the making.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON")).find(created_by_ann)
    };
    wait_for("the event", async || find().is_some()).await;
    let event = find().expect("it is there");
    let groups = event["user"]["groups"].as_array().expect("groups");
    assert!(groups.contains(&json!("people")), "what the front proxy says: {event}");
}
