//! Watches over WebSocket (RFC 6455): for browsers, which can neither read an answer while it arrives nor set an
//! `Authorization` header. Every frame of the watch is one text message; what clients send is ignored.

use super::frames::Frames;
use crate::extensions::Upgrades;
use crate::verbs::while_allowed::AllowedWatch;
use crate::websocket::values;
use apiserver_meta::ApiError;
use axum::body::Body;
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

/// Bytes of a client's message: it has nothing to say.
const MAX_MESSAGE: usize = 4096;
/// How long a client may take to make room for one more message.
const SEND_TIME: Duration = Duration::from_secs(30);

/// Tells a watch over the connection that the request came on.
///
/// # Errors
/// 400 when the handshake is none.
pub(crate) fn serve(request: &Parts, watch: AllowedWatch, frames: Frames) -> Result<Response, ApiError> {
    let version = request.headers.get("sec-websocket-version").map(HeaderValue::as_bytes);
    let key = request.headers.get(SEC_WEBSOCKET_KEY).filter(|_| version == Some(b"13"));
    let connection = request.extensions.get::<OnUpgrade>().cloned();
    let (Some(key), Some(connection)) = (key, connection) else {
        return Err(ApiError::bad_request("not a WebSocket handshake of version 13"));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept.map_err(ApiError::internal)?);
    if let Some(protocol) = values(&request.headers, &SEC_WEBSOCKET_PROTOCOL).next().and_then(|name| HeaderValue::try_from(name).ok()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let Upgrades { end, tasks } = request.extensions.get::<Upgrades>().cloned().unwrap_or_default();
    tasks.spawn(async move {
        match connection.await {
            Ok(connection) => tell(connection, watch, frames, &end).await,
            Err(error) => tracing::debug!(%error, "the connection of a WebSocket was not handed over"),
        }
    });
    Ok(response)
}

/// Sends frames until the watch, the client or the server ends the connection.
async fn tell(connection: Upgraded, mut watch: AllowedWatch, mut frames: Frames, end: &CancellationToken) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
    loop {
        let frame = tokio::select! {
            frame = watch.next() => frame,
            () = end.cancelled() => None,
            said = socket.next() => match said {
                // Pings are answered by the library.
                Some(Ok(message)) if !message.is_close() => continue,
                _ => return,
            },
        };
        let message = match frame {
            Some(frame) => frames.text(&frame),
            None => Message::Close(None),
        };
        let is_last = message.is_close();
        match tokio::time::timeout(SEND_TIME, socket.send(message)).await {
            Ok(Ok(())) if !is_last => {}
            _ => return,
        }
    }
}

impl Frames {
    fn text(&mut self, frame: &apiserver_registry::Frame) -> Message {
        let mut line = Vec::new();
        self.write(frame, &mut line);
        // JSON is UTF-8.
        Message::text(String::from_utf8(line).unwrap_or_default())
    }
}
