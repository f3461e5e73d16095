//! A host cluster with a pod that is a virtual cluster, and the server before them.

use super::kubelet::Kubelet;
use crate::common::{BINARY, MERGE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use http::HeaderValue;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use vci_testkit::certs::Authority;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::kube::{KubeApiserver, Programs};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

pub(super) const PROXY: &str = "/kubernetes/project/blue/virtualcluster/my-vc";
const OBJECTS: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";
const NAMESPACE: &str = "loft-blue-v-my-vc";

/// The host, the virtual cluster and the server.
pub(super) struct Stand {
    host: KubeApiserver,
    inside: KubeApiserver,
    server: TestServer,
    kubelet: Kubelet,
    files: TempDir,
    _authority: Authority,
}

impl Stand {
    /// `None`: a program is missing.
    pub(super) async fn start() -> Option<Self> {
        let programs = Programs::find()?;
        let authority = Authority::new("virtual cluster");
        let issued = authority.server(&[&format!("my-vc.{NAMESPACE}")]);
        let serving = format!("--tls-sni-cert-key={},{}", issued.cert_file.display(), issued.key_file.display());
        let flags = [serving];
        let (host, inside) = tokio::join!(KubeApiserver::start(&programs, &[]), KubeApiserver::start(&programs, &flags));
        let address = inside.base_url().trim_start_matches("https://").parse().expect("an address");
        let kubelet = Kubelet::start(address).await;
        let files = TempDir::with_prefix("vci-gateway-").expect("a temporary folder");
        let policy = files.path().join("policy.yaml");
        std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n").expect("a file");
        let mut options = ServerOptions::new(BINARY);
        options.bootstrap = Some(people());
        let flag = |name: &str, value: PathBuf| [format!("--{name}"), value.display().to_string()];
        options.flags = [
            flag("kubeconfig", host.kubeconfig("admin", &["system:masters"])),
            flag("audit-policy-file", policy),
            flag("audit-log-path", files.path().join("audit.log")),
        ]
        .concat();
        let server = TestServer::start(options).await;
        let stand = Self { host, inside, server, kubelet, files, _authority: authority };
        stand.place(&stand._authority).await;
        stand.make_instance().await;
        Some(stand)
    }

    /// Somebody with an access key.
    pub(super) fn client(&self, user: &str) -> Client {
        self.server.anonymous(Protocol::Http2).bearer(&format!("key-of-{user}"))
    }

    /// Gives one user a role inside, and nobody else.
    pub(super) async fn share(&self, user: &str, role: &str) {
        let patch = json!({"spec": {"extraAccessRules": [{"users": [user], "clusterRole": role}]}});
        self.client("root").patch(&format!("{OBJECTS}/my-vc"), MERGE, &patch).await.expect(200);
    }

    /// Binds the group of a role inside, as the controller does.
    pub(super) async fn bind(&self, role: &str) {
        let binding = json!({
            "metadata": {"name": format!("loft-access-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": format!("loft:clusterrole:{role}")}],
        });
        let admin = self.inside.client("admin", &["system:masters"]);
        admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.expect(201);
    }

    /// A kubeconfig that leads to the virtual cluster through the server.
    pub(super) async fn kubeconfig(&self, user: &str) -> PathBuf {
        let made = self.client(user).post(&format!("{OBJECTS}/my-vc/kubeconfig"), &json!({"spec": {}})).await.expect(201).json();
        let mut config = vci_testkit::yaml(made["status"]["kubeConfig"].as_str().expect("a kubeconfig"));
        assert_eq!(config["clusters"][0]["cluster"]["server"], format!("{}{PROXY}", self.server.base_url()));
        config["users"][0]["user"] = json!({"token": format!("key-of-{user}")});
        let file = self.files.path().join(format!("{user}.kubeconfig"));
        std::fs::write(&file, config.to_string()).expect("a file");
        file
    }

    /// A WebSocket to a path of the virtual cluster.
    pub(super) async fn websocket(&self, user: &str, path: &str) -> Socket {
        let url = self.server.base_url();
        let address = url.trim_start_matches("https://");
        let mut roots = rustls::RootCertStore::empty();
        let root = rustls_pki_types::pem::PemObject::from_pem_slice(self.server.ca_pem().as_bytes()).expect("an authority");
        roots.add(root).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.expect("TLS");
        let mut request = format!("wss://{address}{PROXY}{path}").into_client_request().expect("a request");
        let bearer = HeaderValue::try_from(format!("Bearer key-of-{user}")).expect("a header");
        request.headers_mut().insert("authorization", bearer);
        // What browsers send, and kube-apiserver wants.
        request.headers_mut().insert("origin", HeaderValue::from_static("https://127.0.0.1"));
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        assert_eq!(response.status(), 101);
        Socket(socket)
    }

    pub(super) fn audit_log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("audit.log")).expect("an audit log")
    }

    /// The last event of a request.
    pub(super) async fn audited(&self, id: &str) -> Value {
        let find = || {
            let log = self.audit_log();
            let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            events.into_iter().find(|event| event["auditID"] == id && event["stage"] == "ResponseComplete")
        };
        wait_for("the event", || async { find().is_some() }).await;
        find().expect("it was there")
    }

    pub(super) fn end_connections(&self) {
        self.kubelet.end_connections();
    }

    pub(super) async fn set_pod_ready(&self, is_ready: bool) {
        let status = if is_ready { "True" } else { "False" };
        let patch = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}});
        self.host_admin().patch(&format!("/api/v1/namespaces/{NAMESPACE}/pods/my-vc-0/status"), MERGE, &patch).await.expect(200);
    }

    fn host_admin(&self) -> Client {
        self.host.client("admin", &["system:masters"])
    }

    /// What the chart makes on the host: a pod on a node, and the Secret.
    async fn place(&self, authority: &Authority) {
        let admin = self.host_admin();
        let node = json!({"metadata": {"name": "node"}});
        admin.post("/api/v1/nodes", &node).await.expect(201);
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.kubelet.port}},
        }});
        admin.patch("/api/v1/nodes/node/status", MERGE, &status).await.expect(200);
        for namespace in [NAMESPACE, "loft-p-blue"] {
            admin.post("/api/v1/namespaces", &json!({"metadata": {"name": namespace}})).await.expect(201);
        }
        let account = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default");
        wait_for("the service account", || async { admin.get(&account).await.status == 200 }).await;
        let pod = json!({
            "metadata": {"name": "my-vc-0", "labels": {"app": "vcluster", "release": "my-vc"}},
            "spec": {"nodeName": "node", "automountServiceAccountToken": false, "containers": [{"name": "syncer", "image": "vcluster"}]},
        });
        admin.post(&format!("/api/v1/namespaces/{NAMESPACE}/pods"), &pod).await.expect(201);
        self.set_pod_ready(true).await;
        let administrator = self.inside.certificate("kubernetes-super-admin", &["system:masters"]);
        let data = json!({
            "certificate-authority": STANDARD.encode(authority.pem()),
            "client-certificate": STANDARD.encode(administrator.cert_pem),
            "client-key": STANDARD.encode(administrator.key_pem),
        });
        let secret = json!({"metadata": {"name": "vc-my-vc"}, "data": data});
        admin.post(&format!("/api/v1/namespaces/{NAMESPACE}/secrets"), &secret).await.expect(201);
    }

    async fn make_instance(&self) {
        let cluster_ref = json!({"cluster": "loft-cluster", "namespace": NAMESPACE, "virtualCluster": "my-vc"});
        let spec = json!({"owner": {"user": "owner"}, "clusterRef": cluster_ref, "templateRef": {"name": "t"}});
        self.client("root").post(OBJECTS, &json!({"metadata": {"name": "my-vc"}, "spec": spec})).await.expect(201);
        let status = json!({"status": {"phase": "Ready", "serviceUID": "u"}});
        self.client("root").patch(&format!("{OBJECTS}/my-vc/status"), MERGE, &status).await.expect(200);
        // The host lets users of the platform do what the platform allows them.
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "use"];
        let rules = json!([{"apiGroups": ["management.loft.sh"], "resources": ["*"], "verbs": verbs}]);
        let role = json!({"metadata": {"name": "platform"}, "rules": rules});
        self.host_admin().post("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).await.expect(201);
        let binding = json!({
            "metadata": {"name": "platform"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "platform"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}],
        });
        self.host_admin().post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.expect(201);
        let version = format!("{PROXY}/version");
        wait_for("the way to the virtual cluster", || async { self.client("owner").get(&version).await.status == 200 }).await;
    }
}

