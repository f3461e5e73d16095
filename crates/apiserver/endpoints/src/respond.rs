//! Encoding of answers: as negotiated, compressed if that pays and was asked for, with the headers that
//! every answer has.

use crate::chunks::{Ahead, ChunkBody, Chunks};
use crate::extensions::info_of;
use crate::gzip::Gzip;
use crate::negotiation::{self, Layout, Media, Representation};
use crate::pretty::Pretty;
use apiserver_meta::{ApiError, Reason, Status};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

/// Answers of more bytes than this are worth compressing.
const WORTH_COMPRESSING: u64 = 128 * 1024;

/// Whether the client takes compressed answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// Reads `Accept-Encoding`.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let text = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
        let takes_gzip = text.split(',').any(|clause| {
            let (name, quality) = clause.split_once(';').unwrap_or((clause, ""));
            let refused = quality.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            name.trim() == "gzip" && !refused
        });
        if takes_gzip { Self::Gzip } else { Self::Identity }
    }
}

/// The encoding of an answer: all that is left of negotiation once its content stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) media: Media,
    pub(crate) layout: Layout,
    pub(crate) encoding: Encoding,
}

impl Wire {
    /// The encoding part of what was negotiated.
    pub(crate) fn new(representation: Representation, headers: &HeaderMap) -> Self {
        Self { media: representation.media, layout: representation.layout, encoding: Encoding::accepted(headers) }
    }

    /// An answer whose compact JSON is at hand; it gets its newline here.
    pub(crate) fn send(self, status: StatusCode, mut json: Vec<u8>) -> Response {
        json.push(b'\n');
        let length = json.len() as u64;
        if self.media == Media::Json
            && self.layout == Layout::Compact
            && (length <= WORTH_COMPRESSING || self.encoding == Encoding::Identity)
        {
            return response(status, self.media.content_type(), Body::from(json));
        }
        let json = std::iter::once(Bytes::from(json));
        if self.media == Media::Json && self.layout == Layout::Pretty && length <= WORTH_COMPRESSING {
            // In one piece, with its length: such as an error that is to be sent when the rest of the request's body has come.
            let readable: Vec<u8> = Pretty::new(json).flatten().collect();
            return response(status, self.media.content_type(), Body::from(readable));
        }
        self.stream(status, json, Some(length))
    }

    /// An answer whose compact JSON is made while it is sent. `length` is that of the JSON, if known.
    pub(crate) fn stream(self, status: StatusCode, chunks: impl Chunks, length: Option<u64>) -> Response {
        match (self.media, self.layout) {
            (Media::Json, Layout::Compact) => self.encode(status, chunks, length),
            (Media::Json, Layout::Pretty) => self.encode(status, Pretty::new(chunks), None),
            (Media::Yaml, _) => self.yaml(status, chunks),
        }
    }

    /// YAML sorts its keys, so it has to see the whole document first.
    fn yaml(self, status: StatusCode, chunks: impl Chunks) -> Response {
        let json: Vec<u8> = chunks.fold(Vec::new(), |mut all, piece| {
            all.extend_from_slice(&piece);
            all
        });
        match to_yaml(&json) {
            Ok(text) => {
                let length = text.len() as u64;
                self.encode(status, std::iter::once(Bytes::from(text)), Some(length))
            }
            Err(error) => error_response(&error, Wire { media: Media::Json, ..self }),
        }
    }

    fn encode(self, status: StatusCode, mut chunks: impl Chunks, length: Option<u64>) -> Response {
        if self.encoding == Encoding::Identity || length.is_some_and(|length| length <= WORTH_COMPRESSING) {
            // Whose length is not known is rendered.
            let body = if length.is_some() { Body::new(ChunkBody::new(chunks, length)) } else { Body::new(Ahead::new(chunks)) };
            return response(status, self.media.content_type(), body);
        }
        // Nobody knows yet how much it will be: look at the beginning.
        let (mut begun, mut bytes) = (Vec::new(), 0);
        while bytes <= WORTH_COMPRESSING {
            let Some(piece) = chunks.next() else {
                return response(status, self.media.content_type(), Body::new(ChunkBody::new(begun.into_iter(), Some(bytes))));
            };
            bytes += piece.len() as u64;
            begun.push(piece);
        }
        let packed = Gzip::new(begun.into_iter().chain(chunks));
        let mut response = response(status, self.media.content_type(), Body::new(Ahead::new(packed)));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response
    }
}

/// A response with a content type.
pub(crate) fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response for people, as upstream's plain handlers give.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = response(status, "text/plain; charset=utf-8", text.into());
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The answer to a path that nothing is served under.
pub(crate) fn page_not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A document that was made beforehand.
pub(crate) fn document(value: &Value, wire: Wire) -> Response {
    wire.send(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default())
}

/// An error as its `Status`. What only operators may see goes to the log here, once.
pub(crate) fn error_response(error: &ApiError, wire: Wire) -> Response {
    if let Some(source) = &error.source {
        tracing::error!(reason = ?error.reason, message = %error.message, source = %source, "request failed");
    } else if error.reason == Reason::InternalError {
        tracing::error!(message = %error.message, "request failed");
    }
    let mut response =
        status_response(&error.status(), StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), wire);
    if error.reason == Reason::Forbidden {
        response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    }
    match error.details.as_deref().map_or(0, |details| details.retry_after_seconds) {
        0 => {}
        seconds => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    response
}

/// The `Status` of a request that gets no further.
pub(crate) fn refuse(error: &ApiError, parts: &Parts) -> Response {
    let representation = negotiation::for_errors(&parts.headers, &info_of(parts).query);
    error_response(error, Wire::new(representation, &parts.headers))
}

/// The refusal of a method that a path does not have.
pub(crate) fn no_such_method() -> ApiError {
    ApiError::method_not_allowed("the server does not allow this method on the requested resource")
}

/// A `Status` as an answer, and as an extension of it. It is never turned into a table.
pub(crate) fn status_response(status: &Status, code: StatusCode, wire: Wire) -> Response {
    let mut response = wire.send(code, serde_json::to_vec(status).unwrap_or_default());
    response.extensions_mut().insert(status.clone());
    response
}

fn to_yaml(json: &[u8]) -> Result<String, ApiError> {
    let value: Value = serde_json::from_slice(json).map_err(|error| ApiError::internal("cannot encode as YAML").with_source(error))?;
    // Long lines stay lines, as other servers of this API write them.
    let options = serde_yaml::ser_options! { folded_wrap_chars: 1_000_000_000 };
    serde_yaml::to_string_with_options(&value, options)
        .map_err(|error| ApiError::internal("cannot encode as YAML").with_source(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;

    #[test]
    fn every_error_is_in_memory_with_its_length_however_it_looks() {
        let error = ApiError::bad_request("why");
        for (media, layout) in [(Media::Json, Layout::Compact), (Media::Json, Layout::Pretty), (Media::Yaml, Layout::Compact)] {
            for encoding in [Encoding::Identity, Encoding::Gzip] {
                let response = error_response(&error, Wire { media, layout, encoding });
                assert!(response.body().size_hint().exact().is_some_and(|size| size > 10), "{media:?} {layout:?} {encoding:?}");
            }
        }
    }
}
