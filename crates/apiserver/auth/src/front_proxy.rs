//! Users that a front proxy, such as kube-apiserver's aggregation layer, names in request headers.
//!
//! The headers are trusted only on a connection whose client certificate was signed by an authority of front proxies and has an
//! allowed common name. From every other client they are ignored.

use crate::authorities::Authorities;
use crate::{Authentication, Authenticator, Credentials, IdentityMapper};
use apiserver_meta::User;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use rustls_pki_types::UnixTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Authenticates callers by the headers of a trusted front proxy (kube-apiserver's `--requestheader-*` flags).
#[derive(Debug)]
pub struct FrontProxy {
    trusted: ArcSwap<TrustedProxies>,
    identities: Arc<dyn IdentityMapper>,
}

/// The trusted proxies and their headers, replaced as a whole.
#[derive(Debug)]
struct TrustedProxies {
    authorities: Arc<Authorities>,
    config: RequestHeaderConfig,
}

/// The front proxies that are trusted, and the headers in which they name the user. Header names are compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeaderConfig {
    /// Allowed common names of proxies' certificates. Empty: every certificate that an authority of front proxies signed.
    pub allowed_names: Vec<String>,
    /// Headers with the user's name: the first that is not empty counts.
    pub username_headers: Vec<String>,
    /// Headers with the user's UID: the first that is not empty counts.
    pub uid_headers: Vec<String>,
    /// Headers with the user's groups: all values of all of them.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with extra values. The rest of such a header's name, percent-decoded, is the key.
    pub extra_header_prefixes: Vec<String>,
}

impl Default for RequestHeaderConfig {
    /// The headers that kube-apiserver's aggregation layer sends.
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            allowed_names: Vec::new(),
            username_headers: one("X-Remote-User"),
            uid_headers: one("X-Remote-Uid"),
            group_headers: one("X-Remote-Group"),
            extra_header_prefixes: one("X-Remote-Extra-"),
        }
    }
}

impl FrontProxy {
    /// Trusts proxies whose certificates these authorities signed, in the headers of `config`. Users are mapped to identities by
    /// their names.
    pub fn new(authorities: Arc<Authorities>, config: RequestHeaderConfig, identities: Arc<dyn IdentityMapper>) -> Self {
        Self { trusted: ArcSwap::from_pointee(TrustedProxies { authorities, config }), identities }
    }

    /// Replaces the trusted proxies. From now on only these are trusted, on open connections too.
    pub fn replace(&self, authorities: Arc<Authorities>, config: RequestHeaderConfig) {
        self.trusted.store(Arc::new(TrustedProxies { authorities, config }));
    }

    /// The user whom the headers name; `None` when they name none.
    fn identity(&self, chain: &[Arc<[u8]>], headers: &HeaderMap) -> Result<Option<User>, String> {
        let trusted = self.trusted.load();
        let config = &trusted.config;
        let proxy = trusted.authorities.subject(chain, UnixTime::now())?;
        if !config.allowed_names.is_empty() && !config.allowed_names.contains(&proxy.common_name) {
            return Err(format!("a front proxy by the name {:?} is not allowed", proxy.common_name));
        }
        Ok(config.user(headers))
    }
}

#[async_trait]
impl Authenticator for FrontProxy {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        if credentials.certificates.is_empty() {
            return Authentication::NotRequested;
        }
        match self.identity(credentials.certificates, credentials.headers) {
            Ok(Some(user)) => Authentication::Authenticated(self.identities.identity_of(user)),
            Ok(None) => Authentication::NotRequested,
            Err(why) => Authentication::Failed(format!("front proxy: {why}")),
        }
    }

    fn is_credential(&self, name: &HeaderName) -> bool {
        self.trusted.load().config.names(name)
    }
}

impl RequestHeaderConfig {
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let name = first(headers, &self.username_headers)?;
        let groups = self.group_headers.iter().flat_map(|header| values(headers, header)).collect();
        let uid = first(headers, &self.uid_headers).unwrap_or_default();
        Some(User { name, uid, groups, extra: self.extra(headers) }.authenticated())
    }

    fn extra(&self, headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in headers.keys() {
            let keys = self.extra_header_prefixes.iter().filter_map(|prefix| name.as_str().strip_prefix(&*prefix.to_ascii_lowercase()));
            for key in keys {
                let key = percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), |key| key.into_owned());
                extra.entry(key).or_default().extend(values(headers, name.as_str()));
            }
        }
        extra
    }

    /// Whether a header of this name belongs to the user's name, UID, groups or extra values.
    fn names(&self, name: &HeaderName) -> bool {
        let is = |header: &String| header.eq_ignore_ascii_case(name.as_str());
        [&self.username_headers, &self.uid_headers, &self.group_headers].into_iter().flatten().any(is)
            || self.extra_header_prefixes.iter().any(|prefix| name.as_str().starts_with(&prefix.to_ascii_lowercase()))
    }
}

/// The first value of the first header that has one which is not empty.
fn first(headers: &HeaderMap, names: &[String]) -> Option<String> {
    names.iter().find_map(|name| text(headers.get(name)?))
}

/// The values of a header; those that are not UTF-8 are left out.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().filter_map(text).collect()
}

fn text(value: &HeaderValue) -> Option<String> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
