//! `status.quotas` of projects: the limits, and how much of them is used.
//!
//! Told, never asked: a limit is kept by counting (see the module above). One task in each server follows instances and
//! projects, gathers for a second what happens to a project, counts, and writes what differs. What is written depends on
//! the project's resourceVersion and on instances at least as new, so servers on one store agree instead of taking turns in
//! correcting each other; and who finds the status right writes nothing.

use super::facts::{Facts, Owner};
use super::limits::{Scope, limits};
use super::{Consistency, instances};
use crate::namespace_prefix::NamespacePrefix;
use crate::server_writes::server_writes;
use apiserver_meta::{ApiError, Descriptor, Object, ObjectFilter, ObjectKey, Subresource};
use apiserver_registry::informer::{self, Delta};
use apiserver_registry::loopback;
use apiserver_registry::work_queue::WorkQueue;
use apiserver_registry::{Item, Registry, WriteFailure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_management::project::{ProjectQuotaStatus, QuotaStatus as Told, Quotas, UserQuotaStatus, UserQuotaUse};

/// For how long changes are gathered; servers on one store wait up to half as much again, each its own time.
const GATHER: Duration = Duration::from_secs(1);
/// Time to write one status.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps `status.quotas` of projects right.
#[derive(Clone, Debug)]
pub(crate) struct QuotaStatus {
    projects: Arc<Registry>,
    instances: Arc<Registry>,
    prefix: NamespacePrefix,
    /// The names of projects to look at.
    marks: Arc<WorkQueue<String>>,
}

impl QuotaStatus {
    pub(crate) fn new(projects: Arc<Registry>, instances: Arc<Registry>, prefix: NamespacePrefix) -> Self {
        Self { projects, instances, prefix, marks: Arc::new(WorkQueue::new("quota status")) }
    }

    /// Works until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let follow = |registry: &Arc<Registry>| informer::follow(Arc::clone(registry), stop.clone(), |delta| self.mark(&delta));
        let this = &self;
        tokio::select! {
            _ = futures::future::join(follow(&self.projects), follow(&self.instances)) => {}
            () = self.marks.run(1, |name| async move { this.refresh(&name).await }) => {}
        }
    }

    /// Marks the projects that a change concerns. Instances that came and went unheard may have been counted meanwhile.
    fn mark(&self, delta: &Delta) {
        match delta {
            Delta::Added(item) | Delta::Updated { new: item, .. } | Delta::Deleted(item) => {
                let ObjectKey { namespace, name } = item.key();
                let project = if namespace.is_empty() { Some(name.as_str()) } else { self.prefix.project_of(&namespace) };
                project.into_iter().for_each(|project| self.mark_one(project));
            }
            Delta::Gap => self.projects.cache().items().iter().for_each(|item| self.mark_one(item.name())),
            Delta::Synced(_) => {}
        }
    }

    fn mark_one(&self, project: &str) {
        self.marks.add_after(project.to_owned(), GATHER + GATHER.mul_f64(jitter() / 2.0));
    }

    /// Writes the status of one project if it is not right.
    pub(super) async fn refresh(&self, name: &str) -> Result<(), ApiError> {
        let key = ObjectKey::new("", name);
        let Some(item) = self.projects.cache().cached_existing(&key) else { return Ok(()) };
        let stored: Value =
            serde_json::from_slice(&item.bytes).map_err(|error| ApiError::internal("the project cannot be read").with_source(error))?;
        let quotas: Quotas =
            stored.pointer("/spec/quotas").and_then(|quotas| serde_json::from_value(quotas.clone()).ok()).unwrap_or_default();
        let told = stored.pointer("/status/quotas");
        if told.is_none() && quotas == Quotas::default() {
            return Ok(());
        }
        let ctx = loopback::context(WRITE_TIMEOUT);
        let namespace = self.prefix.namespace_of(name);
        let instances = instances(&ctx, &self.instances, &namespace, item.revision, Consistency::Cached).await?;
        let status = status(&quotas, &instances, self.instances.descriptor());
        let status = status.map(serde_json::to_value).transpose().map_err(ApiError::internal)?;
        if told == status.as_ref() {
            return Ok(());
        }
        let Some(object) = with_status(stored, status) else { return Ok(()) };
        match self.projects.update(&ctx, &key, Subresource::Status, object, &server_writes(), &ObjectFilter::All).await {
            // Gone, or changed by somebody else at this moment: that change brings it here again.
            Ok(_) | Err(WriteFailure::Missing(_) | WriteFailure::Stale(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn with_status(stored: Value, quotas: Option<Value>) -> Option<Object> {
    let mut object = Object::from_value(stored)?;
    let status = object.0.entry("status").or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    match quotas {
        Some(quotas) => status.insert("quotas".into(), quotas),
        None => status.remove("quotas"),
    };
    Some(object)
}

/// How many are used, by the limit's name; and how many by each owner.
type Uses = BTreeMap<String, u64>;
type OwnersUses = BTreeMap<String, Uses>;

/// `status.quotas` for these instances of a project; `None` without quotas. Limits on what is not served here are shown, but
/// not how much is used.
fn status(quotas: &Quotas, instances: &[Arc<Item>], descriptor: &Descriptor) -> Option<Told> {
    let (mut used, mut users, mut teams) = (Uses::new(), OwnersUses::new(), OwnersUses::new());
    for limit in limits(quotas) {
        if limit.scope == Scope::Project {
            used.insert(limit.name.to_owned(), 0);
        }
        for facts in instances.iter().map(|item| Facts::of_item(item, descriptor)).filter(|facts| limit.counts(facts)) {
            let uses = match (limit.scope, facts.owner) {
                (Scope::Project, _) => &mut used,
                (Scope::Owner, Some(Owner::User(user))) => users.entry(user.to_owned()).or_default(),
                (Scope::Owner, Some(Owner::Team(team))) => teams.entry(team.to_owned()).or_default(),
                (Scope::Owner, None) => continue,
            };
            *uses.entry(limit.name.to_owned()).or_default() += 1;
        }
    }
    let of_owners = |uses: OwnersUses| uses.into_iter().map(|(owner, uses)| (owner, numbers(uses))).collect();
    let project = (!quotas.project.is_empty()).then(|| ProjectQuotaStatus {
        limit: quotas.project.clone(),
        used: numbers(used),
        ..ProjectQuotaStatus::default()
    });
    let user = (!quotas.user.is_empty()).then(|| {
        let used = UserQuotaUse { users: of_owners(users), teams: of_owners(teams) };
        UserQuotaStatus { limit: quotas.user.clone(), used, ..UserQuotaStatus::default() }
    });
    (*quotas != Quotas::default()).then_some(Told { project, user })
}

/// Numbers are texts there, as limits are.
fn numbers(uses: Uses) -> BTreeMap<String, String> {
    uses.into_iter().map(|(name, count)| (name, count.to_string())).collect()
}

/// A random number from 0 to below 1.
fn jitter() -> f64 {
    // Without random numbers servers only meet more often.
    getrandom::u32().map_or(0.5, |random| f64::from(random) / (f64::from(u32::MAX) + 1.0))
}
