//! Webhooks that listen on this machine, and a host cluster that names them.
#![allow(clippy::unwrap_used)]

use super::super::namespaces::ClusterNamespaces;
use super::*;
use crate::testing::json_cluster;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ObjectKey, Principal, Resource, Subresource, User};
use apiserver_registry::Memo;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{LazyLock, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::DropGuard;
use vci_testkit::certs::Authority;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("webhooks"));

/// What a webhook answers to a request: an HTTP status, and the response of a review without its UID.
type Behaviour = fn(&Value) -> (u16, Value);

/// A webhook. Serves until it is dropped.
struct Hook {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
    _stop: DropGuard,
}

impl Hook {
    async fn start(behaviour: Behaviour) -> Self {
        let issued = AUTHORITY.server(&["localhost"]);
        let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls.with_no_client_auth().with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, stop) = (format!("https://localhost:{}/hook", listener.local_addr().unwrap().port()), CancellationToken::new());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    // A client that does not trust this authority goes away.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                        let log = Arc::clone(&log);
                        async move {
                            assert!(!request.headers().contains_key("authorization"));
                            assert_eq!(request.uri().to_string(), "/hook?timeout=5s");
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            let review: Value = serde_json::from_slice(&body).unwrap();
                            let (code, mut response) = behaviour(&review["request"]);
                            if response.is_object() {
                                response["uid"] = review["request"]["uid"].clone();
                            }
                            let answer = json!({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response});
                            log.lock().unwrap().push(review["request"].clone());
                            let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
                            Ok::<_, Infallible>(response.body(Full::<bytes::Bytes>::from(answer.to_string().into_bytes())).unwrap())
                        }
                    });
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        }));
        Self { url, asked, _stop: stop.drop_guard() }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// Its entry in a configuration, with these members beside the usual ones.
    fn entry(&self, name: &str, more: &Value) -> Value {
        let mut entry = json!({
            "name": name,
            "clientConfig": {"url": self.url, "caBundle": STANDARD.encode(AUTHORITY.pem())},
            "rules": [{"apiGroups": ["library.example.com"], "apiVersions": ["*"], "operations": ["*"], "resources": ["books"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    }
}

/// What webhooks make of requests.
struct Rig {
    mutating: MutatingWebhooks,
    validating: ValidatingWebhooks,
    instances: Arc<dyn Resource>,
    memo: Memo,
    _stop: DropGuard,
}

impl Rig {
    /// A cluster with these webhooks, of both sorts.
    async fn start(webhooks: Vec<Value>) -> Self {
        Self::with(webhooks.clone(), webhooks)
    }

    /// A cluster with some webhooks that change objects, and some that do not.
    fn with(mutating: Vec<Value>, validating: Vec<Value>) -> Self {
        let cluster = json_cluster(move |asked| {
            let (path, watches) = (asked.path.as_str(), asked.path.contains("watch=true"));
            let listed = |items: Value| (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}));
            if watches {
                // Ends at once; what follows is the watcher's business.
                return (500, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "message": "no watch here"}));
            }
            let webhooks = if path.contains("mutating") { &mutating } else { &validating };
            if path.contains("webhookconfigurations") {
                return listed(json!([{"metadata": {"name": "c", "resourceVersion": "1"}, "webhooks": webhooks}]));
            }
            listed(json!([{"metadata": {"name": "room-blue", "labels": {"team": "blue"}, "resourceVersion": "1"}}]))
        });
        let stop = CancellationToken::new();
        let namespaces = Arc::new(ClusterNamespaces::follow(&cluster, &stop));
        let mutating = MutatingWebhooks::follow(&cluster, Arc::clone(&namespaces) as _, &stop);
        let validating = ValidatingWebhooks::follow(&cluster, namespaces, &stop);
        let instances = apiserver_meta::testing::resources().into_iter().find(|kind| kind.descriptor().plural == "books").unwrap();
        Self { mutating, validating, instances, memo: Memo::default(), _stop: stop.drop_guard() }
    }

    /// A create or an update, with what becomes of the object.
    async fn write(&self, ctx: &RequestContext, old: Option<&Object>, dry_run: DryRun) -> Result<Object, ApiError> {
        let key = ObjectKey::new("room-blue", "a");
        let verb = if old.is_some() { Verb::Update } else { Verb::Create };
        let request = self.request(verb, &key, old, dry_run);
        let mut object = instance();
        self.mutating.mutate(ctx, request, &mut object).await?;
        self.mutating.validate(ctx, request, Some(&object)).await?;
        self.validating.validate(ctx, request, Some(&object)).await.map(|()| object)
    }

    async fn delete(&self, ctx: &RequestContext) -> Result<(), ApiError> {
        let (key, old) = (ObjectKey::new("room-blue", "a"), instance());
        let request = self.request(Verb::Delete, &key, Some(&old), DryRun::No);
        self.mutating.validate(ctx, request, None).await?;
        self.validating.validate(ctx, request, None).await
    }

    fn request<'a>(&'a self, verb: Verb, key: &'a ObjectKey, old: Option<&'a Object>, dry_run: DryRun) -> AdmissionRequest<'a> {
        let (descriptor, schema) = (self.instances.descriptor(), self.instances.schema());
        AdmissionRequest { descriptor, verb, subresource: Subresource::Main, key, old, dry_run, schema, memo: &self.memo }
    }
}

