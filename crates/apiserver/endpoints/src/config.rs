//! Everything that a router is configured with: the kinds served, the chains of authenticators and authorizers, bounds, checks.

use crate::extra_path::Page;
use crate::lifecycle::Lifecycle;
use crate::observer::Observer;
use crate::proxy::Proxy;
use crate::virtual_collection::VirtualCollection;
use crate::virtual_resource::VirtualResource;
use apiserver_auth::{Authenticator, Authorizer, IdentityMapper};
use apiserver_registry::Registry;
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The parts that a router is built from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kinds served, in the order of discovery.
    pub registries: Vec<Arc<Registry>>,
    /// Virtual resources, which are answered and never stored, in the order of discovery.
    pub computed: Vec<Arc<dyn VirtualResource>>,
    /// The authenticators, in the order in which they are asked.
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    /// The authorizers, in the order in which they are asked.
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
    /// The checks of `/healthz`, `/livez` and `/readyz`.
    pub checks: Vec<Arc<dyn HealthCheck>>,
    /// A path prefix under which everything is served as well, for example `/some/prefix`.
    pub prefix: String,
    /// Whether requests are answered yet, and still.
    pub lifecycle: Arc<Lifecycle>,
    /// Bounds.
    pub limits: Limits,
    /// Paths beside the API, such as `/metrics`, each with a leading slash, and what answers them.
    pub pages: Vec<(&'static str, Arc<dyn Page>)>,
    /// Parts of the URL space that lead to other APIs.
    pub proxies: Vec<Arc<dyn Proxy>>,
    /// Observes requests.
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
    /// Watches at a time, and other requests that go on until somebody ends them.
    pub watches: InFlight,
    /// Those of one user at a time, however many are free.
    pub watches_of_user: usize,
}

/// The number of requests that may be under way at a time. Not counted are those of `system:masters`, and those that are answered
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
    /// The limits that a server uses: 3 MiB, 60 s, 34 s, 30 min, 400 reads and 200 writes, as kube-apiserver does.
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

/// The time that `/readyz` waits for a server that starts. A kubelet's first probe often comes some milliseconds too early, and the next
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
