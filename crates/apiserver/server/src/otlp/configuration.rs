//! `TracingConfiguration` of `apiserver.config.k8s.io/v1`: where traces go, and of how many requests.

use crate::StartError;
use crate::audit::one_line;
use apiserver_meta::{FieldError, FieldPath, field};
use serde::Deserialize;
use std::path::Path;

/// Versions of the file; they are the same.
const API_VERSIONS: [&str; 3] = ["apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1"];
/// Where a collector on the same machine listens.
const STANDARD_ENDPOINT: &str = "localhost:4317";
const MILLION: i32 = 1_000_000;

/// Where traces go, and of how many requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TracingPlan {
    /// Host and port of a collector that speaks gRPC, without TLS as upstream has it.
    pub(crate) endpoint: String,
    /// The share of requests that are traced, from 0 to 1, when nobody who may says otherwise.
    pub(crate) share: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Written {
    api_version: String,
    kind: String,
    endpoint: Option<String>,
    sampling_rate_per_million: Option<i32>,
}

impl TracingPlan {
    /// Reads a file.
    ///
    /// # Errors
    /// [`StartError`], with the path of the field that is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, StartError> {
        let text = std::fs::read_to_string(path).map_err(|source| StartError::File { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|why| StartError::Configuration { path: path.to_owned(), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_yaml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
        let mut errors = Vec::new();
        if !API_VERSIONS.contains(&written.api_version.as_str()) {
            errors.push(FieldError::not_supported(&FieldPath::new("apiVersion"), written.api_version.as_str(), &API_VERSIONS));
        }
        if written.kind != "TracingConfiguration" {
            errors.push(FieldError::not_supported(&FieldPath::new("kind"), written.kind.as_str(), &["TracingConfiguration"]));
        }
        let rate = written.sampling_rate_per_million.unwrap_or(0);
        let path = FieldPath::new("samplingRatePerMillion");
        if rate < 0 {
            errors.push(FieldError::invalid(&path, rate, "sampling rate must be positive"));
        } else if rate > MILLION {
            errors.push(FieldError::invalid(&path, rate, "sampling rate per million must be less than or equal to one million"));
        }
        let given = written.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()).unwrap_or(STANDARD_ENDPOINT);
        let endpoint = address(given);
        if endpoint.is_none() {
            errors.push(FieldError::invalid(&FieldPath::new("endpoint"), given, "must be HOST:PORT or dns:///HOST:PORT"));
        }
        match endpoint {
            Some(endpoint) if errors.is_empty() => Ok(Self { endpoint, share: f64::from(rate) / f64::from(MILLION) }),
            _ => Err(field::aggregate(&errors)),
        }
    }
}

/// Host and port of a gRPC target. Sockets of the machine are not served.
fn address(target: &str) -> Option<String> {
    let address = match target.split_once("//") {
        None => target.strip_prefix("dns:").unwrap_or(target),
        // What stands before the last slash is a name server of its own.
        Some(("dns:", rest)) => rest.rsplit('/').next().unwrap_or_default(),
        Some(_) => return None,
    };
    let (host, port) = address.rsplit_once(':')?;
    let is_good = !host.is_empty() && port.parse::<u16>().is_ok() && format!("http://{address}").parse::<http::Uri>().is_ok();
    is_good.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n";

    #[test]
    fn what_is_written_is_followed() {
        for (text, endpoint, share) in [
            ("", "localhost:4317", 0.0),
            ("endpoint: collector.tracing:4317\nsamplingRatePerMillion: 1000000\n", "collector.tracing:4317", 1.0),
            ("endpoint: dns:///collector:1\nsamplingRatePerMillion: 500000\n", "collector:1", 0.5),
            ("endpoint: 'dns://1.1.1.1/collector:1'\n", "collector:1", 0.0),
            ("endpoint: '[::1]:4317'\n", "[::1]:4317", 0.0),
        ] {
            let plan = TracingPlan::parse(&format!("{HEAD}{text}")).unwrap();
            assert_eq!(plan, TracingPlan { endpoint: endpoint.into(), share }, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        for (text, want) in [
            ("kind: TracingConfiguration".to_owned(), "apiVersion: Unsupported value: \"\""),
            ("apiVersion: apiserver.config.k8s.io/v1\nkind: Policy".into(), "kind: Unsupported value: \"Policy\""),
            (format!("{HEAD}samplingRatePerMillion: -1"), "samplingRatePerMillion: Invalid value: -1: sampling rate must be positive"),
            (format!("{HEAD}samplingRatePerMillion: 1000001"), "samplingRatePerMillion: Invalid value: 1000001"),
            (format!("{HEAD}samplingRatePerMillion: all"), "line 3 column 25: "),
            (format!("{HEAD}endpoint: https://collector:1"), "endpoint: Invalid value: \"https://collector:1\""),
            (format!("{HEAD}endpoint: unix:///run/otlp"), "endpoint: Invalid value"),
            (format!("{HEAD}endpoint: collector"), "endpoint: Invalid value"),
            (format!("{HEAD}endpoints: collector:1"), "endpoints"),
        ] {
            let error = TracingPlan::parse(&text).unwrap_err();
            assert!(error.contains(want) && !error.contains('\n'), "{text}\n{error}");
        }
    }
}
