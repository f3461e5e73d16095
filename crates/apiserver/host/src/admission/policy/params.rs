//! The objects that bindings give to policies as parameters: followed by kind, for as long as a policy asks for the kind.

use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::{ParamKind, ParamRef};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::core::{Selector, SelectorExt as _};
use kube::discovery::Scope;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a request waits for the first list of a kind.
const SYNC_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a kind that the cluster does not know is asked for again.
const RETRY: Duration = Duration::from_secs(2);

/// Everything of one kind.
#[derive(Clone, Debug)]
enum Known {
    /// The cluster was not asked yet.
    Asking,
    /// The cluster has no such kind, or does not say.
    Unknown,
    Followed(Followed),
}

#[derive(Clone, Debug)]
struct Followed {
    resource: ApiResource,
    scope: Scope,
    objects: Store<DynamicObject>,
}

/// The parameters of one kind.
#[derive(Debug)]
pub(super) struct Params {
    kind: ParamKind,
    known: watch::Receiver<Known>,
    _following: DropGuard,
}

/// Why there are no parameters: who is at fault decides how it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Policy(String),
    Binding(String),
}

impl Params {
    /// Follows a kind until it is dropped.
    pub(super) fn follow(client: &Client, kind: &ParamKind) -> Arc<Self> {
        let stop = CancellationToken::new();
        let (sender, known) = watch::channel(Known::Asking);
        let following = Box::pin(follow(client.clone(), kind.clone(), sender));
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        Arc::new(Self { kind: kind.clone(), known, _following: stop.drop_guard() })
    }

    /// Waits until it is known whether the cluster has the kind.
    ///
    /// # Errors
    /// It has not: nobody who uses the policy can be answered.
    pub(super) async fn known(&self) -> Result<(), Fault> {
        self.followed().await.map(|_| ())
    }

    /// What a binding's `paramRef` means for a request in `namespace`: null where it names none.
    ///
    /// # Errors
    /// Whose fault it is that there are none.
    pub(super) async fn select(&self, reference: Option<&ParamRef>, namespace: &str) -> Result<Vec<Arc<Value>>, Fault> {
        let followed = self.followed().await?;
        let Some(reference) = reference else { return Ok(vec![Arc::default()]) };
        let ready = tokio::time::timeout(SYNC_TIMEOUT, followed.objects.wait_until_ready()).await;
        if !matches!(ready, Ok(Ok(()))) {
            return Err(Fault::Binding(format!("paramKind kind `{}` not yet synced to use for admission", self.display())));
        }
        let found = followed.find(reference, namespace).map_err(Fault::Binding)?;
        if found.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
            return Err(Fault::Binding("no params found for policy binding with `Deny` parameterNotFoundAction".into()));
        }
        Ok(found.iter().map(|object| Arc::new(self.value(object))).collect())
    }

    async fn followed(&self) -> Result<Followed, Fault> {
        let mut known = self.known.clone();
        let asked = tokio::time::timeout(SYNC_TIMEOUT, known.wait_for(|it| !matches!(it, Known::Asking))).await;
        match asked {
            Ok(Ok(known)) => match &*known {
                Known::Followed(it) => Ok(it.clone()),
                Known::Asking | Known::Unknown => Err(self.unknown()),
            },
            _ => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> Fault {
        let version = self.kind.api_version.as_deref().unwrap_or_default();
        let kind = self.kind.kind.as_deref().unwrap_or_default();
        let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
        Fault::Policy(format!("failed to find resource referenced by paramKind: '{version}, Kind={kind}'"))
    }

    fn display(&self) -> String {
        let [kind, version] = [&self.kind.kind, &self.kind.api_version].map(|it| it.as_deref().unwrap_or_default());
        format!("&ParamKind{{APIVersion:{version},Kind:{kind},}}")
    }

    /// The object as expressions see it, always with its kind.
    fn value(&self, object: &DynamicObject) -> Value {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            let [kind, version] = [&self.kind.kind, &self.kind.api_version].map(|it| it.clone().unwrap_or_default());
            fields.insert("kind".into(), kind.into());
            fields.insert("apiVersion".into(), version.into());
        }
        value
    }
}

