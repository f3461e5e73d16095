//! The host cluster's admission webhooks (`admissionregistration.k8s.io/v1`), called for writes here because kube-apiserver
//! does not call them for requests that it passes on.
//!
//! Mutating ones are called one after the other, by the name of their configuration and in its order, and once more when
//! somebody behind them has changed the object and they want to know; validating ones at the same time. Refused: the
//! credentials of a client, which no webhook gets, and of this server, as webhooks that ask for some are configured by files
//! that only kube-apiserver has.

mod call;
mod source;
#[cfg(test)]
mod tests;

use super::expressions::off_runtime;
use super::facts::{Facts, KnownNamespace, Namespaces};
use super::matching::Subject;
use super::request::typed;
use super::review::Verdict;
use crate::HostCluster;
use apiserver_cel::{Activation, Evaluator, MATCH_CONDITIONS_BUDGET};
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Object, RequestContext, Verb, decode};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use serde::de::IgnoredAny;
use source::{FailurePolicy, Hooks, Reinvocation, Webhook};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a request waits for the first list of webhooks.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Webhooks of one sort, and what it takes to find out which of them a request is about.
#[derive(Debug)]
struct Webhooks {
    facts: Facts,
    hooks: watch::Receiver<Hooks>,
}

/// Lets webhooks change what is to be written, and refuse it.
#[derive(Debug)]
pub(super) struct MutatingWebhooks(Webhooks);

/// Lets webhooks refuse what is to be written.
#[derive(Debug)]
pub(super) struct ValidatingWebhooks(Webhooks);

impl MutatingWebhooks {
    /// Follows the cluster's configurations until `stop`.
    pub(super) fn follow(cluster: &HostCluster, namespaces: Arc<dyn Namespaces>, stop: &CancellationToken) -> Self {
        Self(Webhooks::follow::<MutatingWebhookConfiguration>(cluster, namespaces, stop))
    }

    /// Calls everybody in turn. Returns what the object has become.
    async fn turn(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        let hooks = self.0.hooks(request, object.name()).await?;
        if hooks.is_empty() {
            return Ok(());
        }
        let mut called: Vec<(usize, Object)> = Vec::new();
        for (index, hook) in hooks.iter().enumerate() {
            if self.0.call_one(ctx, request, object, hook).await? {
                called.push((index, object.clone()));
            }
        }
        // Once more, those who want it and have not seen the object as it is now.
        for (index, left) in called {
            if hooks[index].reinvocation == Reinvocation::IfNeeded && left != *object {
                self.0.call_one(ctx, request, object, &hooks[index]).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Admission for MutatingWebhooks {
    async fn mutate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        self.turn(ctx, request, object).await
    }

    /// Deletes change no object, and webhooks are asked all the same.
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        if request.verb != Verb::Delete {
            return Ok(());
        }
        let hooks = self.0.hooks(request, &request.key.name).await?;
        for hook in hooks.iter() {
            let verdict = self.0.verdict(ctx, request, object, hook).await?;
            if verdict.is_some_and(|verdict| verdict.patch.is_some()) {
                let why =
                    format!("admission webhook {:?} attempted to modify the object, which is not supported for this operation", hook.name);
                return Err(ApiError::internal(why));
            }
        }
        Ok(())
    }
}

impl ValidatingWebhooks {
    /// Follows the cluster's configurations until `stop`.
    pub(super) fn follow(cluster: &HostCluster, namespaces: Arc<dyn Namespaces>, stop: &CancellationToken) -> Self {
        Self(Webhooks::follow::<ValidatingWebhookConfiguration>(cluster, namespaces, stop))
    }
}

#[async_trait]
impl Admission for ValidatingWebhooks {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let hooks = self.0.hooks(request, object.map_or(&request.key.name, |object| object.name())).await?;
        let calls = hooks.iter().map(async |hook| match self.0.verdict(ctx, request, object, hook).await? {
            Some(Verdict { patch: Some(_), .. }) if hook.version == Ok("v1") => {
                hook.failed("received invalid webhook response: validating webhook may not return response.patch")
            }
            _ => Ok(()),
        });
        // All are waited for, so that each that was asked has its answer read; the first in order is told.
        futures::future::join_all(calls).await.into_iter().collect()
    }
}

impl Webhooks {
    fn follow<K: source::Configuration>(cluster: &HostCluster, namespaces: Arc<dyn Namespaces>, stop: &CancellationToken) -> Self {
        let (sender, hooks) = watch::channel(None);
        let following = source::follow::<K>(cluster.client().clone(), sender);
        tokio::spawn(stop.clone().run_until_cancelled_owned(following));
        Self { facts: Facts { client: cluster.client().clone(), namespaces }, hooks }
    }

