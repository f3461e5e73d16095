//! Authentication and authorization.
//!
//! Both are ordered lists of small parts. Authenticators return an [`Authentication`], authorizers a [`Decision`]. A part without
//! an opinion leaves the request to the next one. A request on which no part has an opinion is refused.
//!
//! A product maps users whom certificates, front proxies or token reviews vouch for to identities of its own with an
//! [`IdentityMapper`]. Refused: HTTP bodies, stores, kinds.
//!
//! ```
//! use apiserver_auth::{Attributes, Authorizer, Decision, Identity, Masters, Target};
//! use apiserver_meta::User;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let user = User { name: "ann".into(), groups: vec!["system:masters".into()], ..User::default() };
//! let target = Target::Path("/metrics".into());
//! let attributes = Attributes { identity: Identity::of_user(user), verb: "get".into(), target };
//! assert!(matches!(Masters.authorize(&attributes).await, Decision::Allow(_)));
//! # }
//! ```
#![warn(missing_docs)]

use apiserver_meta::{ObjectFilter, Principal, User};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

mod always_allowed_paths;
mod authorities;
mod bearer;
mod client_certificates;
mod front_proxy;
mod identity_mapper;
mod masters;
mod static_token;

pub use always_allowed_paths::AlwaysAllowedPaths;
pub use authorities::{Authorities, Subject};
pub use bearer::bearer;
pub use client_certificates::ClientCertificates;
pub use front_proxy::{FrontProxy, RequestHeaderConfig};
pub use identity_mapper::{IdentityMapper, Unmapped};
pub use masters::Masters;
pub use static_token::StaticToken;

/// The credentials of a request.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The request's headers.
    pub headers: &'a http::HeaderMap,
    /// The client's certificate chain in DER, leaf first, not verified; empty when none was given.
    pub certificates: &'a [Arc<[u8]>],
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user, for authentication, authorization and audit.
    pub user: Arc<User>,
    /// The product's own record of the user, from its objects.
    pub principal: Principal,
}

impl Identity {
    /// Creates the identity of a user who has no objects of the product.
    pub fn of_user(user: User) -> Self {
        Self { user: Arc::new(user), principal: Principal::default() }
    }
}

/// An authenticator's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The request has no credentials of the kind that this authenticator checks.
    NotRequested,
    /// The credentials are valid, and identify this caller.
    Authenticated(Identity),
    /// The credentials are of the kind that this authenticator checks, and are not valid. The text is for operators.
    Failed(String),
    /// The credentials are of the kind that this authenticator checks, and it cannot be found out now whether they are valid. The
    /// caller is refused as for [`Self::Failed`]; nobody else may be asked about such credentials. The text is for operators.
    Undetermined(String),
}

/// Authenticates callers by one kind of credentials.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Checks the credentials. Must not log them.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication;

    /// Whether a header of this name carries credentials. Such headers are removed after authentication, so that no handler sees
    /// them. `Authorization` and names that begin with `X-Remote-` are always removed.
    fn is_credential(&self, _name: &http::HeaderName) -> bool {
        false
    }
}

/// The attributes of a request that authorizers decide on (`authorizer.Attributes`).
#[derive(Clone, Debug)]
pub struct Attributes {
    /// The caller.
    pub identity: Identity,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or for a path the lower-case method.
    pub verb: String,
    /// The target of the request.
    pub target: Target,
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A resource of the API.
    Resource {
        /// API group; empty for core.
        group: String,
        /// API version.
        version: String,
        /// Plural.
        resource: String,
        /// Subresource, or empty.
        subresource: String,
        /// Namespace, or empty for cluster scope and for all namespaces.
        namespace: String,
        /// Name, or empty.
        name: String,
    },
    /// A path outside the API, such as `/healthz`.
    Path(String),
}

/// An authorizer's answer. Texts become the reason in the message of a 403.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The request is allowed; for resources, on the objects that this filter shows.
    Allow(ObjectFilter),
    /// The request is refused. Later authorizers are not asked.
    Deny(String),
    /// This authorizer does not decide. The next one is asked; when there is none, the request is refused.
    NoOpinion(String),
    /// The decision failed. Later authorizers are not asked, and the request is refused. The text is for operators.
    Failed(String),
}

/// Decides whether a request may be carried out.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// Decides. The answer must not depend on whether the object exists.
    async fn authorize(&self, attributes: &Attributes) -> Decision;
}

/// Returns the text of a 403, in upstream's wording: `User "u" cannot get resource "r/sub" in API group "g" in the namespace "n"`.
/// Angle brackets and ampersands are escaped as HTML, because browsers have been known to guess at content types.
pub fn denial(attributes: &Attributes) -> String {
    let user = &attributes.identity.user.name;
    let verb = &attributes.verb;
    let text = match &attributes.target {
        Target::Path(path) => format!("User {user:?} cannot {verb} path {path:?}"),
        Target::Resource { group, resource, subresource, namespace, .. } => {
            let slash = if subresource.is_empty() { "" } else { "/" };
            let what = format!("{resource}{slash}{subresource}");
            let place = if namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace {namespace:?}") };
            format!("User {user:?} cannot {verb} resource {what:?} in API group {group:?} {place}")
        }
    };
    // Hardly any text has one of these.
    if text.contains(['&', '<', '>']) { text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, resource: &str, subresource: &str, namespace: &str, name: &str) -> Target {
        let [group, resource, subresource, namespace, name] = [group, resource, subresource, namespace, name].map(str::to_owned);
        Target::Resource { group, version: "v1".into(), resource, subresource, namespace, name }
    }

    #[test]
    fn denials_read_as_upstream_writes_them() {
        let plural = "widgets";
        let group = "widgets.example.com";
        let cases = [
            (
                "ann",
                "get",
                resource(group, plural, "", "team-a", "x"),
                r#"User "ann" cannot get resource "widgets" in API group "widgets.example.com" in the namespace "team-a""#,
            ),
            (
                "ann",
                "update",
                resource(group, plural, "status", "team-a", "x"),
                r#"User "ann" cannot update resource "widgets/status" in API group "widgets.example.com" in the namespace "team-a""#,
            ),
            (
                "ann",
                "list",
                resource(group, plural, "", "", ""),
                r#"User "ann" cannot list resource "widgets" in API group "widgets.example.com" at the cluster scope"#,
            ),
            (
                "ann",
                "list",
                resource("", "namespaces", "", "", ""),
                r#"User "ann" cannot list resource "namespaces" in API group "" at the cluster scope"#,
            ),
            ("ann", "get", Target::Path("/metrics".into()), r#"User "ann" cannot get path "/metrics""#),
            ("<b>&", "get", Target::Path("/".into()), r#"User "&lt;b&gt;&amp;" cannot get path "/""#),
        ];
        for (user, verb, target, want) in cases {
            let user = Arc::new(User { name: user.into(), ..User::default() });
            let attributes = Attributes { identity: Identity { user, principal: Principal::default() }, verb: verb.into(), target };
            assert_eq!(denial(&attributes), want);
        }
    }
}
