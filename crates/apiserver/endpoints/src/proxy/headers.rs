//! Which headers cross a proxy (RFC 9110, 7.6.1).

use crate::access::impersonation::is_impersonation_header;
use crate::websocket::values;
use apiserver_auth::Authenticator;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

use crate::access::authentication::is_credential;

/// Those that are about one connection, beside what `Connection` names.
const HOP_BY_HOP: [HeaderName; 7] = [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const MORE_HOP_BY_HOP: [&str; 2] = ["keep-alive", "proxy-connection"];

/// The headers of a request to carry on.
pub(super) fn of_request(headers: &HeaderMap, chain: &[Arc<dyn Authenticator>], is_upgrade: bool) -> HeaderMap {
    crossing(headers, is_upgrade, |name| {
        let is_ours = *name == HOST || *name == EXPECT || *name == AUTHORIZATION || *name == COOKIE;
        !is_ours && !is_credential(name, chain) && !is_impersonation_header(name)
    })
}

/// The headers of an answer to carry back. Cookies would be for this server's name.
pub(super) fn of_response(headers: &HeaderMap, is_upgrade: bool) -> HeaderMap {
    crossing(headers, is_upgrade, |name| *name != SET_COOKIE)
}

fn crossing(headers: &HeaderMap, is_upgrade: bool, goes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<String> = values(headers, &CONNECTION).map(str::to_ascii_lowercase).collect();
    let is_of_connection = |name: &HeaderName| {
        HOP_BY_HOP.contains(name) || MORE_HOP_BY_HOP.contains(&name.as_str()) || named.iter().any(|one| one == name.as_str())
    };
    let crossing = headers.iter().filter(|(name, _)| !is_of_connection(name) && goes(name));
    let mut crossing: HeaderMap = crossing.map(|(name, value)| (name.clone(), value.clone())).collect();
    if is_upgrade && let Some(protocol) = headers.get(UPGRADE) {
        crossing.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        crossing.insert(UPGRADE, protocol.clone());
    }
    crossing
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

    fn lines(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn neither_credentials_nor_what_is_of_one_connection_is_carried_on() {
        let given = headers(&[
            ("accept", "application/json"),
            ("accept", "application/yaml"),
            ("authorization", "Bearer s3cret"),
            ("connection", "keep-alive, X-Mine"),
            ("content-length", "3"),
            ("cookie", "s3cret"),
            ("expect", "100-continue"),
            ("host", "here"),
            ("if-none-match", "x"),
            ("impersonate-extra-a", "s3cret"),
            ("impersonate-group", "system:masters"),
            ("impersonate-user", "root"),
            ("keep-alive", "1"),
            ("proxy-authorization", "s3cret"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("x-remote-extra-a", "s3cret"),
            ("x-remote-group", "system:masters"),
            ("x-remote-user", "root"),
        ]);
        let want = ["accept: application/json", "accept: application/yaml", "content-length: 3", "if-none-match: x", "x-other: 1"];
        assert_eq!(lines(&of_request(&given, &[], false)), want);
    }

    #[test]
    fn an_upgrade_is_carried_on_as_one() {
        let given =
            headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")]);
        let want = ["connection: Upgrade", "upgrade: SPDY/3.1", "x-stream-protocol-version: v4.channel.k8s.io"];
        assert_eq!(lines(&of_request(&given, &[], true)), want);
        assert_eq!(lines(&of_response(&given, true)), want);
    }

    #[test]
    fn answers_set_no_cookies() {
        let given = headers(&[("set-cookie", "a=b"), ("content-type", "text/plain"), ("transfer-encoding", "chunked")]);
        assert_eq!(lines(&of_response(&given, false)), ["content-type: text/plain"]);
    }
}
