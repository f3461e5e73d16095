//! VirtualClusterTemplate: what virtual clusters are made from, with parameters, and in versions.
//!
//! An instance names a template in `spec.templateRef`; whoever makes the virtual cluster finds the version and fills in the
//! parameters. Here a template is kept, not rendered.

use crate::columns::{self, text, text_at};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, TEMPLATE_RULES, access_of, definition_errors, keep_owner, semantic_version};
use crate::types::{Access, AppParameter, EntityInfo, Typed, UserOrTeam, VirtualClusterTemplateDefinition, parameter_errors};
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::{Column, FieldError, FieldPath, Object, Resource};
use schemars::JsonSchema;
use semver::{BuildMetadata, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// A VirtualClusterTemplate as Rust types.
pub type VirtualClusterTemplate = Typed<VirtualClusterTemplateSpec, VirtualClusterTemplateStatus>;

/// What virtual clusters are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterTemplateSpec"))]
pub struct VirtualClusterTemplateSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the template is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that owns the template and may do everything with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// What virtual clusters are made from, where the template has no versions.
    pub template: VirtualClusterTemplateDefinition,
    /// What whoever uses the template can choose, where it has no versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<AppParameter>,
    /// The versions of the template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<TemplateVersion>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// The template of the namespace that hosts the virtual cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_template_ref: Option<SpaceTemplateRef>,
}

/// One version of a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterTemplateVersion"))]
pub struct TemplateVersion {
    /// What virtual clusters are made from.
    pub template: VirtualClusterTemplateDefinition,
    /// What whoever uses this version can choose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<AppParameter>,
    /// A semantic version, such as `1.2.0`, that no other entry has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// The template of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SpaceTemplateRef"))]
pub struct SpaceTemplateRef {
    /// The name of the SpaceTemplate object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What is known of a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterTemplateStatus"))]
pub struct VirtualClusterTemplateStatus {
    /// The apps that the template names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<EntityInfo>,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("Version", "The highest version.", |template, _| {
        text(highest_version(template).map(|version| version.to_string()).unwrap_or_default())
    }),
    columns::owner("The user or the team that owns the template."),
    Column::AGE,
    Column::text("Description", "What the template is for.", |template, _| text_at(template, &["spec", "description"])).wide(),
];

/// The resource `virtualclustertemplates`.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClusterTemplates;

impl Resource for VirtualClusterTemplates {
    stored_kind! {
        types: VirtualClusterTemplateSpec, VirtualClusterTemplateStatus;
        description: "What virtual clusters are made from, with parameters, and in versions.";
        descriptor: {
            kind: "VirtualClusterTemplate",
            plural: crate::plural::TEMPLATES,
            singular: "virtualclustertemplate",
            columns: COLUMNS,
        };
        size_limits: &[ACCESS, TEMPLATE_RULES];
        errors: spec_errors;
        access: access_of;
        keeps: keep_owner;
    }
}

fn spec_errors(spec: &VirtualClusterTemplateSpec, path: &FieldPath, _template: &Object) -> Vec<FieldError> {
    let mut errors = definition_errors(&spec.template, &path.child("template"));
    errors.extend(parameter_errors(&spec.parameters, &path.child("parameters")));
    errors.extend(version_errors(&spec.versions, &path.child("versions")));
    errors
}

/// Versions can be told apart and compared, and what each is made from can be made.
fn version_errors(versions: &[TemplateVersion], path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, entry) in versions.iter().enumerate() {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let path = path.index(index);
        let (text, at) = (entry.version.as_str(), path.child("version"));
        // What comes behind a + makes no other version (semver.org, item 10).
        match semantic_version(text).map(|version| Version { build: BuildMetadata::EMPTY, ..version }) {
            _ if text.is_empty() => errors.push(FieldError::required(&at, "")),
            None => errors.push(FieldError::invalid(&at, text, "must be a semantic version, such as 1.2.0")),
            Some(version) => errors.extend((!seen.insert(version)).then(|| FieldError::duplicate(&at, text))),
        }
        errors.extend(definition_errors(&entry.template, &path.child("template")));
        errors.extend(parameter_errors(&entry.parameters, &path.child("parameters")));
    }
    errors
}

fn highest_version(object: &Object) -> Option<Version> {
    let versions = object.at(&["spec", "versions"]).and_then(Value::as_array).into_iter().flatten();
    versions.filter_map(|entry| semantic_version(entry.get("version")?.as_str()?)).max()
}
