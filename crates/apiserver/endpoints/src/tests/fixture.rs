//! A kind, a server with it, and requests to that.
#![allow(clippy::unwrap_used)]

use super::proxies::Elsewhere;
use crate::{Config, HealthCheck, Lifecycle, Limits, Phase, VirtualCollection, VirtualRequest, VirtualResource, reviews, router};
use apiserver_auth::{
    AlwaysAllowedPaths, Attributes, Authentication, Authenticator, Authorizer, Credentials, Decision, Identity, IdentityMapper, Target,
    Unmapped,
};
use apiserver_meta::context::{GROUP_AUTHENTICATED, GROUP_MASTERS};
use apiserver_meta::resource::{ExtendedField, PrivatePart};
use apiserver_meta::types::ObjectMeta;
use apiserver_meta::virtual_resource::{Audience, Method, Place};
use apiserver_meta::{
    ApiError, Column, Descriptor, Object, ObjectFilter, RequestContext, Resource, Schema, Scope, Subresource, User, Verb, VirtualDescriptor,
};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Registry};
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use async_trait::async_trait;
use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(super) const COLLECTION: &str = "/apis/example.io/v1/namespaces/a/widgets";

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.example.v1.Widget"))]
struct Widget {
    /// The version of this form.
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    /// The kind of this form.
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    metadata: ObjectMeta,
    spec: WidgetSpec,
    status: WidgetStatus,
}

/// What is wanted.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct WidgetSpec {
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
    /// What for.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
}

/// How it is.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct WidgetStatus {
    /// In a word.
    #[serde(skip_serializing_if = "String::is_empty")]
    phase: String,
    /// The cause.
    #[serde(skip_serializing_if = "String::is_empty")]
    cause: String,
    /// Whether whoever asks may use it.
    #[serde(rename = "canUse", skip_serializing_if = "std::ops::Not::not")]
    can_use: bool,
    /// Whether whoever asks may change it.
    #[serde(rename = "canUpdate", skip_serializing_if = "std::ops::Not::not")]
    can_update: bool,
}

static WIDGETS: Descriptor = WIDGETS_AS_CONST;

/// What widgets are.
pub(super) fn widgets_descriptor() -> &'static Descriptor {
    &WIDGETS
}

const WIDGETS_AS_CONST: Descriptor = Descriptor {
    group: "example.io",
    version: "v1",
    kind: "Widget",
    list_kind: "WidgetList",
    plural: "widgets",
    singular: "widget",
    short_names: &["wi"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: &Verb::ALL,
    subresources: &[Subresource::Main, Subresource::Status],
    columns: &[
        Column { description: "The name.", ..Column::NAME },
        Column::integer("Size", "How many.", |widget, _| widget.at(&["spec", "size"]).cloned().unwrap_or(Value::Null)).wide(),
    ],
    selectable_fields: &[],
    extended: &[
        ExtendedField { verb: "use", path: &["status", "canUse"] },
        ExtendedField { verb: "update", path: &["status", "canUpdate"] },
    ],
};

#[derive(Debug)]
struct Widgets(Schema);

impl Resource for Widgets {
    fn descriptor(&self) -> &'static Descriptor {
        &WIDGETS
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    /// What a widget is for is shown to those who may change it, and why it is as it is to those who write that.
    fn private_parts(&self) -> &'static [PrivatePart] {
        const TEXT: PrivatePart = PrivatePart {
            verbs: &["update", "patch"],
            subresource: Subresource::Main,
            hide: |widget, _| _ = widget.0.get_mut("spec").and_then(Value::as_object_mut).and_then(|spec| spec.remove("text")),
        };
        const CAUSE: PrivatePart = PrivatePart {
            verbs: &["update"],
            subresource: Subresource::Status,
            hide: |widget, _| _ = widget.0.get_mut("status").and_then(Value::as_object_mut).and_then(|status| status.remove("cause")),
        };
        &[TEXT, CAUSE]
    }
}

static NAMESPACES: Descriptor = Descriptor {
    group: "",
    kind: "Namespace",
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    verbs: &[Verb::Get, Verb::List],
    subresources: &[],
    extended: &[],
    ..WIDGETS_AS_CONST
};

#[derive(Debug)]
struct Namespaces(Schema);

impl Resource for Namespaces {
    fn descriptor(&self) -> &'static Descriptor {
        &NAMESPACES
    }

    fn schema(&self) -> &Schema {
        &self.0
    }
}

/// Namespaces of which there is none.
#[derive(Debug)]
struct NoNamespaces(Arc<dyn Resource>);

