//! `/version`.

use crate::config::Config;
use crate::negotiation::{self, Offer};
use crate::query::Query;
use crate::respond::{self, Wire};
use apiserver_meta::ApiError;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;

/// The Kubernetes release whose API behaviour this server has. Clients compare it with their own, so it is what
/// `gitVersion` begins with; this server's own version is its build metadata.
const KUBERNETES: (&str, &str, &str) = ("1", "36", "0");

pub(crate) fn serve(config: &Config, headers: &HeaderMap, query: &Query) -> Result<Response, ApiError> {
    let representation = negotiation::negotiate(headers, query, Offer::Documents)?;
    let mut build = serde_json::to_value(BuildInfo::of(&config.version)).map_err(ApiError::internal)?;
    if let Some(version) = config.product_version {
        build["version"] = version.into();
    }
    Ok(respond::document(&build, Wire::new(representation, headers)))
}

/// Build facts of a server, in the words of `/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are upstream's and say what they mean")]
pub struct BuildInfo {
    pub major: &'static str,
    pub minor: &'static str,
    pub git_version: String,
    pub git_commit: &'static str,
    pub git_tree_state: &'static str,
    pub build_date: &'static str,
    pub go_version: &'static str,
    pub compiler: &'static str,
    pub platform: String,
}

impl BuildInfo {
    /// Of the server of this version.
    pub fn of(version: &str) -> Self {
        let (major, minor, patch) = KUBERNETES;
        Self {
            major,
            minor,
            git_version: format!("v{major}.{minor}.{patch}+vci-{version}"),
            git_commit: option_env!("VCI_GIT_COMMIT").unwrap_or("unknown"),
            git_tree_state: option_env!("VCI_GIT_TREE_STATE").unwrap_or("archive"),
            build_date: option_env!("VCI_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
            go_version: "none",
            compiler: "rustc",
            platform: format!("{}/{}", std::env::consts::OS, architecture()),
        }
    }
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
