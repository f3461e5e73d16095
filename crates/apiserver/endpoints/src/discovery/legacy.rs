//! The three documents that clients have always read: `APIGroupList`, `APIGroup`, `APIResourceList`.

use crate::kinds::Kinds;
use apiserver_meta::virtual_resource::Place;
use apiserver_meta::{Descriptor, Scope, Subresource, Verb, VirtualDescriptor};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// `/api`.
pub(super) fn api_versions(core: bool) -> Value {
    let versions: &[&str] = if core { &["v1"] } else { &[] };
    json!({ "kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub(super) fn groups(kinds: &Kinds) -> Value {
    let groups: Vec<Value> = kinds.groups().into_iter().map(|group| group_body(kinds, group)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`.
pub(super) fn group(kinds: &Kinds, group: &str) -> Value {
    let mut body = group_body(kinds, group);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    body
}

fn group_body(kinds: &Kinds, group: &str) -> Value {
    let versions: Vec<Value> = kinds
        .versions(group)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    json!({ "name": group, "preferredVersion": versions.first(), "versions": versions })
}

/// `/apis/GROUP/VERSION` or `/api/v1`.
pub(super) fn resources(kinds: &Kinds, group: &str, version: &str) -> Value {
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let stored = kinds.stored_in(group, version).flat_map(|kind| with_subresources(kind, kinds));
    let resources: Vec<Value> = stored.chain(kinds.collections_in(group, version).map(collection)).collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
}

fn with_subresources(kind: &Descriptor, kinds: &Kinds) -> Vec<Value> {
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
    let computed = kinds.subresources(kind).map(|computed| {
        json!({
            "name": format!("{}/{}", kind.plural, computed.subresource()),
            "singularName": "",
            "namespaced": kind.scope == Scope::Namespaced,
            "kind": computed.kind,
            "verbs": [computed.verb().as_str()],
        })
    });
    std::iter::once(main).chain(subresources).chain(computed).collect()
}

/// A collection that holds nothing and takes questions.
fn collection(kind: &VirtualDescriptor) -> Value {
    let (singular, scope) = match kind.place {
        Place::Collection { singular, scope, .. } => (singular, scope),
        Place::Subresource { .. } => ("", Scope::Cluster),
    };
    json!({
        "name": kind.resource(),
        "singularName": singular,
        "namespaced": scope == Scope::Namespaced,
        "kind": kind.kind,
        "verbs": [kind.verb().as_str()],
    })
}

/// Tells storage migrators apart which kinds are stored alike: the beginning of a SHA-256 of group, version and kind.
fn storage_version_hash(kind: &Descriptor) -> String {
    let digest = Sha256::digest(format!("{}/{}/{}", kind.group, kind.version, kind.kind));
    STANDARD.encode(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
}