impl VirtualCollection for NoNamespaces {
    fn resource(&self) -> &Arc<dyn Resource> {
        &self.0
    }

    fn audience(&self) -> Audience {
        Audience::Known
    }

    fn objects(&self, _caller: &Identity) -> Vec<Object> {
        Vec::new()
    }
}

/// Says how large a widget is: `GET widgets/NAME/size`.
#[derive(Debug)]
struct Sizes(Schema);

static SIZES: VirtualDescriptor = VirtualDescriptor {
    group: "example.io",
    version: "v1",
    kind: "WidgetSize",
    place: Place::Subresource { of: "widgets", name: "size", method: Method::Get },
    audience: Audience::Allowed,
};

#[async_trait]
impl VirtualResource for Sizes {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &SIZES
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let Widget { spec, .. } = asked.parent()?;
        Ok(json!({ "size": spec.size }))
    }
}

/// `Bearer NAME` is the user NAME; `Bearer wrong` is nobody, and `Bearer leaver` is somebody as long as this says so.
#[derive(Debug)]
struct Names(Arc<AtomicBool>);

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        match credentials.headers.get("authorization").map(|value| value.to_str().unwrap().trim_start_matches("Bearer ")) {
            None => Authentication::NotRequested,
            Some("leaver") if !self.0.load(Ordering::Relaxed) => Authentication::Failed("no such key any more".into()),
            Some("unsure") => Authentication::Undetermined("who knows tokens does not answer".into()),
            Some("wrong") => Authentication::Failed("no such key".into()),
            Some(name) => {
                let group = if name == "root" { GROUP_MASTERS } else { GROUP_AUTHENTICATED };
                let user = User { name: name.into(), groups: vec![group.into()], ..User::default() };
                Authentication::Authenticated(Identity::of_user(user))
            }
        }
    }
}

/// How it is decided about a user at this time.
pub(super) type Ruling = Arc<Mutex<fn() -> Decision>>;

/// admin, leaver and root, who is one of system:masters, may do everything, editor everything but create, drafter neither create nor write
/// a status, deleter and reader only that, panic
/// shows what a panic does; about ruled it is decided by the ruling, about trusted as well if they do not only read.
#[derive(Debug)]
struct Rules(Ruling);

