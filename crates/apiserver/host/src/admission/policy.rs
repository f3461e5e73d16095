//! ValidatingAdmissionPolicy (`admissionregistration.k8s.io/v1`): rules in CEL that the host cluster's administrators wrote,
//! evaluated here because kube-apiserver does not evaluate them for requests that it passes on.
//!
//! Policies, bindings and parameters are followed; a request is answered from memory, but for its namespace and what
//! expressions ask the authorizer. Where kube-apiserver's order is random, it is by name here. Refused: the status of
//! policies (type checking), which kube-apiserver writes, and matching by equivalent resources: there is one version.

mod authorizer;
mod compiled;
mod decide;
mod matching;
mod params;
mod refusal;
mod source;

#[cfg(test)]
mod tests;

use crate::HostCluster;
use crate::admission::expressions::off_runtime;
use apiserver_cel::{AccessCheck, Activation};
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use authorizer::ClusterAuthorizer;
use compiled::{CompiledPolicy, FailurePolicy};
use decide::Verdict;
use kube::Client;
use matching::operation;
pub(super) use matching::{Criteria, Subject};
use params::Fault;
use refusal::Refusal;
use serde_json::{Value, json};
use source::{Binding, Hook, Hooks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a request waits for the first list of policies.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// The audit annotation of failed validations whose binding has the action Audit.
const VALIDATION_FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

/// Where namespaces are known from.
#[async_trait]
pub(super) trait Namespaces: std::fmt::Debug + Send + Sync + 'static {
    /// A namespace's object.
    ///
    /// # Errors
    /// Why there is none.
    async fn namespace(&self, name: &str) -> Result<Arc<Value>, ApiError>;
}

/// What is known about a request beside the request itself.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) client: Client,
    pub(super) namespaces: Arc<dyn Namespaces>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}

/// The host cluster's policies, asked about every write.
pub(super) struct ValidatingAdmissionPolicies {
    facts: Facts,
    hooks: watch::Receiver<Hooks>,
}

impl std::fmt::Debug for ValidatingAdmissionPolicies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValidatingAdmissionPolicies").finish_non_exhaustive()
    }
}

impl ValidatingAdmissionPolicies {
    /// Follows the cluster's policies until `stop`.
    pub(super) fn follow(cluster: &HostCluster, namespaces: Arc<dyn Namespaces>, stop: &CancellationToken) -> Self {
        let (sender, hooks) = watch::channel(None);
        let following = Box::pin(source::follow(cluster.client().clone(), sender));
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        Self { facts: Facts { client: cluster.client().clone(), namespaces }, hooks }
    }

    /// The policies, once they are known.
    async fn hooks(&self) -> Option<Arc<[Hook]>> {
        if let Some(hooks) = &*self.hooks.borrow() {
            return Some(Arc::clone(hooks));
        }
        let mut hooks = self.hooks.clone();
        let known = tokio::time::timeout(READY_TIMEOUT, hooks.wait_for(Option::is_some)).await;
        known.ok()?.ok()?.clone()
    }

    /// What is to be evaluated for a request, and what is refused before anything is evaluated, in order.
    async fn steps(&self, subject: Subject<'_>, namespace: &KnownNamespace, hooks: &[Hook]) -> Vec<Step> {
        let mut steps = Vec::new();
        for hook in hooks {
            let policy = &hook.policy;
            let misconfigured =
                |binding: Option<&str>, why: String| Step::refused(policy, Refusal::misconfigured(&policy.name, binding, why));
            match hook.criteria.met(subject, &namespace.0) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    steps.extend(misconfigured(None, why));
                    continue;
                }
            }
            for binding in &hook.bindings {
                let params = match bound(hook, binding, subject, namespace).await {
                    Ok(params) => params,
                    Err(Fault::Policy(why)) => {
                        steps.extend(misconfigured(None, why));
                        break;
                    }
                    Err(Fault::Binding(why)) => {
                        steps.extend(misconfigured(Some(&binding.name), why));
                        continue;
                    }
                };
                steps.extend(params.into_iter().map(|params| Step::evaluation(policy, binding, params)));
            }
        }
        steps
    }
}

/// The parameters that a binding gives for a request: none when it is not about it.
async fn bound(hook: &Hook, binding: &Binding, subject: Subject<'_>, namespace: &KnownNamespace) -> Result<Vec<Arc<Value>>, Fault> {
    if let Some(params) = &hook.params {
        params.known().await?;
    }
    if !binding.criteria.met(subject, &namespace.0).map_err(Fault::Binding)? {
        return Ok(Vec::new());
    }
    match &hook.params {
        None => Ok(vec![Arc::default()]),
        Some(params) => params.select(binding.param_ref.as_ref(), &subject.request.key.namespace).await,
    }
}

