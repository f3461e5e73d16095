//! A registry over one of the stores, and short words for what is asked and answered.
//!
//! Revisions are told as numbers counted from the beginning of the case: the first write is 1.

use apiserver_meta::options::{DeleteOptions, GetOptions, ListOptions, PatchOptions, WriteOptions};
use apiserver_meta::resource::SelectableField;
use apiserver_meta::schema::Schema;
use apiserver_meta::{
    ApiError, Descriptor, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Resource, Scope, Subresource, User, Verb,
};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Deleted, Frame, List, Patch, PatchKind, Registry, Watch, Written};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::flaky::Flaky;
use apiserver_store::{Expect, Key, ProgressSupport, Revision, Store};
use apiserver_store_encryption::{Encrypted, Rules};
use apiserver_store_etcd::{EtcdConfig, EtcdStore, Timeouts};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use vci_testkit::etcd::{self, Etcd, Release};

/// How long a case waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must happen.
const SILENCE: Duration = Duration::from_millis(80);

const fn descriptor(plural: &'static str, kind: &'static str, scope: Scope) -> Descriptor {
    Descriptor {
        group: "example.com",
        version: "v1",
        kind,
        list_kind: "List",
        plural,
        singular: "pod",
        short_names: &[],
        categories: &[],
        scope,
        verbs: &Verb::ALL,
        subresources: &[],
        columns: &[],
        selectable_fields: &[SelectableField { label: "spec.nodeName", path: &["spec", "nodeName"] }],
        extended: &[],
    }
}

static NAMESPACED: Descriptor = descriptor("pods", "Pod", Scope::Namespaced);
static CLUSTER: Descriptor = descriptor("machines", "Machine", Scope::Cluster);

/// What is wanted of an object.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-component" = "com.example.v1.PodSpec"))]
struct Spec {
    /// Where it runs.
    #[serde(default)]
    node_name: String,
}

/// Nothing is told.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(extend("x-component" = "com.example.v1.PodStatus"))]
struct Status {}

/// A kind without rules.
#[derive(Debug)]
struct Plain(Schema, &'static Descriptor);

impl Resource for Plain {
    fn descriptor(&self) -> &'static Descriptor {
        self.1
    }

    fn schema(&self) -> &Schema {
        &self.0
    }
}

/// Where a case's objects are stored.
#[derive(Clone, Copy)]
pub(crate) enum Backend {
    Embedded,
    /// Every fourth answer and watch message comes late.
    EmbeddedSlow,
    /// Values lie encrypted in it.
    EmbeddedEncrypted,
    /// The etcd on the machine, of whatever version.
    Etcd,
    Etcd36,
}

impl Backend {
    /// The store and what must stay alive with it; `None` when the machine has no such etcd.
    async fn open(self) -> Option<(Flaky, Box<dyn Any + Send>)> {
        let release = match self {
            Self::Embedded | Self::EmbeddedSlow | Self::EmbeddedEncrypted => {
                let folder = tempfile::tempdir().unwrap();
                let file = Arc::new(EmbeddedStore::open(folder.path().join("db"), &EmbeddedConfig::standard()).unwrap());
                let store: Arc<dyn Store> = match self {
                    Self::EmbeddedEncrypted => Arc::new(encrypted(file, folder.path())),
                    _ => file,
                };
                let slowness = if matches!(self, Self::EmbeddedSlow) { Duration::from_millis(2) } else { Duration::ZERO };
                return Some((Flaky::slow(store, slowness), Box::new(folder)));
            }
            Self::Etcd => Release::OnPath,
            Self::Etcd36 => Release::V3_6,
        };
        let (_, binary) = etcd::find(release)?;
        let etcd = Etcd::spawn(&binary).await;
        let endpoints = vec![etcd.endpoint().to_owned()];
        let config = EtcdConfig { endpoints, prefix: "/registry".into(), tls: None, timeouts: Timeouts::default() };
        Some((Flaky::new(Arc::new(EtcdStore::connect(&config).await.unwrap())), Box::new(etcd)))
    }
}

