//! The collection at one revision. Sharing it costs nothing: its parts are persistent maps.

use super::objects::Objects;
use crate::keys::Path;
use apiserver_store::Revision;
use imbl::OrdSet;

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