/// The namespace of a request: none where it has none, or why it is not known.
pub(super) struct KnownNamespace(pub(super) Result<Option<Value>, String>);

impl KnownNamespace {
    pub(super) fn new(namespace: &Result<Option<Arc<Value>>, ApiError>) -> Self {
        Self(namespace.as_ref().map(|it| it.as_deref().cloned()).map_err(ToString::to_string))
    }
}

/// One thing to do for a request.
enum Step {
    Refuse(Refusal),
    Evaluate { policy: Arc<CompiledPolicy>, binding: String, actions: Vec<String>, params: Arc<Value> },
}

impl Step {
    /// Unless the policy's failures are ignored.
    fn refused(policy: &CompiledPolicy, refusal: Refusal) -> Option<Self> {
        (policy.failure_policy == FailurePolicy::Fail).then_some(Self::Refuse(refusal))
    }

    fn evaluation(policy: &Arc<CompiledPolicy>, binding: &Binding, params: Arc<Value>) -> Self {
        Self::Evaluate { policy: Arc::clone(policy), binding: binding.name.clone(), actions: binding.actions.clone(), params }
    }
}

/// A step that was done.
enum Done {
    Refused(Refusal),
    Evaluated { policy: Arc<CompiledPolicy>, binding: String, actions: Vec<String>, verdict: Verdict },
}

#[async_trait]
impl Admission for ValidatingAdmissionPolicies {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let what = request.descriptor.group_resource();
        let name = shown_name(request, object);
        let Some(hooks) = self.hooks().await else {
            return Err(ApiError::forbidden(what, &name, "not yet ready to handle request"));
        };
        let subject = Subject { request, object };
        // As long as no policy is about the request, nobody is asked about its namespace.
        if hooks.iter().all(|hook| hook.criteria.met(subject, &Ok(None)) == Ok(false)) {
            return Ok(());
        }
        let namespace = self.facts.namespace_of(request).await;
        let known = KnownNamespace::new(&namespace);
        let steps = self.steps(subject, &known, &hooks).await;
        if steps.is_empty() {
            return Ok(());
        }
        let activation = self.facts.activation(ctx, subject, namespace?);
        let done = off_runtime(move || steps.into_iter().map(|step| carry_out(step, &activation)).collect::<Vec<_>>()).await;
        let done = done.map_err(ApiError::internal)?;
        match settle(ctx, done) {
            Some(refusal) => Err(refusal.into_error(what, &name)),
            None => Ok(()),
        }
    }
}

impl Facts {
    pub(super) async fn namespace_of(&self, request: AdmissionRequest<'_>) -> Result<Option<Arc<Value>>, ApiError> {
        if request.key.namespace.is_empty() {
            return Ok(None);
        }
        self.namespaces.namespace(&request.key.namespace).await.map(Some)
    }

    /// The values of the variables, of which the parameters are not known yet.
    pub(super) fn activation(&self, ctx: &RequestContext, subject: Subject<'_>, namespace: Option<Arc<Value>>) -> Activation {
        let AdmissionRequest { descriptor, subresource, key, old, .. } = subject.request;
        let value = |object: Option<&Object>| object.map_or(Value::Null, |it| typed(it, subject.request));
        let request_resource = AccessCheck {
            group: descriptor.group.into(),
            resource: descriptor.plural.into(),
            subresource: subresource.as_str().into(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            ..AccessCheck::default()
        };
        let authorizer = Arc::new(ClusterAuthorizer::new(self.client.clone(), Arc::clone(&ctx.user), ctx.deadline));
        Activation::default()
            .bind("object", value(subject.object))
            .bind("oldObject", value(old))
            .bind("request", request_attributes(ctx, subject.request))
            .bind("params", Value::Null)
            .bind("namespaceObject", namespace.map_or(Value::Null, |it| namespace_object(&it)))
            .bind_authorizer(authorizer, request_resource)
    }
}

/// An object as clients see it: it says what it is.
pub(super) fn typed(object: &Object, request: AdmissionRequest<'_>) -> Value {
    let mut fields = object.0.clone();
    fields.insert("kind".into(), request.descriptor.kind.into());
    fields.insert("apiVersion".into(), request.descriptor.api_version().into());
    Value::Object(fields)
}

/// `request` in expressions: the attributes, without the objects.
pub(super) fn request_attributes(ctx: &RequestContext, request: AdmissionRequest<'_>) -> Value {
    let AdmissionRequest { descriptor, verb, subresource, key, dry_run, .. } = request;
    let kind = json!({"group": descriptor.group, "version": descriptor.version, "kind": descriptor.kind});
    let resource = json!({"group": descriptor.group, "version": descriptor.version, "resource": descriptor.plural});
    let operation = operation(verb);
    let options_kind = match operation {
        "CREATE" => "CreateOptions",
        "DELETE" => "DeleteOptions",
        _ => "UpdateOptions",
    };
    let mut options = json!({"kind": options_kind, "apiVersion": "meta.k8s.io/v1"});
    if dry_run == DryRun::All {
        options["dryRun"] = json!(["All"]);
    }
    let mut attributes = json!({
        "uid": "",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "operation": operation,
        "userInfo": user_info(&ctx.user),
        "dryRun": dry_run == DryRun::All,
        "options": options,
    });
    if let Value::Object(fields) = &mut attributes {
        let mut set = |field: &str, text: &str| {
            if !text.is_empty() {
                fields.insert(field.into(), text.into());
            }
        };
        set("subResource", subresource.as_str());
        set("requestSubResource", subresource.as_str());
        set("name", &key.name);
        set("namespace", &key.namespace);
    }
    attributes
}

/// A user in the words of an admission request: what is empty is left out.
fn user_info(user: &apiserver_meta::User) -> Value {
    let mut info = serde_json::Map::new();
    for (field, text) in [("username", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            info.insert(field.into(), text.as_str().into());
        }
    }
    if !user.groups.is_empty() {
        info.insert("groups".into(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        info.insert("extra".into(), json!(user.extra));
    }
    Value::Object(info)
}

/// A namespace as expressions see it: without what only servers care for.
fn namespace_object(namespace: &Value) -> Value {
    let mut shown = namespace.clone();
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !matches!(field.as_str(), "managedFields" | "ownerReferences" | "selfLink"));
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|field, _| matches!(field.as_str(), "metadata" | "spec" | "status"));
    }
    shown
}

