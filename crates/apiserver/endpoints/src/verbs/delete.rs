//! DELETE of one object.

use crate::body::InputFormat;
use crate::call::Call;
use crate::negotiation::Offer;
use crate::respond;
use apiserver_meta::options::DeleteOptions;
use apiserver_meta::{ApiError, Details, Status};
use apiserver_registry::{Deleted, offload};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn serve(call: &mut Call, body: Body) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = options(call, body).await?;
    match call.registry.delete(&call.ctx, &call.key(), &options, &call.filter).await? {
        // Upstream says "accepted" to nobody else: older clients take it for an error.
        Deleted::Pending { bytes } if options.orphan_dependents == Some(false) => {
            call.written(StatusCode::ACCEPTED, &bytes, representation).await
        }
        Deleted::Pending { bytes } => call.written(StatusCode::OK, &bytes, representation).await,
        Deleted::Gone { uid, .. } => {
            let kind = call.descriptor();
            let details =
                Details { name: call.resource.name.clone(), group: kind.group.into(), kind: kind.plural.into(), uid, ..Details::default() };
            Ok(respond::status_response(&Status::success(details), StatusCode::OK, call.wire(representation)))
        }
    }
}

/// The options of a delete. Beside a body, a resourceVersion in the query of a collection says which list is meant: it is no precondition.
pub(crate) async fn options(call: &mut Call, body: Body) -> Result<DeleteOptions, ApiError> {
    let bytes = call.read(body).await?;
    if bytes.is_empty() {
        return DeleteOptions::from_query(call.query().pairs());
    }
    let mut query = call.query().pairs().to_vec();
    if call.resource.name.is_empty() {
        query.retain(|(name, _)| name != "resourceVersion");
    }
    let format = InputFormat::of(&call.headers)?;
    let parsed = offload::compute(bytes.len(), || format.parse(&bytes, None)).await;
    let parsed = parsed.map_err(|error| ApiError::bad_request(error.0))?;
    if let (Some(audit), Some(options)) = (&call.audit, parsed.value.as_object()) {
        audit.0.request_object(options);
    }
    DeleteOptions::from_body(&parsed.value, &query)
}