fn instance() -> Object {
    Object::from_value(json!({
        "kind": "Book", "apiVersion": "library.example.com/v1",
        "metadata": {"name": "a", "namespace": "room-blue", "labels": {"l": "1"}},
        "spec": {"displayName": "A"},
    }))
    .unwrap()
}

fn context() -> RequestContext {
    let user = User { name: "ann".into(), groups: vec!["ops".into()], ..User::default() };
    RequestContext::new(Arc::new(user), Principal::default(), Instant::now() + Duration::from_secs(60), "audit".into())
}

fn allow(_: &Value) -> (u16, Value) {
    (200, json!({"allowed": true, "warnings": ["mind the gap"], "auditAnnotations": {"seen": "yes"}}))
}

fn deny(_: &Value) -> (u16, Value) {
    (200, json!({"allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": "not today"}}))
}

fn patching(patch: &Value) -> (u16, Value) {
    (200, json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch.to_string())}))
}

#[tokio::test]
async fn a_webhook_learns_all_about_a_write() {
    let hook = Hook::start(allow).await;
    let rig = Rig::start(vec![hook.entry("w.example.com", &json!({}))]).await;
    let ctx = context().with_annotations(apiserver_meta::context::Annotations::default());
    rig.write(&ctx, None, DryRun::No).await.unwrap();
    rig.write(&ctx, Some(&instance()), DryRun::All).await.unwrap();
    rig.delete(&ctx).await.unwrap();
    assert_eq!(ctx.warnings(), ["mind the gap"]);
    let asked = hook.asked();
    assert_eq!(asked.len(), 6, "both sorts, each time");
    let told = |at: usize, field: &str| asked[at][field].clone();
    let kind = json!({"group": "library.example.com", "version": "v1", "kind": "Book"});
    assert_eq!((told(0, "kind"), told(0, "operation"), told(0, "dryRun")), (kind, json!("CREATE"), json!(false)));
    assert_eq!((told(0, "userInfo"), told(0, "oldObject")), (json!({"username": "ann", "groups": ["ops"]}), Value::Null));
    assert_eq!((told(0, "namespace"), told(0, "name")), (json!("room-blue"), json!("a")));
    assert_eq!(told(0, "object")["apiVersion"], "library.example.com/v1");
    assert_eq!((told(2, "operation"), told(2, "dryRun")), (json!("UPDATE"), json!(true)));
    assert_eq!(told(2, "oldObject")["metadata"]["name"], "a");
    assert_eq!((told(4, "operation"), told(4, "object")), (json!("DELETE"), Value::Null));
}

