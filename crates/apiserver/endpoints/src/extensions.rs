//! Facts about one request that travel with it as extensions, from the listener and the filters to whatever needs them.

use crate::query::Query;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use http::request::Parts;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The id of a request in logs and audit: an extension on requests and responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditId(pub Arc<str>);

/// The client's verified-by-nobody certificate chain, DER, leaf first: a request extension set by the listener.
#[derive(Clone, Debug, Default)]
pub struct PeerCertificates(pub Arc<[Arc<[u8]>]>);

/// Ends and counts connections that go on after their answer (WebSockets), when the server stops: a request extension set by
/// the listener.
#[derive(Clone, Debug, Default)]
pub struct Upgrades {
    /// Cancelled when they are to end.
    pub end: CancellationToken,
    /// Counts them.
    pub tasks: TaskTracker,
}

/// The user that a request acts as by impersonation: an extension of the response, beside the [`Identity`] of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpersonatedUser(pub Identity);

/// The time when the answer is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// The request info that the layer for it left.
pub(crate) fn info_of(parts: &Parts) -> Arc<RequestInfo> {
    parts.extensions.get::<Arc<RequestInfo>>().cloned().unwrap_or_else(|| {
        // Only a router put together without the layer gets here.
        Arc::new(RequestInfo { path: parts.uri.path().into(), verb: "".into(), resource: None, query: Query::default(), proxied: None })
    })
}