/// With a key of 32 zeros.
fn encrypted(store: Arc<EmbeddedStore>, folder: &Path) -> Encrypted {
    let file = folder.join("encryption.yaml");
    let providers = format!("[aesgcm: {{keys: [{{name: zeros, secret: {}=}}]}}]", "A".repeat(43));
    let resources = format!("[{{resources: ['*.*'], providers: {providers}}}]");
    let text = format!("{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: {resources}}}");
    std::fs::write(&file, text).unwrap();
    Encrypted::new(store, "/registry/", Rules::read(&file).unwrap())
}

/// What happens at the last step before a write is stored: the number of the attempt, and the object that was found.
type Script = Arc<dyn Fn(usize, Option<Object>) -> BoxFuture<'static, Result<(), ApiError>> + Send + Sync>;

/// Admission that does as a case says.
#[derive(Default)]
struct Hook(Mutex<(usize, Option<Script>)>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[async_trait::async_trait]
impl Admission for Hook {
    async fn validate(&self, _: &RequestContext, request: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        let (attempt, script) = {
            let mut hook = self.0.lock().unwrap();
            hook.0 += 1;
            (hook.0, hook.1.clone())
        };
        match script {
            Some(script) => script(attempt, request.old.cloned()).await,
            None => Ok(()),
        }
    }
}

pub(crate) struct Rig {
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<Flaky>,
    hook: Arc<Hook>,
    base: Revision,
    _stop: DropGuard,
    _server: Box<dyn Any + Send>,
}

/// No case may end with a cache that was found to differ from its store.
impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.registry.cache().stats().checks.mismatch, 0, "the cache differed from the store");
        }
    }
}

impl Rig {
    pub(crate) async fn start(backend: Backend) -> Option<Self> {
        Self::of(backend, &NAMESPACED).await
    }

    /// A kind without namespaces.
    pub(crate) async fn cluster_scoped(&self) -> Self {
        self.again_with(&CLUSTER, 0).await
    }

    /// Another server on the same store, whose cache knows only what comes from now on.
    pub(crate) async fn again(&self) -> Self {
        self.again_with(&NAMESPACED, 0).await
    }

    /// Another server on the same store, whose cache also knows of the past what the store does.
    pub(crate) async fn again_with_history(&self) -> Self {
        self.again_with(&NAMESPACED, CacheConfig::standard().replay).await
    }

    async fn again_with(&self, descriptor: &'static Descriptor, replay: u64) -> Self {
        Self::over(Arc::clone(&self.store), self.base, descriptor, replay, Box::new(())).await
    }

    async fn of(backend: Backend, descriptor: &'static Descriptor) -> Option<Self> {
        let (store, server) = backend.open().await?;
        let base = store.revision().await.unwrap();
        Some(Self::over(Arc::new(store), base, descriptor, 0, server).await)
    }

    async fn over(store: Arc<Flaky>, base: Revision, descriptor: &'static Descriptor, replay: u64, server: Box<dyn Any + Send>) -> Self {
        let stop = CancellationToken::new();
        let config = CacheConfig {
            freshness_timeout: Duration::from_millis(300),
            bookmark_period: Duration::from_millis(200),
            // So small that watchers have to catch up now and then.
            watcher_queue: 8,
            replay,
            check_period: Duration::from_secs(1),
            ..CacheConfig::standard()
        };
        let kind = Plain(Schema::kind::<Spec, Status>("com.example.v1.Pod", "A pod."), descriptor);
        let hook = Arc::new(Hook::default());
        let admission: Vec<Arc<dyn Admission>> = vec![Arc::clone(&hook) as _];
        let registry = Registry::start(Arc::new(kind), Arc::clone(&store), admission, config, stop.clone());
        registry.cache().ready().await;
        Self { registry, store, hook, base, _stop: stop.drop_guard(), _server: server }
    }

    /// From here on this happens before each write is stored.
    pub(crate) fn before_writes(
        &self,
        script: impl Fn(usize, Option<Object>) -> BoxFuture<'static, Result<(), ApiError>> + Send + Sync + 'static,
    ) {
        *self.hook.0.lock().unwrap() = (0, Some(Arc::new(script)));
    }

    /// How often a write was about to be stored since then.
    pub(crate) fn attempts(&self) -> usize {
        self.hook.0.lock().unwrap().0
    }

