//! `/version`.

use crate::app::App;
use crate::negotiation::{self, Offer};
use crate::query::Query;
use crate::respond::{self, Wire};
use axum::response::Response;
use http::request::Parts;
use serde_json::json;
use vci_meta::ApiError;

/// The Kubernetes release whose API behaviour this server has. Clients compare it with their own, so it is what
/// `gitVersion` begins with; this server's own version is its build metadata.
const KUBERNETES: (&str, &str, &str) = ("1", "36", "0");

pub(crate) fn serve(app: &App, parts: &Parts) -> Result<Response, ApiError> {
    let representation = negotiation::negotiate(&parts.headers, Query(parts.uri.query().unwrap_or("")), Offer::Documents)?;
    let (major, minor, patch) = KUBERNETES;
    let version = json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.{patch}+vci-{}", app.config.version),
        "gitCommit": option_env!("VCI_GIT_COMMIT").unwrap_or("unknown"),
        "gitTreeState": option_env!("VCI_GIT_TREE_STATE").unwrap_or("archive"),
        "buildDate": option_env!("VCI_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    });
    Ok(respond::document(&version, Wire::new(representation, &parts.headers)))
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
