//! Aggregated discovery, `apidiscovery.k8s.io/v2` (KEP-3352): everything below `/api` or `/apis` in one document.

use super::legacy::{group_names, versions};
use serde_json::{Value, json};
use vci_meta::{Descriptor, Scope, Subresource};

/// The document of these kinds.
pub(super) fn document(kinds: &[&Descriptor]) -> Value {
    let items: Vec<Value> = group_names(kinds).into_iter().map(|group| self::group(kinds, group)).collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn group(kinds: &[&Descriptor], group: &str) -> Value {
    let versions = versions(kinds, group).into_iter().map(|version| {
        let kinds = kinds.iter().filter(|kind| kind.group == group && kind.version == version);
        json!({ "version": version, "resources": kinds.map(|kind| resource(kind)).collect::<Vec<_>>(), "freshness": "Current" })
    });
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    json!({ "metadata": metadata, "versions": versions.collect::<Vec<_>>() })
}

/// `responseKind` is in every entry: client-go 0.26 dereferences it unasked.
fn resource(kind: &Descriptor) -> Value {
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
    let subresources: Vec<Value> = subresources.collect();
    let lists = [("shortNames", json!(kind.short_names)), ("categories", json!(kind.categories)), ("subresources", json!(subresources))];
    for (name, list) in lists {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            resource[name] = list;
        }
    }
    resource
}
