//! One request to a kind that is served, with everything that its verb needs.

mod answer;
mod decode;

use crate::access::recheck::{Allowed, RetainedCredentials};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::body;
use crate::negotiation::{self, Offer, Representation};
use crate::permits::Permit;
use crate::query::Query;
use crate::request_info::{RequestInfo, ResourceInfo};
use crate::respond::Wire;
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, ObjectKey, RequestContext, Subresource};
use apiserver_registry::{Registry, offload};
use bytes::Bytes;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use std::sync::Arc;

/// One request to a kind.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ctx: RequestContext,
    pub(crate) identity: Identity,
    pub(crate) filter: ObjectFilter,
    pub(crate) info: Arc<RequestInfo>,
    pub(crate) resource: ResourceInfo,
    pub(crate) subresource: Subresource,
    pub(crate) headers: HeaderMap,
    /// The request once more, if it asks to go on as a WebSocket.
    pub(crate) handshake: Option<Box<Parts>>,
    /// Of a watch, a list or a write: how to find out again who is calling.
    pub(crate) credentials: Option<RetainedCredentials>,
    /// Of a watch: its place among the requests under way.
    pub(crate) permit: Option<Arc<Permit>>,
    /// The audit context of the request.
    pub(crate) audit: Option<AuditContext>,
}

impl Call {
    pub(crate) fn descriptor(&self) -> &'static Descriptor {
        self.registry.descriptor()
    }

    pub(crate) fn query(&self) -> &Query {
        &self.info.query
    }

    /// The object that the path names.
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.resource.namespace.as_str(), self.resource.name.as_str())
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Negotiates the representation of the answer.
    pub(crate) fn negotiate(&self, offer: Offer) -> Result<Representation, ApiError> {
        negotiation::negotiate(&self.headers, self.query(), offer)
    }

    pub(crate) fn wire(&self, representation: Representation) -> Wire {
        Wire::new(representation, &self.headers)
    }

    /// The request's body, whole. With it the write begins: from here on the call is that of whoever the caller is now, with what
    /// they may do now.
    ///
    /// # Errors
    /// The fault of the body; 401 and 403 when the caller has become nobody, or may no longer, while it came.
    pub(crate) async fn read(&mut self, body: axum::body::Body) -> Result<Bytes, ApiError> {
        let body = body::read(&self.headers, body, self.app.config.limits.body).await?;
        if let Some(observer) = &self.app.config.observer {
            observer.body(&self.info.verb, &self.resource, body.len());
        }
        let bytes = body.len() + self.registry.stored_size(&self.key());
        self.ctx = self.ctx.clone().keeping(offload::room(bytes).await);
        if let Some(credentials) = &self.credentials
            && let Some(Allowed { identity, filter }) = credentials.second_look(&self.app, &self.info, &self.identity).await?
        {
            self.ctx = self.ctx.clone().with_identity(Arc::clone(&identity.user), identity.principal.clone());
            (self.identity, self.filter) = (identity, filter);
        }
        Ok(body)
    }
}
