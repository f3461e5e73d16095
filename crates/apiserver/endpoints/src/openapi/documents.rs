//! Every document, in both encodings.

use super::components::{Answered, Components, Stored};
use super::operation::Operation;
use super::{gnostic_v2, gnostic_v3, operations, v2, v3};
use crate::discovery::hash;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value, json};

/// Every document as a client gets it, by path: `/openapi/v2`, `/openapi/v3` and one below it for each group and version.
///
/// For tests and for files that are kept with the source.
pub fn documents(stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Vec<(String, Value)> {
    let documents = Documents::new(stored, computed);
    let mut all = vec![("/openapi/v2".to_owned(), documents.v2.value), ("/openapi/v3".to_owned(), documents.index.value)];
    all.extend(documents.v3.into_iter().map(|(path, document)| (format!("/openapi/v3/{path}"), document.value)));
    all
}

/// The documents of a server.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) v2: Document,
    pub(super) index: Document,
    /// By path below `/openapi/v3/`.
    pub(super) v3: Vec<(String, Document)>,
}

/// One document in both encodings. `tag` is the hash of its JSON.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    pub(super) json: Bytes,
    pub(super) protobuf: Bytes,
    pub(super) tag: String,
}

impl Document {
    fn new(value: Value, encode: fn(&Value) -> Vec<u8>) -> Self {
        let json = serde_json::to_vec(&value).unwrap_or_default();
        Self { tag: hash(&json), protobuf: encode(&value).into(), json: json.into(), value }
    }

    pub(super) fn etag(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("\"{}\"", self.tag)).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

impl Documents {
    pub(super) fn new(stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Self {
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

pub(super) fn current_url(path: &str, document: &Document) -> String {
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
