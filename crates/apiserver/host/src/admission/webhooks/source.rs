//! The webhooks of the host cluster, followed and made ready.

use super::call::Target;
use crate::admission::events::{Collection, events};
use crate::admission::expressions::ENVIRONMENT;
use crate::admission::matching::Criteria;
use crate::admission::review::VERSIONS;
use apiserver_cel::{CompileError, Program};
use apiserver_meta::ApiError;
use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, MutatingWebhook, MutatingWebhookConfiguration, NamedRuleWithOperations, RuleWithOperations,
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Client;
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time for an answer where a webhook says nothing else.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What requests go by: none until everything was listed once.
pub(super) type Hooks = Option<Arc<[Webhook]>>;

/// A match condition, or why it is none.
pub(super) type Condition = Result<Program, CompileError>;

/// A webhook, ready to be called.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) name: String,
    pub(super) criteria: Criteria,
    pub(super) conditions: Arc<[Condition]>,
    pub(super) failure_policy: FailurePolicy,
    /// Whether it does nothing beside answering, when it is told that nothing will be stored.
    pub(super) dry_runs: bool,
    pub(super) timeout: Duration,
    pub(super) reinvocation: Reinvocation,
    /// The version of reviews that it knows.
    pub(super) version: Result<&'static str, String>,
    pub(super) target: Result<Target, String>,
}

/// What becomes of a request when a webhook fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailurePolicy {
    Fail,
    Ignore,
}

/// Whether a mutating webhook wants to see what others have made of the object after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reinvocation {
    Never,
    IfNeeded,
}

impl Webhook {
    /// The webhook has failed.
    ///
    /// # Errors
    /// 500, unless its failures are passed over.
    pub(super) fn failed(&self, why: &str) -> Result<(), ApiError> {
        let why = format!("failed calling webhook {:?}: {why}", self.name);
        match self.failure_policy {
            FailurePolicy::Fail => Err(ApiError::internal(why)),
            FailurePolicy::Ignore => {
                tracing::warn!(why, "passed over");
                Ok(())
            }
        }
    }
}

/// A kind of configuration.
pub(super) trait Configuration:
    kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    fn hooks(&self) -> Vec<Webhook>;
}

impl Configuration for ValidatingWebhookConfiguration {
    fn hooks(&self) -> Vec<Webhook> {
        let hooks = self.webhooks.iter().flatten().filter(|hook| is_about_something(hook.rules.as_ref()));
        hooks.map(|hook| Parts::from(hook).ready(Reinvocation::Never)).collect()
    }
}

impl Configuration for MutatingWebhookConfiguration {
    fn hooks(&self) -> Vec<Webhook> {
        let ready = |hook: &MutatingWebhook| {
            let wanted = hook.reinvocation_policy.as_deref() == Some("IfNeeded");
            Parts::from(hook).ready(if wanted { Reinvocation::IfNeeded } else { Reinvocation::Never })
        };
        self.webhooks.iter().flatten().filter(|hook| is_about_something(hook.rules.as_ref())).map(ready).collect()
    }
}

/// A webhook without rules is about nothing; criteria without rules are about everything.
fn is_about_something(rules: Option<&Vec<RuleWithOperations>>) -> bool {
    rules.is_some_and(|rules| !rules.is_empty())
}

/// Follows the configurations of a kind, and tells what they are whenever they change. Ends only when it is dropped.
pub(super) async fn follow<K: Configuration>(client: Client, hooks: watch::Sender<Hooks>) {
    let mut known = Collection::<K>::default();
    let mut events = pin!(events::<K>(&client).ready_chunks(1000));
    while let Some(events) = events.next().await {
        let told = events.into_iter().fold(false, |told, event| known.apply(event) | told);
        if told && known.is_synced() {
            let current: Arc<[Webhook]> = known.objects().flat_map(Configuration::hooks).collect();
            tracing::info!(kind = %K::kind(&()), webhooks = current.len(), "admission webhooks are followed");
            hooks.send_replace(Some(current));
        }
    }
}

/// What both sorts of webhooks say.
struct Parts<'a> {
    name: &'a str,
    client: &'a WebhookClientConfig,
    rules: Option<&'a Vec<RuleWithOperations>>,
    namespaces: Option<&'a LabelSelector>,
    objects: Option<&'a LabelSelector>,
    conditions: Option<&'a Vec<MatchCondition>>,
    failure_policy: Option<&'a str>,
    side_effects: &'a str,
    timeout: Option<i32>,
    versions: &'a [String],
}

macro_rules! parts_of {
    ($kind:ty) => {
        impl<'a> From<&'a $kind> for Parts<'a> {
            fn from(hook: &'a $kind) -> Self {
                Self {
                    name: &hook.name,
                    client: &hook.client_config,
                    rules: hook.rules.as_ref(),
                    namespaces: hook.namespace_selector.as_ref(),
                    objects: hook.object_selector.as_ref(),
                    conditions: hook.match_conditions.as_ref(),
                    failure_policy: hook.failure_policy.as_deref(),
                    side_effects: &hook.side_effects,
                    timeout: hook.timeout_seconds,
                    versions: &hook.admission_review_versions,
                }
            }
        }
    };
}

parts_of!(ValidatingWebhook);
parts_of!(MutatingWebhook);

impl Parts<'_> {
    fn ready(self, reinvocation: Reinvocation) -> Webhook {
        // Of those that it knows, the one that it names first.
        let version = self.versions.iter().find_map(|known| VERSIONS.into_iter().find(|version| known == version));
        Webhook {
            name: self.name.to_owned(),
            criteria: Criteria::new(Some(&self.resources())),
            conditions: self.conditions.into_iter().flatten().map(|condition| ENVIRONMENT.compile(&condition.expression)).collect(),
            failure_policy: if self.failure_policy == Some("Ignore") { FailurePolicy::Ignore } else { FailurePolicy::Fail },
            dry_runs: matches!(self.side_effects, "None" | "NoneOnDryRun"),
            timeout: self.timeout.and_then(|seconds| u64::try_from(seconds).ok()).map_or(TIMEOUT, Duration::from_secs),
            reinvocation,
            version: version.ok_or_else(|| "webhook does not accept known AdmissionReview versions (v1, v1beta1)".into()),
            target: Target::new(self.client),
        }
    }

    /// In the words of policies.
    fn resources(&self) -> MatchResources {
        let rule = |rule: &RuleWithOperations| NamedRuleWithOperations {
            api_groups: rule.api_groups.clone(),
            api_versions: rule.api_versions.clone(),
            operations: rule.operations.clone(),
            resource_names: None,
            resources: rule.resources.clone(),
            scope: rule.scope.clone(),
        };
        MatchResources {
            resource_rules: Some(self.rules.into_iter().flatten().map(rule).collect()),
            namespace_selector: self.namespaces.cloned(),
            object_selector: self.objects.cloned(),
            ..MatchResources::default()
        }
    }
}