#[async_trait]
impl Authorizer for Rules {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let core = matches!(&attributes.target, Target::Resource { resource, .. } if resource == "namespaces");
        let writes_status = matches!(&attributes.target, Target::Resource { subresource, .. } if subresource == "status")
            && !matches!(attributes.verb.as_str(), "get" | "list" | "watch");
        match attributes.identity.user.name.as_str() {
            "panic" => panic!("as the test wants"),
            _ if core => Decision::NoOpinion(String::new()),
            "admin" | "root" | "leaver" => Decision::Allow(ObjectFilter::All),
            "editor" if attributes.verb != "create" => Decision::Allow(ObjectFilter::All),
            "drafter" if attributes.verb != "create" && !writes_status => Decision::Allow(ObjectFilter::All),
            "reader" if matches!(attributes.verb.as_str(), "get" | "list" | "watch" | "use") => Decision::Allow(ObjectFilter::All),
            "deleter" if matches!(attributes.verb.as_str(), "delete" | "deletecollection") => Decision::Allow(ObjectFilter::All),
            "trusted" if matches!(attributes.verb.as_str(), "get" | "list" | "watch") => Decision::Allow(ObjectFilter::All),
            "denied" => Decision::Deny("by rule".into()),
            "ruled" | "trusted" => self.0.lock().unwrap()(),
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

#[derive(Debug)]
struct Check {
    name: &'static str,
    readiness_only: bool,
    answer: Result<(), String>,
}

#[async_trait]
impl HealthCheck for Check {
    fn name(&self) -> &str {
        self.name
    }

    fn readiness_only(&self) -> bool {
        self.readiness_only
    }

    async fn check(&self) -> Result<(), String> {
        self.answer.clone()
    }
}

/// Holds writes of widgets, which have begun then, until it is open.
#[derive(Debug)]
struct Gate(watch::Receiver<bool>);

#[async_trait]
impl Admission for Gate {
    async fn validate(&self, _: &RequestContext, _: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        self.0.clone().wait_for(|is_open| *is_open).await.map(drop).map_err(ApiError::internal)
    }
}

/// A server with widgets.
pub(super) struct Server {
    router: axum::Router,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) ruling: Ruling,
    pub(super) leaver_is_known: Arc<AtomicBool>,
    /// Callers of watches are looked at again when it changes.
    pub(super) access: watch::Sender<u64>,
    /// Whether writes that have begun go on.
    pub(super) gate: watch::Sender<bool>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// A server that is no further than this.
    pub(super) async fn start_in(phase: Phase) -> Self {
        Self::launch(phase, Vec::new()).await
    }

    /// A server with widgets and more kinds.
    pub(super) async fn start_with(more: Vec<Arc<dyn Resource>>) -> Self {
        Self::launch(Phase::Serving, more).await
    }

    async fn launch(phase: Phase, more: Vec<Arc<dyn Resource>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).unwrap());
        let stop = CancellationToken::new();
        let widgets: Arc<dyn Resource> = Arc::new(Widgets(Schema::of::<Widget>()));
        let (gate, is_open) = watch::channel(true);
        let mut registries = Vec::new();
        for resource in std::iter::once(widgets).chain(more) {
            let admission: Vec<Arc<dyn Admission>> = vec![Arc::new(Gate(is_open.clone()))];
            let registry = Registry::start(resource, Arc::clone(&store), admission, CacheConfig::standard(), stop.clone());
            registry.cache().ready().await;
            registries.push(registry);
        }
        let identities: Arc<dyn IdentityMapper> = Arc::new(Unmapped);
        let lifecycle = Arc::new(Lifecycle::new(phase));
        let ruling: Ruling = Arc::new(Mutex::new(|| Decision::NoOpinion(String::new())));
        let leaver_is_known = Arc::new(AtomicBool::new(true));
        let (access, access_changes) = watch::channel(0);
        let config = Config {
            registries,
            computed: [Arc::new(Sizes(Schema::of::<WidgetSpec>())) as Arc<dyn VirtualResource>]
                .into_iter()
                .chain(reviews::of_a_cluster(&identities))
                .collect(),
            authenticators: vec![Arc::new(Names(Arc::clone(&leaver_is_known)))],
            authorizers: vec![Arc::new(AlwaysAllowedPaths), Arc::new(Rules(Arc::clone(&ruling)))],
            access_generation: Some(access_changes.clone()),
            access_changes: Some(access_changes),
            identities,
            virtual_collections: vec![Arc::new(NoNamespaces(Arc::new(Namespaces(Schema::of::<Widget>()))))],
            checks: vec![
                Arc::new(Check { name: "store", readiness_only: false, answer: Ok(()) }),
                Arc::new(Check { name: "warm", readiness_only: true, answer: Err("still cold".into()) }),
            ],
            prefix: "/some/prefix".into(),
            pages: Vec::new(),
            proxies: vec![Arc::new(Elsewhere)],
            observer: None,
            lifecycle: Arc::clone(&lifecycle),
            limits: Limits { body: 100_000, request_timeout: Duration::from_secs(20), ..Limits::standard() },
            version: "0.1.0".into(),
            product_version: Some("v4.5.6"),
        };
        Self { router: router(config), lifecycle, ruling, leaver_is_known, access, gate, stop, _folder: folder }
    }

    /// Sends a request as it is.
    pub(super) async fn raw(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request as admin. `headers` may name another `authorization`; an empty one sends none.
    pub(super) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let response = self.open(method, path, headers, body).await;
        Answer::read(response).await
    }

    pub(super) async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", "Bearer admin");
        }
        for (name, value) in headers.iter().filter(|(name, value)| !(*name == "authorization" && value.is_empty())) {
            request = request.header(*name, *value);
        }
        self.raw(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Body::empty()).await
    }

    pub(super) async fn create(&self, name: &str) -> Value {
        let body = json!({ "metadata": { "name": name, "labels": { "app": name } }, "spec": { "size": 1 } });
        let answer = self.send("POST", COLLECTION, &[], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
    pub(super) text: String,
}

impl Answer {
    pub(super) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Code, reason and message of a `Status`.
    pub(super) fn failure(&self) -> (u16, String, String) {
        let status = self.json();
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(self.status.as_u16())), "{}", self.text);
        (self.status.as_u16(), status["reason"].as_str().unwrap().into(), status["message"].as_str().unwrap().into())
    }
}

/// A watch that is read frame by frame.
pub(super) struct Watching {
    pieces: BodyDataStream,
    rest: Vec<u8>,
}

impl Watching {
    pub(super) fn new(response: Response) -> Self {
        Self { pieces: response.into_body().into_data_stream(), rest: Vec::new() }
    }

    /// The next frame.
    pub(super) async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.pieces.next()).await.unwrap().unwrap().unwrap();
            self.rest.extend_from_slice(&piece);
        }
    }
}
