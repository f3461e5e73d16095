//! Why a write was not carried out, as far as callers in this process go by it.
//!
//! The reason of an error is for the client, and admission can give any reason: a webhook that denies an update with 404 does
//! not mean that the object is missing. So nothing decides by reading a reason back.

use apiserver_meta::ApiError;
use std::error::Error;
use std::fmt;

/// Why a write was not carried out. Each holds the error for the client.
#[derive(Debug)]
pub enum WriteFailure {
    /// There is no such object.
    Missing(ApiError),
    /// There is one of this name already.
    Exists(ApiError),
    /// The object is not, or is no longer, the one that the write was made for: another UID, or another version.
    Stale(ApiError),
    /// Anything else: a rule, admission, the store.
    Refused(ApiError),
}

impl From<ApiError> for WriteFailure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<WriteFailure> for ApiError {
    fn from(failure: WriteFailure) -> Self {
        match failure {
            WriteFailure::Missing(error) | WriteFailure::Exists(error) | WriteFailure::Stale(error) | WriteFailure::Refused(error) => error,
        }
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(error) | Self::Exists(error) | Self::Stale(error) | Self::Refused(error)) = self;
        error.fmt(f)
    }
}

impl Error for WriteFailure {}
