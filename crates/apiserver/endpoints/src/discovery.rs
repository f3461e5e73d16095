//! Discovery: which groups, versions and resources there are. Made once; every answer is a copy.

mod aggregated;
mod legacy;

use crate::accept;
use crate::config::Config;
use crate::kinds::Kinds;
use crate::negotiation::{self, Offer};
use crate::query::Query;
use crate::respond::{self, Wire, page_not_found};
use apiserver_meta::ApiError;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use std::fmt::Write;

/// Every discovery document.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// By path, without a last slash; the root is `""`.
    documents: Vec<(String, Value)>,
    core: Aggregated,
    groups: Aggregated,
}

/// The aggregated (v2) form of `/api` or `/apis`.
#[derive(Debug)]
struct Aggregated {
    json: Bytes,
    etag: HeaderValue,
}

impl Discovery {
    pub(crate) fn new(kinds: &Kinds, config: &Config) -> Self {
        let (core, kinds) = kinds.split_core();
        let has_core = !core.stored.is_empty();
        let mut documents = vec![("/api".to_owned(), legacy::api_versions(has_core)), ("/apis".to_owned(), legacy::groups(&kinds))];
        if has_core {
            documents.push(("/api/v1".to_owned(), legacy::resources(&core, "", "v1")));
        }
        for group in kinds.groups() {
            documents.push((format!("/apis/{group}"), legacy::group(&kinds, group)));
            for version in kinds.versions(group) {
                documents.push((format!("/apis/{group}/{version}"), legacy::resources(&kinds, group, version)));
            }
        }
        let root = root(&documents, config);
        documents.push((String::new(), root));
        Self { documents, core: Aggregated::new(&aggregated::document(&core)), groups: Aggregated::new(&aggregated::document(&kinds)) }
    }

    pub(crate) fn serve(&self, segments: &[&str], headers: &HeaderMap, query: &Query) -> Result<Response, ApiError> {
        let aggregated = match segments {
            ["api"] => Some(&self.core),
            ["apis"] => Some(&self.groups),
            _ => None,
        };
        if let Some(answer) = aggregated.and_then(|document| document.serve(headers)) {
            return Ok(answer);
        }
        let Some(document) = self.document(segments) else { return Ok(page_not_found()) };
        let representation = negotiation::negotiate(headers, query, Offer::Documents)?;
        let mut response = respond::document(document, Wire::new(representation, headers));
        if aggregated.is_some() {
            response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
        }
        Ok(response)
    }

    /// Whether a path is one of discovery.
    pub(crate) fn knows(&self, segments: &[&str]) -> bool {
        self.document(segments).is_some()
    }

    fn document(&self, segments: &[&str]) -> Option<&Value> {
        let path = segments.iter().filter(|segment| !segment.is_empty()).fold(String::new(), |path, segment| path + "/" + segment);
        self.documents.iter().find(|(known, _)| *known == path).map(|(_, document)| document)
    }
}

/// Every path that is served outside of kinds.
fn root(documents: &[(String, Value)], config: &Config) -> Value {
    let mut paths: Vec<String> = documents.iter().map(|(path, _)| path.clone()).collect();
    paths.extend(["/openapi/v2", "/openapi/v3", "/version"].map(str::to_owned));
    paths.extend(config.pages.iter().map(|(path, _)| (*path).to_owned()));
    for (endpoint, readiness) in [("/healthz", false), ("/livez", false), ("/readyz", true)] {
        paths.push(endpoint.to_owned());
        paths.push(format!("{endpoint}/ping"));
        let checks = config.checks.iter().filter(|check| readiness || !check.readiness_only());
        paths.extend(checks.map(|check| format!("{endpoint}/{}", check.name())));
    }
    paths.sort();
    json!({ "paths": paths })
}

/// The parameters are how clients and the aggregation layer know the form: without them it counts as the old one.
const AGGREGATED_TYPE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

impl Aggregated {
    fn new(document: &Value) -> Self {
        let mut json = serde_json::to_vec(document).unwrap_or_default();
        json.push(b'\n');
        let etag = etag(&json);
        Self { json: json.into(), etag }
    }

    /// `None` when another form is wanted more.
    fn serve(&self, headers: &HeaderMap) -> Option<Response> {
        let wanted = accept::clauses(headers)?.into_iter().find(|clause| {
            let plain = clause.parameter("as").is_none() && clause.parameter("g").is_none();
            is_aggregated(clause) || (plain && (clause.covers("application", "json") || clause.covers("application", "yaml")))
        })?;
        if !is_aggregated(&wanted) {
            return None;
        }
        let known = headers.get(IF_NONE_MATCH) == Some(&self.etag);
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.json.clone()) });
        *response.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let out = response.headers_mut();
        out.insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED_TYPE));
        out.insert(ETAG, self.etag.clone());
        out.insert(VARY, HeaderValue::from_static("Accept"));
        out.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        Some(response)
    }
}

fn is_aggregated(clause: &accept::Clause<'_>) -> bool {
    let says = |name: &str, value: &str| clause.parameter(name) == Some(value);
    clause.covers("application", "json") && says("as", "APIGroupDiscoveryList") && says("g", "apidiscovery.k8s.io") && says("v", "v2")
}

/// A strong entity tag: the SHA-512 of the document, in upper-case hexadecimal.
pub(crate) fn etag(document: &[u8]) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{}\"", hash(document))).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The SHA-512 of a document in upper-case hexadecimal.
pub(crate) fn hash(document: &[u8]) -> String {
    Sha512::digest(document).iter().fold(String::with_capacity(128), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
