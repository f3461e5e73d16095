#![allow(clippy::unwrap_used)]
//! A host cluster made of one function, with policies, bindings and parameters; what it refuses was recorded from a
//! kube-apiserver v1.36 with the same policies.

use super::*;
use crate::testing::json_cluster;
use apiserver_meta::options::DryRun;
use apiserver_meta::schema::Shape;
use apiserver_meta::testing::books;
use apiserver_meta::{Annotations, ObjectKey, Principal, Schema, Subresource, User, Verb};
use apiserver_registry::Memo;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// Asked about each time.
#[async_trait]
impl Namespaces for HostCluster {
    async fn namespace(&self, name: &str) -> Result<Arc<Value>, ApiError> {
        let api: Api<Namespace> = Api::all(self.client().clone());
        let found = api.get(name).await.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Arc::new(serde_json::to_value(found).unwrap()))
    }
}

/// What the cluster has.
#[derive(Default)]
struct Cluster {
    policies: Vec<Value>,
    bindings: Vec<Value>,
    config_maps: Vec<Value>,
    /// A binding that comes after the first list.
    later: Mutex<Option<Value>>,
    /// Paths that were asked for.
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    /// A policy about everything here, and a binding that denies, as far as the specs do not say otherwise.
    fn with(mut self, name: &str, spec: Value, binding: Value) -> Self {
        let rule = json!({"apiGroups": ["library.example.com"], "apiVersions": ["*"], "operations": ["*"],
            "resources": ["books", "books/*"]});
        let policy = merged(json!({"matchConstraints": {"resourceRules": [rule]}}), spec);
        let binding = merged(json!({"policyName": name, "validationActions": ["Deny"]}), binding);
        self.policies.push(json!({"metadata": {"name": name, "resourceVersion": "1"}, "spec": policy}));
        self.bindings.push(json!({"metadata": {"name": format!("{name}-b"), "resourceVersion": "1"}, "spec": binding}));
        self
    }

    fn policies(self: &Arc<Self>) -> ValidatingAdmissionPolicies {
        let this = Arc::clone(self);
        let cluster = json_cluster(move |asked| this.answer(&asked.path, &asked.body));
        ValidatingAdmissionPolicies::follow(&cluster, Arc::new(cluster.clone()), &CancellationToken::new())
    }

    fn answer(&self, path: &str, body: &Value) -> (u16, Value) {
        self.asked.lock().unwrap().push(path.to_owned());
        let list = |kind: &str, version: &str, items: &[Value]| {
            (200, json!({"apiVersion": version, "kind": kind, "metadata": {"resourceVersion": "7"}, "items": items}))
        };
        if path.contains("watch=true") {
            let later = self.later.lock().unwrap().take_if(|_| path.contains("policybindings"));
            // Without news, it is tried again later.
            return later.map_or((503, Value::Null), |it| (200, json!({"type": "ADDED", "object": it})));
        }
        match path.split('?').next().unwrap() {
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies" => {
                list("ValidatingAdmissionPolicyList", "admissionregistration.k8s.io/v1", &self.policies)
            }
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings" => {
                list("ValidatingAdmissionPolicyBindingList", "admissionregistration.k8s.io/v1", &self.bindings)
            }
            "/api/v1" => {
                let resource = json!({"name": "configmaps", "singularName": "", "namespaced": true, "kind": "ConfigMap", "verbs": ["get", "list", "watch"]});
                (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource]}))
            }
            "/api/v1/configmaps" => list("ConfigMapList", "v1", &self.config_maps),
            "/api/v1/namespaces/team-a" => (
                200,
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": {"env": "prod"}, "managedFields": []}}),
            ),
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
                let allowed = body["spec"]["resourceAttributes"]["resource"] == "secrets" && body["spec"]["user"] == "jane";
                (
                    201,
                    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {}, "status": {"allowed": allowed, "reason": "because"}}),
                )
            }
            _ => (
                404,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "message": "not found", "code": 404}),
            ),
        }
    }
}

fn merged(mut base: Value, over: Value) -> Value {
    if let Value::Object(fields) = over {
        base.as_object_mut().unwrap().extend(fields);
    }
    base
}

fn context() -> (RequestContext, Annotations) {
    let user = User { name: "jane".into(), groups: vec!["developers".into()], ..User::default() };
    let annotations = Annotations::default();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ctx = RequestContext::new(Arc::new(user), Principal::default(), deadline, "audit".into());
    (ctx.with_annotations(annotations.clone()), annotations)
}

fn instance(name: &str) -> Object {
    let value = json!({"apiVersion": "library.example.com/v1", "kind": "Book",
        "metadata": {"name": name, "namespace": "team-a", "labels": {"t": "x"}}, "spec": {"displayName": "d"}});
    Object::from_value(value).unwrap()
}

