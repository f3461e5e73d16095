//! The kind `Widget`: its types, its rules, and its columns in a table.

use apiserver::meta::{Column, Descriptor, FieldError, FieldPath, Object, RequestContext, Resource, Schema, Scope, Subresource, Verb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

// Doc comments are what `kubectl explain` shows.
/// The desired state of a widget.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.WidgetSpec"))]
struct WidgetSpec {
    /// The width in millimetres. Defaults to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<i64>,
    /// The material, such as brass.
    #[serde(skip_serializing_if = "String::is_empty")]
    material: String,
}

/// The observed state of a widget.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "com.example.v1.WidgetStatus"))]
struct WidgetStatus {
    /// The stage of production.
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
        Column::integer("Width", "The width in millimetres.", |widget, _| widget.at(&["spec", "width"]).cloned().unwrap_or_default()),
        Column::text("Phase", "The stage of production.", |widget, _| widget.str_at(&["status", "phase"]).into()),
        Column::AGE,
    ],
    selectable_fields: &[],
    extended: &[],
};

/// The resource `widgets`.
#[derive(Debug)]
pub struct Widgets(Schema);

impl Default for Widgets {
    /// Derives the schema from the types.
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
