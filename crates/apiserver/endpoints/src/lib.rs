//! The HTTP face of the API: request paths and options, one verb a file, negotiation, tables, discovery,
//! OpenAPI, health. The one place that knows wire formats.
#![warn(missing_docs)]

mod accept;
mod app;
mod audit_context;
mod body;
mod call;
mod chunks;
mod discovery;
mod dispatch;
mod extended;
mod health;
mod layers;
mod lifecycle;
mod negotiation;
mod observer;
pub mod openapi;
mod page;
mod pretty;
mod private;
mod query;
mod recheck;
mod render;
mod request_info;
mod respond;
pub mod reviews;
mod selectable;
mod verbs;
mod version;
mod virtual_collection;
mod virtual_resource;
mod warning;
mod websocket;

pub use audit_context::{AuditContext, AuditSink, Panicked};
pub use layers::{AuditId, ImpersonatedUser};
pub use lifecycle::{Lifecycle, Phase};
pub use observer::{Authorized, Observer, WatchObserver};
pub use page::Page;
pub use request_info::{MalformedPath, PathForm, RequestInfo, ResourceInfo};
pub use version::BuildInfo;
pub use virtual_collection::VirtualCollection;
pub use virtual_resource::{Verdict, VirtualRequest, VirtualResource};

use apiserver_auth::{Authenticator, Authorizer, IdentityMapper};
use apiserver_registry::Registry;
use app::App;
use async_trait::async_trait;
use axum::middleware::{from_fn, from_fn_with_state};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the face is built from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kinds served, in the order of discovery.
    pub registries: Vec<Arc<Registry>>,
    /// What is answered and never stored, in the order of discovery.
    pub computed: Vec<Arc<dyn VirtualResource>>,
    /// Asked in order who is calling.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    /// Asked in order whether they may.
    pub authorizers: Vec<Arc<dyn Authorizer>>,
    /// Changes when callers of open watches are to be authenticated and authorized again; `None`: they never are.
    pub access_changes: Option<tokio::sync::watch::Receiver<u64>>,
    /// Counts, at once, whatever may have changed who callers are and what they may do, time aside: a write whose body came later than its
    /// head is authenticated and authorized again; `None`: time alone changes anything.
    pub access_generation: Option<tokio::sync::watch::Receiver<u64>>,
    /// Maps the name of somebody whom a caller acts for to who they are.
    pub identities: Arc<dyn IdentityMapper>,
    /// Kinds whose objects are computed for whoever reads them, in the order of discovery: they come first in it.
    pub virtual_collections: Vec<Arc<dyn VirtualCollection>>,
    /// Asked by `/healthz`, `/livez` and `/readyz`.
    pub checks: Vec<Arc<dyn HealthCheck>>,
    /// A path prefix under which everything is served as well, for example `/some/prefix`.
    pub prefix: String,
    /// Whether requests are answered yet, and still.
    pub lifecycle: Arc<Lifecycle>,
    /// Bounds.
    pub limits: Limits,
    /// Paths beside the API, such as `/metrics`, each with a leading slash, and what answers them.
    pub pages: Vec<(&'static str, Arc<dyn Page>)>,
    /// Is told what becomes of requests.
    pub observer: Option<Arc<dyn Observer>>,
    /// `major.minor.patch` of this server, for `/version`.
    pub version: String,
    /// The release of the product whose API is served, for `version` in `/version`: its clients compare it with their own.
    pub product_version: Option<&'static str>,
}

/// Bounds on what a request may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request body.
    pub body: usize,
    /// Time for a request that is not a watch.
    pub request_timeout: Duration,
    /// Time for a write.
    pub write_timeout: Duration,
    /// Shortest time of a watch without `timeoutSeconds`; the longest is twice that.
    pub min_watch: Duration,
    /// Reads at a time.
    pub reads: InFlight,
    /// Writes at a time.
    pub writes: InFlight,
    /// Watches at a time.
    pub watches: InFlight,
    /// Watches of one user at a time, however many are free.
    pub watches_of_user: usize,
}

/// How many requests may be under way at a time. Not counted are those of `system:masters`, and those that are answered
/// from memory whatever the load: health, version, discovery, OpenAPI, metrics. Of the places that are left one user may
/// have as many again, so that one who is noisy takes half of them, and however many are noisy, who comes anew finds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// As many as come.
    Unlimited,
    /// Of all users together.
    AtMost(usize),
}

impl Limits {
    /// What a server uses: 3 MiB, 60 s, 34 s, 30 min, 400 reads and 200 writes, as kube-apiserver does.
    pub fn standard() -> Self {
        Self {
            body: 3 * 1024 * 1024,
            request_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(34),
            min_watch: Duration::from_secs(1800),
            reads: InFlight::AtMost(400),
            writes: InFlight::AtMost(200),
            watches: InFlight::AtMost(20_000),
            watches_of_user: 2000,
        }
    }
}

/// How long `/readyz` waits for a server that starts. A kubelet's first probe often comes some milliseconds too early, and the next
/// one a second later, for which a single replica would be missing. Shorter than the second that probes wait by default.
pub const STARTUP_WAIT: Duration = Duration::from_millis(800);

/// One named check of the server's health.
#[async_trait]
pub trait HealthCheck: fmt::Debug + Send + Sync + 'static {
    /// The name in `/readyz?verbose` and `/readyz/NAME`.
    fn name(&self) -> &str;
    /// Whether the check belongs to `/readyz` only; others also decide `/livez` and `/healthz`.
    fn readiness_only(&self) -> bool;
    /// `Err` carries what an operator reads in the log; clients read only that it failed.
    async fn check(&self) -> Result<(), String>;
}

/// The client's verified-by-nobody certificate chain, DER, leaf first: a request extension set by the listener.
#[derive(Clone, Debug, Default)]
pub struct PeerCertificates(pub Arc<[Arc<[u8]>]>);

/// What becomes of connections that go on after their answer (WebSockets), when the server stops: a request extension set by
/// the listener.
#[derive(Clone, Debug, Default)]
pub struct Upgrades {
    /// They are to end.
    pub end: CancellationToken,
    /// Who counts them.
    pub tasks: TaskTracker,
}

/// The whole face as one service.
///
/// Its responses carry as extensions [`AuditId`], `Arc<`[`RequestInfo`]`>`, [`apiserver_auth::Identity`] and [`ImpersonatedUser`], as far
/// as they were found, [`Panicked`], and the [`apiserver_meta::Status`] that an error is, for layers around it. A request that has a
/// [`AuditContext`] as an extension leaves one.
pub fn router(config: Config) -> axum::Router {
    let app = Arc::new(App::new(config));
    let with = |app: &Arc<App>| Arc::clone(app);
    // The last layer added is the first that a request meets.
    axum::Router::new()
        .fallback(dispatch::serve)
        .with_state(with(&app))
        .layer(from_fn_with_state(with(&app), layers::authorize))
        .layer(from_fn_with_state(with(&app), layers::in_flight))
        .layer(from_fn_with_state(with(&app), layers::impersonate))
        .layer(from_fn_with_state(with(&app), layers::authenticate))
        .layer(from_fn_with_state(with(&app), layers::deadline))
        .layer(from_fn_with_state(with(&app), layers::phase))
        .layer(from_fn_with_state(with(&app), layers::request_info))
        .layer(from_fn(layers::panics))
        .layer(from_fn(layers::every_answer))
}

#[cfg(test)]
mod tests;
