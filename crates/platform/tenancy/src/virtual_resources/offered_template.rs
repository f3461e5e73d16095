//! A template as it is offered to those who may choose it and not read it.
//!
//! Shown is what is chosen by: names, descriptions, the numbers of versions, and parameters. What a virtual cluster is made from is
//! not: values, charts and manifests hold passwords, and access rules name people. The fields that are shown are listed here, so
//! that what a template gets in future is not, until somebody says so.

use super::objects::json;
use apiserver_meta::types::ObjectMeta;
use apiserver_meta::{ApiError, Resource};
use serde_json::Value;
use vci_management::types::AppParameter;
use vci_management::virtualclustertemplate::{
    TemplateVersion, VirtualClusterTemplate, VirtualClusterTemplateSpec, VirtualClusterTemplates,
};

/// The part of a template that members see, as JSON.
pub(super) fn offered(template: VirtualClusterTemplate) -> Result<Value, ApiError> {
    let VirtualClusterTemplate { metadata, spec, .. } = template;
    // Annotations are left out: kubectl keeps the whole object in one.
    let ObjectMeta { name, uid, resource_version, generation, creation_timestamp, labels, .. } = metadata;
    let version = |entry: TemplateVersion| TemplateVersion {
        version: entry.version,
        parameters: choices(entry.parameters),
        ..TemplateVersion::default()
    };
    let shown = VirtualClusterTemplate {
        metadata: ObjectMeta { name, uid, resource_version, generation, creation_timestamp, labels, ..ObjectMeta::default() },
        spec: VirtualClusterTemplateSpec {
            display_name: spec.display_name,
            description: spec.description,
            parameters: choices(spec.parameters),
            versions: spec.versions.into_iter().map(version).collect(),
            ..VirtualClusterTemplateSpec::default()
        },
        ..VirtualClusterTemplate::default()
    };
    let mut shown = json(&shown)?;
    let kind = VirtualClusterTemplates.descriptor();
    shown["apiVersion"] = kind.api_version().into();
    shown["kind"] = kind.kind.into();
    Ok(shown)
}

/// The parameters, without the passwords that are taken when none is given. Those who give none still get them, so that clients must
/// neither ask for one nor hold an empty one against the rules of the template.
fn choices(mut parameters: Vec<AppParameter>) -> Vec<AppParameter> {
    for parameter in parameters.iter_mut().filter(|parameter| parameter.r#type == "password" && !parameter.default_value.is_empty()) {
        parameter.default_value.clear();
        parameter.required = false;
        parameter.validation.clear();
        parameter.invalidation.clear();
    }
    parameters
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn shown(template: &Value) -> Value {
        offered(serde_json::from_value(template.clone()).unwrap()).unwrap()
    }

    #[test]
    fn of_a_template_that_may_not_be_read_only_what_is_chosen_by_is_shown() {
        let definition = json!({
            "helmRelease": {"chart": {"name": "c", "username": "s3cret", "password": "s3cret"}, "values": "s3cret"},
            "charts": [{"name": "c", "username": "s3cret", "password": "s3cret", "values": "s3cret"}], "objects": "s3cret",
            "apps": [{"name": "a", "parameters": "s3cret"}], "access": {"rules": [{"users": ["ann"], "clusterRole": "s3cret"}]},
            "spaceTemplate": {"objects": "s3cret", "charts": [{"password": "s3cret"}]}, "metadata": {"annotations": {"a": "s3cret"}},
        });
        let parameters = json!([{"variable": "size", "defaultValue": "m", "options": ["m", "l"], "required": true}]);
        let template = json!({
            "metadata": {
                "name": "t", "uid": "u", "resourceVersion": "7", "labels": {"l": "v"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s3cret"},
            },
            "spec": {
                "displayName": "T", "description": "d", "owner": {"user": "ann"}, "access": [{"users": ["ann"]}], "template": definition,
                "parameters": parameters, "versions": [{"version": "1.0.0", "template": definition, "parameters": parameters}],
            },
            "status": {"apps": [{"name": "s3cret"}]},
        });
        let shown = shown(&template);
        assert!(!shown.to_string().contains("s3cret") && !shown.to_string().contains("ann"), "{shown}");
        assert_eq!((&shown["apiVersion"], &shown["kind"]), (&json!("management.loft.sh/v1"), &json!("VirtualClusterTemplate")));
        assert_eq!(shown["metadata"], json!({"name": "t", "uid": "u", "resourceVersion": "7", "labels": {"l": "v"}}));
        assert_eq!((&shown["spec"]["displayName"], &shown["spec"]["description"]), (&json!("T"), &json!("d")));
        assert_eq!(shown["spec"]["parameters"], parameters);
        let versions = shown["spec"]["versions"].as_array().unwrap();
        assert_eq!((versions.len(), &versions[0]["version"], &versions[0]["parameters"]), (1, &json!("1.0.0"), &parameters));
    }

    #[test]
    fn a_password_that_is_taken_when_none_is_given_is_not_shown() {
        let parameters = |default: &str, is_asked_for: bool| {
            let mut parameter = json!({"variable": "p", "type": "password", "defaultValue": default});
            if is_asked_for {
                parameter["required"] = true.into();
                parameter["validation"] = "^.{8,}$".into();
            }
            json!({"spec": {"parameters": [parameter]}})
        };
        assert_eq!(shown(&parameters("s3cret", true))["spec"]["parameters"], json!([{"variable": "p", "type": "password"}]));
        let without = json!([{"variable": "p", "type": "password", "required": true, "validation": "^.{8,}$"}]);
        assert_eq!(shown(&parameters("", true))["spec"]["parameters"], without);
        assert_eq!(shown(&parameters("", false))["spec"]["parameters"], json!([{"variable": "p", "type": "password"}]));
    }
}
