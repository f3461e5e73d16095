//! Quotas of projects: how many instances a project may have, and each user and each team in it.
//!
//! Nothing is counted beforehand: a count that is kept somewhere would drift. A write that adds to a limited count
//! counts what is there, and is carried out only if meanwhile neither another such write came nor the project changed: the
//! first moves the project's guard, the second its object (see [`apiserver_store::Guard`]). So a limit holds for all servers
//! on one store, and who is not limited pays for one more comparison.
//!
//! Counted is what is stored: an instance that is being deleted counts until it is gone. Limits refuse requests, not
//! observations: a status is written whatever it says. A limit that cannot be read allows nothing more, and one below what is
//! there takes nothing away.

mod facts;
mod limits;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use status::QuotaStatus;

use crate::admission::NAMESPACES;
use crate::project::{Project, Projects};
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectFilter, RequestContext, Subresource, Verb};
use apiserver_registry::{Admission, AdmissionRequest, Consistency, Guards, Item, Memo, Registry};
use apiserver_store::{Expect, Guard, Key, Revision};
use async_trait::async_trait;
use facts::Facts;
use limits::{Limit, limits};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;
use vci_management::plural;

/// The kind that is counted.
const PLURAL: &str = plural::INSTANCES;

/// Refuses instances that a project's quotas have no room for.
#[derive(Debug)]
pub(crate) struct ProjectQuotas {
    projects: Projects,
    /// A lock for each project with quotas, as long as a write holds or awaits it: this server's writes are counted one by one.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// The change of an instance by a write.
struct Step<'a> {
    request: AdmissionRequest<'a>,
    old: Option<Facts<'a>>,
    new: Facts<'a>,
}

impl<'a> Step<'a> {
    /// `None` for a step that no limit can be against.
    fn of(request: AdmissionRequest<'a>, object: &'a Object) -> Option<Self> {
        if request.subresource != Subresource::Main {
            return None;
        }
        let Some(old) = request.old.map(Facts::of_object) else {
            return Some(Self { request, old: None, new: Facts::of_object(object) });
        };
        let new = Facts::of_object(object).woken_from(&old);
        let adds = new.owner != old.owner || new.template != old.template || (new.is_active() && !old.is_active());
        adds.then_some(Self { request, old: Some(old), new })
    }

    /// Whether it adds one to what the limit counts.
    fn adds_to(&self, limit: &Limit<'_>) -> bool {
        let counted = self.old.as_ref().is_some_and(|old| limit.counts(old) && limit.same_count(old, &self.new));
        limit.counts(&self.new) && !counted
    }

    /// Whether the limit has no room for it among these.
    fn exceeds(&self, limit: &Limit<'_>, others: &[Arc<Item>]) -> bool {
        let Some(max) = limit.number() else { return true };
        let others = others.iter().filter(|item| item.name() != self.request.key.name);
        let facts = others.map(|item| Facts::of_item(item, self.request.descriptor));
        let mut counted = facts.filter(|facts| limit.same_count(facts, &self.new) && limit.counts(facts));
        // Whoever takes the last place decides; those behind are not looked at.
        (0..max).all(|_| counted.next().is_some())
    }

    fn refused(&self, object: &Object, limits: &[&Limit<'_>]) -> ApiError {
        let descriptor = self.request.descriptor;
        let verb = if self.request.verb == Verb::Create { "create" } else { "update" };
        let path = FieldPath::new("metadata").child("name");
        let why = |limit: &&Limit<'_>| format!("cannot {verb} {}, because {}", descriptor.singular, limit.refusal(&self.new));
        let errors: Vec<FieldError> = limits.iter().map(|limit| FieldError::forbidden(&path, why(limit))).collect();
        ApiError::invalid(descriptor.group, descriptor.kind, object.name(), &errors)
    }
}

impl ProjectQuotas {
    /// Goes by the quotas of these projects.
    pub(crate) fn new(projects: Projects) -> Self {
        Self { projects, turns: Mutex::default() }
    }