    /// Whether the cache hears of what happens beside its collection.
    pub(crate) fn tells_progress(&self) -> bool {
        self.store.progress_support() == ProgressSupport::Reliable
    }

    /// The store's own number for a revision of the case.
    pub(crate) fn revision(&self, number: u64) -> Revision {
        self.base + number
    }

    fn number(&self, version: &str) -> u64 {
        version.parse::<u64>().unwrap() - self.base
    }

    fn storage_key(&self, path: &str) -> Key {
        Key::new(format!("example.com/{}/{path}", self.registry.descriptor().plural))
    }

    /// An object as a client sends it, with labels such as `a=1,b=2`.
    pub(crate) fn body(&self, path: &str, labels: &str, node: &str) -> Object {
        let key = key(path);
        let labels: serde_json::Map<String, Value> =
            labels.split(',').filter_map(|label| label.split_once('=')).map(|(k, v)| (k.to_owned(), v.into())).collect();
        let mut body = json!({
            "apiVersion": "example.com/v1",
            "kind": self.registry.descriptor().kind,
            "metadata": { "name": key.name },
            "spec": { "nodeName": node },
        });
        if !key.namespace.is_empty() {
            body["metadata"]["namespace"] = key.namespace.into();
        }
        if !labels.is_empty() {
            body["metadata"]["labels"] = labels.into();
        }
        Object::from_value(body).unwrap()
    }

    pub(crate) async fn try_create(&self, object: Object) -> Result<Object, ApiError> {
        let namespace = object.namespace().to_owned();
        Ok(parsed(&self.registry.create(&context(), &namespace, object, &WriteOptions::default()).await?))
    }

    pub(crate) async fn create(&self, path: &str) -> Object {
        self.try_create(self.body(path, "", "")).await.unwrap()
    }

    pub(crate) async fn try_update(&self, object: &Object) -> Result<Object, ApiError> {
        let (ctx, options) = (context(), WriteOptions::default());
        let written = self.registry.update(&ctx, &object.key(), Subresource::Main, object.clone(), &options, &ObjectFilter::All).await?;
        Ok(parsed(&written))
    }

    /// Creates or changes an object; its number.
    pub(crate) async fn set(&self, path: &str, labels: &str, node: &str) -> u64 {
        let mut body = self.body(path, labels, node);
        let written = match self.get(path, "").await {
            Ok(current) => {
                for field in ["resourceVersion", "uid"] {
                    body.set_meta_str(field, current.meta_str(field));
                }
                self.try_update(&body).await
            }
            Err(_) => self.try_create(body).await,
        };
        self.number(written.unwrap().resource_version())
    }

    /// A merge patch.
    pub(crate) async fn try_merge(&self, path: &str, patch: &Value) -> Result<Object, ApiError> {
        let patch = Patch { kind: PatchKind::Merge, body: patch.to_string().into(), create_denial: None, mask: None };
        let (ctx, options) = (context(), PatchOptions::default());
        let written = self.registry.patch(&ctx, &key(path), Subresource::Main, patch, &options, &ObjectFilter::All).await?;
        Ok(parsed(&written))
    }

    pub(crate) async fn try_delete(&self, path: &str, options: &DeleteOptions) -> Result<Object, ApiError> {
        match self.registry.delete(&context(), &key(path), options, &ObjectFilter::All).await? {
            Deleted::Gone { bytes, .. } => Ok(Object::from_value(serde_json::from_slice(&bytes).unwrap()).unwrap()),
            Deleted::Pending { .. } => panic!("nothing holds it"),
        }
    }

    /// Deletes an object; the number of the deletion.
    pub(crate) async fn delete(&self, path: &str) -> u64 {
        self.try_delete(path, &DeleteOptions::default()).await.unwrap();
        self.store.revision().await.unwrap() - self.base
    }

    pub(crate) async fn get(&self, path: &str, version: &str) -> Result<Object, ApiError> {
        let query = if version.is_empty() { Vec::new() } else { vec![("resourceVersion".to_owned(), self.version(version))] };
        let options = GetOptions::from_query(&query)?;
        let item = self.registry.get(&context(), &key(path), &options, &ObjectFilter::All).await?;
        Ok(Object::from_value(serde_json::from_slice(&item.bytes).unwrap()).unwrap())
    }

