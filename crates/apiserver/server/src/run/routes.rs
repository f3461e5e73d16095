//! The router of a server: endpoints, metrics, audit and the request log.

use super::callers::Callers;
use crate::audit::AuditLog;
use crate::config::{Config, StoreUse};
use crate::extension::{Deployment, Extension, Extensions};
use crate::health::{CachesFilled, FirstObjects, NotStopping, StoreReachable, StoreWritable};
use crate::host_cluster::{ClusterTrust, TrustKnown};
use crate::metrics::{self, Metrics};
use crate::{request_log, run::deferred_store::DeferredStore};
use apiserver_endpoints::{HealthCheck, Lifecycle, Proxy, reviews};
use apiserver_registry::Registry;
use apiserver_store::Store;
use std::sync::Arc;

/// The store, as it was given and with what is built around it.
pub(super) struct Stores {
    pub(super) given: Arc<DeferredStore>,
    pub(super) used: Arc<dyn Store>,
}

/// The parts of the router.
pub(super) struct Served<'a> {
    pub(super) extensions: &'a Extensions,
    pub(super) registries: Vec<Arc<Registry>>,
    pub(super) proxies: Vec<Arc<dyn Proxy>>,
    pub(super) callers: Callers,
    pub(super) stores: Stores,
}

pub(super) fn router(
    config: &Config,
    served: Served<'_>,
    lifecycle: Arc<Lifecycle>,
    audit: Option<&Arc<AuditLog>>,
    counters: Vec<Arc<dyn metrics::Source>>,
) -> axum::Router {
    let Served { extensions, registries, proxies, callers, stores } = served;
    let Callers { identities, authenticators, authorizers, access_changes, host } = callers;
    let computed: Vec<_> = extensions
        .iter()
        .flat_map(|extension| extension.virtual_resources(&registries))
        .chain(reviews::of_a_cluster(&identities))
        .collect();
    let deployment = if host.is_some() { Deployment::Aggregated } else { Deployment::StandAlone };
    let virtual_collections: Vec<_> = extensions.iter().flat_map(|extension| extension.virtual_collections(deployment)).collect();
    let metrics = Metrics::new(&registries, &computed, &virtual_collections, &proxies);
    let counters = counters.into_iter().chain(audit.cloned().map(|log| log as _)).collect();
    let page = metrics.page(&registries, &stores.used, &config.version, counters);
    let router = apiserver_endpoints::router(apiserver_endpoints::Config {
        computed,
        authenticators,
        authorizers,
        access_changes: Some(access_changes),
        access_generation: identities.changes(),
        identities,
        virtual_collections,
        checks: checks(config.store_use, extensions, stores, &registries, &lifecycle, host),
        registries,
        prefix: config.path_prefix.clone(),
        pages: vec![page],
        proxies,
        observer: Some(Arc::clone(&metrics) as _),
        lifecycle,
        limits: config.limits.clone(),
        version: config.version.clone(),
        product_version: config.product_version,
    });
    let router = match audit {
        Some(log) => log.around(router),
        None => router,
    };
    router.layer(axum::middleware::from_fn_with_state(metrics, metrics::count)).layer(axum::middleware::from_fn(request_log::follow))
}

/// Under kube-apiserver's names where it has such a check.
fn checks(
    used: StoreUse,
    extensions: &Extensions,
    stores: Stores,
    registries: &[Arc<Registry>],
    lifecycle: &Arc<Lifecycle>,
    host: Option<Arc<ClusterTrust>>,
) -> Vec<Arc<dyn HealthCheck>> {
    let store = match used {
        StoreUse::Alone => "store",
        StoreUse::Shared => "etcd",
    };
    let mut checks: Vec<Arc<dyn HealthCheck>> = vec![
        Arc::new(StoreReachable { name: store, store: stores.given }),
        Arc::new(StoreWritable(stores.used)),
        Arc::new(CachesFilled(registries.to_vec())),
        Arc::new(FirstObjects(Arc::clone(lifecycle))),
        Arc::new(NotStopping(Arc::clone(lifecycle))),
    ];
    checks.extend(extensions.iter().flat_map(Extension::health_checks));
    checks.extend(host.map(|trust| Arc::new(TrustKnown(trust)) as _));
    checks
}
