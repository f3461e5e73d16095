//! OpenAPI documents, made from descriptors and schemas on the first request for one and never again.
//!
//! They are byte for byte the same on every replica and after every restart: their hashes are cache keys.

mod components;
mod documents;
mod gnostic_v2;
mod gnostic_v3;
mod operation;
mod operations;
mod protobuf;
mod serve;
mod v2;
mod v3;
mod virtual_resource;

pub use components::{Answered, Stored};
pub use documents::documents;
pub(crate) use serve::OpenApi;