/// A WebSocket that is read.
pub(super) struct Socket(WebSocketStream<TlsStream<TcpStream>>);

impl Socket {
    /// The next text; `None` at the end.
    pub(super) async fn next_text(&mut self) -> Option<String> {
        loop {
            let message = tokio::time::timeout(vci_testkit::PATIENCE, self.0.next()).await.expect("a frame or the end in time");
            match message? {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Binary(bytes)) => return Some(String::from_utf8_lossy(&bytes).into_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// `root` is one of system:masters, `owner` owns the instance, `guest` is a member.
fn people() -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let key = |name: &str| object("OwnedAccessKey", name, json!({"user": name, "key": format!("key-of-{name}")}));
    let member = |name: &str| json!({"kind": "User", "name": name, "clusterRole": "loft-management-project-user"});
    let mut objects = vec![object("User", "root", json!({"groups": ["system:masters"]}))];
    objects.extend(["owner", "guest"].map(|name| object("User", name, json!({}))));
    objects.extend(["root", "owner", "guest"].map(key));
    let members = [member("owner"), member("guest")];
    let spec = json!({"members": members, "requireTemplate": {"disabled": true}, "allowedClusters": [{"name": "*"}]});
    objects.push(object("Project", "blue", spec));
    objects.push(object("VirtualClusterTemplate", "t", json!({"template": {}})));
    objects.join("\n---\n")
}
