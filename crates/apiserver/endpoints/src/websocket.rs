//! Watches over WebSocket (RFC 6455): for browsers, which can neither read an answer while it arrives nor set an
//! `Authorization` header. Every frame of the watch is one text message; what clients send is ignored.

use crate::Upgrades;
use crate::verbs::watch::Frames;
use apiserver_meta::ApiError;
use apiserver_registry::Watch;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

/// The subprotocol in which a browser hands over its bearer token, base64url-encoded.
const BEARER: &str = "base64url.bearer.authorization.k8s.io.";
/// Bytes of a client's message: it has nothing to say.
const MAX_MESSAGE: usize = 4096;
/// How long a client may take to make room for one more message.
const SEND_TIME: Duration = Duration::from_secs(30);

/// Whether a request asks to go on as a WebSocket.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let upgrades = values(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"));
    upgrades && headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Moves the bearer token of a WebSocket request to where tokens of other requests are. Another subprotocol must
/// be offered beside it: the one chosen is echoed, which a token must never be. Where there is a token already, this one is
/// of no use, and taken out all the same.
///
/// # Errors
/// 401.
pub(crate) fn settle_token(headers: &mut HeaderMap) -> Result<(), ApiError> {
    if !is_asked_for(headers) {
        return Ok(());
    }
    let (tokens, others): (Vec<String>, Vec<String>) =
        values(headers, &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).partition(|protocol| token(protocol).is_some());
    if tokens.is_empty() {
        return Ok(());
    }
    let left = HeaderValue::try_from(others.join(", ")).map_err(|_| ApiError::unauthorized())?;
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if !left.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, left);
    }
    if headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    let token = match (tokens.as_slice(), others.is_empty()) {
        ([protocol], false) => token(protocol).unwrap_or_default(),
        _ => return Err(ApiError::unauthorized()),
    };
    let token = URL_SAFE_NO_PAD.decode(token).ok().and_then(|token| String::from_utf8(token).ok());
    let bearer = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok()).ok_or_else(ApiError::unauthorized)?;
    headers.insert(AUTHORIZATION, bearer);
    Ok(())
}

/// The token, still encoded, in a subprotocol that holds one, whatever its case.
fn token(protocol: &str) -> Option<&str> {
    let (prefix, token) = protocol.split_at_checked(BEARER.len())?;
    prefix.eq_ignore_ascii_case(BEARER).then_some(token)
}

/// The words of a header that holds a list.
fn values<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

/// Tells a watch over the connection that the request came on.
///
/// # Errors
/// 400 when the handshake is none.
pub(crate) fn serve(request: &Parts, watch: Watch, frames: Frames) -> Result<Response, ApiError> {
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

/// Until the watch, the client or the server ends it.
async fn tell(connection: Upgraded, mut watch: Watch, mut frames: Frames, end: &CancellationToken) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn which_requests_ask() {
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[("connection", "Upgrade"), ("upgrade", "websocket")], true),
            (&[("connection", "keep-alive, upgrade"), ("upgrade", "WebSocket")], true),
            (&[("connection", "keep-alive"), ("connection", "Upgrade"), ("upgrade", "websocket")], true),
            (&[("connection", "upgrades"), ("upgrade", "websocket")], false),
            (&[("connection", "upgrade"), ("upgrade", "h2c")], false),
            (&[("upgrade", "websocket")], false),
        ];
        for (lines, want) in cases {
            assert_eq!(is_asked_for(&headers(lines)), want, "{lines:?}");
        }
    }

    #[test]
    fn tokens_in_subprotocols() {
        const ASKS: [(&str, &str); 2] = [("connection", "upgrade"), ("upgrade", "websocket")];
        /// What goes to Authorization and what is left of the subprotocols, or the status of a refusal.
        type Outcome = Result<(Option<&'static str>, Option<&'static str>), u16>;
        // `c2VjcmV0` is `secret`.
        let cases: [(&[(&str, &str)], Outcome); 9] = [
            (&[], Ok((None, None))),
            (&[("sec-websocket-protocol", "v4, v5")], Ok((None, Some("v4, v5")))),
            (&[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0, v4")], Ok((Some("Bearer secret"), Some("v4")))),
            (
                &[("sec-websocket-protocol", "v5"), ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0,v4")],
                Ok((Some("Bearer secret"), Some("v5, v4"))),
            ),
            (&[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0")], Err(401)),
            (&[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0=, v4")], Err(401)),
            (
                &[(
                    "sec-websocket-protocol",
                    "base64url.bearer.authorization.k8s.io.c2VjcmV0, base64url.bearer.authorization.k8s.io.c2VjcmV0, v4",
                )],
                Err(401),
            ),
            (
                &[("authorization", "Bearer a"), ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0")],
                Ok((Some("Bearer a"), None)),
            ),
            (
                &[("authorization", "Bearer a"), ("sec-websocket-protocol", "Base64URL.Bearer.authorization.k8s.io.c2VjcmV0=, v4")],
                Ok((Some("Bearer a"), Some("v4"))),
            ),
        ];
        for (lines, want) in cases {
            let mut headers = headers(&[&ASKS[..], lines].concat());
            let settled = settle_token(&mut headers).map_err(|error| error.code());
            let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
            assert_eq!(settled.map(|()| (text(AUTHORIZATION), text(SEC_WEBSOCKET_PROTOCOL))), want, "{lines:?}");
        }
    }
}
