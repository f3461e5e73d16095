//! An object as the answer to a call.

use super::Call;
use crate::negotiation::Representation;
use crate::reader_view::ReaderView;
use crate::render::{Columns, Renderer, Shown};
use apiserver_meta::ApiError;
use apiserver_registry::offload;
use axum::response::Response;
use http::StatusCode;

impl Call {
    /// An object as the answer.
    pub(crate) async fn object(&self, status: StatusCode, shown: &Shown<'_>, representation: Representation) -> Result<Response, ApiError> {
        let length = shown.bytes().len();
        let renderer = Renderer::of_object(representation.target, self.registry.resource())?;
        let send = || {
            let mut json = Vec::with_capacity(length + 1);
            renderer.object(shown, Columns::Shown, &mut json);
            self.wire(representation).send(status, json)
        };
        Ok(offload::compute(length, send).await)
    }

    /// An object that was written as the answer: as much of it as the writer may read.
    pub(crate) async fn written(&self, status: StatusCode, bytes: &[u8], representation: Representation) -> Result<Response, ApiError> {
        let shown = ReaderView::of_answer(self).await;
        self.object(status, &shown.written(bytes, &**self.registry.resource()), representation).await
    }
}
