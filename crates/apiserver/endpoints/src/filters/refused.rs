//! A refusal of a filter.

use crate::respond::{page_not_found, refuse};
use apiserver_meta::ApiError;
use axum::response::Response;
use http::request::Parts;

/// The reason why a request gets no further.
#[derive(Debug)]
pub(crate) enum Refused {
    Error(ApiError),
    /// Nothing is served under the path, whatever stands behind it.
    NoSuchPage,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl Refused {
    /// The response that tells the client.
    pub(crate) fn response(&self, parts: &Parts) -> Response {
        match self {
            Self::Error(error) => refuse(error, parts),
            Self::NoSuchPage => page_not_found(),
        }
    }
}
