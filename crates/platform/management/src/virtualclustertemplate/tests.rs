#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::Caller;
use crate::access::ObjectAccess;
use crate::rules::tests::object;
use serde_json::json;

fn template(spec: Value) -> Object {
    let mut template = json!({"metadata": {"name": "isolated"}});
    template["spec"] = spec;
    object(template)
}

#[test]
fn bad_templates_are_refused() {
    let chart = |version: &str| json!({"helmRelease": {"chart": {"version": version}}});
    let table = [
        (json!({}), vec![]),
        (json!({"template": chart("0.27.0"), "parameters": [{"variable": "size"}]}), vec![]),
        (
            json!({"versions": [
                {"version": "1.0.0", "template": chart("v0.27.0")}, {"version": "v1.1.0"}, {"version": "2.0.0-rc.1"},
            ]}),
            vec![],
        ),
        (
            json!({"versions": [{}, {"version": "1.x.x"}, {"version": "1.0"}]}),
            vec![
                "spec.versions[0].version: Required value",
                "spec.versions[1].version: Invalid value: \"1.x.x\": must be a semantic version, such as 1.2.0",
                "spec.versions[2].version: Invalid value: \"1.0\": must be a semantic version, such as 1.2.0",
            ],
        ),
        (
            json!({"versions": [{"version": "1.0.0"}, {"version": "v1.0.0"}, {"version": "1.0.0+b"}]}),
            vec!["spec.versions[1].version: Duplicate value: \"v1.0.0\"", "spec.versions[2].version: Duplicate value: \"1.0.0+b\""],
        ),
        (
            json!({
                "template": chart("latest"),
                "parameters": [{}],
                "versions": [{"version": "1.0.0", "template": {"access": {"rules": [{}]}}, "parameters": [{"variable": "a", "type": "b"}]}],
            }),
            vec![
                "spec.template.helmRelease.chart.version: Invalid value: \"latest\": must be a semantic version, such as 0.27.0",
                "spec.parameters[0].variable: Required value",
                "spec.versions[0].template.access.rules[0].clusterRole: Required value: clusterrole is required",
                "spec.versions[0].parameters[0].type: Unsupported value: \"b\": supported values: \"boolean\", \"multiline\", \"number\", \"password\", \"string\"",
            ],
        ),
    ];
    for (spec, want) in table {
        let errors: Vec<_> = VirtualClusterTemplates.validate(&template(spec.clone())).iter().map(ToString::to_string).collect();
        assert_eq!(errors, want, "{spec}");
    }
}

#[test]
fn owners_and_rules_decide_about_the_object() {
    let spec = json!({"owner": {"team": "t"}, "access": [{"verbs": ["get"], "users": ["ann"]}]});
    let access = ObjectAccess::read(&VirtualClusterTemplates, &template(spec));
    let ann = Caller { user: Some("ann".into()), ..Caller::default() };
    let team = Caller { user: Some("bob".into()), teams: vec!["t".into()], ..Caller::default() };
    assert_eq!(
        (access.grants(&ann, "get", ""), access.grants(&ann, "update", ""), access.grants(&team, "update", "")),
        (true, false, true)
    );
}

#[test]
fn cells_show_the_highest_version() {
    let spec = json!({
        "displayName": "Isolated", "description": "d", "owner": {"user": "ann"},
        "versions": [{"version": "1.9.0"}, {"version": "v1.10.0"}, {"version": "strange"}, {}],
    });
    let want = [json!("isolated"), json!("Isolated"), json!("1.10.0"), json!("ann"), json!("<unknown>"), json!("d")];
    assert_eq!(VirtualClusterTemplates.descriptor().cells(&template(spec), 0), want);
}
