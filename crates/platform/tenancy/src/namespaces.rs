//! `/api/v1/namespaces` where no cluster stands behind the server: the projects' namespaces that the caller may see. Clients ask
//! for it, kubectl above all, to tell a missing object from a missing namespace.

use crate::directory::{Directory, NamespaceRecord};
use apiserver_auth::Identity;
use apiserver_endpoints::VirtualCollection;
use apiserver_meta::resource::SelectableField;
use apiserver_meta::schema::{Field, MapMerge, Presence, Shape};
use apiserver_meta::types::ObjectMeta;
use apiserver_meta::virtual_resource::Audience;
use apiserver_meta::{Column, Descriptor, Object, Resource, Schema, Scope, Verb};
use serde_json::json;
use std::sync::Arc;

/// The descriptor of namespaces.
static DESCRIPTOR: Descriptor = Descriptor {
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
        Column { description: "The name of the namespace.", ..Column::NAME },
        Column::text("Status", "The phase of the namespace.", |namespace, _| namespace.str_at(&["status", "phase"]).into()),
        Column { r#type: "string", description: "How long ago the namespace was created.", ..Column::AGE },
    ],
    selectable_fields: &[SelectableField { label: "status.phase", path: &["status", "phase"] }],
    extended: &[],
};

/// The projects' namespaces.
#[derive(Debug)]
pub(crate) struct Namespaces {
    directory: Arc<Directory>,
    resource: Arc<dyn Resource>,
}

impl Namespaces {
    /// Those of the projects in this directory.
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self { directory, resource: Arc::new(NamespaceKind { schema: schema() }) }
    }
}

impl VirtualCollection for Namespaces {
    fn resource(&self) -> &Arc<dyn Resource> {
        &self.resource
    }

    fn audience(&self) -> Audience {
        Audience::Known
    }

    fn objects(&self, caller: &Identity) -> Vec<Object> {
        self.directory.namespaces(caller).iter().map(object).collect()
    }
}

/// The label that every namespace of a cluster has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The label that ties a namespace to its project.
const PROJECT_LABEL: &str = "loft.sh/project";

fn object(namespace: &NamespaceRecord) -> Object {
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
    // It is a JSON object as it stands here.
    Object::from_value(object).unwrap_or_default()
}

/// Namespaces as a kind, as far as printing and OpenAPI need one.
#[derive(Debug)]
struct NamespaceKind {
    schema: Schema,
}

/// The schema of namespaces.
fn schema() -> Schema {
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

impl Resource for NamespaceKind {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }
}
