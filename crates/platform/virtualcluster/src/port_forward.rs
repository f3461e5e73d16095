//! A stream through the host's port-forward API to the newest ready pod of a virtual cluster.

use crate::{Address, ConnectError};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Portforwarder};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The port that the chart's container listens on.
const PORT: u16 = 8443;
/// How long the host has to end a connection that is over.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn dial(host: &kube::Client, address: &Address) -> Result<Forwarded, ConnectError> {
    let pods: Api<Pod> = Api::namespaced(host.clone(), address.namespace());
    let selector = ListParams::default().labels(&format!("app=vcluster,release={}", address.release()));
    let list = pods.list(&selector).await.map_err(|source| ConnectError::Host { what: "the pods of the virtual cluster", source })?;
    let pod = newest_ready(list.items).ok_or(ConnectError::NoPod)?;
    let forwarded = pods.portforward(&pod, &[PORT]).await;
    let mut forwarder = forwarded.map_err(|source| ConnectError::Host { what: "how to reach a pod of the virtual cluster", source })?;
    let stream = forwarder.take_stream(PORT).ok_or(ConnectError::NoPod)?;
    Ok(Forwarded { stream: Some(stream), forwarder: Some(forwarder) })
}

/// The name of the pod to talk to.
fn newest_ready(pods: Vec<Pod>) -> Option<String> {
    let ready = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod));
    ready.max_by(|a, b| a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp))?.metadata.name
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A forwarded port. Dropped, it tells the host that the connection is over, and leaves it soon in any case.
pub(crate) struct Forwarded {
    stream: Option<DuplexStream>,
    forwarder: Option<Portforwarder>,
}

impl Forwarded {
    fn stream(&mut self) -> io::Result<Pin<&mut DuplexStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        drop(self.stream.take());
        let Some(forwarder) = self.forwarder.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(GRACE).await;
                forwarder.abort();
            })),
            Err(_) => forwarder.abort(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn pod(name: &str, created: &str, ready: &str, ends: bool) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "status": {"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]},
        });
        if ends {
            pod["metadata"]["deletionTimestamp"] = created.into();
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn the_newest_ready_pod_is_talked_to() {
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        for (pods, chosen) in [
            (vec![], None),
            (vec![pod("a", old, "False", false)], None),
            (vec![pod("a", old, "True", true)], None),
            (vec![pod("a", old, "True", false), pod("b", new, "True", false)], Some("b")),
            (vec![pod("b", new, "True", false), pod("a", old, "True", false)], Some("b")),
            (vec![pod("a", old, "True", false), pod("b", new, "False", false)], Some("a")),
            (vec![serde_json::from_value(json!({"metadata": {"name": "c"}})).unwrap()], None),
        ] {
            assert_eq!(newest_ready(pods.clone()).as_deref(), chosen, "{pods:?}");
        }
    }
}