impl Followed {
    fn find(&self, reference: &ParamRef, namespace: &str) -> Result<Vec<Arc<DynamicObject>>, String> {
        let given = reference.namespace.as_deref().filter(|it| !it.is_empty());
        let within = match (&self.scope, given) {
            (Scope::Cluster, Some(_)) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into()),
            (Scope::Cluster, None) => None,
            (Scope::Namespaced, Some(given)) => Some(given),
            (Scope::Namespaced, None) if namespace.is_empty() => {
                return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into());
            }
            (Scope::Namespaced, None) => Some(namespace),
        };
        match (reference.name.as_deref().filter(|it| !it.is_empty()), &reference.selector) {
            (Some(_), Some(_)) => Err("paramRef.name and paramRef.selector are mutually exclusive".into()),
            (Some(name), None) => {
                let at = ObjectRef::new_with(name, self.resource.clone());
                let at = within.map_or(at.clone(), |within| at.within(within));
                Ok(self.objects.get(&at).into_iter().collect())
            }
            (None, Some(selector)) => {
                let selector = Selector::try_from(selector.clone()).map_err(|error| error.to_string())?;
                let selected = |it: &DynamicObject| {
                    within.is_none_or(|within| it.metadata.namespace.as_deref() == Some(within))
                        && selector.matches(it.metadata.labels.as_ref().unwrap_or(&std::collections::BTreeMap::new()))
                };
                let mut found = self.objects.state_filter(selected);
                found.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
                Ok(found)
            }
            (None, None) => Err("one of name or selector must be provided".into()),
        }
    }
}

async fn follow(client: Client, kind: ParamKind, known: watch::Sender<Known>) {
    let (resource, scope) = loop {
        if let Some(found) = find_resource(&client, &kind).await {
            break found;
        }
        known.send_replace(Known::Unknown);
        tokio::time::sleep(RETRY).await;
    };
    let writer = reflector::store::Writer::new(resource.clone());
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    known.send_replace(Known::Followed(Followed { resource, scope, objects: writer.as_reader() }));
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(reflector::reflector(writer, stream));
    while let Some(event) = events.next().await {
        if let Err(error) = event {
            tracing::warn!(?kind, %error, "the parameters of policies cannot be followed");
        }
    }
}

async fn find_resource(client: &Client, kind: &ParamKind) -> Option<(ApiResource, Scope)> {
    let version = kind.api_version.as_deref().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let gvk = GroupVersionKind::gvk(group, version, kind.kind.as_deref().unwrap_or_default());
    match kube::discovery::pinned_kind(client, &gvk).await {
        Ok((resource, capabilities)) => Some((resource, capabilities.scope)),
        Err(error) => {
            tracing::warn!(?gvk, %error, "the kind of a policy's parameters is not known");
            None
        }
    }
}

/// The parameters of all kinds that policies ask for.
#[derive(Debug, Default)]
pub(super) struct AllParams(HashMap<(String, String), Arc<Params>>);

impl AllParams {
    /// Follows these kinds from now on, and no others.
    pub(super) fn follow_only(&mut self, client: &Client, kinds: &[ParamKind]) {
        let keys: Vec<_> = kinds.iter().map(key).collect();
        self.0.retain(|known, _| keys.contains(known));
        for (key, kind) in keys.into_iter().zip(kinds) {
            self.0.entry(key).or_insert_with(|| Params::follow(client, kind));
        }
    }

    /// Those of one kind.
    pub(super) fn of(&self, kind: &ParamKind) -> Option<Arc<Params>> {
        self.0.get(&key(kind)).cloned()
    }
}

fn key(kind: &ParamKind) -> (String, String) {
    (kind.api_version.clone().unwrap_or_default(), kind.kind.clone().unwrap_or_default())
}
