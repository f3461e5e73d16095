//! Aggregated discovery, `apidiscovery.k8s.io/v2` (KEP-3352): everything below `/api` or `/apis` in one document.

use crate::kinds::Kinds;
use apiserver_meta::virtual_resource::Place;
use apiserver_meta::{Descriptor, Scope, Subresource, VirtualDescriptor};
use serde_json::{Value, json};

/// The document of these kinds.
pub(super) fn document(kinds: &Kinds) -> Value {
    let items: Vec<Value> = kinds.groups().into_iter().map(|group| self::group(kinds, group)).collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn group(kinds: &Kinds, group: &str) -> Value {
    let versions = kinds.versions(group).into_iter().map(|version| {
        let stored = kinds.stored_in(group, version).map(|kind| resource(kind, kinds));
        let resources: Vec<Value> = stored.chain(kinds.collections_in(group, version).map(collection)).collect();
        json!({ "version": version, "resources": resources, "freshness": "Current" })
    });
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    json!({ "metadata": metadata, "versions": versions.collect::<Vec<_>>() })
}

/// `responseKind` is in every entry: client-go 0.26 dereferences it unasked.
fn resource(kind: &Descriptor, kinds: &Kinds) -> Value {
    let response_kind = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
    let subresources = kind.subresources.iter().filter(|subresource| **subresource != Subresource::Main).map(
        |subresource| json!({ "subresource": subresource.as_str(), "responseKind": response_kind, "verbs": ["get", "patch", "update"] }),
    );
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response_kind,
        "scope": match kind.scope { Scope::Cluster => "Cluster", Scope::Namespaced => "Namespaced" },
        "singularResource": kind.singular,
        "verbs": kind.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>(),
    });
    let computed = kinds.subresources(kind).map(|computed| {
        json!({ "subresource": computed.subresource(), "responseKind": computed_kind(computed), "verbs": [computed.verb().as_str()] })
    });
    let subresources: Vec<Value> = subresources.chain(computed).collect();
    let lists = [("shortNames", json!(kind.short_names)), ("categories", json!(kind.categories)), ("subresources", json!(subresources))];
    for (name, list) in lists {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            resource[name] = list;
        }
    }
    resource
}

/// A collection that holds nothing and takes questions.
fn collection(kind: &VirtualDescriptor) -> Value {
    let (singular, scope) = match kind.place {
        Place::Collection { singular, scope, .. } => (singular, scope),
        Place::Subresource { .. } => ("", Scope::Cluster),
    };
    json!({
        "resource": kind.resource(),
        "responseKind": computed_kind(kind),
        "scope": match scope { Scope::Cluster => "Cluster", Scope::Namespaced => "Namespaced" },
        "singularResource": singular,
        "verbs": [kind.verb().as_str()],
    })
}

fn computed_kind(kind: &VirtualDescriptor) -> Value {
    json!({ "group": kind.group, "version": kind.version, "kind": kind.kind })
}
