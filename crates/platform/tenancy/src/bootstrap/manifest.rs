//! Files of objects: every document is read and checked before the server touches anything.

use apiserver_meta::decode::{conform, parse_yaml, parse_yaml_as};
use apiserver_meta::{Object, Resource, Scope};
use apiserver_server::StartError;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// One object of a file, in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    /// The plural name of its kind.
    pub(crate) plural: &'static str,
    /// The object.
    pub(crate) object: Object,
}

/// The objects of a multi-document YAML file; empty documents are passed over.
///
/// # Errors
/// The first document that is of no kind that lives outside of namespaces, or not a good one: unknown fields are
/// errors, because a misspelt `disabled` is worse than a server that does not start.
pub(crate) fn read_manifests(path: &Path, resources: &[Arc<dyn Resource>]) -> Result<Vec<Manifest>, StartError> {
    let text = std::fs::read_to_string(path).map_err(|source| StartError::File { path: path.to_owned(), source })?;
    let mut manifests = Vec::new();
    for document in documents(&text) {
        let number = manifests.len() + 1;
        let refused = |why: String| StartError::Bootstrap { path: path.to_owned(), document: number, why: one_line(&why) };
        let parsed = parse_yaml(document.as_bytes()).map_err(|error| refused(error.to_string()))?;
        if parsed.value.is_null() {
            continue;
        }
        if let Some(duplicate) = parsed.duplicates.first() {
            return Err(refused(format!("duplicate field {duplicate:?}")));
        }
        let resource = resource_of(&parsed.value, resources).map_err(refused)?;
        // Once more, now that it is known what its plain scalars are.
        let parsed = parse_yaml_as(document.as_bytes(), resource.schema()).map_err(|error| refused(error.to_string()))?;
        manifests.push(manifest(parsed.value, &**resource).map_err(refused)?);
    }
    Ok(manifests)
}

/// The documents of a YAML stream, cut where a line begins with `---`, as Kubernetes' own tools cut it.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if rest.is_some() {
            documents.push(String::new());
        }
        if let Some(document) = documents.last_mut() {
            document.push_str(rest.unwrap_or(line));
            document.push('\n');
        }
    }
    documents
}

fn resource_of<'a>(document: &Value, resources: &'a [Arc<dyn Resource>]) -> Result<&'a Arc<dyn Resource>, String> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let resource = resources.iter().find(|resource| {
        let descriptor = resource.descriptor();
        descriptor.kind == kind && descriptor.api_version() == api_version && descriptor.scope == Scope::Cluster
    });
    resource.ok_or_else(|| {
        let kinds = resources.iter().map(|resource| resource.descriptor()).filter(|descriptor| descriptor.scope == Scope::Cluster);
        let kinds = kinds.map(|descriptor| descriptor.kind).collect::<Vec<_>>().join(", ");
        format!("{kind:?} of apiVersion {api_version:?} is none of {kinds} of management.loft.sh/v1")
    })
}

fn manifest(document: Value, resource: &dyn Resource) -> Result<Manifest, String> {
    let kind = resource.descriptor().kind;
    let conformed = conform(document, resource.schema()).map_err(|error| error.to_string())?;
    if let Some(unknown) = conformed.unknown.first() {
        return Err(format!("unknown field {unknown:?}"));
    }
    let object = Object::from_value(conformed.value).ok_or("not an object")?;
    if object.name().is_empty() {
        return Err(format!("a {kind} without metadata.name"));
    }
    Ok(Manifest { plural: resource.descriptor().plural, object })
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read").to_owned()
}