    /// Writes bytes past the registry.
    pub(crate) async fn set_raw(&self, path: &str, value: &[u8]) -> u64 {
        overwrite(&self.store, &self.storage_key(path), value).await - self.base
    }

    /// Does in the store what another server would: changes an object's label `by`.
    pub(crate) fn meddling(&self, path: &str) -> impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static {
        let (store, key) = (Arc::clone(&self.store), self.storage_key(path));
        move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                let stored = store.get(&key).await.unwrap().unwrap();
                let mut object: Value = serde_json::from_slice(&stored.value).unwrap();
                object["metadata"]["labels"] = json!({ "by": "another" });
                store.put(&key, object.to_string().into(), Expect::Revision(stored.revision)).await.unwrap();
            }
            .boxed()
        }
    }

    pub(crate) async fn raw(&self, path: &str) -> Option<apiserver_store::Entry> {
        self.store.get(&self.storage_key(path)).await.unwrap()
    }

    pub(crate) async fn delete_raw(&self, path: &str) {
        let stored = self.raw(path).await.unwrap();
        self.store.delete(&stored.key, stored.revision).await.unwrap();
    }

    /// Writes something that is none of the registry's business; its number.
    pub(crate) async fn write_elsewhere(&self) -> u64 {
        overwrite(&self.store, &Key::new("example.com/gadgets/x"), b"{}").await - self.base
    }

    /// Waits until the cache has heard of a write of the collection.
    pub(crate) async fn heard(&self, number: u64) {
        let (wanted, deadline) = (self.base + number, Instant::now() + PATIENCE);
        while self.registry.cache().stats().revision < wanted {
            assert!(Instant::now() < deadline, "the cache does not reach {number}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn compact(&self, number: u64) {
        self.store.compact(self.base + number).await.unwrap();
    }

    /// A resourceVersion: a number of the case, or text that is sent as it is. `0` is the API's own, `#0` the
    /// revision before the first write.
    fn version(&self, text: &str) -> String {
        match text.trim_start_matches('#').parse::<u64>() {
            Ok(number) if text != "0" => (self.base + number).to_string(),
            Ok(_) => text.to_owned(),
            Err(_) => text.replace("max", &i64::MAX.to_string()),
        }
    }

    /// What a query asks, in short: `rv=3 match=Exact limit=1 from=ns/a@3 labels=a=1 fields=metadata.name=a`, and for
    /// watches `bookmarks`, `initial=true`.
    pub(crate) fn options(&self, text: &str) -> Result<ListOptions, ApiError> {
        let mut query = Vec::new();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, "true"));
            let mut say = |name: &str, value: String| query.push((name.to_owned(), value));
            match name {
                "rv" => say("resourceVersion", self.version(value)),
                "match" => say("resourceVersionMatch", value.into()),
                "limit" => say("limit", value.into()),
                "from" => say("continue", self.token(value)),
                "token" => say("continue", value.into()),
                "labels" => say("labelSelector", value.into()),
                "fields" => say("fieldSelector", value.into()),
                "watch" => say("watch", value.into()),
                "bookmarks" => say("allowWatchBookmarks", value.into()),
                "initial" => {
                    say("sendInitialEvents", value.into());
                    say("resourceVersionMatch", "NotOlderThan".into());
                }
                other => panic!("{other}"),
            }
        }
        ListOptions::from_query(&query)
    }

    /// A continue token for `path@number`; number -1 is the newest, 0 is none.
    fn token(&self, place: &str) -> String {
        let (start, number) = place.split_once('@').unwrap();
        let version = match number.parse::<i64>().unwrap() {
            number @ (-1 | 0) => number,
            number => number + i64::try_from(self.base).unwrap(),
        };
        let token = json!({ "v": "meta.k8s.io/v1", "rv": version, "start": start });
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    pub(crate) async fn try_list(&self, namespace: &str, text: &str) -> Result<List, ApiError> {
        self.registry.list(&context(), namespace, &self.options(text)?, &ObjectFilter::All).await
    }

    /// A list in words: `ns/a@1 ns/b@2 +3 =8` is two objects, three more, read at 8; `+?` when it is not told how many.
    pub(crate) async fn list(&self, namespace: &str, text: &str) -> String {
        match self.try_list(namespace, text).await {
            Ok(list) => self.told(&list),
            Err(error) => format!("{} {}", error.code(), error.message),
        }
    }

    pub(crate) fn told(&self, list: &List) -> String {
        let mut words: Vec<String> = list.items.iter().map(|item| self.object(&item.bytes)).collect();
        match (&list.continue_token, list.remaining) {
            (Some(token), remaining) => {
                let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
                assert_eq!(token["rv"], list.revision, "a token names the revision of its list");
                words.push(remaining.map_or("+?".into(), |remaining| format!("+{remaining}")));
            }
            (None, remaining) => assert_eq!(remaining, None),
        }
        words.push(format!("={}", list.revision - self.base));
        words.join(" ")
    }

    /// `namespace/name@number` of an object's bytes.
    fn object(&self, bytes: &[u8]) -> String {
        let object = Object::from_value(serde_json::from_slice(bytes).unwrap()).unwrap();
        let key = object.key();
        let path = if key.namespace.is_empty() { key.name } else { format!("{}/{}", key.namespace, key.name) };
        format!("{path}@{}", self.number(object.resource_version()))
    }

    pub(crate) async fn watch(&self, namespace: &str, text: &str) -> Tape<'_> {
        let options = self.options(&format!("watch {text}")).unwrap();
        Tape { rig: self, watch: self.registry.watch(&context(), namespace, &options, &ObjectFilter::All).await.unwrap() }
    }
}

