//! POST to a collection.

use crate::call::Call;
use crate::negotiation::Offer;
use apiserver_meta::ApiError;
use apiserver_meta::options::{WriteKind, WriteOptions};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn serve(call: &mut Call, body: Body) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = WriteOptions::from_query(call.query().pairs(), WriteKind::Create, call.user_agent())?;
    let bytes = call.read(body).await?;
    let mut object = call.decode(&bytes, options.field_validation).await?;
    call.settle_namespace(&mut object)?;
    let written = call.registry.create(&call.ctx, &call.resource.namespace, object, &options).await?;
    call.written(StatusCode::CREATED, &written.bytes, representation).await
}
