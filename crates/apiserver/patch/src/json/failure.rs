//! Why one operation of a JSON patch failed.

use crate::error::{PatchError, REJECTED};
use apiserver_meta::Cause;

pub(super) const INVALID: &str = "FieldValueInvalid";
pub(super) const NOT_FOUND: &str = "FieldValueNotFound";
pub(super) const NOT_SUPPORTED: &str = "FieldValueNotSupported";
pub(super) const REQUIRED: &str = "FieldValueRequired";

/// Why one operation failed: a cause's reason, and a sentence.
pub(super) struct Failure {
    reason: &'static str,
    why: String,
}

impl Failure {
    pub(super) fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }

    /// The error of the operation at `index`, with its `op` and `path` as the client wrote them.
    pub(super) fn of(self, index: usize, op: Option<&str>, path: Option<&str>) -> PatchError {
        let (op, path) = (op.unwrap_or_default(), path.unwrap_or_default());
        PatchError::Unprocessable {
            message: REJECTED.into(),
            causes: vec![Cause {
                reason: self.reason.into(),
                message: format!("operation {index} ({op} {path:?}): {}", self.why),
                field: path.to_owned(),
            }],
        }
    }
}
