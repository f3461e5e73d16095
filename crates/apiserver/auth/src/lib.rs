//! Who is calling, and may they.
//!
//! Authentication and authorization are ordered lists of small parts. An authenticator answers
//! [`Authentication`], an authorizer [`Decision`]; whoever is unsure says so and the next is asked; when
//! nobody is sure, the answer is no. Whom a product knows beyond what a certificate or a front proxy says of them, it tells
//! through its [`IdentityMapper`]. Refused: HTTP bodies, stores, kinds.
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

/// What a request offers to prove who is calling.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The request's headers.
    pub headers: &'a http::HeaderMap,
    /// The client's certificate chain in DER, leaf first, not verified; empty when none was given.
    pub certificates: &'a [Arc<[u8]>],
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// In the words of authentication, authorization and audit.
    pub user: Arc<User>,
    /// What the API's own objects say of them.
    pub principal: Principal,
}

impl Identity {
    /// Somebody of whom nothing is known beyond this.
    pub fn of_user(user: User) -> Self {
        Self { user: Arc::new(user), principal: Principal::default() }
    }
}

/// An authenticator's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The request offers nothing that this authenticator looks at.
    NotRequested,
    /// This is who is calling.
    Authenticated(Identity),
    /// The request offers something that this authenticator looks at, and it is not good. The text is for operators.
    Failed(String),
}

/// Finds out who is calling.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Looks at the credentials. Never logs them.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication;

    /// Whether a header of this name says who is calling. Such headers go no further than authentication, whoever sent them.
    /// `Authorization` and the names that begin with `X-Remote-` are known to be such.
    fn is_credential(&self, _name: &http::HeaderName) -> bool {
        false
    }
}

/// What is asked of an authorizer (`authorizer.Attributes`).
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Who.
    pub identity: Identity,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or for a path the lower-case method.
    pub verb: String,
    /// What is touched.
    pub target: Target,
}

/// What a request touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Something of the API.
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

/// An authorizer's answer. Texts become the reason that a 403 shows.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Yes; for resources, on the objects of this view.
    Allow(ObjectFilter),
    /// No, and nobody else is asked.
    Deny(String),
    /// Not known here.
    NoOpinion(String),
    /// It could not be found out, so nobody else is asked. The text is for operators.
    Failed(String),
}

/// Decides whether a request may be carried out.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// The decision. Must not reveal whether an object exists.
    async fn authorize(&self, attributes: &Attributes) -> Decision;
}

/// The text of a 403, in upstream's wording: `User "u" cannot get resource "r/sub" in API group "g" in the namespace "n"`.
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
