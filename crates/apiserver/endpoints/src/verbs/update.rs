//! PUT of an object or its status.

use crate::call::Call;
use crate::negotiation::Offer;
use apiserver_meta::options::{WriteKind, WriteOptions};
use apiserver_meta::{ApiError, Object};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn serve(call: &mut Call, body: Body) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = WriteOptions::from_query(call.query().pairs(), WriteKind::Update, call.user_agent())?;
    let bytes = call.read(body).await?;
    let mut object = call.decode(&bytes, options.field_validation).await?;
    check_name(call, &object)?;
    call.settle_namespace(&mut object)?;
    let written = call.registry.update(&call.ctx, &call.key(), call.subresource, object, &options, &call.filter).await?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    call.written(status, &written.bytes, representation).await
}

fn check_name(call: &Call, object: &Object) -> Result<(), ApiError> {
    let (given, name) = (object.name(), call.resource.name.as_str());
    if given.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if given != name {
        return Err(ApiError::bad_request(format!("the name of the object ({given}) does not match the name on the URL ({name})")));
    }
    Ok(())
}
