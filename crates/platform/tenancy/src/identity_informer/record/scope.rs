//! `spec.scope` of an access key.

use super::{items, strings};
use crate::directory::{KeyRole, KeyScope, RoleInScope, RuleResources, ScopeParts, ScopeRule};
use serde_json::Value;

/// The fields that open parts of the platform; `spaces` and `clusters` are parts that are not served here.
const PARTS: [&str; 5] = ["roles", "projects", "virtualClusters", "spaces", "clusters"];

pub(crate) fn read(scope: &Value) -> KeyScope {
    let flagged = scope.get("allowLoftCli").and_then(Value::as_bool).unwrap_or(false);
    let named = flagged || PARTS.iter().any(|part| items(scope.get(part)).next().is_some());
    let rules = scope.get("rules").filter(|rules| items(Some(rules)).next().is_some());
    KeyScope {
        parts: named.then(|| parts(scope, flagged)),
        rules: rules.map(|rules| items(Some(rules)).filter(|entry| speaks_of_this_api(entry)).map(rule).collect()),
    }
}

fn parts(scope: &Value, flagged: bool) -> ScopeParts {
    let mut roles: Vec<RoleInScope> = items(scope.get("roles")).filter_map(role).collect();
    if flagged {
        roles.push(RoleInScope { role: KeyRole::CommandLine, projects: Vec::new(), instances: Vec::new() });
    }
    ScopeParts {
        roles,
        projects: items(scope.get("projects")).map(|entry| text(entry, "project")).collect(),
        instances: items(scope.get("virtualClusters")).map(|entry| (text(entry, "project"), text(entry, "virtualCluster"))).collect(),
    }
}

/// `None` for parts of which nothing is served here: they open nothing.
fn role(entry: &Value) -> Option<RoleInScope> {
    let role = match entry.get("role").and_then(Value::as_str)? {
        "loft-cli" => KeyRole::CommandLine,
        "vcluster" => KeyRole::VirtualCluster,
        "metrics-reader" => KeyRole::MetricsReader,
        _ => return None,
    };
    Some(RoleInScope { role, projects: strings(entry.get("projects")), instances: strings(entry.get("virtualClusters")) })
}

/// Whether a rule is about requests to this API. Rules name other targets, or a cluster or virtual clusters, which are
/// other targets as well.
fn speaks_of_this_api(rule: &Value) -> bool {
    let targets = strings(rule.get("requestTargets"));
    let elsewhere = !text(rule, "cluster").is_empty() || items(rule.get("virtualClusters")).next().is_some();
    if targets.is_empty() { !elsewhere } else { targets.iter().any(|target| target == "Management") }
}

fn rule(entry: &Value) -> ScopeRule {
    let resources = |entry: &Value| RuleResources {
        group: text(entry, "group"),
        resources: strings(entry.get("resources")),
        names: strings(entry.get("resourceNames")),
    };
    ScopeRule {
        verbs: strings(entry.get("verbs")),
        resources: items(entry.get("resources")).map(resources).collect(),
        namespaces: strings(entry.get("namespaces")),
        paths: strings(entry.get("nonResourceURLs")),
    }
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_a_scope_says_opens_no_more_than_that() {
        let parts = |roles, projects: &[&str], instances| Some(ScopeParts { roles, projects: strings(projects), instances });
        let role =
            |role, projects: &[&str], instances: &[&str]| RoleInScope { role, projects: strings(projects), instances: strings(instances) };
        let only = |parts| KeyScope { parts, rules: None };
        let rules = |rules| KeyScope { parts: None, rules: Some(rules) };
        let table = [
            (json!({}), KeyScope::default()),
            (json!({"projects": [], "rules": []}), KeyScope::default()),
            (json!({"projects": [{"project": "a"}]}), only(parts(vec![], &["a"], vec![]))),
            (
                json!({"virtualClusters": [{"project": "a", "virtualCluster": "x"}]}),
                only(parts(vec![], &[], vec![("a".into(), "x".into())])),
            ),
            (json!({"clusters": [{"cluster": "*"}]}), only(parts(vec![], &[], vec![]))),
            (json!({"spaces": [{"project": "a", "space": "*"}]}), only(parts(vec![], &[], vec![]))),
            (json!({"allowLoftCli": true}), only(parts(vec![role(KeyRole::CommandLine, &[], &[])], &[], vec![]))),
            (
                json!({"roles": [
                    {"role": "loft-cli"}, {"role": "vcluster", "projects": ["a"], "virtualClusters": ["x"]}, {"role": "metrics-reader"},
                    {"role": "agent"}, {"role": "network-peer"}, {"role": "workspace"}, {"role": "metrics-writer"}, {}
                ]}),
                only(parts(
                    vec![
                        role(KeyRole::CommandLine, &[], &[]),
                        role(KeyRole::VirtualCluster, &["a"], &["x"]),
                        role(KeyRole::MetricsReader, &[], &[]),
                    ],
                    &[],
                    vec![],
                )),
            ),
            (json!({"rules": [{}]}), rules(vec![ScopeRule::default()])),
            (
                json!({"rules": [{"verbs": ["get"], "resources": [{"group": "g", "resources": ["r"], "resourceNames": ["n"]}],
                    "namespaces": [""], "nonResourceURLs": ["/x*"], "requestTargets": ["Cluster", "Management"], "cluster": "c"}]}),
                rules(vec![ScopeRule {
                    verbs: strings(&["get"]),
                    resources: vec![RuleResources { group: "g".into(), resources: strings(&["r"]), names: strings(&["n"]) }],
                    namespaces: strings(&[""]),
                    paths: strings(&["/x*"]),
                }]),
            ),
            (json!({"rules": [{"requestTargets": ["Cluster"]}, {"cluster": "c"}, {"virtualClusters": [{"name": "x"}]}]}), rules(vec![])),
        ];
        for (scope, want) in table {
            assert_eq!(read(&scope), want, "{scope}");
        }
    }
}
