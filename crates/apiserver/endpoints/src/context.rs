//! The context of a request: its caller, its deadline, its audit id.

use crate::audit_context::AuditContext;
use crate::extensions::{AuditId, Deadline};
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, RequestContext};
use axum::extract::ConnectInfo;
use http::request::Parts;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The context of a request that has passed the filters.
pub(crate) fn of(parts: &Parts) -> Result<RequestContext, ApiError> {
    let identity = parts.extensions.get::<Identity>().ok_or_else(ApiError::unauthorized)?;
    let deadline = parts.extensions.get::<Deadline>().map_or_else(Instant::now, |deadline| deadline.0);
    let audit_id = parts.extensions.get::<AuditId>().map_or_else(|| "".into(), |id| Arc::clone(&id.0));
    let ctx = RequestContext::new(Arc::clone(&identity.user), identity.principal.clone(), deadline, audit_id);
    let ctx = match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(client)) => ctx.on_connection(*client),
        None => ctx,
    };
    Ok(match AuditContext::of(&parts.extensions) {
        Some(trail) => ctx.with_annotations(trail.annotations().clone()),
        None => ctx,
    })
}
