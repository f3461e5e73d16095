//! GET of a collection: stored bytes, copied piece by piece while the client reads.

use super::while_allowed::list_while_allowed;
use crate::call::Call;
use crate::chunks::PIECE;
use crate::negotiation::{Offer, Representation};
use crate::reader_view::ReaderView;
use crate::render::{self, Renderer};
use crate::selectable::list_options;
use apiserver_meta::{ApiError, Descriptor};
use apiserver_registry::{Item, List};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use std::sync::Arc;

pub(crate) async fn serve(call: &Call) -> Result<Response, ApiError> {
    let representation = call.negotiate(Offer::Objects)?;
    let options = list_options(call.descriptor(), call.query())?;
    let list = call.registry.list(&call.ctx, &call.resource.namespace, &options, &call.filter).await?;
    let extended = ReaderView::of(call).await;
    let private = extended.private().cloned();
    let response = respond(call, list, extended, representation)?;
    Ok(list_while_allowed(call, response, private))
}

/// A list as an answer.
pub(crate) fn respond(call: &Call, list: List, extended: ReaderView, representation: Representation) -> Result<Response, ApiError> {
    let renderer = Renderer::of_list(representation.target, call.registry.resource())?;
    let body = ListBody::new(call.descriptor(), list, extended, renderer);
    let length = body.length();
    Ok(call.wire(representation).stream(StatusCode::OK, body, length))
}

/// The pieces of a list. It shares the items with the cache; one piece is in memory beside them.
struct ListBody {
    head: Vec<u8>,
    items: std::vec::IntoIter<Arc<Item>>,
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
    fn new(descriptor: &Descriptor, list: List, extended: ReaderView, renderer: Renderer) -> Self {
        let head = renderer.list_head(descriptor, &metadata(&list));
        Self { head, items: list.items.into_iter(), extended, renderer, now: render::now(), place: ListPosition::Head }
    }

    /// The length of the whole, when nothing has to be decoded to know it.
    fn length(&self) -> Option<u64> {
        if !self.extended.is_empty() {
            return None;
        }
        let items = self.items.as_slice();
        let bytes = items.iter().map(|item| self.renderer.length(item, self.now)).sum::<Option<usize>>()?;
        Some((self.head.len() + bytes + items.len().saturating_sub(1) + TAIL.len()) as u64)
    }
}

impl Iterator for ListBody {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 8);
        match self.place {
            ListPosition::Head => {
                out.append(&mut self.head);
                if let Some(first) = self.items.next() {
                    self.renderer.item(&self.extended.fill(&first), self.now, &mut out);
                }
                self.place = ListPosition::Items;
            }
            ListPosition::Items => {}
            ListPosition::End => return None,
        }
        while out.len() < PIECE {
            let Some(item) = self.items.next() else {
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

fn metadata(list: &List) -> Value {
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
