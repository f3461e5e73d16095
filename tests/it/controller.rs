//! The controller against a real host cluster's control plane: nodes it has none, so that virtual clusters come as far as their pods.
//! What runs in pods is tested on real nodes.

mod failures;
mod fifty;

use crate::common::{BINARY, GROUP};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::kube::{KubeApiserver, Programs};
use vci_testkit::program::cached;
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

/// A host cluster, and a server with a controller in it.
struct Stand {
    cluster: KubeApiserver,
    server: TestServer,
}

impl Stand {
    /// One whose controller runs this helm; `None` where this machine lacks something.
    async fn start(programs: &Programs, helm: &Path, chart: &Path) -> Self {
        let cluster = KubeApiserver::start(programs, &[]).await;
        let identity = cluster.kubeconfig("vci-controller", &["system:masters"]);
        let mut options = ServerOptions::new(BINARY);
        let flags = [("--kubeconfig", identity.as_path()), ("--helm", helm), ("--chart", chart)];
        options.flags = flags.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()]).collect();
        options.flags.push("--controller".into());
        Self { cluster, server: TestServer::start(options).await }
    }

    /// This server, asked by an administrator of the cluster.
    fn admin(&self) -> Client {
        let certificate = self.cluster.certificate("admin", &["system:masters"]);
        Client::with_certificate(self.server.base_url(), &self.server.ca_pem(), Protocol::Http2, &certificate)
    }

    /// The host cluster, asked by its administrator.
    fn host(&self) -> Client {
        self.cluster.client("admin", &["system:masters"])
    }

    /// A project that may use these clusters, and its namespace on the host, for events.
    async fn project(&self, name: &str, clusters: &[&str]) {
        let allowed: Vec<Value> = clusters.iter().map(|cluster| json!({"name": cluster})).collect();
        let project = json!({"metadata": {"name": name}, "spec": {
            "allowedClusters": allowed, "requireTemplate": {"disabled": true},
            "allowedTemplates": [{"kind": "VirtualClusterTemplate", "group": "storage.loft.sh", "name": "*"}],
        }});
        self.admin().post(&format!("{GROUP}/projects"), &project).await.expect(201);
        self.host().post("/api/v1/namespaces", &json!({"metadata": {"name": format!("loft-p-{name}")}})).await.expect(201);
    }

    /// Waits until the host cluster's object is there that instances are placed in.
    async fn placeable(&self) {
        let admin = self.admin();
        wait_for("the Cluster of the host", async || admin.get(&format!("{GROUP}/clusters/loft-cluster")).await.status == 200).await;
    }
}

fn collection(project: &str) -> String {
    format!("{GROUP}/namespaces/loft-p-{project}/virtualclusterinstances")
}

/// The programs that every test here needs.
fn programs() -> Option<(Programs, PathBuf, PathBuf)> {
    Some((Programs::find()?, cached("bin/helm")?, cached("bin/vcluster.tgz")?))
}
