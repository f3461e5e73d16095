//! `vci-apiserver render`: what an instance would get from a template, for authors of templates. Without a cluster, and by the
//! same code as the controller.

use super::parameters::{self, Filled, set_text};
use super::values::{InstanceFacts, values};
use super::version::{Applied, resolve};
use super::{render, settings};
use crate::helm::{Helm, Limits};
use apiserver_meta::Object;
use apiserver_meta::decode::{Parsed, conform, parse_yaml, parse_yaml_as, strict_warnings};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use vci_management::virtualclusterinstance::{TemplateRef, VirtualClusterInstanceSpec};
use vci_management::virtualclustertemplate::VirtualClusterTemplate;

/// What to render, and for which instance.
#[derive(Clone, Debug, Default)]
pub struct RenderOptions {
    /// A file with a VirtualClusterTemplate.
    pub template: PathBuf,
    /// The version of the template, as in `spec.templateRef.version`.
    pub version: String,
    /// A file with parameters, as in `spec.parameters`.
    pub parameters: Option<PathBuf>,
    /// Single parameters, each `NAME=VALUE`; they win over those of the file.
    pub set: Vec<String>,
    /// The facts of the instance.
    pub facts: InstanceFacts,
    /// The helm program.
    pub helm: PathBuf,
}

/// What was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The definition, as YAML.
    pub yaml: String,
    /// Mistakes that do not prevent it, one a line: unknown fields and parameters.
    pub warnings: Vec<String>,
}

/// Renders a template.
///
/// # Errors
/// It cannot be read or rendered, in one line.
pub async fn render_command(options: &RenderOptions) -> Result<Rendered, String> {
    let (template, mut warnings) = read_template(options)?;
    let name = template.metadata.name.clone();
    let reference =
        TemplateRef { name: if name.is_empty() { "template".into() } else { name }, version: options.version.clone(), sync_once: false };
    let spec = VirtualClusterInstanceSpec { template_ref: Some(reference), ..VirtualClusterInstanceSpec::default() };
    let found = resolve(&spec, Some(&template), Applied::Nothing).map_err(|error| one_line(&error.message))?;
    let filled = parameters::fill(&read_parameters(options)?, found.parameters).map_err(|error| one_line(&error.message))?;
    let Filled { values: given, unknown, .. } = filled;
    warnings.extend(unknown.iter().map(|name| format!("the template declares no parameter {name}")));
    let helm = Helm::new(options.helm.clone(), Limits::default()).await.map_err(|error| one_line(&error.to_string()))?;
    let values = values(given, &options.facts);
    let definition = render::definition(&helm, found.definition, &values).await.map_err(|error| one_line(&error.message))?;
    settings::read(&definition.helm_release.values).map_err(|error| one_line(&error.message))?;
    let yaml = serde_yaml::to_string(&definition).map_err(|error| one_line(&error.to_string()))?;
    Ok(Rendered { yaml, warnings })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read_template(options: &RenderOptions) -> Result<(VirtualClusterTemplate, Vec<String>), String> {
    let path = options.template.display();
    let bytes = std::fs::read(&options.template).map_err(|error| format!("cannot read {path}: {error}"))?;
    let resource = vci_management::virtual_cluster_templates();
    let Parsed { value, duplicates } = parse_yaml_as(&bytes, resource.schema()).map_err(|error| format!("{path}: {error}"))?;
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind != resource.descriptor().kind {
        return Err(format!("{path} must hold a VirtualClusterTemplate, not {:?}", kind.chars().take(100).collect::<String>()));
    }
    let conformed = conform(value, resource.schema()).map_err(|error| format!("{path}: {error}"))?;
    let warnings = strict_warnings(&conformed.unknown, &duplicates);
    let object = Object::from_value(conformed.value).ok_or_else(|| format!("{path} must hold an object"))?;
    if let Some(error) = resource.validate(&object).first() {
        return Err(one_line(&format!("{path}: {error}")));
    }
    let template = VirtualClusterTemplate::of(&object).map_err(|error| one_line(&format!("{path}: {error}")))?;
    Ok((template, warnings))
}

/// The text that an instance would have.
fn read_parameters(options: &RenderOptions) -> Result<String, String> {
    let text = match &options.parameters {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        None => String::new(),
    };
    if options.set.is_empty() {
        return Ok(text);
    }
    let parsed = parse_yaml(text.as_bytes()).map_err(|error| error.to_string())?;
    let mut map = match parsed.value {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err("the parameters must be a map in YAML, such as \"size: large\"".into()),
    };
    for entry in &options.set {
        let (name, value) = entry.split_once('=').ok_or_else(|| format!("{entry:?} must be NAME=VALUE"))?;
        if name.is_empty() || !set_text(&mut map, name, value) {
            return Err(format!("{name:?} cannot be set: something else is there"));
        }
    }
    Ok(json!(map).to_string())
}
