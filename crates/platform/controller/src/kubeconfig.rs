//! How helm, a program of its own, reaches the host cluster as the controller does.

use crate::helm::Kubeconfig;
use serde_json::json;
use std::path::Path;

/// Where a pod finds the authority of its cluster, and its token, which is renewed there.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// By the service account of the pod that this runs in. The token stays in its file, so that helm reads the one of the day.
///
/// # Errors
/// This is no pod.
pub fn in_cluster() -> Result<Kubeconfig, String> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("in-cluster configuration: {name} is not set"));
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let cluster = json!({"server": format!("https://{host}:{port}"), "certificate-authority": format!("{SERVICE_ACCOUNT}/ca.crt")});
    let user = json!({"tokenFile": format!("{SERVICE_ACCOUNT}/token")});
    Ok(Kubeconfig(
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "host",
            "clusters": [{"name": "host", "cluster": cluster}],
            "users": [{"name": "host", "user": user}],
            "contexts": [{"name": "host", "context": {"cluster": "host", "user": "host"}}],
        })
        .to_string(),
    ))
}

/// As the current context of a file says.
///
/// # Errors
/// The file is of no use.
pub fn of_file(path: &Path) -> Result<Kubeconfig, String> {
    // With the paths in it made absolute.
    let read = kube::config::Kubeconfig::read_from(path).map_err(|error| format!("kubeconfig {}: {error}", path.display()))?;
    let text = serde_json::to_string(&read).map_err(|error| format!("kubeconfig {}: {error}", path.display()))?;
    Ok(Kubeconfig(text))
}
