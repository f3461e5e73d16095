//! GET of one object: stored bytes, copied.

use crate::call::Call;
use crate::negotiation::Offer;
use crate::reader_view::ReaderView;
use apiserver_meta::ApiError;
use apiserver_meta::options::GetOptions;
use axum::response::Response;
use http::StatusCode;

pub(crate) async fn serve(call: &Call) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = GetOptions::from_query(call.query().pairs())?;
    let item = call.registry.get(&call.ctx, &call.key(), &options, &call.filter).await?;
    let extended = ReaderView::of(call).await;
    call.object(StatusCode::OK, &extended.fill(&item), representation).await
}
