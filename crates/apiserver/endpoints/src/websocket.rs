//! The handshake of WebSocket requests (RFC 6455), and the bearer token in it: browsers cannot set an `Authorization` header.

use apiserver_meta::ApiError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// The subprotocol in which a browser hands over its bearer token, base64url-encoded.
const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

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
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty())
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
