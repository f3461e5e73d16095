//! What makes a controller look at an instance, and how it runs.
//!
//! An instance is looked at when it changes (but for its status, which is the controller's own), when its template or its project
//! does, when the StatefulSet of its control plane does, and again after the time that the last pass said. kube-rs keeps what is
//! wanted twice at once from being worked on twice, and passes over one instance one after another.

use crate::api::{Cluster, Instance, Project, Template};
use crate::backoff::Backoff;
use crate::config::Config;
use crate::context::{Clients, Context};
use crate::events::Events;
use crate::helm::{HelmRunner, Kubeconfig};
use crate::metrics::Metrics;
use crate::names::CONTROLLER;
use crate::reconcile::reconcile;
use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::runtime::controller::{Action, Config as ApplierConfig, applier};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_management::cluster::LOCAL_CLUSTER;
use vci_virtualcluster::Connector;

/// How long changes of an instance are gathered before it is looked at.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// How soon the host cluster's object is tried again.
const TRY_CLUSTER_AGAIN: Duration = Duration::from_secs(5);

/// The parts that a controller is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it works.
    pub config: Config,
    /// The APIs.
    pub clients: Clients,
    /// How helm reaches the host cluster.
    pub host_kubeconfig: Kubeconfig,
    /// What runs helm.
    pub helm: Arc<dyn HelmRunner>,
    /// What reaches virtual clusters.
    pub connector: Connector,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// The name of this process.
    pub identity: String,
}

/// Works until `stop`. A pass that has begun is finished.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let Parts { config, clients, host_kubeconfig, helm, connector, metrics, identity } = parts;
    ensure_host_cluster(&clients.management, &stop).await;
    let (concurrency, prefix) = (config.concurrent_syncs, config.project_namespace_prefix.clone());
    let events = Events::new(clients.host.clone(), &identity);
    let context = Context {
        config,
        connector,
        helm,
        host_kubeconfig,
        events,
        backoff: Backoff::default(),
        metrics: Arc::clone(&metrics),
        clock: Timestamp::now,
        clients: clients.clone(),
    };
    let (store, instances) = instances(&clients.management);
    let others = others(&clients, &prefix, &store);
    let queue = stream::select(instances, others).inspect(|_| metrics.queued()).map(Ok::<_, Infallible>);
    let queue = queue.take_until(stop.clone().cancelled_owned());
    let nothing_began = stopped_before(store.clone(), stop);
    let applier_config = ApplierConfig::default().debounce(DEBOUNCE).concurrency(concurrency);
    let policy = |_: Arc<Instance>, never: &Infallible, _: Arc<Context>| -> Action { match *never {} };
    let passes =
        applier(|instance, context| Box::pin(reconcile(instance, context)), policy, Arc::new(context), store, queue, applier_config);
    let passes = passes.for_each(|passed| async move {
        if let Err(error) = passed {
            tracing::debug!(%error, "no pass");
        }
    });
    tokio::select! {
        () = passes => {}
        () = nothing_began => {}
    }
}

/// Ends when it is stopped before the instances are known. No pass has begun then, and kube-rs would wait for them for ever.
async fn stopped_before(store: Store<Instance>, stop: CancellationToken) {
    stop.cancelled().await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

/// The Cluster object of the cluster that the platform runs on: made once, and then the administrators'.
async fn ensure_host_cluster(management: &kube::Client, stop: &CancellationToken) {
    let clusters: Api<Cluster> = Api::all(management.clone());
    let mut cluster = Cluster::default();
    cluster.metadata.name = Some(LOCAL_CLUSTER.into());
    cluster.spec.display_name = "The cluster that the platform runs on".into();
    cluster.spec.local = true;
    loop {
        match clusters.create(&kube::api::PostParams::default(), &cluster).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => return,
            Err(error) => tracing::debug!(%error, "cluster {LOCAL_CLUSTER} was not made yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TRY_CLUSTER_AGAIN) => {}
        }
    }
}

/// All instances, and those of them that are to be looked at.
fn instances(management: &kube::Client) -> (Store<Instance>, BoxStream<'static, ObjectRef<Instance>>) {
    let (store, writer) = reflector::store();
    let api: Api<Instance> = Api::all(management.clone());
    let changed = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(but_status, PredicateConfig::default());
    (store, told(changed, |instance| vec![ObjectRef::from_obj(instance)]).boxed())
}

/// Whatever of an instance is not its status.
fn but_status(instance: &Instance) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let meta = &instance.metadata;
    (meta.uid.as_deref(), meta.generation, &meta.labels, &meta.annotations, &meta.finalizers).hash(&mut hasher);
    (meta.deletion_timestamp.is_some(), instance.status.ignore_reconciliation).hash(&mut hasher);
    Some(hasher.finish())
}

/// Instances that are to be looked at because of something else.
fn others(clients: &Clients, project_prefix: &str, store: &Store<Instance>) -> BoxStream<'static, ObjectRef<Instance>> {
    let Clients { management, host } = clients;
    let of_template = follow::<Template>(Api::all(management.clone()), watcher::Config::default(), store, |template, instance| {
        instance.spec.template_ref.as_ref().is_some_and(|named| named.name == template.name_any())
    });
    let prefix = project_prefix.to_owned();
    let of_project = follow::<Project>(Api::all(management.clone()), watcher::Config::default(), store, move |project, instance| {
        instance.namespace().strip_prefix(&prefix).is_some_and(|name| name == project.name_any())
    });
    let of_cluster =
        follow::<Cluster>(Api::all(management.clone()), watcher::Config::default(), store, |_, instance| instance.status.phase != "Ready");
    let mine = watcher::Config::default().labels("app=vcluster");
    // With a volume the control plane is a StatefulSet, and without one a Deployment.
    let of_set = follow::<StatefulSet>(Api::all(host.clone()), mine.clone(), store, is_control_plane);
    let of_deployment = follow::<Deployment>(Api::all(host.clone()), mine, store, is_control_plane);
    stream::select_all([of_template, of_project, of_cluster, of_set, of_deployment]).boxed()
}

fn is_control_plane<K: Resource>(workload: &K, instance: &Instance) -> bool {
    let place = &instance.spec.cluster_ref;
    workload.namespace().as_deref() == Some(&place.namespace) && workload.name_any() == place.virtual_cluster
}

/// Instances that something is about, when it changes.
fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    store: &Store<Instance>,
    concerns: impl Fn(&K, &Instance) -> bool + Send + Sync + 'static,
) -> BoxStream<'static, ObjectRef<Instance>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let store = store.clone();
    let changed = watcher(api, config).default_backoff().touched_objects();
    let instances = move |thing: &K| {
        let concerned = store.state().into_iter().filter(|instance| concerns(thing, instance));
        concerned.map(|instance| ObjectRef::from_obj(&*instance)).collect()
    };
    told(changed, instances).boxed()
}

/// The stream goes on after errors: the watcher underneath begins anew.
fn told<K>(
    changed: impl Stream<Item = Result<K, watcher::Error>> + Send,
    instances: impl Fn(&K) -> Vec<ObjectRef<Instance>> + Send,
) -> impl Stream<Item = ObjectRef<Instance>> + Send
where
    K: Send,
{
    changed
        .inspect_err(|error| tracing::warn!(%error, controller = CONTROLLER, "a watch is begun again"))
        .filter_map(|changed| std::future::ready(changed.ok()))
        .flat_map(move |thing| stream::iter(instances(&thing)))
}
