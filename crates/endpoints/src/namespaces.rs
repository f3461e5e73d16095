//! `/api/v1/namespaces` where no cluster stands behind the server: the projects' namespaces that the caller
//! may see. Clients ask for it, kubectl above all, to tell a missing object from a missing namespace. Read only.

use crate::app::App;
use crate::dispatch::no_such_method;
use crate::negotiation::{self, Offer};
use crate::query::Query;
use crate::render::{Columns, Renderer};
use crate::request_info::{PathForm, RequestInfo, ResourceInfo};
use crate::respond::Wire;
use crate::selectable::list_options;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};
use std::sync::Arc;
use vci_auth::Identity;
use vci_auth::directory::NamespaceRecord;
use vci_meta::error::GroupResource;
use vci_meta::options::ListOptions;
use vci_meta::resource::SelectableField;
use vci_meta::schema::{Field, MapMerge, Presence, Shape};
use vci_meta::types::ObjectMeta;
use vci_meta::{ApiError, Column, Descriptor, Object, Resource, Schema, Scope, Verb};

/// What discovery says of namespaces.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    group: "",
    version: "v1",
    kind: "Namespace",
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    scope: Scope::Cluster,
    verbs: &[Verb::Get, Verb::List],
    subresources: &[],
    columns: &[
        Column { name: "Name", r#type: "string", format: "name", description: "The name of the namespace.", priority: 0 },
        Column { name: "Status", r#type: "string", format: "", description: "The phase of the namespace.", priority: 0 },
        Column { name: "Age", r#type: "string", format: "", description: "How long ago the namespace was created.", priority: 0 },
    ],
    selectable_fields: &[SelectableField { label: "status.phase", path: &["status", "phase"] }],
    extended: &[],
};

pub(crate) fn serve(app: &App, parts: &Parts, info: &RequestInfo, resource: &ResourceInfo) -> Result<Response, ApiError> {
    let directory = app.config.namespaces.as_ref().ok_or_else(ApiError::no_such_path)?;
    let identity = parts.extensions.get::<Identity>().ok_or_else(ApiError::unauthorized)?;
    let query = Query(parts.uri.query().unwrap_or(""));
    let representation = negotiation::negotiate(&parts.headers, query, Offer::Objects)?;
    let namespaces = directory.namespaces(identity);
    let kind: Arc<dyn Resource> = Arc::new(Namespaces::new());
    let wire = Wire::new(representation, &parts.headers);
    match (&*info.verb, resource.form, resource.subresource.as_str()) {
        ("list", PathForm::Collection, "") => {
            let options = list_options(&DESCRIPTOR, query)?;
            list(&namespaces, &options, &Renderer::of_list(representation.target, &kind)?, wire)
        }
        ("get", PathForm::Object, "") => {
            let found = namespaces.iter().find(|namespace| namespace.name == resource.name);
            let found = found.ok_or_else(|| ApiError::not_found(GroupResource { group: "", resource: "namespaces" }, &resource.name))?;
            let mut json = Vec::new();
            Renderer::of_object(representation.target, &kind)?.object(&object(found), Columns::Shown, &mut json);
            Ok(wire.send(StatusCode::OK, json))
        }
        (_, PathForm::Collection | PathForm::Object, "") => Err(no_such_method()),
        _ => Err(ApiError::no_such_path()),
    }
}

fn list(namespaces: &[NamespaceRecord], options: &ListOptions, renderer: &Renderer, wire: Wire) -> Result<Response, ApiError> {
    let newest = namespaces.iter().filter_map(|namespace| namespace.resource_version.parse::<u64>().ok()).max().unwrap_or(1);
    let mut json = renderer.list_head(&DESCRIPTOR, &json!({ "resourceVersion": newest.to_string() }));
    for (place, namespace) in namespaces.iter().filter(|namespace| selected(namespace, options)).enumerate() {
        if place > 0 {
            json.push(b',');
        }
        renderer.item(&object(namespace), &mut json);
    }
    json.extend_from_slice(b"]}");
    Ok(wire.send(StatusCode::OK, json))
}

/// The label that every namespace of a cluster has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The label that ties a namespace to its project.
const PROJECT_LABEL: &str = "loft.sh/project";

fn selected(namespace: &NamespaceRecord, options: &ListOptions) -> bool {
    let labels = [(NAME_LABEL.to_owned(), namespace.name.clone()), (PROJECT_LABEL.to_owned(), namespace.project.clone())];
    let field = |name: &str| match name {
        "metadata.name" => Some(namespace.name.as_str()),
        "status.phase" => Some("Active"),
        _ => None,
    };
    options.labels.matches(&labels) && options.fields.matches(field)
}

fn object(namespace: &NamespaceRecord) -> Vec<u8> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "creationTimestamp": namespace.creation_timestamp,
            "labels": { NAME_LABEL: namespace.name, PROJECT_LABEL: namespace.project },
            "name": namespace.name,
            "resourceVersion": namespace.resource_version,
            "uid": namespace.uid,
        },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    });
    serde_json::to_vec(&object).unwrap_or_default()
}

/// Namespaces as a kind, as far as printing and OpenAPI need one.
#[derive(Debug)]
struct Namespaces {
    schema: Schema,
}

impl Namespaces {
    fn new() -> Self {
        Self { schema: schema() }
    }
}

/// What OpenAPI says of namespaces.
pub(crate) fn schema() -> Schema {
    let field = |schema: Schema, description: &str| Field {
        schema: Arc::new(schema),
        description: description.into(),
        presence: Presence::OmitZero,
        required: false,
        default: None,
    };
    let text = || plain(Shape::String { format: None, allowed: Vec::new() });
    let fields = [
        ("apiVersion", field(text(), "The version of this form.")),
        ("kind", field(text(), "The kind of this form.")),
        ("metadata", field(Schema::of::<ObjectMeta>(), "Metadata that every object has.")),
        ("spec", field(plain(Shape::Any), "What is wanted of the namespace.")),
        ("status", field(plain(Shape::Any), "How the namespace is.")),
    ];
    Schema {
        description: "The namespace of a project: what holds the project's objects.".into(),
        shape: Shape::Object { fields: fields.map(|(name, field)| (name.to_owned(), field)).into(), merge: MapMerge::Granular },
        component: Some("io.k8s.api.core.v1.Namespace".into()),
    }
}

fn plain(shape: Shape) -> Schema {
    Schema { description: String::new(), shape, component: None }
}

impl Resource for Namespaces {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let created: Option<jiff::Timestamp> = object.meta_str("creationTimestamp").parse().ok();
        let age = created.map_or_else(|| "<unknown>".to_owned(), |created| vci_meta::duration::human(now - created.as_second()));
        vec![object.name().into(), object.str_at(&["status", "phase"]).into(), age.into()]
    }
}
