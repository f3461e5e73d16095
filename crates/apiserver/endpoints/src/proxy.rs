//! APIs that are served behind this one: paths below a prefix that lead, by an object of this API, to a server elsewhere.
//!
//! A [`Proxy`] says which object a path leads by and what a caller must be allowed on it, and carries requests there. Whatever every
//! request passes these pass too: authentication, impersonation, bounds, authorization, audit, metrics. Beyond that:
//!
//! - Headers with credentials and those that belong to one connection go no further than this server.
//! - Bodies stream in both directions, as fast as the slower side takes them. Nothing is kept.
//! - Answers end when their caller may no longer have them, when the object goes, or when what the proxy has made of the object and
//!   the caller becomes something else.
//! - Upgraded connections end with the server.
//!
//! Refused: to look into what goes by.

mod authorization;
mod headers;
pub(crate) mod serve;
mod tunnel;

use apiserver_auth::Identity;
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, RequestContext, User};
use apiserver_registry::Item;
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method};
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Answers for everything below a prefix.
#[async_trait]
pub trait Proxy: fmt::Debug + Send + Sync + 'static {
    /// The prefix of its paths, without a slash at the end.
    fn prefix(&self) -> &'static str;

    /// The kind of the objects that lead to other APIs. It must be served, too.
    fn kind(&self) -> &'static Descriptor;

    /// The verb that a caller must be allowed on the object.
    fn permission(&self) -> &'static str;

    /// Reads the rest of a path behind the prefix, as it came. `None`: it is no path of the proxy's. Must not decode escapes: what
    /// is authorized would not be what is forwarded.
    fn split<'a>(&self, rest: &'a str) -> Option<ProxyPath<'a>>;

    /// Everything by which this caller's requests are carried on as they are: where to, and as whom. Open answers end when this becomes
    /// something else by a change of the object.
    fn route(&self, caller: &ProxyCaller, object: &Item) -> String;

    /// Who a bearer token belongs to that is good nowhere here, in the words of the API behind the object. `None`: the token is
    /// refused, which must also be the answer when there is any doubt. Whoever is named has no rights here, and is not asked for the
    /// permission.
    async fn foreign_user(&self, _target: &ProxyTarget<'_>, _token: &BearerToken) -> Option<User> {
        None
    }

    /// Carries a request on.
    ///
    /// # Errors
    /// The error that the client is told.
    async fn serve(&self, request: ProxyRequest) -> Result<ProxyResponse, ApiError>;
}

/// The parts of a path behind a proxy's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyPath<'a> {
    /// The object's namespace; empty for cluster scope.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The path for the API behind: empty, or with a slash at its beginning.
    pub rest: &'a str,
}

/// The object that a path leads by.
#[derive(Clone, Copy, Debug)]
pub struct ProxyTarget<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// A bearer token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Arc<str>);

impl BearerToken {
    /// This token.
    pub fn new(token: &str) -> Self {
        Self(token.into())
    }

    /// Its text: a secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// The caller of a request that is carried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyCaller {
    /// A caller who is known here and has the permission.
    Known {
        /// Who it is.
        identity: Identity,
        /// Whether the permission comes from a role, for all objects, and not from the object.
        by_role: bool,
    },
    /// A user of the API behind, by a token of that API.
    Foreign {
        /// What [`Proxy::foreign_user`] has said.
        user: Arc<User>,
        /// The token.
        token: BearerToken,
    },
}

impl ProxyCaller {
    fn known(identity: Identity, filter: &ObjectFilter) -> Self {
        Self::Known { identity, by_role: matches!(filter, ObjectFilter::All) }
    }
}

/// A request that is to be carried on.
#[derive(Debug)]
pub struct ProxyRequest {
    /// The context: the caller's user, the audit id, and for requests that are not long-running the deadline.
    pub ctx: RequestContext,
    /// The caller.
    pub caller: ProxyCaller,
    /// The object, as the cache has it.
    pub object: Arc<Item>,
    /// The method.
    pub method: Method,
    /// Path and query for the API behind.
    pub path_and_query: String,
    /// The headers to forward. None of them is a credential or says for whom to act; those that ask for an upgrade are there.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Whether another protocol is asked for.
    pub is_upgrade: bool,
    /// Whether the answer goes on until somebody ends it.
    pub is_long_running: bool,
}

/// An answer from the API behind.
pub enum ProxyResponse {
    /// Head and body.
    Answer(Response),
    /// It speaks another protocol from here on: the head (101), and the stream.
    Upgraded(http::response::Parts, Box<dyn UpgradedStream>),
}

/// A stream of bytes in both directions.
pub trait UpgradedStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> UpgradedStream for S {}

impl fmt::Debug for ProxyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(response) => f.debug_tuple("Answer").field(&response.status()).finish(),
            Self::Upgraded(head, _) => f.debug_tuple("Upgraded").field(&head.status).finish(),
        }
    }
}
