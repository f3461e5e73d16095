//! A kind, a store, a cache over it, and words to say what watchers hear.
#![allow(clippy::unwrap_used)]

use super::store::MemoryStore;
use crate::cache::{Cache, CacheConfig, Watch};
use crate::{Frame, List};
use apiserver_meta::options::{GetOptions, ListOptions, ResourceVersion};
use apiserver_meta::resource::SelectableField;
use apiserver_meta::schema::{Schema, Shape};
use apiserver_meta::selector::{FieldSelector, LabelSelector};
use apiserver_meta::{
    ApiError, Descriptor, Facts, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Resource, Scope, User, Verb,
};
use apiserver_store::{Revision, Store};
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the kind is.
pub(crate) static WIDGETS: Descriptor = WIDGETS_AS_CONST;
pub(crate) const WIDGETS_AS_CONST: Descriptor = Descriptor {
    group: "example.com",
    version: "v1",
    kind: "Widget",
    list_kind: "WidgetList",
    plural: "widgets",
    singular: "widget",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: &Verb::ALL,
    subresources: &[],
    columns: &[],
    selectable_fields: &[SelectableField { label: "spec.color", path: &["spec", "color"] }],
    extended: &[],
};

#[derive(Debug)]
pub(crate) struct Widgets(Schema);

impl Widgets {
    pub(crate) fn new() -> Self {
        Self(Schema { description: String::new(), shape: Shape::Any, component: None })
    }
}

impl Resource for Widgets {
    fn descriptor(&self) -> &'static Descriptor {
        &WIDGETS
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    /// The owner's name.
    fn facts(&self, object: &Object) -> Facts {
        Facts::new(object.str_at(&["spec", "owner"]).to_owned())
    }
}

pub(super) struct Rig {
    pub(super) store: Arc<MemoryStore>,
    pub(super) cache: Arc<Cache>,
    pub(super) stop: CancellationToken,
    _stops: DropGuard,
}

/// A widget as it is stored: canonical, without a resourceVersion.
pub(crate) fn widget(path: &str, labels: &str, spec: &Value) -> String {
    let (namespace, name) = path.split_once('/').unwrap();
    let mut metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-of-{name}")});
    if !labels.is_empty() {
        let labels: serde_json::Map<String, Value> =
            labels.split(',').map(|label| label.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.into())).collect();
        metadata["labels"] = labels.into();
    }
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": spec}).to_string()
}

pub(super) fn context() -> RequestContext {
    RequestContext::new(
        Arc::new(User::default()),
        Principal::default(),
        // By the clock of the test, which may be far ahead.
        tokio::time::Instant::now().into_std() + Duration::from_secs(600),
        Arc::from("audit"),
    )
}

pub(super) fn key(path: &str) -> ObjectKey {
    let (namespace, name) = path.split_once('/').unwrap();
    ObjectKey::new(namespace, name)
}

pub(super) fn labels(selector: &str) -> ListOptions {
    ListOptions { labels: LabelSelector::parse(selector).unwrap(), ..ListOptions::default() }
}

pub(super) fn fields(selector: &str) -> ListOptions {
    ListOptions { fields: FieldSelector::parse(selector).unwrap(), ..ListOptions::default() }
}