#[tokio::test]
async fn what_becomes_of_a_write() {
    let fails: Behaviour = |_| (500, json!({}));
    let silent: Behaviour = |_| (200, Value::Null);
    let ignore = json!({"failurePolicy": "Ignore"});
    // The webhook, what its configuration says beside, and the code and beginning of the refusal.
    type Refusal = Option<(u16, &'static str)>;
    let table: [(Behaviour, Value, Refusal); 14] = [
        (allow, json!({}), None),
        (deny, json!({}), Some((403, "admission webhook \"w.example.com\" denied the request: not today"))),
        (deny, ignore.clone(), Some((403, "admission webhook \"w.example.com\" denied"))),
        (
            fails,
            json!({}),
            Some((
                500,
                "Internal error occurred: failed calling webhook \"w.example.com\": failed to call webhook: Post \"https://localhost:",
            )),
        ),
        (fails, ignore.clone(), None),
        (
            silent,
            json!({}),
            Some((
                500,
                "Internal error occurred: failed calling webhook \"w.example.com\": received invalid webhook response: webhook response was absent",
            )),
        ),
        (silent, ignore, None),
        (deny, json!({"rules": []}), None),
        (deny, json!({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["*/*"]}]}), None),
        (
            deny,
            json!({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"], "scope": "Cluster"}]}),
            None,
        ),
        (deny, json!({"objectSelector": {"matchLabels": {"l": "2"}}}), None),
        (deny, json!({"namespaceSelector": {"matchLabels": {"team": "red"}}}), None),
        (deny, json!({"namespaceSelector": {"matchLabels": {"team": "blue"}}}), Some((403, "admission webhook"))),
        (deny, json!({"matchConditions": [{"name": "n", "expression": "request.userInfo.username != 'ann'"}]}), None),
    ];
    for (behaviour, more, want) in table {
        let hook = Hook::start(behaviour).await;
        let rig = Rig::start(vec![hook.entry("w.example.com", &more)]).await;
        let refusal = rig.write(&context(), None, DryRun::No).await.err();
        match (&refusal, want) {
            (None, None) => {}
            (Some(error), Some((code, text))) => {
                assert_eq!(error.code(), code, "{more}: {error}");
                assert!(error.message.starts_with(text), "{more}: {error}");
            }
            _ => panic!("{more}: {refusal:?}, not {want:?}"),
        }
    }
}

#[tokio::test]
async fn only_who_does_nothing_else_is_asked_about_a_dry_run() {
    for (effects, asked) in [("None", 2), ("NoneOnDryRun", 2), ("Some", 0), ("Unknown", 0)] {
        let hook = Hook::start(allow).await;
        let rig = Rig::start(vec![hook.entry("w.example.com", &json!({"sideEffects": effects}))]).await;
        let done = rig.write(&context(), None, DryRun::All).await;
        assert_eq!(hook.asked().len(), asked, "{effects}");
        assert_eq!(done.is_ok(), asked > 0);
        if let Err(error) = done {
            assert_eq!((error.code(), error.message.as_str()), (400, "admission webhook \"w.example.com\" does not support dry run"));
        }
    }
}

#[tokio::test]
async fn a_webhook_that_cannot_be_known_is_not_asked() {
    let hook = Hook::start(allow).await;
    let stranger = STANDARD.encode(Authority::new("stranger").pem());
    let rig = Rig::start(vec![hook.entry("w.example.com", &json!({"clientConfig": {"url": hook.url, "caBundle": stranger}}))]).await;
    let error = rig.write(&context(), None, DryRun::No).await.unwrap_err();
    assert_eq!(error.code(), 500);
    assert!(error.message.contains("certificate"), "{error}");
    assert!(hook.asked().is_empty());
}

#[tokio::test]
async fn patches_are_applied_in_turn_and_shown_again_to_those_who_ask() {
    let first: Behaviour = |_| patching(&json!([{"op": "add", "path": "/metadata/labels/first", "value": "1"}]));
    let second: Behaviour = |request| {
        assert_eq!(request["object"]["metadata"]["labels"]["first"], "1", "in the order of the configuration");
        patching(&json!([
            {"op": "add", "path": "/spec/description", "value": "by second"},
            {"op": "add", "path": "/spec/bogus", "value": 1},
            {"op": "replace", "path": "/metadata/name", "value": "other"},
        ]))
    };
    let (first, second) = (Hook::start(first).await, Hook::start(second).await);
    let about_creates = json!([{"apiGroups": ["*"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["*"]}]);
    let hooks = vec![
        first.entry("first.example.com", &json!({"reinvocationPolicy": "IfNeeded", "rules": about_creates})),
        second.entry("second.example.com", &json!({"rules": about_creates})),
    ];
    let rig = Rig::with(hooks, Vec::new());
    let made = rig.write(&context(), None, DryRun::No).await.unwrap();
    assert_eq!((made.str_at(&["spec", "description"]), made.name(), made.at(&["spec", "bogus"])), ("by second", "a", None));
    assert_eq!(made.str_at(&["metadata", "labels", "first"]), "1");
    let seen: Vec<_> = first.asked().iter().map(|request| request["object"]["spec"]["description"].clone()).collect();
    assert_eq!(seen, [Value::Null, json!("by second")], "asked, and asked again");
    assert_eq!(second.asked().len(), 1);
}

#[tokio::test]
async fn a_patch_that_makes_no_object_of_the_kind_fails() {
    let bad: Behaviour = |_| patching(&json!([{"op": "replace", "path": "/spec", "value": "text"}]));
    let hook = Hook::start(bad).await;
    let rig = Rig::start(vec![hook.entry("w.example.com", &json!({}))]).await;
    let error = rig.write(&context(), None, DryRun::No).await.unwrap_err();
    assert_eq!(error.code(), 500, "{error}");
    let error = rig.delete(&context()).await.unwrap_err();
    assert!(error.message.ends_with("attempted to modify the object, which is not supported for this operation"), "{error}");
}

#[tokio::test]
async fn a_patch_that_cannot_be_applied_is_not_passed_over() {
    let patches: [(Behaviour, &str, bool); 5] = [
        (|_| patching(&json!([{"op": "remove", "path": "/spec/bogus"}])), "Ignore", false),
        (|_| patching(&json!({"op": "remove"})), "Fail", false),
        (|_| patching(&json!({"op": "remove"})), "Ignore", true),
        (|_| patching(&json!([])), "Fail", true),
        (|_| patching(&json!([{"op": "test", "path": "/kind", "value": "Book"}])), "Fail", true),
    ];
    for (behaviour, policy, passes) in patches {
        let hook = Hook::start(behaviour).await;
        let rig = Rig::with(vec![hook.entry("w.example.com", &json!({"failurePolicy": policy}))], Vec::new());
        let done = rig.write(&context(), None, DryRun::No).await;
        assert_eq!(done.as_ref().is_ok(), passes, "{policy}: {done:?}");
        if let Ok(made) = done {
            assert_eq!(made.str_at(&["spec", "displayName"]), "A", "{policy}");
        }
    }
}

#[tokio::test]
async fn who_only_validates_changes_nothing() {
    let hook = Hook::start(|_| patching(&json!([{"op": "remove", "path": "/spec"}]))).await;
    for (more, want) in [(json!({}), Some("validating webhook may not return response.patch")), (json!({"failurePolicy": "Ignore"}), None)]
    {
        let rig = Rig::with(Vec::new(), vec![hook.entry("w.example.com", &more)]);
        let refusal = rig.write(&context(), None, DryRun::No).await.err().map(|error| error.message);
        assert_eq!(refusal.is_some(), want.is_some(), "{refusal:?}");
        assert!(refusal.unwrap_or_default().ends_with(want.unwrap_or_default()));
    }
}

#[tokio::test]
async fn nobody_passes_over_the_end_of_a_request() {
    let hook = Hook::start(allow).await;
    let rig = Rig::with(vec![hook.entry("w.example.com", &json!({"failurePolicy": "Ignore"}))], Vec::new());
    let mut late = context();
    late.deadline = Instant::now();
    let error = rig.write(&late, None, DryRun::No).await.unwrap_err();
    assert_eq!((error.code(), error.message.as_str()), (504, "Timeout: request did not complete within requested timeout"));
}
