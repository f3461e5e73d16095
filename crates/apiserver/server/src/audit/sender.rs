//! The origin of a request, from its head: URI, addresses, user agent, attempted credentials.

use apiserver_endpoints::{PeerCertificates, RequestInfo};
use axum::extract::ConnectInfo;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_REAL_IP: &str = "x-real-ip";
/// Bytes of a user agent.
const MAX_USER_AGENT: usize = 1024;
/// Names of query parameters whose values are secrets, in lower case, without `-` and `_`.
const SECRETS: [&str; 14] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "bearer",
    "bearertoken",
    "clientsecret",
    "credential",
    "idtoken",
    "key",
    "password",
    "refreshtoken",
    "secret",
    "token",
];

/// The addresses that a request came over: what proxies say in `X-Forwarded-For` and `X-Real-Ip`, then the connection's
/// own. All but the last are what the client wants them to be.
pub(crate) fn source_ips(parts: &Parts) -> Vec<IpAddr> {
    let named = |name: &'static str| parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let forwarded = named(X_FORWARDED_FOR).flat_map(|list| list.split(','));
    let mut addresses: Vec<IpAddr> = forwarded.filter_map(|text| text.trim().parse().ok()).collect();
    let real = named(X_REAL_IP).next().and_then(|text| text.trim().parse().ok());
    addresses.extend(real.filter(|real| !addresses.contains(real)));
    let own = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|connection| connection.0.ip().to_canonical());
    addresses.extend(own.filter(|own| addresses.last() != Some(own)));
    addresses
}

/// The user agent, not longer than it may be.
pub(crate) fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()));
    if text.len() <= MAX_USER_AGENT {
        return text.into_owned();
    }
    let end = (0..=MAX_USER_AGENT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...TRUNCATED", text.get(..end).unwrap_or_default())
}

/// Path and query. The values of parameters that are called like secrets are left out: some clients put tokens there.
pub(crate) fn request_uri(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret(name) => Cow::Owned(format!("{name}=REDACTED")),
        _ => Cow::Borrowed(pair),
    });
    format!("{}?{}", uri.path(), shown.collect::<Vec<_>>().join("&"))
}

fn is_secret(name: &str) -> bool {
    let plain = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase().replace(['-', '_', '+', ' '], "");
    SECRETS.contains(&plain.as_str())
}

/// Which sorts of credentials a request offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempted {
    basic: bool,
    bearer: bool,
    access_token: bool,
    x509: bool,
}

impl Attempted {
    pub(crate) fn of(parts: &Parts) -> Self {
        let authorization = parts.headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes()).trim_ascii();
        let begins = |scheme: &[u8]| authorization.get(..scheme.len()).is_some_and(|given| given.eq_ignore_ascii_case(scheme));
        let info = parts.extensions.get::<Arc<RequestInfo>>();
        Self {
            basic: begins(b"basic "),
            bearer: begins(b"bearer "),
            access_token: info.is_some_and(|info| info.query.all("access_token").any(|token| !token.is_empty())),
            x509: parts.extensions.get::<PeerCertificates>().is_some_and(|certificates| !certificates.0.is_empty()),
        }
    }

    /// Why the caller is not known, in upstream's words.
    pub(crate) fn failure(self) -> String {
        let all = [(self.basic, "basic"), (self.bearer, "bearer"), (self.access_token, "access_token"), (self.x509, "x509")];
        let tried: Vec<&str> = all.into_iter().filter(|(tried, _)| *tried).map(|(_, name)| name).collect();
        if tried.is_empty() {
            return "Authentication failed, no credentials provided".into();
        }
        format!("Authentication failed, attempted: {}", tried.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Arc::new(RequestInfo::parse(&parts.method, &parts.uri, "").unwrap()));
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        parts
    }

    #[test]
    fn addresses_are_told_from_the_farthest_to_the_nearest() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "127.0.0.1"),
            (&[("x-forwarded-for", "1.2.3.4, bad, 5.6.7.8"), ("x-real-ip", "9.9.9.9")], "1.2.3.4 5.6.7.8 9.9.9.9 127.0.0.1"),
            (&[("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4")], "1.2.3.4 127.0.0.1"),
            (&[("x-forwarded-for", "2001:db8::1,127.0.0.1")], "2001:db8::1 127.0.0.1"),
            (&[("x-forwarded-for", ""), ("x-real-ip", "1.2.3.4:80")], "127.0.0.1"),
        ];
        for (headers, want) in cases {
            let got: Vec<String> = source_ips(&head("/", headers)).iter().map(ToString::to_string).collect();
            assert_eq!(got.join(" "), *want, "{headers:?}");
        }
    }

    #[test]
    fn user_agents_have_a_bound() {
        assert_eq!(user_agent(&head("/", &[]).headers), "");
        let long = "é".repeat(600);
        let shown = user_agent(&head("/", &[("user-agent", &long)]).headers);
        assert_eq!(shown, format!("{}...TRUNCATED", "é".repeat(512)));
        let at_most = "a".repeat(MAX_USER_AGENT);
        assert_eq!(user_agent(&head("/", &[("user-agent", &at_most)]).headers), at_most);
    }

    #[test]
    fn secrets_in_queries_are_left_out() {
        for (uri, want) in [
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?watch=1&labelSelector=a%3Db", "/a?watch=1&labelSelector=a%3Db"),
            ("/a?limit=1&access_token=s3cret&x", "/a?limit=1&access_token=REDACTED&x"),
            ("/a?Access%2Dtoken=s3cret", "/a?Access%2Dtoken=REDACTED"),
            ("/a?access%5ftoken=s3cret&TOKEN=b&token=", "/a?access%5ftoken=REDACTED&TOKEN=REDACTED&token="),
            ("https://host/a?password=s3cret", "/a?password=REDACTED"),
        ] {
            assert_eq!(request_uri(&uri.parse().unwrap()), want);
        }
    }

    #[test]
    fn what_was_tried_is_told_and_no_more() {
        for (uri, headers, want) in [
            ("/", &[][..], "Authentication failed, no credentials provided"),
            ("/", &[("authorization", "Bearer s3cret")][..], "Authentication failed, attempted: bearer"),
            ("/?access_token=s3cret", &[("authorization", "basic czNj")][..], "Authentication failed, attempted: basic, access_token"),
            ("/", &[("authorization", "Negotiate s3cret")][..], "Authentication failed, no credentials provided"),
        ] {
            assert_eq!(Attempted::of(&head(uri, headers)).failure(), want);
        }
        let mut parts = head("/", &[]);
        parts.extensions.insert(PeerCertificates([[0_u8; 4].as_slice().into()].into()));
        assert_eq!(Attempted::of(&parts).failure(), "Authentication failed, attempted: x509");
    }
}
