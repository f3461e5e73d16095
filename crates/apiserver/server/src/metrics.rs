//! `/metrics`: what the server counts of its own work, under the names that kube-apiserver has for it.
//!
//! Whatever a request passes adds to counters that are there already; names and labels are put together only when the page is
//! asked for. What other parts count for themselves is read then as well. Labels hold words of the API and of this server, never
//! of clients.

mod admission;
mod audit;
mod buckets;
mod caches;
mod callers;
mod handshakes;
mod histogram;
mod kinds;
mod labels;
mod layer;
mod process;
mod requests;
mod reviews;
mod store;
mod text;

pub(crate) use admission::Admissions;
pub(crate) use handshakes::FailedHandshakes;
pub(crate) use layer::count;
pub(crate) use reviews::sources as review_sources;
pub(crate) use store::InstrumentedStore;
pub(crate) use text::Text;

use apiserver_endpoints::{
    Authorized, BuildInfo, Observer, Page, Proxy, RequestInfo, ResourceInfo, VirtualCollection, VirtualResource, WatchObserver,
};
use apiserver_meta::{Descriptor, User, VirtualDescriptor};
use apiserver_registry::Registry;
use apiserver_store::Store;
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use callers::Callers;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use kinds::Kinds;
use requests::{Requests, Target};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Where the page is.
const PATH: &str = "/metrics";
/// How long the store may take to say how large it is; the page goes without that otherwise.
const STORE_TIME: Duration = Duration::from_secs(1);

/// A source of metrics of its own on the page.
pub(crate) trait Source: fmt::Debug + Send + Sync + 'static {
    /// Writes families of names that nobody else has.
    fn write(&self, text: &mut Text);
}

/// Metrics of requests.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Requests,
    kinds: Kinds,
    callers: Callers,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Metrics {
    /// Of requests for what is stored and for what is computed.
    pub(crate) fn new(
        stored: &[Arc<Registry>],
        computed: &[Arc<dyn VirtualResource>],
        virtual_collections: &[Arc<dyn VirtualCollection>],
        proxies: &[Arc<dyn Proxy>],
    ) -> Arc<Self> {
        let mut targets: Vec<Target> = stored.iter().flat_map(|registry| of_stored(registry.descriptor())).collect();
        targets.extend(virtual_collections.iter().map(|kind| of_object(kind.resource().descriptor())));
        targets.extend(computed.iter().map(|computed| of_computed(computed.descriptor())));
        targets.extend(proxies.iter().map(|proxy| Target { subresource: "proxy", ..of_object(proxy.kind()) }));
        Arc::new(Self {
            kinds: Kinds::new(&targets),
            requests: Requests::new(targets, &[PATH]),
            callers: Callers::default(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        })
    }

    /// The page with these figures and what others count.
    pub(crate) fn page(
        self: &Arc<Self>,
        registries: &[Arc<Registry>],
        store: &Arc<dyn Store>,
        version: &str,
        sources: Vec<Arc<dyn Source>>,
    ) -> (&'static str, Arc<dyn Page>) {
        let contents = Contents {
            metrics: Arc::clone(self),
            registries: registries.to_vec(),
            store: Arc::clone(store),
            sources,
            build: BuildInfo::of(version),
            started: SystemTime::now(),
        };
        (PATH, Arc::new(MetricsPage(Arc::new(contents))))
    }

    fn in_flight(&self, is_read_only: bool) -> &AtomicU64 {
        if is_read_only { &self.reads } else { &self.writes }
    }

    fn write(&self, text: &mut Text) {
        self.requests.write(text);
        let mut in_flight = text.gauge("apiserver_current_inflight_requests", "Requests under way, other than watches.");
        for (kind, count) in [("mutating", &self.writes), ("readOnly", &self.reads)] {
            in_flight.sample(&[("request_kind", kind)], count.load(Ordering::Relaxed));
        }
        self.kinds.write(text);
        self.callers.write(text);
    }
}

fn of_stored(kind: &'static Descriptor) -> impl Iterator<Item = Target> {
    let Descriptor { group, version, plural: resource, subresources, .. } = *kind;
    subresources.iter().map(move |subresource| Target { group, version, resource, subresource: subresource.as_str() })
}

fn of_object(kind: &'static Descriptor) -> Target {
    Target { group: kind.group, version: kind.version, resource: kind.plural, subresource: "" }
}

fn of_computed(kind: &VirtualDescriptor) -> Target {
    Target { group: kind.group, version: kind.version, resource: kind.resource(), subresource: kind.subresource() }
}

impl Observer for Metrics {
    fn authenticated(&self, user: Option<&User>, time: Duration) {
        self.callers.authenticated(user, time);
    }

    fn authorized(&self, outcome: Authorized, time: Duration) {
        self.callers.authorized(outcome, time);
    }

    fn body(&self, verb: &str, resource: &ResourceInfo, bytes: usize) {
        self.kinds.body(verb, resource, bytes);
    }

    fn watch(&self, info: &RequestInfo) -> Box<dyn WatchObserver> {
        self.kinds.watch(info)
    }
}

/// The page.
#[derive(Debug)]
struct MetricsPage(Arc<Contents>);

/// The sources of the page.
#[derive(Debug)]
struct Contents {
    metrics: Arc<Metrics>,
    registries: Vec<Arc<Registry>>,
    store: Arc<dyn Store>,
    sources: Vec<Arc<dyn Source>>,
    build: BuildInfo,
    started: SystemTime,
}

#[async_trait]
impl Page for MetricsPage {
    async fn serve(&self, _: &Parts) -> Response {
        let size = tokio::time::timeout(STORE_TIME, self.0.store.size()).await;
        let size = size.ok().and_then(Result::ok).flatten();
        let contents = Arc::clone(&self.0);
        // Reads files, and goes through every counter.
        match tokio::task::spawn_blocking(move || contents.text(size)).await {
            Ok(text) => {
                let mut response = Response::new(Body::from(text));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(text::CONTENT_TYPE));
                response
            }
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

impl Contents {
    fn text(&self, store_size: Option<u64>) -> String {
        let mut text = Text::default();
        self.metrics.write(&mut text);
        caches::write(&self.registries, &mut text);
        if let Some(size) = store_size {
            let mut sizes = text.gauge("apiserver_storage_size_bytes", "Bytes that the store takes on its disk.");
            sizes.sample(&[("storage_cluster_id", "etcd-0")], size);
        }
        for source in &self.sources {
            source.write(&mut text);
        }
        process::write(self.started, &mut text);
        text.gauge("kubernetes_build_info", "What this program was made from; the value is always 1.").sample(&labels(&self.build), 1);
        text.into_string()
    }
}

fn labels(build: &BuildInfo) -> [(&'static str, &str); 9] {
    [
        ("build_date", build.build_date),
        ("compiler", build.compiler),
        ("git_commit", build.git_commit),
        ("git_tree_state", build.git_tree_state),
        ("git_version", &build.git_version),
        ("go_version", build.go_version),
        ("major", build.major),
        ("minor", build.minor),
        ("platform", &build.platform),
    ]
}