/// Asks about a write of `x-NAME` in namespace `team-a`.
async fn ask(policies: &ValidatingAdmissionPolicies, ctx: &RequestContext, verb: Verb) -> Result<(), ApiError> {
    let key = ObjectKey::new("team-a", "x");
    let object = instance("x");
    let old = (verb != Verb::Create).then_some(&object);
    let schema = Schema::plain(Shape::Any);
    let request = AdmissionRequest {
        descriptor: books().descriptor(),
        verb,
        subresource: Subresource::Main,
        key: &key,
        old,
        dry_run: DryRun::No,
        schema: &schema,
        memo: &Memo::default(),
    };
    policies.validate(ctx, request, (verb != Verb::Delete).then_some(&object)).await
}

/// What a create is answered where there is one policy: the code and the message after the policy's name, or none.
async fn refusal_of(spec: Value, binding: Value) -> Option<(u16, String)> {
    let cluster = Arc::new(Cluster::default().with("p", spec, binding));
    let error = ask(&cluster.policies(), &context().0, Verb::Create).await.err()?;
    let start = "books.library.example.com \"x\" is forbidden: ValidatingAdmissionPolicy 'p' ";
    Some((error.reason.code(), error.message.strip_prefix(start).unwrap_or_else(|| panic!("{error}")).to_owned()))
}

#[tokio::test]
async fn a_refusal_is_what_upstream_sends() {
    let cluster =
        Arc::new(Cluster::default().with("plain", json!({"validations": [{"expression": "object.spec.missing == \"x\""}]}), json!({})));
    let error = ask(&cluster.policies(), &context().0, Verb::Create).await.unwrap_err();
    let message = "ValidatingAdmissionPolicy 'plain' with binding 'plain-b' denied request: expression 'object.spec.missing == \"x\"' resulted in error: no such key: missing";
    let want = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("books.library.example.com \"x\" is forbidden: {message}"), "reason": "Invalid",
        "details": {"name": "x", "group": "library.example.com", "kind": "books", "causes": [{"message": message}]},
        "code": 422,
    });
    assert_eq!(serde_json::to_value(error.status()).unwrap(), want);
}

#[tokio::test]
async fn validations_refuse_in_upstreams_words() {
    let validation = |it: Value| json!({"validations": [it]});
    let bound = "with binding 'p-b' denied request: ";
    let cases = [
        (validation(json!({"expression": "true"})), None),
        (
            validation(json!({"expression": " object.spec.displayName == 'x' "})),
            Some((422, "failed expression: object.spec.displayName == 'x'")),
        ),
        (validation(json!({"expression": "false", "message": " not like this "})), Some((422, "not like this"))),
        (validation(json!({"expression": "false", "messageExpression": "'name ' + object.metadata.name"})), Some((422, "name x"))),
        (validation(json!({"expression": "false", "message": "m", "messageExpression": "'a\\nb'"})), Some((422, "m"))),
        (validation(json!({"expression": "false", "message": "m", "messageExpression": "object.missing"})), Some((422, "m"))),
        (validation(json!({"expression": "false", "message": "m", "messageExpression": "'  '"})), Some((422, "m"))),
        (validation(json!({"expression": "false", "message": "m", "reason": "Forbidden"})), Some((403, "m"))),
        (validation(json!({"expression": "false", "message": "m", "reason": "Unauthorized"})), Some((401, "m"))),
        (validation(json!({"expression": "false", "message": "m", "reason": "RequestEntityTooLarge"})), Some((413, "m"))),
        (json!({"failurePolicy": "Ignore", "validations": [{"expression": "object.spec.missing == 1"}]}), None),
        (
            json!({"failurePolicy": "Ignore", "validations": [{"expression": "object.spec.missing == 1"}, {"expression": "false"}]}),
            Some((422, "failed expression: false")),
        ),
        (
            validation(
                json!({"expression": "request.operation == 'CREATE' && request.userInfo.username == 'jane' && request.name == 'x' && request.namespace == 'team-a' && request.resource.resource == 'books' && !has(request.subResource) && !request.dryRun && request.options.kind == 'CreateOptions' && object.kind == 'Book'"}),
            ),
            None,
        ),
        (
            validation(
                json!({"expression": "oldObject == null && params == null && namespaceObject.metadata.labels.env == 'prod' && !has(namespaceObject.metadata.managedFields)"}),
            ),
            None,
        ),
        (
            validation(
                json!({"expression": "authorizer.group('').resource('secrets').check('get').allowed() && !authorizer.requestResource.check('delete').allowed()"}),
            ),
            None,
        ),
        (json!({"matchConditions": [{"name": "c", "expression": "false"}], "validations": [{"expression": "false"}]}), None),
        (
            json!({"matchConditions": [{"name": "c", "expression": "object.missing == 1"}, {"name": "d", "expression": "false"}], "validations": [{"expression": "false"}]}),
            None,
        ),
        (
            json!({"matchConditions": [{"name": "c", "expression": "object.missing == 1"}], "validations": [{"expression": "true"}]}),
            Some((422, "expression 'object.missing == 1' resulted in error: no such key: missing")),
        ),
        (
            json!({"failurePolicy": "Ignore", "matchConditions": [{"name": "c", "expression": "object.missing == 1"}], "validations": [{"expression": "false"}]}),
            None,
        ),
        (
            json!({"variables": [{"name": "v", "expression": "object.spec.displayName"}], "validations": [{"expression": "variables.v == 'd'"}]}),
            None,
        ),
        (
            json!({"variables": [{"name": "v", "expression": "object.missing"}], "validations": [{"expression": "variables.v == 1"}]}),
            Some((
                422,
                "expression 'variables.v == 1' resulted in error: composited variable \"v\" fails to evaluate: no such key: missing",
            )),
        ),
        (
            json!({"auditAnnotations": [{"key": "k", "valueExpression": "object.missing"}]}),
            Some((422, "expression 'object.missing' resulted in error: no such key: missing")),
        ),
    ];
    for (spec, want) in cases {
        let want = want.map(|(code, message)| (code, format!("{bound}{message}")));
        assert_eq!(refusal_of(spec.clone(), json!({})).await, want, "{spec}");
    }
    let unparsable = refusal_of(validation(json!({"expression": "1 +"})), json!({})).await.unwrap().1;
    assert!(unparsable.starts_with(&format!("{bound}compilation error: compilation failed: ERROR: <input>:1:")), "{unparsable}");
    assert_eq!(refusal_of(json!({"failurePolicy": "Ignore", "validations": [{"expression": "1 +"}]}), json!({})).await, None);
}