/// What a watcher hears, in words: `ADDED ns/name@7`, `BOOKMARK 7`, `SYNCED 7`, `ERROR 410 text`.
pub(crate) struct Tape<'a> {
    rig: &'a Rig,
    pub(crate) watch: Watch,
}

impl Tape<'_> {
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(PATIENCE, self.watch.next()).await.expect("nothing was told");
        frame.map(|frame| self.words(&frame))
    }

    /// The next frames are these, but for bookmarks.
    pub(crate) async fn hears(&mut self, expected: &[&str]) {
        for expected in expected {
            let heard = loop {
                let heard = self.next().await;
                if !heard.as_ref().is_some_and(|words| words.starts_with("BOOKMARK")) {
                    break heard;
                }
            };
            assert_eq!(heard.as_deref(), Some(*expected));
        }
    }

    /// Nothing but bookmarks comes for a while.
    pub(crate) async fn is_silent(&mut self) {
        let until = tokio::time::Instant::now() + SILENCE;
        while let Ok(frame) = tokio::time::timeout_at(until, self.watch.next()).await {
            let heard = frame.map(|frame| self.words(&frame));
            assert!(heard.as_ref().is_some_and(|words| words.starts_with("BOOKMARK")), "heard {heard:?}");
        }
    }

    /// The stream is over.
    pub(crate) async fn is_over(&mut self) {
        assert_eq!(self.next().await, None);
    }

    fn words(&self, frame: &Frame) -> String {
        match frame {
            Frame::Event { kind, item } => format!("{} {}", format!("{kind:?}").to_uppercase(), self.rig.object(&item.bytes)),
            Frame::Bookmark { revision, initial_events_end: false } => format!("BOOKMARK {}", revision - self.rig.base),
            Frame::Bookmark { revision, initial_events_end: true } => format!("SYNCED {}", revision - self.rig.base),
            Frame::Error(status) => format!("ERROR {} {}", status.code, status.message),
        }
    }
}

pub(crate) fn context() -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + PATIENCE, Arc::from("storage"))
}

fn key(path: &str) -> ObjectKey {
    let (namespace, name) = path.split_once('/').unwrap_or(("", path));
    ObjectKey::new(namespace, name)
}

fn parsed(written: &Written) -> Object {
    Object::from_value(serde_json::from_slice(&written.bytes).unwrap()).unwrap()
}

async fn overwrite(store: &Flaky, key: &Key, value: &[u8]) -> Revision {
    let expect = store.get(key).await.unwrap().map_or(Expect::Absent, |stored| Expect::Revision(stored.revision));
    store.put(key, value.to_vec().into(), expect).await.unwrap()
}