pub(super) fn at(revision: Revision) -> ListOptions {
    ListOptions { resource_version: ResourceVersion::At(revision), ..ListOptions::default() }
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut CacheConfig)) -> Self {
        let rig = Self::over(Arc::new(MemoryStore::default()), change);
        rig.cache.ready().await;
        rig
    }

    /// The cache may not be ready.
    pub(super) fn over(store: Arc<MemoryStore>, change: impl FnOnce(&mut CacheConfig)) -> Self {
        let mut config = CacheConfig::standard();
        change(&mut config);
        let stop = CancellationToken::new();
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let cache = Cache::start(Arc::new(Widgets::new()), shared, config, stop.clone());
        Self { store, cache, _stops: stop.clone().drop_guard(), stop }
    }

    /// Writes a widget with labels such as `a=1,b=2`.
    pub(super) fn set(&self, path: &str, labels: &str) -> Revision {
        self.set_spec(path, labels, &json!({}))
    }

    pub(super) fn set_spec(&self, path: &str, labels: &str, spec: &Value) -> Revision {
        self.store.set(&format!("example.com/widgets/{path}"), Some(&widget(path, labels, spec)))
    }

    pub(super) fn set_raw(&self, path: &str, value: &str) -> Revision {
        self.store.set(&format!("example.com/widgets/{path}"), Some(value))
    }

    pub(super) fn delete(&self, path: &str) -> Revision {
        self.store.set(&format!("example.com/widgets/{path}"), None)
    }

    /// Writes something that is none of the cache's business.
    pub(super) fn write_elsewhere(&self) -> Revision {
        self.store.set("example.com/gadgets/ns/x", Some("{}"))
    }

    /// Waits until the cache has reached a revision.
    pub(super) async fn reached(&self, revision: Revision) {
        self.cache.wait_for(revision, context().deadline).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str, version: ResourceVersion) -> Result<String, ApiError> {
        let options = GetOptions { resource_version: version };
        self.cache.get(&context(), &key(path), &options, &ObjectFilter::All).await.map(|item| object(&item.bytes))
    }

    pub(super) async fn list(&self, namespace: &str, options: &ListOptions) -> Result<List, ApiError> {
        self.cache.list(&context(), namespace, options, &ObjectFilter::All).await
    }

    pub(super) async fn watch(&self, namespace: &str, options: &ListOptions) -> Tape {
        self.watch_as(namespace, options, &ObjectFilter::All).await
    }

    pub(super) async fn watch_as(&self, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Tape {
        Tape(self.cache.watch(&context(), namespace, options, view).await.unwrap())
    }
}

/// What a watcher hears, in words: `ADDED ns/name@7`, `BOOKMARK 7`, `SYNCED 7`, `ERROR 410 text`.
pub(super) struct Tape(pub(super) Watch);

impl Tape {
    pub(super) async fn next(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(Duration::from_secs(7200), self.0.next()).await.expect("nothing was told");
        frame.map(|frame| words(&frame))
    }

    /// The next frames are these.
    pub(super) async fn hears(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await.as_deref(), Some(*expected));
        }
    }

    /// Nothing comes for a second.
    pub(super) async fn is_silent(&mut self) {
        if let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), self.0.next()).await {
            panic!("heard {:?}", frame.map(|frame| words(&frame)));
        }
    }

    /// The stream is over.
    pub(super) async fn is_over(&mut self) {
        assert_eq!(self.next().await, None);
    }
}

pub(super) fn words(frame: &Frame) -> String {
    match frame {
        Frame::Event { kind, item } => {
            let told: Value = serde_json::from_slice(&item.bytes).unwrap();
            assert_eq!(told["metadata"]["resourceVersion"], item.revision.to_string());
            format!("{} {}", format!("{kind:?}").to_uppercase(), object(&item.bytes))
        }
        Frame::Bookmark { revision, initial_events_end: false } => format!("BOOKMARK {revision}"),
        Frame::Bookmark { revision, initial_events_end: true } => format!("SYNCED {revision}"),
        Frame::Error(status) => format!("ERROR {} {}", status.code, status.message),
    }
}

/// `namespace/name@resourceVersion` of an object's bytes.
pub(super) fn object(bytes: &[u8]) -> String {
    let object = Object::from_value(serde_json::from_slice(bytes).unwrap()).unwrap();
    format!("{}@{}", object.key(), object.resource_version())
}

/// The paths of a list's items.
pub(super) fn paths(list: &List) -> Vec<String> {
    list.items.iter().map(|item| item.key().to_string()).collect()
}