/// The name that a refusal speaks of: for one that is to be generated, what it is made from.
pub(super) fn shown_name(request: AdmissionRequest<'_>, object: Option<&Object>) -> String {
    let of_object = |field| object.map(|it| it.meta_str(field)).filter(|it| !it.is_empty());
    let given = Some(request.key.name.as_str()).filter(|it| !it.is_empty());
    given.or_else(|| of_object("name")).or_else(|| of_object("generateName")).unwrap_or("Unknown").to_owned()
}

/// Does one step, on a thread that may block.
fn carry_out(step: Step, activation: &Activation) -> Done {
    match step {
        Step::Refuse(refusal) => Done::Refused(refusal),
        Step::Evaluate { policy, binding, actions, params } => {
            let verdict = decide::decide(&policy, &activation.clone().bind("params", params));
            Done::Evaluated { policy, binding, actions, verdict }
        }
    }
}

/// Warns and notes what bindings ask for, and tells the first refusal.
fn settle(ctx: &RequestContext, done: Vec<Done>) -> Option<Refusal> {
    let mut first = None;
    // By policy and key: each value once.
    let mut annotations: Vec<(String, Vec<String>)> = Vec::new();
    for step in done {
        let (policy, binding, actions, verdict) = match step {
            Done::Refused(refusal) => {
                first = first.or(Some(refusal));
                continue;
            }
            Done::Evaluated { policy, binding, actions, verdict } => (policy, binding, actions, verdict),
        };
        for denial in verdict.denials {
            let refusal = || Refusal {
                policy: policy.name.clone(),
                binding: Some(binding.clone()),
                message: denial.message.clone(),
                reason: denial.reason,
            };
            for action in &actions {
                match action.as_str() {
                    "Deny" => first = first.or_else(|| Some(refusal())),
                    "Warn" => ctx.warn(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{binding}': {}",
                        policy.name, denial.message
                    )),
                    "Audit" => ctx.annotate(VALIDATION_FAILURE, failure_annotation(&policy.name, &binding, &actions, &denial)),
                    _ => {}
                }
            }
        }
        for message in verdict.annotation_failures {
            let refusal =
                Refusal { policy: policy.name.clone(), binding: Some(binding.clone()), message, reason: apiserver_meta::Reason::Invalid };
            first = first.or(Some(refusal));
        }
        for (key, value) in verdict.annotations {
            let key = format!("{}/{key}", policy.name);
            match annotations.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) if values.contains(&value) => {}
                Some((_, values)) => values.push(value),
                None => annotations.push((key, vec![value])),
            }
        }
    }
    for (key, values) in annotations {
        ctx.annotate(key, values.join(", "));
    }
    first
}

/// The value of the audit annotation: a list, for there may be more than one some day. Its fields are in upstream's order.
fn failure_annotation(policy: &str, binding: &str, actions: &[String], denial: &decide::Denial) -> String {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure<'a> {
        message: &'a str,
        policy: &'a str,
        binding: &'a str,
        expression_index: usize,
        validation_actions: &'a [String],
    }
    let failure = Failure { message: &denial.message, policy, binding, expression_index: denial.index, validation_actions: actions };
    serde_json::to_string(&[failure]).unwrap_or_default()
}
