//! Whom the host cluster itself trusts: the ConfigMap `extension-apiserver-authentication` in `kube-system`, which
//! kube-apiserver keeps for extension servers and writes anew when authorities are rotated.

use crate::HostCluster;
use apiserver_auth::RequestHeaderConfig;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// A reason that lasts is told this often.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);

/// What the ConfigMap says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationConfiguration {
    /// The authorities that sign the certificates of clients, PEM; a cluster may have none.
    pub client_ca: Option<String>,
    /// The front proxy, that is kube-apiserver itself.
    pub front_proxy: Option<FrontProxyConfiguration>,
}

/// How to tell the front proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxyConfiguration {
    /// The authorities that sign its certificate, PEM.
    pub ca: String,
    /// Its names and headers.
    pub terms: RequestHeaderConfig,
}

/// Tells what the ConfigMap says, now and whenever it changes, for ever. What keeps it from being read is logged and
/// tried again; a ConfigMap that is deleted or makes no sense changes nothing.
pub async fn follow(cluster: &HostCluster, mut tell: impl FnMut(AuthenticationConfiguration) + Send) {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().clone(), NAMESPACE);
    // The role that reads it names the one ConfigMap, so that a watch without this selector would be refused.
    let config = watch::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = pin!(watch::watcher(api, config).default_backoff().into_stream());
    let mut complained: Option<tokio::time::Instant> = None;
    while let Some(event) = events.next().await {
        let map = match event {
            Ok(Event::Apply(map) | Event::InitApply(map)) => map,
            Ok(Event::Delete(_) | Event::Init | Event::InitDone) => continue,
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_PERIOD) {
                    complained = Some(tokio::time::Instant::now());
                    complain(&error);
                }
                continue;
            }
        };
        match read(map.data.unwrap_or_default()) {
            Ok(configuration) => tell(configuration),
            Err(why) => tracing::warn!(why, "configmap {NAMESPACE}/{NAME} is of no use, what it said before stays"),
        }
    }
}

fn complain(error: &watcher::Error) {
    tracing::warn!(
        %error,
        "configmap {NAMESPACE}/{NAME} cannot be read, so that nobody is known by the front proxy; \
         the role extension-apiserver-authentication-reader in {NAMESPACE} lets a service account read it"
    );
}

fn read(mut data: BTreeMap<String, String>) -> Result<AuthenticationConfiguration, String> {
    let mut text = |key: &str| data.remove(key).filter(|text| !text.trim().is_empty());
    let client_ca = text("client-ca-file");
    let Some(ca) = text("requestheader-client-ca-file") else { return Ok(AuthenticationConfiguration { client_ca, front_proxy: None }) };
    let mut list = |key: &str| match text(key) {
        Some(json) => serde_json::from_str::<Vec<String>>(&json).map_err(|error| format!("{key}: {error}")),
        None => Ok(Vec::new()),
    };
    let terms = RequestHeaderConfig {
        allowed_names: list("requestheader-allowed-names")?,
        username_headers: list("requestheader-username-headers")?,
        uid_headers: list("requestheader-uid-headers")?,
        group_headers: list("requestheader-group-headers")?,
        extra_header_prefixes: list("requestheader-extra-headers-prefix")?,
    };
    Ok(AuthenticationConfiguration { client_ca, front_proxy: Some(FrontProxyConfiguration { ca, terms }) })
}

#[cfg(test)]
mod tests;
