//! What is served, put together.

use super::callers::Callers;
use crate::audit::AuditLog;
use crate::config::{Config, StoreUse};
use crate::health::{CachesFilled, FirstObjects, NotStopping, StoreReachable, StoreWritable};
use crate::host_cluster::{ClusterTrust, TrustKnown};
use crate::metrics::{self, Metrics};
use crate::{answers, request_log, run::late_store::LateStore};
use std::sync::Arc;
use vci_endpoints::{HealthCheck, Lifecycle};
use vci_registry::Registry;
use vci_store::Store;

/// The store, as it was given and with what is built around it.
pub(super) struct Stores {
    pub(super) given: Arc<LateStore>,
    pub(super) used: Arc<dyn Store>,
}

pub(super) fn router(
    config: &Config,
    registries: Vec<Arc<Registry>>,
    callers: Callers,
    stores: Stores,
    lifecycle: Arc<Lifecycle>,
    audit: Option<&Arc<AuditLog>>,
    counters: Vec<Arc<dyn metrics::Source>>,
) -> axum::Router {
    let Callers { directory, authenticators, authorizers, access_changes, host } = callers;
    let computed = answers::all(&registries, &directory, &config.project_namespace_prefix);
    let metrics = Metrics::new(&registries, &computed);
    let counters = counters.into_iter().chain(audit.cloned().map(|log| log as _)).collect();
    let page = metrics.page(&registries, &stores.used, &config.version, counters);
    let router = vci_endpoints::router(vci_endpoints::Config {
        computed,
        authenticators,
        authorizers,
        access_changes: Some(access_changes),
        access_generation: Some(directory.changes()),
        identities: Some(Arc::clone(&directory)),
        namespaces: host.is_none().then_some(directory),
        checks: checks(config.store_use, stores, &registries, &lifecycle, host),
        registries,
        prefix: config.path_prefix.clone(),
        pages: vec![page],
        observer: Some(Arc::clone(&metrics) as _),
        lifecycle,
        limits: config.limits.clone(),
        version: config.version.clone(),
        product_version: Some(vci_management::PLATFORM_VERSION),
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
    checks.extend(host.map(|trust| Arc::new(TrustKnown(trust)) as _));
    checks
}
