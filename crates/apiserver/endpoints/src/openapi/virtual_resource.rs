//! The operations of virtual resources: one each.

use super::components::component_name;
use super::operation::{DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, OBJECTS, Operation, RequestBody, camel, tag};
use apiserver_meta::virtual_resource::Place;
use apiserver_meta::{Schema, Scope, Verb, VirtualDescriptor};

/// The operation of one kind. `scope` knows the stored kinds of the group, by plural.
pub(super) fn operation(root: &str, kind: &'static VirtualDescriptor, schema: &Schema, scope: impl Fn(&str) -> Option<Scope>) -> Operation {
    let (path, scope) = match kind.place {
        Place::Collection { plural, scope, .. } => (plural.to_owned(), scope),
        Place::Subresource { of, name, .. } => (format!("{of}/{{name}}/{name}"), scope(of).unwrap_or(Scope::Cluster)),
    };
    let (namespaces, namespaced) = match scope {
        Scope::Namespaced => ("namespaces/{namespace}/", "Namespaced"),
        Scope::Cluster => ("", ""),
    };
    let component = component_name((kind.group, kind.version, kind.kind), schema);
    let (method, word, action, codes): (_, _, _, &[u16]) = match kind.verb() {
        Verb::Create => ("post", "create", "post", &[200, 201, 202]),
        _ => ("get", "read", "get", &[200]),
    };
    let asks = kind.verb() == Verb::Create;
    Operation {
        path: format!("{root}/{namespaces}{path}"),
        method,
        id: format!("{word}{}{namespaced}{}", camel(kind.group, kind.version), kind.kind),
        tag: tag(kind.group, kind.version),
        description: format!("{word} a {}", kind.kind),
        action: Some(action),
        kind: Some((kind.group, kind.version, kind.kind)),
        parameters: if asks { vec![DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION] } else { Vec::new() },
        body: asks.then(|| RequestBody { component: component.clone(), media_types: OBJECTS.to_vec(), required: true }),
        answers: codes.iter().map(|code| (*code, component.clone())).collect(),
        produces: OBJECTS,
    }
}
