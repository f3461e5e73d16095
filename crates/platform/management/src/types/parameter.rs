//! What whoever uses a template can choose.

use super::is_false;
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::{FieldError, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The types of a parameter's value.
const TYPES: [&str; 5] = ["boolean", "multiline", "number", "password", "string"];

/// One thing that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AppParameter"))]
pub struct AppParameter {
    /// The name that the template knows it by; dots lead into maps, as in `ingress.enabled`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variable: String,
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The type of the value: `string` (or empty), `multiline`, `password`, `boolean` or `number`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    /// The values that are allowed; any, when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Whether a value must be given.
    #[serde(skip_serializing_if = "is_false")]
    pub required: bool,
    /// The value when none is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_value: String,
    /// What a form shows in place of a value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub placeholder: String,
    /// A regular expression that the value must not match.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub invalidation: String,
    /// A regular expression that the value must match.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub validation: String,
    /// The part of a form that it stands in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub section: String,
}

/// Every parameter has a variable of its own, and a type that there is.
pub(crate) fn parameter_errors(parameters: &[AppParameter], path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut variables = BTreeSet::new();
    for (index, parameter) in parameters.iter().enumerate() {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let path = path.index(index);
        let (variable, at) = (parameter.variable.as_str(), path.child("variable"));
        if variable.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if !is_variable(variable) {
            errors.push(FieldError::invalid(&at, variable, "must be names separated by dots, such as ingress.enabled"));
        } else if !variables.insert(variable) {
            errors.push(FieldError::duplicate(&at, variable));
        }
        if !parameter.r#type.is_empty() && !TYPES.contains(&parameter.r#type.as_str()) {
            errors.push(FieldError::not_supported(&path.child("type"), parameter.r#type.as_str(), &TYPES));
        }
        if let (Some(min), Some(max)) = (parameter.min, parameter.max)
            && min > max
        {
            errors.push(FieldError::invalid(&path.child("max"), max, format!("must be greater than or equal to min, {min}")));
        }
    }
    errors
}

/// Names separated by dots, without white space: each leads one map deeper into the parameters' YAML.
fn is_variable(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn bad_parameters_are_refused() {
        let table = [
            (json!([]), vec![]),
            (
                json!([{"variable": "size", "type": "number", "min": 1, "max": 1}, {"variable": "ingress.enabled", "type": "boolean"}, {"variable": "my-text"}]),
                vec![],
            ),
            (json!([{"type": "string"}]), vec!["p[0].variable: Required value"]),
            (
                json!([{"variable": "a..b"}, {"variable": ".a"}, {"variable": "a b"}]),
                vec![
                    "p[0].variable: Invalid value: \"a..b\": must be names separated by dots, such as ingress.enabled",
                    "p[1].variable: Invalid value: \".a\": must be names separated by dots, such as ingress.enabled",
                    "p[2].variable: Invalid value: \"a b\": must be names separated by dots, such as ingress.enabled",
                ],
            ),
            (json!([{"variable": "a"}, {"variable": "a"}]), vec!["p[1].variable: Duplicate value: \"a\""]),
            (
                json!([{"variable": "a", "type": "integer"}]),
                vec![
                    "p[0].type: Unsupported value: \"integer\": supported values: \"boolean\", \"multiline\", \"number\", \"password\", \"string\"",
                ],
            ),
            (json!([{"variable": "a", "min": 2, "max": 1}]), vec!["p[0].max: Invalid value: 1: must be greater than or equal to min, 2"]),
        ];
        for (parameters, want) in table {
            let parameters: Vec<AppParameter> = serde_json::from_value(parameters).unwrap();
            let errors: Vec<_> = parameter_errors(&parameters, &FieldPath::new("p")).iter().map(ToString::to_string).collect();
            assert_eq!(errors, want, "{parameters:?}");
        }
    }
}