#[tokio::test]
async fn constraints_and_bindings_choose_requests() {
    let refuses = |constraints: Value| async move {
        let spec = json!({"matchConstraints": constraints, "validations": [{"expression": "false"}]});
        refusal_of(spec, json!({})).await.is_some()
    };
    let rule = |rule: Value| {
        let base = json!({"apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["books"]});
        merged(base, rule)
    };
    let of = |it: Value| json!({"resourceRules": [rule(it)]});
    for (constraints, want) in [
        (of(json!({})), true),
        (of(json!({"operations": ["UPDATE", "DELETE"]})), false),
        (of(json!({"resources": ["books/status"]})), false),
        (of(json!({"resources": ["*"]})), true),
        (of(json!({"resources": ["*/*"]})), true),
        (of(json!({"apiGroups": ["apps"]})), false),
        (of(json!({"apiVersions": ["v2"]})), false),
        (of(json!({"scope": "Cluster"})), false),
        (of(json!({"resourceNames": ["y"]})), false),
        (of(json!({"resourceNames": ["x"]})), true),
        (merged(of(json!({})), json!({"excludeResourceRules": [rule(json!({}))]})), false),
        (merged(of(json!({})), json!({"objectSelector": {"matchLabels": {"t": "x"}}})), true),
        (merged(of(json!({})), json!({"objectSelector": {"matchLabels": {"t": "y"}}})), false),
        (merged(of(json!({})), json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}})), true),
        (merged(of(json!({})), json!({"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}})), false),
    ] {
        assert_eq!(refuses(constraints.clone()).await, want, "{constraints}");
    }
    let never = json!({"matchResources": {"objectSelector": {"matchLabels": {"t": "y"}}}});
    assert_eq!(refusal_of(json!({"validations": [{"expression": "false"}]}), never).await, None);
}

#[tokio::test]
async fn deletes_and_updates_are_policed() {
    let spec = json!({"validations": [{"expression": "request.operation != 'DELETE' || (object == null && oldObject.spec.displayName == 'y')", "message": "stays"}]});
    let cluster = Arc::new(Cluster::default().with("p", spec, json!({})));
    let policies = cluster.policies();
    assert!(ask(&policies, &context().0, Verb::Update).await.is_ok());
    assert!(ask(&policies, &context().0, Verb::Delete).await.unwrap_err().message.ends_with("denied request: stays"));
}

#[tokio::test]
async fn actions_warn_and_are_audited() {
    let spec = json!({"validations": [{"expression": "true"}, {"expression": "false", "message": "w"}],
        "auditAnnotations": [{"key": "who", "valueExpression": "request.userInfo.username"}, {"key": "none", "valueExpression": "null"}]});
    let cluster = Arc::new(Cluster::default().with("p", spec, json!({"validationActions": ["Warn", "Audit"]})));
    let (ctx, annotations) = context();
    ask(&cluster.policies(), &ctx, Verb::Create).await.unwrap();
    assert_eq!(ctx.warnings(), ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': w"]);
    let failure = r#"[{"message":"w","policy":"p","binding":"p-b","expressionIndex":1,"validationActions":["Warn","Audit"]}]"#;
    let want = BTreeMap::from([("p/who".to_owned(), "jane".to_owned()), (VALIDATION_FAILURE.to_owned(), failure.to_owned())]);
    assert_eq!(annotations.all(), want);
}

#[tokio::test]
async fn parameters_are_given_by_name_and_by_selector() {
    let map = |namespace: &str, name: &str, max: &str| json!({"metadata": {"name": name, "namespace": namespace, "labels": {"max": max}, "resourceVersion": "1"}, "data": {"max": max}});
    let config_maps = vec![map("team-a", "limits", "3"), map("team-a", "more", "4"), map("team-b", "limits", "5")];
    let spec = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "params != null && params.data.max == '9'", "messageExpression": "params == null ? 'null' : params.kind + params.data.max"}]});
    let by = |reference: Value| json!({"paramRef": reference});
    let denied = |text: &str| Some(format!("with binding 'p-b' denied request: {text}"));
    let none = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    for (binding, want) in [
        (json!({}), denied("null")),
        (by(json!({"name": "limits", "parameterNotFoundAction": "Deny"})), denied("ConfigMap3")),
        (by(json!({"name": "limits", "namespace": "team-b", "parameterNotFoundAction": "Deny"})), denied("ConfigMap5")),
        (by(json!({"name": "nothing", "parameterNotFoundAction": "Deny"})), denied(none)),
        (by(json!({"name": "nothing", "parameterNotFoundAction": "Allow"})), None),
        (by(json!({"selector": {"matchLabels": {"max": "4"}}, "parameterNotFoundAction": "Deny"})), denied("ConfigMap4")),
        (by(json!({"selector": {}, "parameterNotFoundAction": "Deny"})), denied("ConfigMap3")),
        (by(json!({"selector": {"matchLabels": {"max": "5"}}, "parameterNotFoundAction": "Allow"})), None),
    ] {
        let cluster = Cluster { config_maps: config_maps.clone(), ..Cluster::default() }.with("p", spec.clone(), binding.clone());
        let refused = ask(&Arc::new(cluster).policies(), &context().0, Verb::Create).await.err();
        let message = refused.map(|it| it.message.split("'p' ").last().unwrap().to_owned());
        assert_eq!(message, want, "{binding}");
    }
    let unknown = json!({"paramKind": {"apiVersion": "example.com/v1", "kind": "Nope"}, "validations": [{"expression": "true"}]});
    let want = "denied request: failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Nope'";
    assert_eq!(refusal_of(unknown.clone(), json!({})).await, Some((422, want.to_owned())));
    assert_eq!(refusal_of(merged(unknown, json!({"failurePolicy": "Ignore"})), json!({})).await, None);
}

