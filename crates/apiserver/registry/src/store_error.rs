//! The one place where a store's failure becomes an answer of the API.

use apiserver_meta::{ApiError, Descriptor, Reason, Verb};
use apiserver_store::StoreError;
use std::sync::Arc;

/// Seconds after which a client may try again when the store was out of reach.
const RETRY_AFTER: u32 = 2;

/// And when it was full: somebody has to make room first.
const RETRY_AFTER_FULL: u32 = 10;

/// The source of an answer that invites to try again: the store did not carry the operation out.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct OutOfReach(Arc<StoreError>);

/// The API's error for a failed store operation; what the store said goes to the operator only.
///
/// `operation` is the API's verb; whatever is not `get`, `list`, `watch` or `read` is a write, whose unknown outcome
/// comes without an invitation to try again.
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
        StoreError::Full(_) => return full(ApiError::server_timeout(what, operation, RETRY_AFTER_FULL)).with_source(OutOfReach(error)),
        StoreError::Unavailable(_) => return ApiError::server_timeout(what, operation, RETRY_AFTER).with_source(OutOfReach(error)),
        StoreError::Unknown(_) if is_read => {
            return ApiError::server_timeout(what, operation, RETRY_AFTER).with_source(OutOfReach(error));
        }
        StoreError::Unknown(_) => {
            ApiError::timeout(format!("the store did not say whether the {operation} of {what} was carried out: look before trying again"))
        }
        StoreError::Corrupt(_) => ApiError::internal("stored data cannot be read"),
    };
    answer.with_source(error)
}

/// Names the reason: whoever reads it can do something about it.
fn full(mut error: ApiError) -> ApiError {
    error.message = error.message.replace("at this time,", "because the store has no room left,");
    error
}

/// The error of a look-up that a write needed, as the write's own: a client that creates one thing has not asked for
/// another. What else admission says is its answer, and stays.
pub(crate) fn of_look_up(error: ApiError, descriptor: &Descriptor, verb: Verb) -> ApiError {
    if !error.source.as_ref().is_some_and(|source| source.is::<OutOfReach>()) {
        return error;
    }
    ApiError { source: error.source, ..ApiError::server_timeout(descriptor.group_resource(), verb.as_str(), RETRY_AFTER) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cache::tests::WIDGETS;

    #[test]
    fn a_failed_look_up_is_told_of_the_request_that_needed_it() {
        let other = Descriptor { plural: "gadgets", ..WIDGETS.clone() };
        let inner = from_store(StoreError::Unavailable("secret".into()), &other, "get");
        let told = of_look_up(inner, &WIDGETS, Verb::Create);
        let details = told.details.as_ref().unwrap();
        assert_eq!((details.kind.as_str(), details.name.as_str(), details.retry_after_seconds), ("widgets", "create", 2));
        assert!(told.message.starts_with("The create operation against widgets"), "{}", told.message);
        assert!(told.source.is_some(), "the operator is still told why");
        let said = ApiError::server_timeout(other.group_resource(), "get", 7);
        assert_eq!(of_look_up(said, &WIDGETS, Verb::Create).details.unwrap().kind, "gadgets", "what a webhook says is its own");
    }

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
            (StoreError::Full("secret".into()), "create", Reason::ServerTimeout, 10),
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
