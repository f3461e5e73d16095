//! `status.quotas` of projects: the limits, and how much of them is used.
//!
//! Told, never asked: a limit is kept by counting (see the module above). One task in each server watches instances and
//! projects, gathers for a second which projects are concerned, counts, and writes what differs. What is written depends on
//! the project's resourceVersion and on instances at least as new, so servers on one store agree instead of taking turns in
//! correcting each other; and who finds the status right writes nothing.

use super::facts::{Facts, Owner};
use super::limits::{Scope, limits};
use super::{Knowledge, instances};
use crate::own_context::{own_context, own_writes};
use futures::StreamExt as _;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vci_management::project::{ProjectQuotaStatus, QuotaStatus as Told, Quotas, UserQuotaStatus, UserQuotaUse};
use vci_meta::options::{ListOptions, VersionMatch};
use vci_meta::{ApiError, Descriptor, Object, ObjectKey, Subresource, View};
use vci_registry::{Frame, Item, Registry};

/// For how long changes are gathered; servers on one store wait up to half as much again, each its own time.
const GATHER: Duration = Duration::from_secs(1);
/// How long to wait before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(200);
/// No watch of the registry lasts longer than this.
const WATCH_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Time to write one status.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps `status.quotas` of projects right.
#[derive(Clone, Debug)]
pub(crate) struct QuotaStatus {
    projects: Arc<Registry>,
    instances: Arc<Registry>,
    prefix: String,
    marks: Arc<Marks>,
}

/// The names of projects to look at.
#[derive(Debug, Default)]
struct Marks {
    names: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Marks {
    fn add(&self, name: &str) {
        if self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            self.changed.notify_one();
        }
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl QuotaStatus {
    /// For projects whose namespace is `prefix` and their name.
    pub(crate) fn new(projects: Arc<Registry>, instances: Arc<Registry>, prefix: impl Into<String>) -> Self {
        Self { projects, instances, prefix: prefix.into(), marks: Arc::default() }
    }

    /// Works until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let work = async {
            tokio::join!(self.follow(&self.projects), self.follow(&self.instances), self.refresh_marked());
        };
        stop.run_until_cancelled(work).await;
    }

    /// Marks the projects that a kind's changes concern; never ends.
    async fn follow(&self, registry: &Registry) {
        loop {
            if let Err(error) = self.watch(registry).await {
                tracing::debug!(kind = registry.descriptor().kind, %error, "quota status: watch is begun again");
            }
            tokio::time::sleep(PAUSE).await;
            // What happened in between may have been the end of something that nobody names any more.
            self.projects.cache().items().iter().for_each(|project| self.marks.add(&project.key.name));
        }
    }

    async fn watch(&self, registry: &Registry) -> Result<(), ApiError> {
        registry.cache().ready().await;
        let version_match = Some(VersionMatch::NotOlderThan);
        let options = ListOptions { watch: true, bookmarks: true, initial_events: Some(true), version_match, ..ListOptions::default() };
        let mut watch = registry.watch(&own_context(WATCH_TIME), "", &options, &View::All).await?;
        while let Some(frame) = watch.next().await {
            match frame {
                Frame::Event { item, .. } => self.mark(&item.key),
                Frame::Bookmark { .. } => {}
                Frame::Error(status) => return Err(ApiError::internal(&status.message)),
            }
        }
        Ok(())
    }

    fn mark(&self, key: &ObjectKey) {
        let project = if key.namespace.is_empty() { Some(key.name.as_str()) } else { key.namespace.strip_prefix(&self.prefix) };
        if let Some(project) = project {
            self.marks.add(project);
        }
    }

    async fn refresh_marked(&self) {
        loop {
            self.marks.changed.notified().await;
            tokio::time::sleep(GATHER + GATHER.mul_f64(jitter() / 2.0)).await;
            for name in self.marks.take() {
                if let Err(error) = self.refresh(&name).await {
                    tracing::debug!(project = name, %error, "quota status: not written, tried again");
                    self.marks.add(&name);
                }
            }
        }
    }

    /// Writes the status of one project if it is not right.
    pub(super) async fn refresh(&self, name: &str) -> Result<(), ApiError> {
        let key = ObjectKey::new("", name);
        let Some(item) = self.projects.cache().guess(&key) else { return Ok(()) };
        let stored: Value =
            serde_json::from_slice(&item.bytes).map_err(|error| ApiError::internal("the project cannot be read").with_source(error))?;
        let quotas: Quotas =
            stored.pointer("/spec/quotas").and_then(|quotas| serde_json::from_value(quotas.clone()).ok()).unwrap_or_default();
        let told = stored.pointer("/status/quotas");
        if told.is_none() && quotas == Quotas::default() {
            return Ok(());
        }
        let ctx = own_context(WRITE_TIMEOUT);
        let namespace = format!("{}{name}", self.prefix);
        let instances = instances(&ctx, &self.instances, &namespace, item.revision, Knowledge::Cached).await?;
        let status = status(&quotas, &instances, self.instances.descriptor());
        let status = status.map(serde_json::to_value).transpose().map_err(ApiError::internal)?;
        if told == status.as_ref() {
            return Ok(());
        }
        let Some(object) = with_status(stored, status) else { return Ok(()) };
        self.projects.update(&ctx, &key, Subresource::Status, object, &own_writes(), &View::All).await.map(|_| ())
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
