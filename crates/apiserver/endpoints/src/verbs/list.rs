//! GET of a collection: stored bytes, copied piece by piece while the client reads.

use super::while_allowed::list_while_allowed;
use crate::call::Call;
use crate::chunks::PIECE;
use crate::negotiation::{Offer, Representation};
use crate::reader_view::ReaderView;
use crate::render::{self, Renderer};
use crate::selectable::list_options;
use apiserver_meta::{ApiError, Descriptor};
use apiserver_registry::{ListRows, Rows};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

pub(crate) async fn serve(call: &Call) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = list_options(call.descriptor(), call.query())?;
    let list = call.registry.list_rows(&call.ctx, &call.resource.namespace, &options, &call.filter).await?;
    let extended = ReaderView::of(call).await;
    let private = extended.private().cloned();
    let response = respond(call, list, extended, representation)?;
    Ok(list_while_allowed(call, response, private))
}

/// A list as an answer.
pub(crate) fn respond(call: &Call, list: ListRows, extended: ReaderView, representation: Representation) -> Result<Response, ApiError> {
    let renderer = Renderer::of_list(representation.target, call.registry.resource())?;
    let body = ListBody::new(call.descriptor(), list, extended, renderer);
    let length = body.length();
    Ok(call.wire(representation).stream(StatusCode::OK, body, length))
}

/// The pieces of a list. It shares the items with the cache; a few of them and one piece are in memory beside it.
struct ListBody {
    head: Vec<u8>,
    rows: Rows,
    extended: ReaderView,
    renderer: Renderer,
    /// The time by which ages are shown, the same for all rows.
    now: i64,
    place: ListPosition,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListPosition {
    Head,
    Items,
    End,
}

const TAIL: &[u8] = b"]}\n";

impl ListBody {
    fn new(descriptor: &Descriptor, list: ListRows, extended: ReaderView, renderer: Renderer) -> Self {
        let head = renderer.list_head(descriptor, &metadata(&list));
        Self { head, rows: list.rows, extended, renderer, now: render::now(), place: ListPosition::Head }
    }

    /// The length of the whole, when nothing has to be decoded to know it.
    fn length(&self) -> Option<u64> {
        if !self.extended.is_empty() {
            return None;
        }
        let (count, bytes) = self.rows.measure(|item| self.renderer.length(item, self.now))?;
        Some((self.head.len() + bytes + count.saturating_sub(1) + TAIL.len()) as u64)
    }
}

impl Iterator for ListBody {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 8);
        match self.place {
            ListPosition::Head => {
                out.append(&mut self.head);
                if let Some(first) = self.rows.next() {
                    self.renderer.item(&self.extended.fill(&first), self.now, &mut out);
                }
                self.place = ListPosition::Items;
            }
            ListPosition::Items => {}
            ListPosition::End => return None,
        }
        while out.len() < PIECE {
            let Some(item) = self.rows.next() else {
                out.extend_from_slice(TAIL);
                self.place = ListPosition::End;
                break;
            };
            out.push(b',');
            self.renderer.item(&self.extended.fill(&item), self.now, &mut out);
        }
        Some(Bytes::from(out))
    }
}

fn metadata(list: &ListRows) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), list.revision.to_string().into());
    if let Some(token) = &list.continue_token {
        metadata.insert("continue".into(), token.as_str().into());
    }
    if let Some(remaining) = list.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    Value::Object(metadata)
}
