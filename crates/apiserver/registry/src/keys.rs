//! Keys of objects in the store: `group/plural/[namespace/]name`.

use apiserver_meta::{Descriptor, ObjectKey, Scope};
use apiserver_store::Key;

/// The prefix of a kind's objects, of one namespace if one is named; ends with `/`, so that no other
/// resource or namespace that begins with the same letters falls under it.
pub fn collection_prefix(descriptor: &Descriptor, namespace: &str) -> String {
    match (descriptor.scope, namespace) {
        (Scope::Cluster, _) | (Scope::Namespaced, "") => format!("{}/{}/", descriptor.group, descriptor.plural),
        (Scope::Namespaced, namespace) => format!("{}/{}/{namespace}/", descriptor.group, descriptor.plural),
    }
}

/// The key of one object. Its names were validated before: none is empty, `.` or `..` or holds a `/`.
pub fn storage_key(descriptor: &Descriptor, key: &ObjectKey) -> Key {
    let namespace = if descriptor.scope == Scope::Cluster { "" } else { key.namespace.as_str() };
    Key::new(format!("{}{}", collection_prefix(descriptor, namespace), key.name))
}