#[tokio::test]
async fn what_changes_in_the_cluster_is_followed() {
    let cluster = Cluster::default().with("p", json!({"validations": [{"expression": "false"}]}), json!({}));
    let Cluster { policies, mut bindings, .. } = cluster;
    let mut later = bindings.remove(0);
    later["apiVersion"] = "admissionregistration.k8s.io/v1".into();
    later["kind"] = "ValidatingAdmissionPolicyBinding".into();
    let policies = Arc::new(Cluster { policies, later: Mutex::new(Some(later)), ..Cluster::default() }).policies();
    let refused = async {
        while ask(&policies, &context().0, Verb::Create).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
}

#[tokio::test]
async fn without_a_policy_about_the_request_nobody_is_asked_anything() {
    let spec = json!({"matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]},
        "validations": [{"expression": "false"}]});
    let cluster = Arc::new(Cluster::default().with("p", spec, json!({})));
    ask(&cluster.policies(), &context().0, Verb::Create).await.unwrap();
    let asked = cluster.asked.lock().unwrap();
    assert!(asked.iter().all(|it| it.contains("validatingadmissionpolic")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_policies_and_are_refused_without_them() {
    let cluster = json_cluster(|_| (503, Value::Null));
    let policies = ValidatingAdmissionPolicies::follow(&cluster, Arc::new(cluster.clone()), &CancellationToken::new());
    let error = ask(&policies, &context().0, Verb::Create).await.unwrap_err();
    assert_eq!(error.message, "books.library.example.com \"x\" is forbidden: not yet ready to handle request");
}
