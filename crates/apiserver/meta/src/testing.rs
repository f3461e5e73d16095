//! Kinds for tests of the library: namespaced books, and shelves and readers of the whole cluster. And [`cost`]: processor time.

use crate::column::Column;
use crate::resource::{Descriptor, Resource, Scope, SelectableField, Subresource, Verb};
use crate::{Object, Schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub mod cost;

/// The API group of all.
pub const GROUP: &str = "library.example.com";

/// Queries of a GET of a collection, and whether they make it a watch. Only no value at all, `0` and `false` do not, and the first
/// value counts. Upstream: `Convert_Slice_string_To_bool`.
pub const WATCH_QUERIES: [(&str, bool); 15] = [
    ("", false),
    ("watch", true),
    ("watch=", true),
    ("watch=1", true),
    ("watch=true", true),
    ("watch=f", true),
    ("watch=no", true),
    ("watch=1&watch=0", true),
    ("limit=5&watch=1", true),
    ("%77atch=1", true),
    ("watch=0", false),
    ("watch=false", false),
    ("watch=FALSE", false),
    ("watch=0&watch=1", false),
    ("labelSelector=watch%3Dtrue", false),
];

/// The resource `books`.
pub fn books() -> Arc<dyn Resource> {
    Arc::new(Kind { descriptor: &BOOK, schema: &BOOK_SCHEMA, conceal: None })
}

/// The resource `shelves`.
pub fn shelves() -> Arc<dyn Resource> {
    Arc::new(Kind { descriptor: &SHELF, schema: &SHELF_SCHEMA, conceal: None })
}

/// The resource `readers`, whose notes are secret.
pub fn readers() -> Arc<dyn Resource> {
    Arc::new(Kind { descriptor: &READER, schema: &READER_SCHEMA, conceal: Some(forget_notes) })
}

/// All of them.
pub fn resources() -> Vec<Arc<dyn Resource>> {
    vec![books(), readers(), shelves()]
}

/// What is wanted of a book or a shelf: one field of every sort.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.library.v1.Spec"))]
struct Spec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    display_name: String,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// How many pages there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<i64>,
    /// Whether it may be lent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lent: bool,
    /// Whose it is.
    owner: Owner,
    /// Words about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    tags: Vec<String>,
    /// Who reads it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    access: Vec<Access>,
    /// Notes by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    notes: BTreeMap<String, String>,
}

/// Who has it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Owner {
    /// A user.
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    /// A team.
    #[serde(skip_serializing_if = "String::is_empty")]
    team: String,
}

/// What some may do with it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Access {
    /// The verbs.
    verbs: Vec<String>,
    /// The users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
}

/// What is known of it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-component" = "com.example.library.v1.Status"))]
struct Status {
    /// Where it is in its life.
    #[serde(skip_serializing_if = "String::is_empty")]
    phase: String,
    /// What is known of single aspects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    conditions: Vec<Condition>,
}

/// One aspect.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Condition {
    /// Its name.
    r#type: String,
    /// `True`, `False` or `Unknown`.
    status: String,
}

const BOOKS: Descriptor = Descriptor {
    group: GROUP,
    version: "v1",
    kind: "Book",
    list_kind: "BookList",
    plural: "books",
    singular: "book",
    short_names: &["bk"],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: &Verb::ALL,
    subresources: &[Subresource::Main, Subresource::Status],
    columns: &[Column { description: "The name.", ..Column::NAME }],
    selectable_fields: &[
        SelectableField { label: "spec.owner.user", path: &["spec", "owner", "user"] },
        SelectableField { label: "status.phase", path: &["status", "phase"] },
    ],
    extended: &[],
};
static BOOK: Descriptor = BOOKS;
static SHELF: Descriptor = Descriptor {
    kind: "Shelf",
    list_kind: "ShelfList",
    plural: "shelves",
    singular: "shelf",
    short_names: &["sh"],
    scope: Scope::Cluster,
    ..BOOKS
};
static READER: Descriptor = Descriptor {
    kind: "Reader",
    list_kind: "ReaderList",
    plural: "readers",
    singular: "reader",
    short_names: &["rd"],
    scope: Scope::Cluster,
    ..BOOKS
};
static BOOK_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::kind::<Spec, Status>("com.example.library.v1.Book", "Something to read."));
static SHELF_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::kind::<Spec, Status>("com.example.library.v1.Shelf", "Where books stand."));
static READER_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::kind::<Spec, Status>("com.example.library.v1.Reader", "Somebody who reads."));

#[derive(Debug)]
struct Kind {
    descriptor: &'static Descriptor,
    schema: &'static LazyLock<Schema>,
    conceal: Option<fn(&mut Object)>,
}

impl Resource for Kind {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    fn schema(&self) -> &Schema {
        self.schema
    }

    fn conceal(&self) -> Option<fn(&mut Object)> {
        self.conceal
    }
}

fn forget_notes(object: &mut Object) {
    if let Some(Value::Object(spec)) = object.0.get_mut("spec") {
        spec.remove("notes");
    }
}
