//! The audit log's view of a request while it is carried out.
//!
//! Policies decide by who is calling, which is known only once the request was authenticated, and objects are logged as they
//! were understood: both happen in here, and the rest, stages and files, around the router. Refused: levels and policies.

use crate::extensions::AuditId;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use apiserver_meta::{Annotations, ApiError};
use async_trait::async_trait;
use http::Extensions;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Follows one request for the audit log.
#[async_trait]
pub trait AuditSink: fmt::Debug + Send + Sync + 'static {
    /// The caller is known, and nothing else has happened yet.
    ///
    /// # Errors
    /// The request must be logged and cannot be: it is not carried out.
    async fn caller(&self, identity: &Identity, info: &RequestInfo, id: &AuditId) -> Result<(), ApiError>;

    /// The caller acts for somebody else, and may.
    fn impersonated_user(&self, identity: &Identity);

    /// The object in the body, in canonical form.
    fn request_object(&self, object: &Map<String, Value>);

    /// The patch in the body, as it came.
    fn request_patch(&self, patch: &[u8]);

    /// The annotations of the event.
    fn annotations(&self) -> &Annotations;
}

/// The trail of a request: an extension, where a layer around the router has put one.
#[derive(Clone, Debug)]
pub struct AuditContext(pub Arc<dyn AuditSink>);

impl AuditContext {
    pub(crate) fn of(extensions: &Extensions) -> Option<&dyn AuditSink> {
        extensions.get::<Self>().map(|trail| &*trail.0)
    }
}

/// The message of a panic: an extension of the response that tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked(pub Arc<str>);
