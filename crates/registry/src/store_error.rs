//! The one place where a store's failure becomes an answer of the API.

use std::sync::Arc;
use vci_meta::{ApiError, Descriptor, Reason};
use vci_store::StoreError;

/// Seconds after which a client may try again when the store was out of reach.
const RETRY_AFTER: u32 = 2;

/// What a client reads of a failed store operation; what the store said goes to the operator only.
///
/// `operation` is the API's verb; whatever is not `get`, `list`, `watch` or `read` is a write, whose unknown outcome
/// is told without an invitation to try again.
pub fn from_store(error: impl Into<Arc<StoreError>>, descriptor: &Descriptor, operation: &str) -> ApiError {
    let error = error.into();
    let is_read = matches!(operation, "get" | "list" | "watch" | "read");
    let what = descriptor.group_resource();
    let answer = match &*error {
        StoreError::Compacted { .. } => {
            let noun = if operation == "watch" { "watch" } else { "list" };
            ApiError::expired(format!("The resourceVersion for the provided {noun} is too old."))
        }
        StoreError::Future { requested, current } => ApiError::resource_version_too_large(*requested, *current),
        StoreError::TooLarge { size } => {
            ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: the store does not take {size} bytes"))
        }
        StoreError::Unavailable(_) => ApiError::server_timeout(what, operation, RETRY_AFTER),
        StoreError::Unknown(_) if is_read => ApiError::server_timeout(what, operation, RETRY_AFTER),
        StoreError::Unknown(_) => ApiError::timeout("request did not complete within the allotted timeout"),
        StoreError::Corrupt(_) => ApiError::internal("stored data cannot be read"),
    };
    answer.with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cache::tests::WIDGETS;

    #[test]
    fn each_failure_has_its_answer() {
        let compacted = || StoreError::Compacted { oldest: 7 };
        let table = [
            (compacted(), "list", Reason::Expired, 0),
            (compacted(), "watch", Reason::Expired, 0),
            (StoreError::Future { requested: 9, current: 3 }, "get", Reason::Timeout, 1),
            (StoreError::TooLarge { size: 5 }, "create", Reason::RequestEntityTooLarge, 0),
            (StoreError::Unavailable("secret".into()), "get", Reason::ServerTimeout, 2),
            (StoreError::Unavailable("secret".into()), "create", Reason::ServerTimeout, 2),
            (StoreError::Unknown("secret".into()), "list", Reason::ServerTimeout, 2),
            (StoreError::Unknown("secret".into()), "update", Reason::Timeout, 0),
            (StoreError::Corrupt("secret".into()), "get", Reason::InternalError, 0),
        ];
        for (error, operation, reason, retry) in table {
            let told = error.to_string();
            let answer = from_store(error, &WIDGETS, operation);
            assert_eq!(answer.reason, reason, "{told}");
            assert_eq!(answer.details.as_ref().map_or(0, |d| d.retry_after_seconds), retry, "{told}");
            assert!(!serde_json::to_string(&answer.status()).unwrap().contains("secret"), "{told}");
            assert_eq!(answer.source.unwrap().to_string(), told);
        }
    }
}
