//! `serve --controller`: the controller in the process of a server, as an extension of it.

use super::command::controller;
use super::{Flags, Host};
use apiserver_host::Source;
use apiserver_server::{Extension, StartError, Started};
use async_trait::async_trait;

/// A controller that starts when the server is ready.
#[derive(Debug)]
pub(crate) struct InServer {
    host: Host,
    lease_namespace: Option<String>,
}

impl InServer {
    /// Reads and looks; nothing is changed.
    pub(crate) async fn new(source: &Source, flags: &Flags, project_namespace_prefix: &str) -> Result<Self, String> {
        let host = Host::new(source, flags, project_namespace_prefix).await?;
        Ok(Self { host, lease_namespace: flags.leader_elect_namespace.clone() })
    }
}

#[async_trait]
impl Extension for InServer {
    fn name(&self) -> &'static str {
        "controller"
    }

    async fn post_start(&self, started: &Started<'_>) -> Result<(), StartError> {
        let management = kube::Client::new(started.loopback.clone(), "default");
        let (host, lease_namespace, stop) = (self.host.clone(), self.lease_namespace.clone(), started.stop.clone());
        tokio::spawn(async move {
            // One that has lost its lease stands again.
            while !stop.is_cancelled() {
                controller(host.clone(), management.clone(), lease_namespace.as_deref(), stop.clone()).await;
            }
        });
        Ok(())
    }
}
