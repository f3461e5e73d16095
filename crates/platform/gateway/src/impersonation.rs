//! As whom a request goes to a virtual cluster.
//!
//! Requests are sent with the certificate of its administrator, so each must say for whom: [`Authorized`] is a request that does, or one
//! that goes without the certificate, with a token of its own. Connections that have shown the certificate take no other
//! ([`crate::upstream`]). What a client sent of such headers never arrives.

use apiserver_endpoints::BearerToken;
use axum::body::Body;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::marker::PhantomData;
use vci_virtualcluster::ClientCertificate;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");
/// What a virtual cluster must never hear from a client.
const FORBIDDEN_PREFIXES: [&str; 2] = ["impersonate-", "x-remote-"];

/// For whom the administrator acts: a user, and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Impersonation {
    user: HeaderValue,
    groups: Vec<HeaderValue>,
}

/// A name that no header can say as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of the user or of a group cannot be said in a header")]
pub(crate) struct Unsayable;

impl Impersonation {
    /// Of this user with these groups.
    ///
    /// # Errors
    /// [`Unsayable`]: a name is empty, or the API behind would read another one.
    pub(crate) fn new(user: &str, groups: &[String]) -> Result<Self, Unsayable> {
        let groups = groups.iter().map(|group| sayable(group)).collect::<Result<Vec<_>, _>>()?;
        // Without groups the API behind gives those to the user that it sees fit.
        if groups.is_empty() {
            return Err(Unsayable);
        }
        Ok(Self { user: sayable(user)?, groups })
    }
}

/// A name as it is read at the other end: white space around it would be lost.
fn sayable(name: &str) -> Result<HeaderValue, Unsayable> {
    if name.is_empty() || name.trim() != name {
        return Err(Unsayable);
    }
    HeaderValue::from_bytes(name.as_bytes()).map_err(|_| Unsayable)
}

/// The ways to be known to a virtual cluster.
pub(crate) trait Identification: Send + Sync + 'static {
    /// Whether connections show the administrator's certificate.
    const CERTIFICATE: ClientCertificate;
}

/// By the administrator's certificate, for somebody else.
#[derive(Debug)]
pub(crate) struct ByImpersonation;

/// By a bearer token.
#[derive(Debug)]
pub(crate) struct ByToken;

impl Identification for ByImpersonation {
    const CERTIFICATE: ClientCertificate = ClientCertificate::Shown;
}

impl Identification for ByToken {
    const CERTIFICATE: ClientCertificate = ClientCertificate::Withheld;
}

/// A request that says who it is from.
pub(crate) struct Authorized<I> {
    request: Request<Body>,
    identified: PhantomData<I>,
}

impl Authorized<ByImpersonation> {
    /// The request, on behalf of somebody.
    pub(crate) fn impersonating(impersonation: &Impersonation, mut request: Request<Body>) -> Self {
        strip(request.headers_mut());
        request.headers_mut().insert(USER, impersonation.user.clone());
        for group in &impersonation.groups {
            request.headers_mut().append(GROUP, group.clone());
        }
        Self { request, identified: PhantomData }
    }
}

impl Authorized<ByToken> {
    /// The request, with this token.
    ///
    /// # Errors
    /// [`Unsayable`].
    pub(crate) fn with_token(token: &BearerToken, mut request: Request<Body>) -> Result<Self, Unsayable> {
        strip(request.headers_mut());
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret())).map_err(|_| Unsayable)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(Self { request, identified: PhantomData })
    }
}

impl<I: Identification> Authorized<I> {
    /// The request, for a connection that fits.
    pub(crate) fn into_request(self) -> Request<Body> {
        self.request
    }

    /// The request again, when it did not leave a connection.
    pub(crate) fn returned(request: Request<Body>) -> Self {
        Self { request, identified: PhantomData }
    }

    /// The same request, when it has no body.
    pub(crate) fn copy(&self) -> Option<Self> {
        let body = axum::body::HttpBody::is_end_stream(self.request.body());
        body.then(|| {
            let mut copy = Request::new(Body::empty());
            *copy.method_mut() = self.request.method().clone();
            *copy.uri_mut() = self.request.uri().clone();
            *copy.headers_mut() = self.request.headers().clone();
            Self { request: copy, identified: PhantomData }
        })
    }
}

fn strip(headers: &mut HeaderMap) {
    let forbidden = |name: &HeaderName| FORBIDDEN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
    let named: Vec<_> = headers.keys().filter(|name| forbidden(name) || **name == AUTHORIZATION || **name == COOKIE).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request() -> Request<Body> {
        let forged =
            ["authorization", "cookie", "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-a", "x-remote-user"];
        let mut request = Request::builder().header("accept", "a");
        for name in forged {
            request = request.header(name, "system:masters");
        }
        request.body(Body::empty()).unwrap()
    }

    fn lines(request: &Request<Body>) -> Vec<String> {
        let mut lines: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_a_client_says_of_itself_is_replaced() {
        let impersonation = Impersonation::new("ann", &["system:authenticated".into(), "dev".into()]).unwrap();
        let sent = Authorized::impersonating(&impersonation, request()).into_request();
        assert_eq!(
            lines(&sent),
            ["accept: a", "impersonate-group: dev", "impersonate-group: system:authenticated", "impersonate-user: ann"]
        );
        let sent = Authorized::with_token(&BearerToken::new("t"), request()).unwrap().into_request();
        assert_eq!(lines(&sent), ["accept: a", "authorization: Bearer t"]);
        assert!(!format!("{:?}", sent.headers()).contains("Bearer t"));
    }

    #[test]
    fn a_name_that_would_arrive_as_another_is_refused() {
        let groups = ["dev".to_owned()];
        for (name, is_sayable) in [
            ("ann", true),
            ("ann@example.com", true),
            ("Ännchen", true),
            ("", false),
            (" ann", false),
            ("ann ", false),
            ("a\nb", false),
            ("a\u{0}", false),
        ] {
            assert_eq!(Impersonation::new(name, &groups).is_ok(), is_sayable, "{name:?}");
            assert_eq!(Impersonation::new("ann", &[name.to_owned()]).is_ok(), is_sayable, "{name:?}");
        }
        assert_eq!(Impersonation::new("ann", &[]), Err(Unsayable), "a user without groups would be given some");
    }
}
