//! The errors of patches.

use apiserver_meta::Cause;

/// Most operations in one JSON patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// Why a patch did not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// More operations than [`MAX_OPERATIONS`]: 413.
    #[error("Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// The patch is well-formed and does not fit this object: 422. The causes name the failing operations.
    #[error("{message}")]
    Unprocessable {
        /// The text for people.
        message: String,
        /// One for each failing operation: reason, what failed, and the path it named.
        causes: Vec<Cause>,
    },
}

/// The text of every 422 that a Kubernetes server answers to a patch that does not fit; the causes say more.
pub(crate) const REJECTED: &str = "the server rejected our request due to an error in our request";

pub(crate) fn malformed(why: impl std::fmt::Display) -> PatchError {
    PatchError::Malformed(format!("error decoding patch: {why}"))
}
