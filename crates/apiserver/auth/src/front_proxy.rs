//! Users by the word of a front proxy, such as kube-apiserver's aggregation layer.
//!
//! The headers count only on a connection whose client certificate is vouched for by an authority of front proxies and
//! bears an allowed name; otherwise they say nothing, whoever sends them.

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

/// Knows callers by what a front proxy says of them (`--requestheader-*` in Kubernetes' words).
#[derive(Debug)]
pub struct FrontProxy {
    believed: ArcSwap<Believed>,
    identities: Arc<dyn IdentityMapper>,
}

/// Whose word counts, exchanged as a whole.
#[derive(Debug)]
struct Believed {
    authorities: Arc<Authorities>,
    terms: RequestHeaderConfig,
}

/// Which proxies are believed, and in which headers they say who is calling. Header names are compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeaderConfig {
    /// The common names of proxies' certificates; empty: any that an authority vouches for.
    pub allowed_names: Vec<String>,
    /// The first of these that is not empty names the user.
    pub username_headers: Vec<String>,
    /// The first of these that is not empty is the user's UID.
    pub uid_headers: Vec<String>,
    /// All values of all of these are groups.
    pub group_headers: Vec<String>,
    /// A header that begins with one of these holds an extra value; the rest of its name, percent-decoded, is the key.
    pub extra_header_prefixes: Vec<String>,
}

impl Default for RequestHeaderConfig {
    /// What kube-apiserver's aggregation layer sends.
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
    /// Believes proxies that these authorities vouch for, on these terms; users are mapped to
    /// identities by their names.
    pub fn new(authorities: Arc<Authorities>, terms: RequestHeaderConfig, identities: Arc<dyn IdentityMapper>) -> Self {
        Self { believed: ArcSwap::from_pointee(Believed { authorities, terms }), identities }
    }

    /// Believes these proxies instead from now on, on open connections too.
    pub fn believe(&self, authorities: Arc<Authorities>, terms: RequestHeaderConfig) {
        self.believed.store(Arc::new(Believed { authorities, terms }));
    }

    /// Who is meant; `None` when the headers name nobody.
    fn identity(&self, chain: &[Arc<[u8]>], headers: &HeaderMap) -> Result<Option<User>, String> {
        let believed = self.believed.load();
        let terms = &believed.terms;
        let proxy = believed.authorities.subject(chain, UnixTime::now())?;
        if !terms.allowed_names.is_empty() && !terms.allowed_names.contains(&proxy.common_name) {
            return Err(format!("a front proxy by the name {:?} is not allowed", proxy.common_name));
        }
        Ok(terms.user(headers))
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
        self.believed.load().terms.names(name)
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

    /// Whether a header of this name says who is calling.
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

/// Values that are no text are passed over: they name nobody.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().filter_map(text).collect()
}

fn text(value: &HeaderValue) -> Option<String> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
