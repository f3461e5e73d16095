#![allow(clippy::unwrap_used)]
use super::*;
use http::{Method, Uri};

/// Every request that upstream's tests of policies make.
fn request(name: &str) -> (Option<User>, RequestInfo) {
    let path = match name {
        "namespaced" | "unauthorized" => "/api/v1/namespaces/default/pods/busybox",
        "cluster" => "/apis/rbac.authorization.k8s.io/v1beta1/clusterroles/edit",
        "nonResource" => "/logs/kubelet.log",
        "subresource" => "/api/v1/namespaces/default/pods/busybox/log",
        other => panic!("no request {other}"),
    };
    let info = RequestInfo::parse(&Method::GET, &Uri::from_static(path), "").unwrap();
    let tim = User { name: "tim@k8s.io".into(), groups: vec!["humans".into(), "developers".into()], ..User::default() };
    ((name != "unauthorized").then_some(tim), info)
}

/// The rules of upstream's tests.
const RULES: [(&str, &str); 16] = [
    ("default", "{level: Metadata}"),
    ("create", "{level: Request, verbs: [create]}"),
    ("tims", "{level: Metadata, users: [tim@k8s.io]}"),
    ("humans", "{level: Metadata, userGroups: [humans]}"),
    ("serviceAccounts", "{level: Request, userGroups: ['system:serviceaccounts']}"),
    ("getPods", "{level: RequestResponse, verbs: [get], resources: [{resources: [pods]}]}"),
    ("getPodLogs", "{level: Request, verbs: [get], resources: [{resources: [pods/log]}]}"),
    ("getPodWildcardMatching", "{level: Request, verbs: [get], resources: [{resources: ['*']}]}"),
    ("getPodResourceWildcardMatching", "{level: Request, verbs: [get], resources: [{resources: ['*/log']}]}"),
    ("getPodSubResourceWildcardMatching", "{level: Request, verbs: [get], resources: [{resources: ['pods/*']}]}"),
    (
        "getClusterRoles",
        "{level: RequestResponse, verbs: [get], resources: [{group: rbac.authorization.k8s.io, resources: [clusterroles]}], namespaces: ['']}",
    ),
    ("getLogs", "{level: RequestResponse, verbs: [get], nonResourceURLs: ['/logs*']}"),
    ("getMetrics", "{level: Request, verbs: [get], nonResourceURLs: [/metrics]}"),
    (
        "clusterRoleEdit",
        "{level: Request, resources: [{group: rbac.authorization.k8s.io, resources: [clusterroles], resourceNames: [edit]}]}",
    ),
    ("omit RequestReceived", "{level: Request, omitStages: [RequestReceived]}"),
    ("only audit panic", "{level: Request, omitStages: [RequestReceived, ResponseStarted, ResponseComplete]}"),
];