    /// Waits until nobody else in this process writes what one of the project's quotas limits: they would only move the guard
    /// under each other's feet.
    async fn turn(&self, ctx: &RequestContext, namespace: &str) -> Result<OwnedMutexGuard<()>, ApiError> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.get(namespace).and_then(Weak::upgrade).unwrap_or_else(|| {
                turns.retain(|_, turn| turn.strong_count() > 0);
                let turn = Arc::default();
                turns.insert(namespace.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        let late = |_| ApiError::timeout("request did not complete within the allotted timeout");
        tokio::time::timeout_at(ctx.deadline.into(), turn.lock_owned()).await.map_err(late)
    }

    /// The namespace's project; `None` when there is none. A write that has `waited` for its turn looks at it again: others have
    /// written since, and the project may have become another one.
    async fn project(
        &self,
        ctx: &RequestContext,
        memo: &Memo,
        namespace: &str,
        consistency: Consistency,
        waited: bool,
    ) -> Result<Option<Arc<Project>>, ApiError> {
        let at_hand = match consistency {
            Consistency::Cached if waited => self.projects.cached(memo, namespace),
            Consistency::Cached => self.projects.known(memo, namespace),
            Consistency::Linearizable => None,
        };
        match at_hand {
            Some(project) => Ok(Some(project)),
            None => self.projects.current(ctx, memo, namespace).await,
        }
    }

    /// What nothing is limited of is created where there is a project, as long as that stays.
    async fn of_others(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, consistency: Consistency) -> Result<Guards, ApiError> {
        let AdmissionRequest { memo, key, verb, subresource, descriptor, .. } = request;
        if verb != Verb::Create || subresource != Subresource::Main {
            return Ok(Guards::default());
        }
        let namespace = &key.namespace;
        let Some(project) = self.project(ctx, memo, namespace, consistency, false).await? else {
            return Err(ApiError::not_found(NAMESPACES, namespace));
        };
        if project.is_terminating {
            return Err(ApiError::namespace_terminating(descriptor.group_resource(), &key.name, namespace));
        }
        Ok(Guards { guards: self.projects.guard(namespace, Some(&project)).into_iter().collect(), turns: Vec::new() })
    }

    /// Nothing is created where there is no project. What is there still has no limits, as long as there is none.
    fn without_project(&self, request: AdmissionRequest<'_>, namespace: &str) -> Result<Guards, ApiError> {
        if request.verb == Verb::Create {
            return Err(ApiError::not_found(NAMESPACES, namespace));
        }
        Ok(Guards { guards: self.projects.guard(namespace, None).into_iter().collect(), turns: Vec::new() })
    }
}

#[async_trait]
impl Admission for ProjectQuotas {
    async fn guards(
        &self,
        ctx: &RequestContext,
        registry: &Registry,
        request: AdmissionRequest<'_>,
        object: &Object,
        mut consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        if request.descriptor.plural != PLURAL {
            return self.of_others(ctx, request, consistency).await;
        }
        let namespace = object.namespace();
        let Some(step) = Step::of(request, object) else { return Ok(Guards::default()) };
        let mut turns = Vec::new();
        loop {
            let waited = !turns.is_empty();
            let Some(project) = self.project(ctx, request.memo, namespace, consistency, waited).await? else {
                return self.without_project(request, namespace);
            };
            if project.is_terminating && request.verb == Verb::Create {
                return Err(ApiError::namespace_terminating(request.descriptor.group_resource(), object.name(), &request.key.namespace));
            }
            let unchanged = self.projects.guard(namespace, Some(&project));
            let concerned: Vec<Limit<'_>> = limits(&project.spec.quotas).filter(|limit| step.adds_to(limit)).collect();
            if concerned.is_empty() {
                return Ok(Guards { guards: unchanged.into_iter().collect(), turns });
            }
            if turns.is_empty() {
                turns.push(self.turn(ctx, namespace).await?);
                continue;
            }
            let guard = registry.exclusive_guard(guard_key(namespace)).await?;
            let others = instances(ctx, registry, namespace, project.revision.max(revision(&guard)), consistency).await?;
            let exceeded: Vec<&Limit<'_>> = concerned.iter().filter(|limit| step.exceeds(limit, &others)).collect();
            if exceeded.is_empty() {
                return Ok(Guards { guards: unchanged.into_iter().chain([guard]).collect(), turns });
            }
            if consistency == Consistency::Linearizable {
                return Err(step.refused(object, &exceeded));
            }
            // What is refused is refused by what is so now.
            consistency = Consistency::Linearizable;
        }
    }
}

/// Where the guard of a project's namespace lies: no collection begins like this, so no cache hears of it. It is left behind
/// when the project goes: an empty value, for a project of that name to come.
fn guard_key(namespace: &str) -> Key {
    Key::new(format!("guards/{PLURAL}/{namespace}"))
}

/// The revision that wrote the guard; 0 for one that is not there yet.
fn revision(guard: &Guard) -> Revision {
    match guard.expect {
        Expect::Absent => 0,
        Expect::Revision(revision) => revision,
    }
}

/// The instances of a namespace.
///
/// For [`Consistency::Cached`] any state at `since` or later will do, where `since` is the newer revision of the project and its
/// guard. A write that took room under the guard was stored at the guard's revision or before. One that took room without it saw an
/// older project, which had no such limit. So no instance that takes room is missing. A listed instance may be gone by now; a refusal
/// looks again.
async fn instances(
    ctx: &RequestContext,
    registry: &Registry,
    namespace: &str,
    since: Revision,
    consistency: Consistency,
) -> Result<Vec<Arc<Item>>, ApiError> {
    let at_hand = consistency == Consistency::Cached && registry.cache().stats().revision >= since;
    let options = if at_hand {
        let (resource_version, version_match) = (ResourceVersion::At(since), Some(VersionMatch::NotOlderThan));
        ListOptions { resource_version, version_match, ..ListOptions::default() }
    } else {
        ListOptions::default()
    };
    Ok(registry.list(ctx, namespace, &options, &ObjectFilter::All).await?.items)
}
