//! What the paths of one server mean: its prefix, and the parts of its URL space that proxies answer for.

use super::{MalformedPath, PathForm, ProxiedInfo, RequestInfo, ResourceInfo, without_prefix};
use crate::proxy::Proxy;
use crate::websocket::values;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, Method, Uri};
use std::sync::Arc;

/// The subresource under which requests to a proxy are audited and counted.
pub(crate) const PROXY: &str = "proxy";

/// Reads the heads of requests (upstream's `RequestInfoResolver`). The listener and the router of a server share one.
#[derive(Clone, Debug, Default)]
pub struct RequestInfoResolver {
    prefix: Arc<str>,
    proxies: Arc<[Arc<dyn Proxy>]>,
}

impl RequestInfoResolver {
    /// Of a server with this path prefix and these proxies.
    pub fn new(prefix: &str, proxies: Vec<Arc<dyn Proxy>>) -> Self {
        Self { prefix: prefix.into(), proxies: proxies.into() }
    }

    /// The proxy that a request is for.
    pub(crate) fn proxy(&self, info: &ProxiedInfo) -> Option<&Arc<dyn Proxy>> {
        self.proxies.get(info.proxy)
    }

    /// Reads a request's head.
    ///
    /// # Errors
    /// [`MalformedPath`].
    pub fn resolve(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<RequestInfo, MalformedPath> {
        let info = RequestInfo::parse(method, uri, &self.prefix)?;
        let path = without_prefix(uri.path(), &self.prefix);
        let found =
            self.proxies.iter().enumerate().find_map(|(index, proxy)| Some((index, proxy, proxy.split(below(path, proxy.prefix())?)?)));
        let Some((index, proxy, target)) = found else { return Ok(info) };
        let kind = proxy.kind();
        let rest = if target.rest.is_empty() { "/" } else { target.rest };
        let there = RequestInfo::parse(method, &at(rest, uri), "")?;
        let is_upgrade = asks_for_upgrade(headers);
        let proxied = ProxiedInfo {
            proxy: index,
            permission: proxy.permission(),
            path: rest.to_owned(),
            is_upgrade,
            is_long_running: is_upgrade || there.streams(),
        };
        let resource = ResourceInfo {
            group: kind.group.into(),
            version: kind.version.into(),
            namespace: target.namespace,
            resource: kind.plural.into(),
            name: target.name,
            subresource: PROXY.into(),
            form: PathForm::Object,
        };
        Ok(RequestInfo { path: info.path, verb: there.verb, resource: Some(resource), query: there.query, proxied: Some(proxied) })
    }
}

/// The part of a path below a prefix, from its slash on.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

/// This path with the query of that URI.
fn at(path: &str, uri: &Uri) -> Uri {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // Of the parts of an URI is an URI.
    Uri::try_from(format!("{path}{query}")).unwrap_or_default()
}

/// Whether a request asks to go on with another protocol (RFC 9110, 7.8).
pub(crate) fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && values(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"))
}
