//! A kubeconfig for programs that are run beside this one, such as helm.

use crate::{Address, ConnectError, Connector, Credentials};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How many connections a tunnel has at a time; further ones wait.
const MOST: usize = 32;

/// The text, which is JSON and so YAML too.
pub(crate) fn text(address: &Address, server: &str, credentials: &Credentials) -> String {
    let [authority, certificate, key] =
        [credentials.authority(), credentials.certificate(), credentials.key()].map(|pem| STANDARD.encode(pem));
    let name = address.verified_name().map(|name| name.to_str().into_owned()).unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "virtual",
        "clusters": [{"name": "virtual", "cluster": {"server": server, "tls-server-name": name, "certificate-authority-data": authority}}],
        "users": [{"name": "admin", "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": "virtual", "context": {"cluster": "virtual", "user": "admin"}}],
    })
    .to_string()
}

/// A port of this machine that leads to a virtual cluster for as long as this lives. The port is for local programs alone, and gives
/// no rights: TLS is spoken through it.
#[derive(Debug)]
pub struct Tunnel {
    _listener: Option<AbortOnDropHandle<()>>,
}

impl Tunnel {
    /// Of who reaches the virtual cluster anyway.
    pub(crate) fn not_needed() -> Self {
        Self { _listener: None }
    }

    /// A tunnel and the URL of its port.
    pub(crate) async fn open(connector: Connector, address: Address) -> Result<(String, Self), ConnectError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(ConnectError::NotReachable)?;
        let port = listener.local_addr().map_err(ConnectError::NotReachable)?.port();
        let task = tokio::spawn(serve(listener, connector, address));
        Ok((format!("https://127.0.0.1:{port}"), Self { _listener: Some(AbortOnDropHandle::new(task)) }))
    }
}

/// Ends, with all connections, when it is aborted.
async fn serve(listener: TcpListener, connector: Connector, address: Address) {
    let (permits, mut connections) = (Arc::new(Semaphore::new(MOST)), JoinSet::new());
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { return };
        let (connector, address) = (connector.clone(), address.clone());
        connections.spawn(async move {
            if let Err(error) = forward(stream, &connector, &address).await {
                tracing::debug!(%address, error = &error as &dyn std::error::Error, "a connection through a tunnel ends");
            }
            drop(permit);
        });
    }
}

async fn forward(mut local: TcpStream, connector: &Connector, address: &Address) -> Result<(), ConnectError> {
    let mut remote = connector.dial(address).await?;
    copy_bidirectional(&mut local, &mut remote).await.map(drop).map_err(ConnectError::NotReachable)
}
