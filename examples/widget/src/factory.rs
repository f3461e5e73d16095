//! The kind `Factory`, which belongs to no namespace: a second kind is a second file.

use apiserver::meta::{Column, Descriptor, FieldError, FieldPath, Object, Resource, Schema, Scope, Subresource, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The desired state of a factory.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.FactorySpec"))]
struct FactorySpec {
    /// The city in which it stands. A factory does not move.
    #[serde(skip_serializing_if = "String::is_empty")]
    city: String,
    /// The number of machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    machines: Option<i64>,
}

/// The observed state of a factory.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.FactoryStatus"))]
struct FactoryStatus {
    /// The number of machines that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<i64>,
}

static DESCRIPTOR: Descriptor = Descriptor {
    group: "example.com",
    version: "v1",
    kind: "Factory",
    list_kind: "FactoryList",
    plural: "factories",
    singular: "factory",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: &Verb::ALL,
    subresources: &[Subresource::Main, Subresource::Status],
    columns: &[Column::NAME, Column::text("City", "The city in which it stands.", |factory, _| city(factory).into()), Column::AGE],
    selectable_fields: &[],
    extended: &[],
};

/// The resource `factories`.
#[derive(Debug)]
pub struct Factories(Schema);

impl Default for Factories {
    /// Derives the schema from the types.
    fn default() -> Self {
        Self(Schema::kind::<FactorySpec, FactoryStatus>("com.example.v1.Factory", "A place where widgets are made."))
    }
}

fn city(object: &Object) -> &str {
    object.str_at(&["spec", "city"])
}

impl Resource for Factories {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let path = FieldPath::new("spec").child("city");
        if city(object).is_empty() { vec![FieldError::required(&path, "")] } else { Vec::new() }
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let path = FieldPath::new("spec").child("city");
        if city(object) == city(old) { Vec::new() } else { vec![FieldError::invalid(&path, city(object), "field is immutable")] }
    }
}
