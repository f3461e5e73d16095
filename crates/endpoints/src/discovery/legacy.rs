//! The three documents that clients have always read: `APIGroupList`, `APIGroup`, `APIResourceList`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vci_meta::{Descriptor, Scope, Subresource, Verb};

/// `/api`.
pub(super) fn api_versions(core: bool) -> Value {
    let versions: &[&str] = if core { &["v1"] } else { &[] };
    json!({ "kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub(super) fn groups(kinds: &[&Descriptor]) -> Value {
    let groups: Vec<Value> = group_names(kinds).into_iter().map(|group| group_body(kinds, group)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`.
pub(super) fn group(kinds: &[&Descriptor], group: &str) -> Value {
    let mut body = group_body(kinds, group);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    body
}

fn group_body(kinds: &[&Descriptor], group: &str) -> Value {
    let versions: Vec<Value> = versions(kinds, group)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    json!({ "name": group, "preferredVersion": versions.first(), "versions": versions })
}

/// `/apis/GROUP/VERSION` or `/api/v1`.
pub(super) fn resources(kinds: &[&Descriptor], group: &str, version: &str) -> Value {
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let kinds = kinds.iter().filter(|kind| kind.group == group && kind.version == version);
    let resources: Vec<Value> = kinds.flat_map(|kind| with_subresources(kind)).collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
}

fn with_subresources(kind: &Descriptor) -> Vec<Value> {
    let verbs: Vec<&str> = kind.verbs.iter().map(|verb| verb.as_str()).collect();
    let mut main = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.scope == Scope::Namespaced,
        "kind": kind.kind,
        "verbs": verbs,
    });
    // What cannot be read back is not stored.
    if kind.verbs.contains(&Verb::Get) {
        main["storageVersionHash"] = storage_version_hash(kind).into();
    }
    if !kind.short_names.is_empty() {
        main["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        main["categories"] = json!(kind.categories);
    }
    let subresources = kind.subresources.iter().filter(|subresource| **subresource != Subresource::Main).map(|subresource| {
        json!({
            "name": format!("{}/{}", kind.plural, subresource.as_str()),
            "singularName": "",
            "namespaced": kind.scope == Scope::Namespaced,
            "kind": kind.kind,
            "verbs": ["get", "patch", "update"],
        })
    });
    std::iter::once(main).chain(subresources).collect()
}

/// Tells storage migrators apart which kinds are stored alike: the beginning of a SHA-256 of group, version and kind.
fn storage_version_hash(kind: &Descriptor) -> String {
    let digest = Sha256::digest(format!("{}/{}/{}", kind.group, kind.version, kind.kind));
    STANDARD.encode(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
}

/// The groups, in the order of the configuration.
pub(super) fn group_names<'a>(kinds: &[&'a Descriptor]) -> Vec<&'a str> {
    unique(kinds.iter().map(|kind| kind.group))
}

/// The versions of a group, in the order of the configuration.
pub(super) fn versions<'a>(kinds: &[&'a Descriptor], group: &str) -> Vec<&'a str> {
    unique(kinds.iter().filter(|kind| kind.group == group).map(|kind| kind.version))
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
