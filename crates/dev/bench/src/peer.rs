//! Another aggregated server that somebody runs, measured with the same steps: what is not ours to start is not restarted.

use crate::api::{Api, List};
use crate::client::{Connector, Credentials, Http, JSON};
use crate::failure::{all, fail};
use crate::process::Process;
use crate::target::Target;
use std::path::PathBuf;
use std::sync::Arc;

/// How many clients delete what a run has left.
const CLEANERS: usize = 16;

/// The server, the collection, and who asks. All of it is needed, or nothing.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Peer {
    /// The address of another server that runs on this machine: https://IP:PORT. It is measured as well.
    #[arg(long, global = true, value_name = "URL")]
    peer: Option<String>,
    /// Its process.
    #[arg(long, global = true, value_name = "PID")]
    peer_pid: Option<u32>,
    /// The authority of its certificate, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    peer_ca: Option<PathBuf>,
    /// A client certificate that may do everything, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    peer_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    peer_key: Option<PathBuf>,
    /// The path of a collection: /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE. All objects in it are deleted.
    #[arg(long, global = true, value_name = "PATH")]
    peer_collection: Option<String>,
    /// An object of it, JSON; those of the run differ in their names.
    #[arg(long, global = true, value_name = "FILE")]
    peer_body: Option<PathBuf>,
}

impl Peer {
    /// The server, if there is one.
    pub(crate) fn target(&self, http: Http) -> Option<Target> {
        let url = self.peer.as_deref()?;
        let read = |flag: &str, path: &Option<PathBuf>| {
            let path = path.as_ref().unwrap_or_else(|| fail(&format!("--peer needs {flag}")));
            std::fs::read(path).unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())))
        };
        let credentials = Credentials::Certificate { chain: read("--peer-cert", &self.peer_cert), key: read("--peer-key", &self.peer_key) };
        let address = url.trim_start_matches("https://").trim_end_matches('/');
        let connector = Connector::new(address, &read("--peer-ca", &self.peer_ca), credentials, http);
        let template = serde_json::from_slice(&read("--peer-body", &self.peer_body));
        let template = template.unwrap_or_else(|error| fail(&format!("--peer-body: {error}")));
        let collection = self.peer_collection.clone().unwrap_or_else(|| fail("--peer needs --peer-collection"));
        let process = Process(self.peer_pid.unwrap_or_else(|| fail("--peer needs --peer-pid")));
        Some(Target { name: "peer".into(), process, connector, api: Arc::new(Api::other(collection, template)) })
    }
}

/// Deletes all objects.
pub(crate) async fn clear(target: &Target) {
    let mut connection = target.connector.connect().await;
    let mut names = Vec::new();
    let mut next = Some(String::new());
    while let Some(token) = next {
        let list: List = connection.read(target.api.list(&format!("limit=500&continue={token}"), JSON)).await;
        names.extend(list.items.into_iter().map(|item| item.metadata.name));
        next = list.metadata.next();
    }
    let share = names.len().div_ceil(CLEANERS).max(1);
    let tasks = names.chunks(share).map(|names| {
        let (connector, api, names) = (target.connector.clone(), Arc::clone(&target.api), names.to_vec());
        tokio::spawn(async move {
            let mut connection = connector.connect().await;
            for name in names {
                connection.send(api.delete_name(&name)).await;
            }
        })
    });
    all(tasks).await;
}
