//! A kind of your own, whole: its types, its rules, and a server.
//!
//! ```text
//! cargo run -p apiserver-registry --example widget
//! kubectl --server http://127.0.0.1:8080 explain widgets.spec
//! ```
//!
//! That it keeps the promises of every kind is shown by the suite in `tests/widget.rs`.

use apiserver_auth::{Attributes, Authorizer, Decision, Unmapped};
use apiserver_endpoints::{Config, Lifecycle, Limits, Phase};
use apiserver_meta::{
    Column, Descriptor, FieldError, FieldPath, Object, ObjectFilter, RequestContext, Resource, Schema, Scope, Subresource, Verb,
};
use apiserver_registry::{CacheConfig, Registry};
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is wanted of a widget. The comments are what `kubectl explain` shows.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.WidgetSpec"))]
struct WidgetSpec {
    /// How wide it is, in millimetres; 10 when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<i64>,
    /// What it is made of.
    #[serde(skip_serializing_if = "String::is_empty")]
    material: String,
}

/// What is known of a widget.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.WidgetStatus"))]
struct WidgetStatus {
    /// Where it is in its life.
    #[serde(skip_serializing_if = "String::is_empty")]
    phase: String,
}

static DESCRIPTOR: Descriptor = Descriptor {
    group: "example.com",
    version: "v1",
    kind: "Widget",
    list_kind: "WidgetList",
    plural: "widgets",
    singular: "widget",
    short_names: &["wd"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: &Verb::ALL,
    subresources: &[Subresource::Main, Subresource::Status],
    columns: &[
        Column::NAME,
        Column::integer("Width", "How wide it is.", |widget, _| widget.at(&["spec", "width"]).cloned().unwrap_or_default()),
        Column::text("Phase", "Where it is in its life.", |widget, _| widget.str_at(&["status", "phase"]).into()),
    ],
    selectable_fields: &[],
    extended: &[],
};

/// The resource `widgets`.
#[derive(Debug)]
pub struct Widgets(Schema);

impl Default for Widgets {
    /// With a schema derived from the types.
    fn default() -> Self {
        Self(Schema::kind::<WidgetSpec, WidgetStatus>("com.example.v1.Widget", "Something with a width."))
    }
}

impl Resource for Widgets {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, object: &mut Object) {
        if let Some(Value::Object(spec)) = object.0.get_mut("spec") {
            spec.entry("width").or_insert(10.into());
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let width = object.at(&["spec", "width"]).and_then(Value::as_i64).unwrap_or(10);
        let path = FieldPath::new("spec").child("width");
        if width > 0 { Vec::new() } else { vec![FieldError::invalid(&path, width, "must be greater than 0")] }
    }
}

/// Everybody may do everything, which is right on a loopback address only.
#[derive(Debug)]
struct Everybody;

#[async_trait]
impl Authorizer for Everybody {
    async fn authorize(&self, _attributes: &Attributes) -> Decision {
        Decision::Allow(ObjectFilter::All)
    }
}

/// The API of widgets over any store.
pub async fn serve(store: Arc<dyn Store>, stop: CancellationToken) -> axum::Router {
    let widgets = Registry::start(Arc::new(Widgets::default()), store, Vec::new(), CacheConfig::standard(), stop);
    widgets.cache().ready().await;
    apiserver_endpoints::router(Config {
        registries: vec![widgets],
        computed: Vec::new(),
        authenticators: Vec::new(),
        authorizers: vec![Arc::new(Everybody)],
        access_changes: None,
        access_generation: None,
        identities: Arc::new(Unmapped),
        virtual_collections: Vec::new(),
        checks: Vec::new(),
        prefix: String::new(),
        lifecycle: Arc::new(Lifecycle::new(Phase::Serving)),
        limits: Limits::standard(),
        pages: Vec::new(),
        observer: None,
        version: "0.1.0".into(),
        product_version: None,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = EmbeddedStore::open("widgets.db", &EmbeddedConfig::standard())?;
    let router = serve(Arc::new(store), CancellationToken::new()).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    Ok(axum::serve(listener, router).await?)
}
