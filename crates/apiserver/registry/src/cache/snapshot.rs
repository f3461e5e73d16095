//! The collection at one revision. Sharing it costs nothing: its parts are persistent maps.

use super::objects::Objects;
use apiserver_meta::{Descriptor, ObjectKey, Scope};
use apiserver_store::Revision;
use imbl::OrdSet;
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

/// The collection at one revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// Everything at or below it is in.
    pub(super) revision: Revision,
    /// The objects that can be read.
    pub(super) objects: Objects,
    /// The paths of entries that cannot be read. Reads that touch one fail: it must not look as if it were not there.
    pub(super) corrupt: OrdSet<Path>,
}
