//! OpenAPI documents, made from descriptors and schemas on the first request for one and never again.
//!
//! They are byte for byte the same on every replica and after every restart: their hashes are cache keys.

mod components;
mod gnostic_v2;
mod gnostic_v3;
mod operations;
mod protobuf;
mod v2;
mod v3;
mod virtual_resource;

use crate::accept;
use crate::app::App;
use crate::discovery::hash;
use crate::negotiation::Layout;
use crate::respond::{Encoding, Wire, page_not_found};
use apiserver_meta::{Descriptor, Schema, VirtualDescriptor};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use components::Components;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use operations::Operation;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The version of the API described; constant, so that a new build of the server does not change the hashes.
const INFO_VERSION: &str = "v1";

/// Every document as a client gets it, by path: `/openapi/v2`, `/openapi/v3` and one below it for each group and version.
///
/// For tests and for files that are kept with the source.
pub fn documents(stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Vec<(String, Value)> {
    let documents = Documents::new(stored, computed);
    let mut all = vec![("/openapi/v2".to_owned(), documents.v2.value), ("/openapi/v3".to_owned(), documents.index.value)];
    all.extend(documents.v3.into_iter().map(|(path, document)| (format!("/openapi/v3/{path}"), document.value)));
    all
}

/// A kind that is stored, and its schema.
pub type Stored<'a> = (&'static Descriptor, &'a Schema);
/// A kind that is computed, and its schema.
pub type Answered<'a> = (&'static VirtualDescriptor, &'a Schema);

/// The documents of a server, lazily.
#[derive(Debug, Default)]
pub(crate) struct OpenApi(OnceLock<Documents>);

#[derive(Debug)]
struct Documents {
    v2: Document,
    index: Document,
    /// By path below `/openapi/v3/`.
    v3: Vec<(String, Document)>,
}

/// One document in both encodings. `tag` is the hash of its JSON.
#[derive(Debug)]
struct Document {
    value: Value,
    json: Bytes,
    protobuf: Bytes,
    tag: String,
}

impl Document {
    fn new(value: Value, encode: fn(&Value) -> Vec<u8>) -> Self {
        let json = serde_json::to_vec(&value).unwrap_or_default();
        Self { tag: hash(&json), protobuf: encode(&value).into(), json: json.into(), value }
    }

    fn etag(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("\"{}\"", self.tag)).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

impl Documents {
    fn new(stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Self {
        let components = Components::of(stored, computed);
        let mut versions: Vec<(&'static str, &'static str)> = Vec::new();
        let all = stored.iter().map(|(kind, _)| (kind.group, kind.version));
        for version in all.chain(computed.iter().map(|(kind, _)| (kind.group, kind.version))) {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let mut all = vec![version_operation()];
        let mut v3 = vec![("version".to_owned(), all.clone())];
        for (group, version) in versions {
            let operations = operations::of_version(group, version, stored, computed);
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            all.extend(operations.clone());
            v3.push((path, operations));
        }
        let v3: Vec<(String, Document)> = v3
            .into_iter()
            .map(|(path, operations)| (path, Document::new(v3::document(&operations, &components), gnostic_v3::document)))
            .collect();
        let v2 = Document::new(v2::document(&all, &components), gnostic_v2::document);
        // The index has no protobuf form.
        let index = Document::new(index(&v3), |_| Vec::new());
        Self { v2, index, v3 }
    }
}

fn index(documents: &[(String, Document)]) -> Value {
    let paths: Map<String, Value> =
        documents.iter().map(|(path, document)| (path.clone(), json!({ "serverRelativeURL": current_url(path, document) }))).collect();
    json!({ "paths": paths })
}

fn current_url(path: &str, document: &Document) -> String {
    format!("/openapi/v3/{path}?hash={}", document.tag)
}

fn version_operation() -> Operation {
    Operation {
        path: "/version/".into(),
        method: "get",
        id: "getCodeVersion".into(),
        tag: "version".into(),
        description: "get the version information for this server".into(),
        action: None,
        kind: None,
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, "io.k8s.apimachinery.pkg.version.Info".into())],
        produces: &["application/json"],
    }
}

fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        401 => "Unauthorized",
        _ => "",
    }
}

/// The protobuf media types; clients older than 1.19 put an `@` where a media type may have none.
const V2_PROTOBUF: [&str; 2] = ["com.github.proto-openapi.spec.v2.v1.0+protobuf", "com.github.proto-openapi.spec.v2@v1.0+protobuf"];
const V3_PROTOBUF: [&str; 2] = ["com.github.proto-openapi.spec.v3.v1.0+protobuf", "com.github.proto-openapi.spec.v3@v1.0+protobuf"];

/// Answers below `/openapi`.
pub(crate) fn serve(app: &App, segments: &[&str], parts: &Parts) -> Response {
    let documents = app.openapi.0.get_or_init(|| app.with_schemas(Documents::new));
    match segments {
        ["v2"] => cached(&documents.v2, &V2_PROTOBUF, &parts.headers),
        ["v3"] => cached(&documents.index, &[], &parts.headers),
        ["v3", rest @ ..] => {
            let path = rest.join("/");
            let found = documents.v3.iter().find(|(known, _)| *known == path);
            found.map_or_else(page_not_found, |(path, document)| group_version(path, document, parts))
        }
        _ => page_not_found(),
    }
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
fn group_version(path: &str, document: &Document, parts: &Parts) -> Response {
    let hash = crate::query::Query(parts.uri.query().unwrap_or("")).first("hash");
    let mut response = cached(document, &V3_PROTOBUF, &parts.headers);
    match hash.as_deref() {
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
        Some(_) if parts.headers.contains_key("x-forwarded-uri") => response,
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
    let wire = Wire { media: crate::negotiation::Media::Json, layout: Layout::Compact, encoding: Encoding::accepted(headers) };
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
