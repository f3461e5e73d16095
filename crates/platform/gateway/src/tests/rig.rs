//! A server with the gateway, its users, and clients.

use super::cluster::Cluster;
use crate::Gateway;
use apiserver_server::{ApiServer, Config, Signals, StartError, Stopped, embedded_store};
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vci_tenancy::Tenancy;
use vci_testkit::client::{Client, Protocol};

pub(super) const OBJECT: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances/my-vc";
pub(super) const PROXY: &str = "/kubernetes/project/blue/virtualcluster/my-vc";
const MERGE: &str = "application/merge-patch+json";

/// A server before a virtual cluster.
pub(super) struct Rig {
    pub(super) cluster: Cluster,
    pub(super) ended: JoinHandle<Result<Stopped, StartError>>,
    url: String,
    ca: String,
    stop: mpsc::Sender<()>,
    _folder: TempDir,
}

impl Rig {
    /// One whose instance is ready.
    pub(super) async fn start() -> Self {
        Self::with(Cluster::start(&["h2", "http/1.1"]).await).await
    }

    pub(super) async fn with(cluster: Cluster) -> Self {
        let connector = cluster.connector();
        let rig = Self::serve(cluster, Some(connector)).await;
        rig.make_instance().await;
        rig
    }

    /// A server that knows no host cluster.
    pub(super) async fn without_host() -> Self {
        let rig = Self::serve(Cluster::start(&["h2"]).await, None).await;
        rig.make_instance().await;
        rig
    }

    async fn serve(cluster: Cluster, connector: Option<vci_virtualcluster::Connector>) -> Self {
        let folder = TempDir::with_prefix("vci-gateway-").unwrap();
        let bootstrap = folder.path().join("bootstrap.yaml");
        std::fs::write(&bootstrap, people()).unwrap();
        let mut config = Config::standard(folder.path(), "0.1.0");
        (config.secure_port, config.path_prefix) = (0, "/kubernetes/management".into());
        config.connections.drain_timeout = Duration::from_secs(5);
        let resources = vci_management::resources();
        let tenancy = vci_tenancy::Config { bootstrap: vec![bootstrap], ..vci_tenancy::Config::standard() };
        let tenancy = Arc::new(Tenancy::new(tenancy, &resources).unwrap());
        let gateway = Arc::new(Gateway::with_connector("loft-p-", connector));
        let server = ApiServer::builder(config).resources(resources).extension(tenancy).extension(gateway);
        let prepared = server.prepare().await.unwrap();
        let (stop, signals) = Signals::channel();
        let (announce, ready) = oneshot::channel();
        let store = embedded_store(folder.path().to_owned());
        let ended = tokio::spawn(prepared.run(store, signals, |ready| drop(announce.send(ready.url.clone()))));
        let url = ready.await.unwrap();
        let ca = std::fs::read_to_string(find(folder.path(), "ca.crt").unwrap()).unwrap();
        Self { cluster, ended, url, ca, stop, _folder: folder }
    }

    async fn make_instance(&self) {
        let cluster_ref = json!({"cluster": "loft-cluster", "namespace": "loft-blue-v-my-vc", "virtualCluster": "my-vc"});
        let spec = json!({"owner": {"user": "owner"}, "clusterRef": cluster_ref, "templateRef": {"name": "t"}});
        let object = json!({"metadata": {"name": "my-vc"}, "spec": spec});
        let collection = OBJECT.trim_end_matches("/my-vc");
        self.client("root").post(collection, &object).await.expect(201);
        self.set_status(&json!({"phase": "Ready", "serviceUID": "u"})).await;
    }

    pub(super) async fn set_status(&self, status: &Value) {
        self.client("root").patch(&format!("{OBJECT}/status"), MERGE, &json!({"status": status})).await.expect(200);
    }

    pub(super) async fn patch(&self, object: &str, patch: &Value) {
        self.client("root").patch(object, MERGE, patch).await.expect(200);
    }

    /// The instance, as the administrator sees it.
    pub(super) async fn instance(&self) -> Value {
        self.client("root").get(OBJECT).await.expect(200).json()
    }

    /// Somebody with an access key.
    pub(super) fn client(&self, user: &str) -> Client {
        self.anonymous().bearer(&format!("key-of-{user}"))
    }

    pub(super) fn anonymous(&self) -> Client {
        Client::new(&self.url, &self.ca, Protocol::Http2)
    }

    pub(super) async fn stop(&self) {
        self.stop.send(()).await.unwrap();
    }

    /// A connection to the server that speaks this protocol.
    async fn connect(&self, alpn: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.url.trim_start_matches("https://")).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap()
    }

    /// Sends a request by HTTP/1.1 on a connection of its own.
    pub(super) async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.connect("http/1.1").await)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.unwrap();
        // Upgraded, or read to its end: the connection goes with it.
        std::mem::forget(sender);
        response
    }

    /// Sends a request by HTTP/2 on a connection of its own.
    pub(super) async fn send_h2(&self, mut request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        let io = TokioIo::new(self.connect("h2").await);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        *request.uri_mut() = format!("{}{}", self.url, request.uri()).parse().unwrap();
        sender.send_request(request).await
    }
}

/// A request of somebody's.
pub(super) fn request(method: &str, user: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "here").header("authorization", format!("Bearer key-of-{user}"))
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries
        .iter()
        .find(|path| path.ends_with(name))
        .cloned()
        .or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}

/// `root` is one of system:masters, `admin` leads the project, `owner` owns the instance, `guest` is a member.
fn people() -> String {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let member = |name: &str, role: &str| json!({"kind": "User", "name": name, "clusterRole": format!("loft-management-project-{role}")});
    let mut objects = vec![object("User", "root", json!({"groups": ["system:masters"]}))];
    objects.extend(["admin", "owner", "guest", "stranger"].map(|name| object("User", name, json!({"groups": ["devs"]}))));
    objects.extend(
        ["root", "admin", "owner", "guest", "stranger"]
            .map(|name| object("OwnedAccessKey", name, json!({"user": name, "key": format!("key-of-{name}")}))),
    );
    let members = [member("admin", "admin"), member("owner", "user"), member("guest", "user")];
    objects.push(object(
        "Project",
        "blue",
        json!({"members": members, "requireTemplate": {"disabled": true}, "allowedClusters": [{"name": "*"}]}),
    ));
    objects.push(object("VirtualClusterTemplate", "t", json!({"template": {}})));
    objects.join("\n---\n")
}
