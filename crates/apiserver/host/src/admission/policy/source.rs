//! The policies and bindings of the host cluster, followed and made ready.

use super::compiled::CompiledPolicy;
use super::params::{AllParams, Params};
use crate::admission::events::{Collection, events};
use crate::admission::matching::Criteria;
use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::{
    ParamRef, ValidatingAdmissionPolicy as Policy, ValidatingAdmissionPolicyBinding as PolicyBinding,
};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// A policy with everything that binds it. Only policies that are bound are kept.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) policy: Arc<CompiledPolicy>,
    pub(super) criteria: Criteria,
    /// None where the policy has none.
    pub(super) params: Option<Arc<Params>>,
    pub(super) bindings: Vec<Binding>,
}

/// A binding of a policy.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) criteria: Criteria,
    pub(super) param_ref: Option<ParamRef>,
    pub(super) actions: Vec<String>,
}

/// What requests go by: none until everything was listed once.
pub(super) type Hooks = Option<Arc<[Hook]>>;

enum Change {
    Policy(watcher::Event<Policy>),
    Binding(watcher::Event<PolicyBinding>),
}

/// Follows the cluster's policies, and tells what they are whenever they change. Ends only when it is dropped.
pub(super) async fn follow(client: Client, hooks: watch::Sender<Hooks>) {
    let policies = events::<Policy>(&client).map(Change::Policy);
    let bindings = events::<PolicyBinding>(&client).map(Change::Binding);
    let changes = futures::stream::select(policies, bindings).ready_chunks(1000);
    let mut changes = std::pin::pin!(changes);
    let mut known = Following::default();
    while let Some(changes) = changes.next().await {
        let mut told = false;
        for change in changes {
            told |= match change {
                Change::Policy(event) => known.policies.apply(event),
                Change::Binding(event) => known.bindings.apply(event),
            };
        }
        if told && known.policies.is_synced() && known.bindings.is_synced() {
            let current = known.hooks(&client).await;
            tracing::info!(policies = current.len(), "admission policies are followed");
            hooks.send_replace(Some(current));
        }
    }
}

#[derive(Default)]
struct Following {
    policies: Collection<Policy>,
    bindings: Collection<PolicyBinding>,
    /// By name: the version that was compiled, and what became of it.
    compiled: BTreeMap<String, (Option<String>, Arc<CompiledPolicy>)>,
    params: AllParams,
}

impl Following {
    /// The bound policies, by name, with their bindings, by name.
    async fn hooks(&mut self, client: &Client) -> Arc<[Hook]> {
        let mut bound: BTreeMap<&str, Vec<&PolicyBinding>> = BTreeMap::new();
        for binding in self.bindings.objects() {
            bound.entry(&binding.spec.policy_name).or_default().push(binding);
        }
        let bound: Vec<_> = bound.into_iter().filter_map(|(name, bindings)| Some((self.policies.get(name)?, bindings))).collect();
        let mut compiled = BTreeMap::new();
        for (policy, _) in &bound {
            let (name, version) = (policy.name_any(), policy.resource_version());
            let ready = match self.compiled.get(&name) {
                Some((known, ready)) if *known == version => Arc::clone(ready),
                _ => compile((*policy).clone()).await,
            };
            compiled.insert(name, (version, ready));
        }
        let kinds: Vec<_> = compiled.values().filter_map(|(_, policy)| policy.param_kind.clone()).collect();
        self.params.follow_only(client, &kinds);
        let hooks = bound.iter().filter_map(|(policy, bindings)| {
            let (_, ready) = compiled.get(&policy.name_any())?;
            Some(Hook {
                policy: Arc::clone(ready),
                criteria: Criteria::new(policy.spec.as_ref().and_then(|it| it.match_constraints.as_ref())),
                params: ready.param_kind.as_ref().and_then(|kind| self.params.of(kind)),
                bindings: bindings.iter().map(|it| Binding::new(it)).collect(),
            })
        });
        let hooks = hooks.collect();
        self.compiled = compiled;
        hooks
    }
}

impl Binding {
    fn new(binding: &PolicyBinding) -> Self {
        let spec = &binding.spec;
        Self {
            name: binding.name_any(),
            criteria: Criteria::new(spec.match_resources.as_ref()),
            param_ref: spec.param_ref.clone(),
            actions: spec.validation_actions.clone(),
        }
    }
}

/// Parses a policy off the runtime. One that brings the parser down is one whose expressions fail.
async fn compile(policy: Policy) -> Arc<CompiledPolicy> {
    let name = policy.name_any();
    match tokio::task::spawn_blocking(move || CompiledPolicy::new(&policy)).await {
        Ok(compiled) => Arc::new(compiled),
        Err(error) => {
            tracing::error!(policy = name, %error, "a policy could not be compiled");
            Arc::new(CompiledPolicy::broken(name))
        }
    }
}