fn policy(omit_stages: &str, rules: &[&str]) -> Policy {
    let find = |name: &&str| RULES.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no rule {name}")).1;
    let rules: Vec<_> = rules.iter().map(find).collect();
    let text = format!("{{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [{omit_stages}], rules: [{}]}}", rules.join(", "));
    Policy::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The cases of k8s.io/apiserver/pkg/audit/policy.
#[test]
fn the_first_rule_that_matches_decides() {
    use Level::{Metadata, None, Request, RequestResponse};
    let cases: &[(&str, Level, &[&str])] = &[
        ("namespaced", Metadata, &["default"]),
        ("namespaced", None, &["create"]),
        ("namespaced", Metadata, &["tims"]),
        ("namespaced", Metadata, &["humans"]),
        ("namespaced", None, &["serviceAccounts"]),
        ("namespaced", RequestResponse, &["getPods"]),
        ("namespaced", None, &["getClusterRoles"]),
        ("namespaced", None, &["getLogs"]),
        ("namespaced", None, &["getMetrics"]),
        ("namespaced", Metadata, &["getMetrics", "serviceAccounts", "default"]),
        ("namespaced", RequestResponse, &["getMetrics", "getPods", "default"]),
        ("namespaced", RequestResponse, &["getPodLogs", "getPods"]),
        ("cluster", Metadata, &["default"]),
        ("cluster", None, &["create"]),
        ("cluster", Metadata, &["tims"]),
        ("cluster", Metadata, &["humans"]),
        ("cluster", None, &["serviceAccounts"]),
        ("cluster", None, &["getPods"]),
        ("cluster", RequestResponse, &["getClusterRoles"]),
        ("cluster", Request, &["clusterRoleEdit", "getClusterRoles"]),
        ("cluster", None, &["getLogs"]),
        ("cluster", None, &["getMetrics"]),
        ("cluster", Metadata, &["getMetrics", "serviceAccounts", "default"]),
        ("cluster", RequestResponse, &["getMetrics", "getClusterRoles", "default"]),
        ("cluster", None, &["getPodLogs", "getPods"]),
        ("nonResource", Metadata, &["default"]),
        ("nonResource", None, &["create"]),
        ("nonResource", Metadata, &["tims"]),
        ("nonResource", Metadata, &["humans"]),
        ("nonResource", None, &["serviceAccounts"]),
        ("nonResource", None, &["getPods"]),
        ("nonResource", None, &["getClusterRoles"]),
        ("nonResource", RequestResponse, &["getLogs"]),
        ("nonResource", None, &["getMetrics"]),
        ("nonResource", Metadata, &["getMetrics", "serviceAccounts", "default"]),
        ("nonResource", RequestResponse, &["getLogs", "getClusterRoles", "default"]),
        ("nonResource", None, &["getPodLogs", "getPods"]),
        ("subresource", Request, &["getPodLogs", "getPods"]),
        ("subresource", None, &["getPods"]),
        ("subresource", Request, &["getPodWildcardMatching"]),
        ("subresource", Request, &["getPodResourceWildcardMatching"]),
        ("subresource", Request, &["getPodSubResourceWildcardMatching"]),
        ("namespaced", Request, &["getPodSubResourceWildcardMatching"]),
        ("namespaced", None, &["getPodResourceWildcardMatching"]),
        ("unauthorized", None, &["tims"]),
        ("unauthorized", Metadata, &["tims", "default"]),
        ("unauthorized", None, &["humans"]),
        ("unauthorized", Metadata, &["humans", "default"]),
    ];
    for (name, want, rules) in cases {
        let (user, info) = request(name);
        for (omitted, stages) in [("", vec![]), ("RequestReceived, ResponseStarted", vec![Stage::RequestReceived, Stage::ResponseStarted])]
        {
            let config = policy(omitted, rules).config_for(user.as_ref(), &info);
            assert_eq!((config.level, config.omit_stages), (*want, stages), "{name} {rules:?}");
        }
    }
}

#[test]
fn stages_are_omitted_by_the_policy_and_by_the_rule() {
    use Stage::{RequestReceived, ResponseComplete, ResponseStarted};
    for (all, rule, want) in [
        ("", "omit RequestReceived", vec![RequestReceived]),
        ("", "only audit panic", vec![RequestReceived, ResponseStarted, ResponseComplete]),
        ("ResponseStarted", "omit RequestReceived", vec![RequestReceived, ResponseStarted]),
        ("RequestReceived", "omit RequestReceived", vec![RequestReceived]),
    ] {
        let (user, info) = request("cluster");
        let omitted = policy(all, &[rule, "getPods", "default"]).config_for(user.as_ref(), &info).omit_stages;
        let named: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| omitted.contains(stage)).collect();
        assert_eq!(named, want, "{all} {rule}");
    }
}

#[test]
fn a_rule_overrides_whether_managed_fields_are_omitted() {
    for (all, rule, want) in [
        ("false", "", ManagedFields::Kept),
        ("true", "", ManagedFields::Omitted),
        ("true", ", omitManagedFields: false", ManagedFields::Kept),
        ("false", ", omitManagedFields: true", ManagedFields::Omitted),
    ] {
        let text = format!("{{apiVersion: audit.k8s.io/v1, kind: Policy, omitManagedFields: {all}, rules: [{{level: Request{rule}}}]}}");
        let (user, info) = request("cluster");
        assert_eq!(Policy::parse(&text).unwrap().config_for(user.as_ref(), &info).managed_fields, want, "{text}");
    }
}

#[test]
fn paths_match_whole_or_by_their_beginning() {
    for (pattern, path, want) in [
        ("*", "/anything", true),
        ("/metrics", "/metrics", true),
        ("/metrics", "/metrics/slis", false),
        ("/healthz*", "/healthz", true),
        ("/healthz*", "/healthz/etcd", true),
        ("/healthz*", "/livez", false),
        ("/", "/", true),
    ] {
        assert_eq!(path_matches(pattern, path), want, "{pattern} {path}");
    }
}

