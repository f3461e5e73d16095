//! Paths beside the API that others fill, such as `/metrics`.

use async_trait::async_trait;
use axum::response::Response;
use http::request::Parts;
use std::fmt;

/// Answers GET and HEAD of one path. Whoever gets here has been authenticated and authorized for the path, and has a place among
/// the requests under way, like any other.
#[async_trait]
pub trait Page: fmt::Debug + Send + Sync + 'static {
    /// The answer.
    async fn serve(&self, request: &Parts) -> Response;
}
