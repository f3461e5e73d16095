//! Resources that are answered and never stored: questions (who am I, may I) and views of stored objects (a book's readers).
//!
//! A [`VirtualResource`] says where it is asked for and by whom, and answers. Routes, negotiation, decoding, discovery, OpenAPI and
//! authorization follow from its descriptor; there is no other way to serve something that no registry holds.

mod protobuf;
mod question;
mod request;
pub(crate) mod serve;

pub(crate) use request::Services;
pub use request::{Verdict, VirtualRequest};

use apiserver_meta::{ApiError, Schema, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::Value;
use std::fmt;

/// A kind that is answered and never stored.
#[async_trait]
pub trait VirtualResource: fmt::Debug + Send + Sync + 'static {
    /// Everything static about it.
    fn descriptor(&self) -> &'static VirtualDescriptor;

    /// The schema of question and answer.
    fn schema(&self) -> &Schema;

    /// The answer, a JSON object. Kind and apiVersion are put into it, and metadata unless it has some.
    ///
    /// # Errors
    /// The error that the client is told.
    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError>;
}
