//! PATCH of an object or its status.

use crate::access::authorization::{attributes, decide, target};
use crate::body::{PATCHES, media_type, unsupported};
use crate::call::Call;
use crate::negotiation::Offer;
use crate::reader_view::ReaderView;
use apiserver_meta::ApiError;
use apiserver_meta::options::{self, PatchOptions};
use apiserver_registry::{Patch, PatchKind, offload};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn serve(call: &mut Call, body: Body) -> Result<Response, ApiError> {
    let kind = kind(call)?;
    let representation = call.negotiate(Offer::Objects)?;
    let options = PatchOptions::from_query(call.query().pairs(), options_kind(kind), call.user_agent())?;
    let body = call.read(body).await?;
    if let Some(audit) = &call.audit {
        offload::compute(body.len(), || audit.0.request_patch(&body)).await;
    }
    let create_denial = if kind == PatchKind::Apply { create_denial(call).await } else { None };
    let mask = if kind == PatchKind::Json { ReaderView::of_answer(call).await.mask(call) } else { None };
    let patch = Patch { kind, body, create_denial, mask };
    let written = call.registry.patch(&call.ctx, &call.key(), call.subresource, patch, &options, &call.filter).await?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    call.written(status, &written.bytes, representation).await
}

fn kind(call: &Call) -> Result<PatchKind, ApiError> {
    let given = media_type(&call.headers);
    PATCHES
        .iter()
        .find(|(name, _)| *name == given)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| unsupported(&PATCHES.map(|(name, _)| name).join(", ")))
}

fn options_kind(kind: PatchKind) -> options::PatchKind {
    match kind {
        PatchKind::Apply => options::PatchKind::Apply,
        PatchKind::Json | PatchKind::Merge | PatchKind::Strategic => options::PatchKind::Other,
    }
}

/// An apply of a missing object creates it, so whoever applies must also be allowed to create.
async fn create_denial(call: &Call) -> Option<String> {
    let attributes = attributes(call.identity.clone(), "create", target(&call.info));
    decide(&call.app.config.authorizers, &attributes).await.err().map(|_| apiserver_auth::denial(&attributes))
}
