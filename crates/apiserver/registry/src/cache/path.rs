//! The names of entries within a collection.

use apiserver_meta::{Descriptor, ObjectKey, Scope};
use std::sync::Arc;

/// The part of a store key behind the collection's prefix: `namespace/name`, or `name` for cluster-scoped kinds.
/// Paths order as store keys do, byte by byte, so a page may begin in the cache and go on in the store.
pub(super) type Path = Arc<str>;

/// The path of an object.
pub(super) fn path_of(descriptor: &Descriptor, key: &ObjectKey) -> String {
    match descriptor.scope {
        Scope::Cluster => key.name.clone(),
        Scope::Namespaced => format!("{}/{}", key.namespace, key.name),
    }
}
