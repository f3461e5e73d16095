//! Outcomes of writes.

use bytes::Bytes;

/// The outcome of a change of one object.
pub(super) enum Outcome {
    /// The object is stored like this.
    Stored(Bytes),
    /// The object is gone; this is what was shown last.
    Deleted(Bytes),
}

impl Outcome {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Stored(bytes) | Self::Deleted(bytes) => bytes,
        }
    }
}

/// The answer to a create, an update or a patch.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now stored (or would be, for a dry run), as a client gets it.
    pub bytes: Bytes,
    /// Whether it was created by this write: 201 instead of 200.
    pub created: bool,
}

/// The answer to a delete.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone. Its last state.
    Gone {
        /// The object as it was.
        bytes: Bytes,
        /// Its UID.
        uid: String,
    },
    /// It waits for its finalizers. Its state now, with deletionTimestamp.
    Pending {
        /// The object.
        bytes: Bytes,
    },
}
