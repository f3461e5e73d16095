//! Keys of objects in the store: `group/plural/[namespace/]name`. What stands behind the plural is the object's path.

use apiserver_meta::{Descriptor, ObjectKey, Scope};
use apiserver_store::Key;
use std::sync::Arc;

/// The part of a store key behind the collection's prefix: `namespace/name`, or `name` for cluster-scoped kinds.
/// Paths order as store keys do, byte by byte, so a page may begin in the cache and go on in the store.
pub(crate) type Path = Arc<str>;

/// The path of an object.
pub(crate) fn path_of(descriptor: &Descriptor, key: &ObjectKey) -> String {
    match descriptor.scope {
        Scope::Cluster => key.name.clone(),
        Scope::Namespaced => format!("{}/{}", key.namespace, key.name),
    }
}

/// The path that a store key has in the collection of a kind; `None` when the key is none of its.
pub(crate) fn path_in<'a>(descriptor: &Descriptor, key: &'a Key) -> Option<&'a str> {
    let behind_group = key.as_str().strip_prefix(descriptor.group)?.strip_prefix('/')?;
    behind_group.strip_prefix(descriptor.plural)?.strip_prefix('/').filter(|path| !path.is_empty())
}

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
