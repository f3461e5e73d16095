//! ValidatingAdmissionPolicy (`admissionregistration.k8s.io/v1`): rules in CEL that the host cluster's administrators wrote,
//! evaluated here because kube-apiserver does not evaluate them for requests that it passes on.
//!
//! Policies, bindings and parameters are followed; a request is answered from memory, but for its namespace and what
//! expressions ask the authorizer. Where kube-apiserver's order is random, it is by name here. Refused: the status of
//! policies (type checking), which kube-apiserver writes, and matching by equivalent resources: there is one version.

mod compiled;
mod decide;
mod params;
mod refusal;
mod source;

#[cfg(test)]
mod tests;

use crate::HostCluster;
use crate::admission::expressions::off_runtime;
use crate::admission::facts::{Facts, KnownNamespace, Namespaces};
use crate::admission::matching::Subject;
use crate::admission::request::shown_name;
use apiserver_cel::Activation;
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use compiled::{CompiledPolicy, FailurePolicy};
use decide::Verdict;
use params::Fault;
use refusal::Refusal;
use serde_json::Value;
use source::{Binding, Hook, Hooks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a request waits for the first list of policies.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// The audit annotation of failed validations whose binding has the action Audit.
const VALIDATION_FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";

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