    async fn hooks(&self, request: AdmissionRequest<'_>, name: &str) -> Result<Arc<[Webhook]>, ApiError> {
        let mut hooks = self.hooks.clone();
        let known = tokio::time::timeout(READY_TIMEOUT, hooks.wait_for(Option::is_some)).await;
        let known = known.ok().and_then(|known| known.ok()?.clone());
        known.ok_or_else(|| ApiError::forbidden(request.descriptor.group_resource(), name, "not yet ready to handle request"))
    }

    /// Calls a mutating webhook and does what it says. Tells whether it was called.
    async fn call_one(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &mut Object,
        hook: &Webhook,
    ) -> Result<bool, ApiError> {
        let Some(verdict) = self.verdict(ctx, request, Some(object), hook).await? else { return Ok(false) };
        if let Some(patch) = verdict.patch {
            if let Err(error) = serde_json::from_slice::<Vec<IgnoredAny>>(&patch) {
                return hook.failed(&format!("received undecodable patch in webhook response: {error}")).map(|()| true);
            }
            // No failure of the webhook that could be passed over: it has decided.
            *object = patched(object, &patch, request).map_err(ApiError::internal)?;
        }
        Ok(true)
    }

    /// What a webhook says; `None` when the request is none of its business, or its failure is to be passed over.
    async fn verdict(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: Option<&Object>,
        hook: &Webhook,
    ) -> Result<Option<Verdict>, ApiError> {
        if !self.concerns(ctx, request, object, hook).await? {
            return Ok(None);
        }
        if request.dry_run == DryRun::All && !hook.dry_runs {
            return Err(ApiError::bad_request(format!("admission webhook {:?} does not support dry run", hook.name)));
        }
        let time = hook.timeout.min(ctx.deadline.saturating_duration_since(Instant::now()));
        let verdict = match call::call(hook, ctx, request, object, time).await {
            Ok(verdict) => verdict,
            Err(why) => {
                hook.failed(&why)?;
                if Instant::now() >= ctx.deadline {
                    return Err(ApiError::timeout("request did not complete within requested timeout"));
                }
                return Ok(None);
            }
        };
        for warning in &verdict.warnings {
            ctx.warn(warning.as_str());
        }
        for (key, value) in &verdict.annotations {
            ctx.annotate(format!("{}/{key}", hook.name), value.as_str());
        }
        match verdict.outcome {
            Ok(()) => Ok(Some(verdict)),
            Err(refused) => Err(refused.into_error(&hook.name)),
        }
    }

    /// Whether a webhook is to be asked about a request.
    async fn concerns(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: Option<&Object>,
        hook: &Webhook,
    ) -> Result<bool, ApiError> {
        let subject = Subject { request, object };
        let namespace = if hook.criteria.ask_for_namespace() { self.facts.namespace_of(request).await } else { Ok(None) };
        let known = KnownNamespace::new(&namespace);
        if !hook.criteria.met(subject, &known.0).map_err(ApiError::internal)? {
            return Ok(false);
        }
        if hook.conditions.is_empty() {
            return Ok(true);
        }
        let (conditions, activation) = (Arc::clone(&hook.conditions), self.facts.activation(ctx, subject, None));
        match off_runtime(move || conditions_met(&conditions, &activation)).await.flatten() {
            Ok(met) => Ok(met),
            Err(_) if hook.failure_policy == FailurePolicy::Ignore => Ok(false),
            Err(why) => {
                let name = object.map_or(&*request.key.name, Object::name);
                Err(ApiError::forbidden(request.descriptor.group_resource(), name, why))
            }
        }
    }
}

/// Whether all conditions are met: one that is not decides, even where others fail.
fn conditions_met(conditions: &[source::Condition], activation: &Activation) -> Result<bool, String> {
    let mut evaluator = Evaluator::new(activation, MATCH_CONDITIONS_BUDGET);
    let mut failure = None;
    for condition in conditions {
        let truth = match condition {
            Ok(program) => evaluator.evaluate_bool(program).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match truth {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(why) => _ = failure.get_or_insert(why),
        }
    }
    failure.map_or(Ok(true), Err)
}

/// The object after a webhook's patch, in the form of its kind.
fn patched(object: &Object, patch: &[u8], request: AdmissionRequest<'_>) -> Result<Object, String> {
    let after = apiserver_patch::json_patch(typed(object, request), patch).map_err(|error| error.to_string())?;
    let conformed = decode::conform(after, request.schema).map_err(|error| error.to_string())?;
    let mut after = Object::from_value(conformed.value).ok_or("the patch makes something of it that is no object")?;
    // What it is, which one, and who has set what, is not a webhook's to say.
    for field in ["kind", "apiVersion"] {
        match object.0.get(field) {
            Some(value) => _ = after.0.insert(field.into(), value.clone()),
            None => _ = after.0.remove(field),
        }
    }
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        match object.0.get("metadata").and_then(|metadata| metadata.get(field)).cloned() {
            Some(value) => _ = after.metadata_mut().insert(field.into(), value),
            None => _ = after.metadata_mut().remove(field),
        }
    }
    Ok(after)
}