#[test]
fn what_is_wrong_is_told_by_its_field() {
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    for (text, want) in [
        (String::new(), "apiVersion: Unsupported value: \"\": supported values: \"audit.k8s.io/v1\""),
        (
            "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]".into(),
            "apiVersion: Unsupported value: \"audit.k8s.io/v1beta1\"",
        ),
        (
            "apiVersion: audit.k8s.io/v1\nkind: Event\nrules: [{level: None}]".into(),
            "kind: Unsupported value: \"Event\": supported values: \"Policy\"",
        ),
        (head.into(), "rules: Required value: a policy without rules logs nothing"),
        (format!("{head}rules: [{{}}]"), "rules[0].level: Required value"),
        (
            format!("{head}rules: [{{level: None}}, {{level: All}}]"),
            "rules[1].level: Unsupported value: \"All\": supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\"",
        ),
        (
            format!("{head}rules: [{{level: None, omitStages: [Nope]}}]"),
            "rules[0].omitStages[0]: Invalid value: \"Nope\": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic",
        ),
        (format!("{head}omitStages: [Nope]\nrules: [{{level: None}}]"), "omitStages[0]: Invalid value: \"Nope\""),
        (
            format!("{head}rules: [{{level: None, nonResourceURLs: [/a, logs]}}]"),
            "rules[0].nonResourceURLs[1]: Invalid value: \"logs\": non-resource URL rules must begin with a '/' character",
        ),
        (
            format!("{head}rules: [{{level: None, nonResourceURLs: [/a*b]}}]"),
            "rules[0].nonResourceURLs[0]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule",
        ),
        (
            format!("{head}rules: [{{level: None, nonResourceURLs: [/a], namespaces: [b]}}]"),
            "rules[0].nonResourceURLs: Invalid value: \"/a\": rules cannot apply to both regular resources and non-resource URLs",
        ),
        (format!("{head}rules: [{{level: None, resources: [{{group: a/v1}}]}}]"), "rules[0].resources[0].group: Invalid value: \"a/v1\""),
        (
            format!("{head}rules: [{{level: None, resources: [{{resourceNames: [a]}}]}}]"),
            "rules[0].resources[0].resourceNames: Invalid value: \"a\": using resourceNames requires at least one resource",
        ),
        (format!("{head}rules: [{{level: None, user: [a]}}]"), "user"),
        (format!("{head}rules: none"), "line 3 column 8: "),
        ("[".into(), ""),
    ] {
        let error = Policy::parse(&text).map(|_| ()).unwrap_err();
        assert!(error.contains(want) && !error.contains('\n') && !error.is_empty(), "{text}\n{error}");
    }
}

#[test]
fn the_policy_of_the_documentation_is_read() {
    // The example of kubernetes.io, shortened.
    let text = r#"
apiVersion: audit.k8s.io/v1 # This is required.
kind: Policy
omitStages:
  - "RequestReceived"
rules:
  - level: RequestResponse
    resources:
    - group: ""
      resources: ["pods"]
  - level: Metadata
    resources:
    - group: ""
      resources: ["pods/log", "pods/status"]
  - level: None
    resources:
    - group: ""
      resources: ["configmaps"]
      resourceNames: ["controller-leader"]
  - level: None
    userGroups: ["system:authenticated"]
    nonResourceURLs:
    - "/api*" # Wildcard matching.
    - "/version"
  - level: Request
    resources:
    - group: ""
    - group: "extensions"
  - level: Metadata
    omitStages:
      - "RequestReceived"
"#;
    let policy = Policy::parse(text).unwrap();
    for (path, want) in [
        ("/api/v1/namespaces/a/pods/b", Level::RequestResponse),
        ("/api/v1/namespaces/a/pods/b/log", Level::Metadata),
        ("/api/v1/namespaces/a/configmaps/controller-leader", Level::None),
        ("/api/v1/namespaces/a/configmaps/other", Level::Request),
        ("/apis", Level::None),
        ("/version", Level::None),
        ("/metrics", Level::Metadata),
        ("/apis/apps/v1/deployments", Level::Metadata),
    ] {
        let user = User { groups: vec!["system:authenticated".into()], ..User::default() };
        let info = RequestInfo::parse(&Method::GET, &Uri::try_from(path).unwrap(), "").unwrap();
        assert_eq!(policy.config_for(Some(&user), &info).level, want, "{path}");
    }
}
