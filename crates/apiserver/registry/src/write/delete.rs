//! `delete`: at once, or by marking the object while finalizers hold it.

use super::commit::{Change, Next};
use super::current::Current;
use super::failure::WriteFailure;
use super::outcome::{Deleted, Outcome};
use super::system;
use crate::admission::{AdmissionRequest, Guards, Memo};
use crate::registry::Registry;
use apiserver_meta::error::GroupResource;
use apiserver_meta::options::{DeleteOptions, Propagation};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, RequestContext, Subresource, Verb};
use async_trait::async_trait;
use std::sync::Arc;

/// The finalizer that holds an object until it is taken out of its dependents' owner references.
pub const FINALIZER_ORPHAN: &str = "orphan";
/// The finalizer that holds an object until its dependents are deleted.
pub const FINALIZER_FOREGROUND: &str = "foregroundDeletion";

impl Registry {
    /// Deletes an object, or marks it as terminating while finalizers hold it.
    ///
    /// # Errors
    /// [`WriteFailure::Missing`]; [`WriteFailure::Stale`] when a precondition fails.
    pub async fn delete(
        self: &Arc<Self>,
        ctx: &RequestContext,
        key: &ObjectKey,
        options: &DeleteOptions,
        view: &ObjectFilter,
    ) -> Result<Deleted, WriteFailure> {
        let (registry, ctx2, key, options, view) = (Arc::clone(self), ctx.clone(), key.clone(), options.clone(), view.clone());
        let bytes = self.stored_size(&key);
        self.detached(ctx, bytes, async move {
            let deleted = registry.delete_now(&ctx2, &key, &options, &view).await;
            deleted.map_err(|failure| registry.absent(&key, &view, failure))
        })
        .await
    }

    /// Deletes on the caller's task.
    pub(super) async fn delete_now(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        options: &DeleteOptions,
        view: &ObjectFilter,
    ) -> Result<Deleted, WriteFailure> {
        let change = Remove { registry: self, key, options };
        match self.commit(ctx, key, view, options.dry_run, &change).await? {
            Outcome::Stored(bytes) => Ok(Deleted::Pending { bytes }),
            Outcome::Deleted(bytes) => {
                let uid = serde_json::from_slice(&bytes).map(|map| Object(map).uid().to_owned()).unwrap_or_default();
                Ok(Deleted::Gone { bytes, uid })
            }
        }
    }
}

struct Remove<'a> {
    registry: &'a Registry,
    key: &'a ObjectKey,
    options: &'a DeleteOptions,
}

#[async_trait]
impl Change for Remove<'_> {
    fn operation(&self) -> &'static str {
        "delete"
    }

    async fn next(&self, ctx: &RequestContext, current: &Current) -> Result<Next, WriteFailure> {
        let old = &current.object;
        self.check_preconditions(old)?;
        let request = AdmissionRequest {
            descriptor: self.registry.descriptor(),
            verb: Verb::Delete,
            subresource: Subresource::Main,
            key: self.key,
            old: Some(old),
            dry_run: self.options.dry_run,
            schema: self.registry.schema(),
            memo: &Memo::default(),
        };
        self.registry.admit(ctx, request, None).await?;

        let finalizers = finalizers_after(old, self.options);
        if finalizers.is_empty() {
            return Ok(Next::Delete(old.clone()));
        }
        let mut new = old.clone();
        if !old.is_terminating() {
            new.set_meta_str("deletionTimestamp", &system::now());
            let metadata = new.metadata_mut();
            metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
            metadata.insert("generation".into(), (old.generation() + 1).into());
        }
        new.metadata_mut().insert("finalizers".into(), finalizers.into());
        Ok(Next::Put(new, Guards::default()))
    }
}

impl Remove<'_> {
    fn check_preconditions(&self, live: &Object) -> Result<(), WriteFailure> {
        let descriptor = self.registry.descriptor();
        // Upstream names the kind here, not the plural.
        let what = GroupResource { group: descriptor.group, resource: descriptor.kind };
        if let Some(uid) = self.options.uid.as_deref().filter(|uid| *uid != live.uid()) {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                live.uid()
            );
            return Err(WriteFailure::Stale(ApiError::conflict(what, &self.key.name, why)));
        }
        if let Some(version) = self.options.resource_version.as_deref().filter(|version| *version != live.resource_version()) {
            let why = format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
                live.resource_version()
            );
            return Err(WriteFailure::Stale(ApiError::conflict(what, &self.key.name, why)));
        }
        Ok(())
    }
}

/// The finalizers that hold the object from now on: its own, and the one that stands for the propagation policy.
fn finalizers_after(object: &Object, options: &DeleteOptions) -> Vec<String> {
    let held = |name: &str| object.finalizers().contains(&name);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation) {
        (Some(orphan), _) => (orphan, false),
        (None, Some(policy)) => (policy == Propagation::Orphan, policy == Propagation::Foreground),
        (None, None) => (held(FINALIZER_ORPHAN), held(FINALIZER_FOREGROUND)),
    };
    let own = object.finalizers().into_iter().filter(|name| ![FINALIZER_ORPHAN, FINALIZER_FOREGROUND].contains(name)).map(str::to_owned);
    let mut finalizers: Vec<String> = own.collect();
    if orphan {
        finalizers.push(FINALIZER_ORPHAN.into());
    }
    if foreground && !orphan {
        finalizers.push(FINALIZER_FOREGROUND.into());
    }
    finalizers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policy_decides_finalizers() {
        let table = [
            (json!([]), None, None, vec![]),
            (json!(["a/b"]), None, None, vec!["a/b"]),
            (json!([]), Some(Propagation::Orphan), None, vec!["orphan"]),
            (json!(["a/b"]), Some(Propagation::Foreground), None, vec!["a/b", "foregroundDeletion"]),
            (json!(["orphan"]), Some(Propagation::Background), None, vec![]),
            (json!(["orphan"]), None, None, vec!["orphan"]),
            (json!(["foregroundDeletion"]), None, None, vec!["foregroundDeletion"]),
            (json!(["foregroundDeletion"]), None, Some(true), vec!["orphan"]),
            (json!(["orphan"]), None, Some(false), vec![]),
        ];
        for (finalizers, propagation, orphan_dependents, want) in table {
            let object = Object::from_value(json!({"metadata": {"finalizers": finalizers}})).unwrap_or_default();
            let options = DeleteOptions { propagation, orphan_dependents, ..DeleteOptions::default() };
            assert_eq!(finalizers_after(&object, &options), want, "{object:?} {options:?}");
        }
    }
}
