//! Answers below `/openapi`: which document, in which encoding, and for how long it may be kept.

use super::components::{Answered, Stored};
use super::documents::{Document, Documents, current_url};
use crate::accept;
use crate::config::Config;
use crate::negotiation::{Layout, Media};
use crate::query::Query;
use crate::respond::{Encoding, Wire, page_not_found};
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::OnceLock;

/// The documents of a server, lazily.
#[derive(Debug, Default)]
pub(crate) struct OpenApi(OnceLock<Documents>);

/// The protobuf media types; clients older than 1.19 put an `@` where a media type may have none.
const V2_PROTOBUF: [&str; 2] = ["com.github.proto-openapi.spec.v2.v1.0+protobuf", "com.github.proto-openapi.spec.v2@v1.0+protobuf"];
const V3_PROTOBUF: [&str; 2] = ["com.github.proto-openapi.spec.v3.v1.0+protobuf", "com.github.proto-openapi.spec.v3@v1.0+protobuf"];

impl OpenApi {
    /// Answers below `/openapi`.
    pub(crate) fn serve(&self, config: &Config, segments: &[&str], headers: &HeaderMap, query: &Query) -> Response {
        let documents = self.0.get_or_init(|| documents_of(config));
        match segments {
            ["v2"] => cached(&documents.v2, &V2_PROTOBUF, headers),
            ["v3"] => cached(&documents.index, &[], headers),
            ["v3", rest @ ..] => {
                let path = rest.join("/");
                let found = documents.v3.iter().find(|(known, _)| *known == path);
                found.map_or_else(page_not_found, |(path, document)| group_version(path, document, headers, query.first("hash")))
            }
            _ => page_not_found(),
        }
    }
}

fn documents_of(config: &Config) -> Documents {
    let virtual_collections = config.virtual_collections.iter().map(|kind| kind.resource());
    let resources = virtual_collections.chain(config.registries.iter().map(|registry| registry.resource()));
    let stored: Vec<Stored<'_>> = resources.map(|resource| (resource.descriptor(), resource.schema())).collect();
    let computed: Vec<Answered<'_>> = config.computed.iter().map(|computed| (computed.descriptor(), computed.schema())).collect();
    Documents::new(&stored, &computed)
}

fn cached(document: &Document, protobuf: &[&str], headers: &HeaderMap) -> Response {
    let Some(body) = encoding(document, protobuf, headers) else {
        let mut refused = empty(StatusCode::NOT_ACCEPTABLE);
        vary(refused.headers_mut());
        return refused;
    };
    let mut response = if is_known(headers, &document.etag()) { empty(StatusCode::NOT_MODIFIED) } else { body };
    let out = response.headers_mut();
    out.insert(ETAG, document.etag());
    vary(out);
    // When it was built is not known and does not matter: the entity tag decides.
    out.insert(LAST_MODIFIED, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    response
}

/// An answer of a document is another one for other types, and for clients that unpack it.
fn vary(headers: &mut HeaderMap) {
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Whether the client has it already (RFC 9110 section 13.1.2): it may name several, and weak ones.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

/// A document whose URL may carry its hash: then it never changes, and whoever has the URL may keep it.
fn group_version(path: &str, document: &Document, headers: &HeaderMap, hash: Option<&str>) -> Response {
    let mut response = cached(document, &V3_PROTOBUF, headers);
    match hash {
        _ if response.status() == StatusCode::NOT_ACCEPTABLE => response,
        None | Some("") => response,
        Some(hash) if hash == document.tag => {
            let out = response.headers_mut();
            out.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            if let Some(expires) = in_a_year() {
                out.insert(EXPIRES, expires);
            }
            response
        }
        // The aggregation layer does not follow redirects, it reports a broken server.
        Some(_) if headers.contains_key("x-forwarded-uri") => response,
        Some(_) => {
            let mut moved = empty(StatusCode::MOVED_PERMANENTLY);
            if let Ok(location) = HeaderValue::from_str(&current_url(path, document)) {
                moved.headers_mut().insert(LOCATION, location);
            }
            moved
        }
    }
}

/// The document as the first clause of `Accept` wants it that can be fulfilled.
fn encoding(document: &Document, protobuf: &[&str], headers: &HeaderMap) -> Option<Response> {
    let accepted = accept::clauses(headers);
    let wants_protobuf = match &accepted {
        None => false,
        Some(clauses) => clauses.iter().find_map(|clause| {
            let exact = clause.main == "application" && protobuf.contains(&clause.sub);
            if exact { Some(true) } else { clause.covers("application", "json").then_some(false) }
        })?,
    };
    let (bytes, content_type) = if wants_protobuf {
        (&document.protobuf, HeaderValue::from_str(&format!("application/{}", protobuf.first()?)).ok()?)
    } else {
        (&document.json, HeaderValue::from_static("application/json"))
    };
    let wire = Wire { media: Media::Json, layout: Layout::Compact, encoding: Encoding::accepted(headers) };
    let mut response = wire.stream(StatusCode::OK, std::iter::once(bytes.clone()), Some(bytes.len() as u64));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Some(response)
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn in_a_year() -> Option<HeaderValue> {
    let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(365 * 24);
    HeaderValue::from_str(&then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}
