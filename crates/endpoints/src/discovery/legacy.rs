//! The three documents that clients have always read: `APIGroupList`, `APIGroup`, `APIResourceList`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vci_meta::{Descriptor, Scope, Subresource};

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
        "storageVersionHash": storage_version_hash(kind),
    });
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
    base64(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
}

/// Eight bytes in standard base64: all that this crate ever encodes.
fn base64(bytes: &[u8; 8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 64 bits and two of padding: eleven groups of six.
    let bits = u128::from(u64::from_be_bytes(*bytes)) << 2;
    let digits = (0..11).rev().map(|group| char::from(ALPHABET[((bits >> (6 * group)) & 63) as usize]));
    digits.chain(std::iter::once('=')).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_eight_bytes() {
        assert_eq!(base64(&[0; 8]), "AAAAAAAAAAA=");
        assert_eq!(base64(b"kubernet"), "a3ViZXJuZXQ=");
        assert_eq!(base64(&[0xff; 8]), "//////////8=");
    }
}
