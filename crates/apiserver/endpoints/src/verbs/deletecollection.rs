//! DELETE of a collection, or of what selectors leave of it.

use super::{delete, list};
use crate::call::Call;
use crate::negotiation::Offer;
use crate::reader_view::ReaderView;
use crate::selectable::list_options;
use apiserver_meta::ApiError;
use axum::body::Body;
use axum::response::Response;

pub(crate) async fn serve(call: &mut Call, body: Body) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let selection = list_options(call.descriptor(), call.query())?;
    let options = delete::options(call, body).await?;
    let deleted = call.registry.delete_collection(&call.ctx, &call.resource.namespace, &selection, &options, &call.filter).await?;
    list::respond(call, deleted.into(), ReaderView::of_answer(call).await, representation)
}
