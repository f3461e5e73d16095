//! `update`, of an object or its status; and the step that every change of an object ends with.

use super::commit::{Change, Next};
use super::current::Current;
use super::failure::WriteFailure;
use super::outcome::Written;
use super::system;
use crate::admission::{AdmissionRequest, Memo};
use crate::registry::Registry;
use apiserver_fieldmanager::Manager;
use apiserver_meta::object::encoded_len;
use apiserver_meta::options::{DryRun, WriteOptions};
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectFilter, ObjectKey, RequestContext, Subresource, Verb};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;

impl Registry {
    /// Replaces an object, or its status, by a decoded, canonical body.
    ///
    /// # Errors
    /// [`WriteFailure::Missing`]; [`WriteFailure::Stale`] for an old resourceVersion or another UID; refused is a missing
    /// resourceVersion.
    pub async fn update(
        self: &Arc<Self>,
        ctx: &RequestContext,
        key: &ObjectKey,
        subresource: Subresource,
        object: Object,
        options: &WriteOptions,
        view: &ObjectFilter,
    ) -> Result<Written, WriteFailure> {
        let (registry, ctx2, key, options, view) = (Arc::clone(self), ctx.clone(), key.clone(), options.clone(), view.clone());
        let bytes = encoded_len(&object.0) + self.stored_size(&key);
        self.detached(ctx, bytes, async move {
            let change = Replace { registry: &registry, key: &key, subresource, object, options: &options };
            let outcome = registry.commit(&ctx2, &key, &view, options.dry_run, &change).await;
            let outcome = outcome.map_err(|failure| registry.absent(&key, &view, failure))?;
            Ok(Written { bytes: outcome.into_bytes(), created: false })
        })
        .await
    }

    /// The version that a change is based on must be there and be the current one.
    pub(super) fn check_version(&self, name: &str, given: &str, current: &Current) -> Result<(), WriteFailure> {
        let invalid = |value: Value, detail: &str| {
            let error = FieldError::invalid(&FieldPath::new("metadata").child("resourceVersion"), value, detail);
            // Upstream names the plural here, not the kind.
            Err(ApiError::invalid(self.descriptor().group, self.descriptor().plural, name, &[error]).into())
        };
        match given.parse::<u64>() {
            _ if given.is_empty() => invalid(0.into(), "must be specified for an update"),
            // A sign is no digit, though Rust reads one.
            _ if given.starts_with('+') => invalid(given.into(), "must be a decimal number"),
            Ok(0) => invalid(0.into(), "must be specified for an update"),
            Ok(version) if version == current.revision => Ok(()),
            Ok(_) => Err(WriteFailure::Stale(ApiError::modified(self.descriptor().group_resource(), name))),
            Err(_) => invalid(given.into(), "must be a decimal number"),
        }
    }

    /// From the object that a client wants to the one that will be stored: fields that the client may not touch are
    /// restored, managed fields written, rules asked.
    pub(super) async fn finish_update(
        &self,
        ctx: &RequestContext,
        current: &Current,
        mut new: Object,
        subresource: Subresource,
        tracking: Tracking<'_>,
        dry_run: DryRun,
    ) -> Result<Next, WriteFailure> {
        let old = &current.object;
        restore(&mut new, old, subresource, self.descriptor().has_status());
        // Clients send back what they have read, and that may be more than is stored.
        self.computed_fields().for_each(|path| remove(&mut new.0, path));
        if let Tracking::Update(options) = tracking {
            let (time, api_version) = (system::now(), self.descriptor().api_version());
            let manager =
                Manager { name: &options.field_manager, api_version: &api_version, subresource: subresource.as_str(), time: &time };
            apiserver_fieldmanager::update(self.schema(), Some(old), &mut new, manager, &[]);
        }
        let key = old.key();
        let request = AdmissionRequest {
            descriptor: self.descriptor(),
            verb: Verb::Update,
            subresource,
            key: &key,
            old: Some(old),
            dry_run,
            schema: self.schema(),
            memo: &Memo::default(),
        };
        self.admit_mutation(ctx, request, &mut new).await?;
        if subresource == Subresource::Main {
            self.resource.prepare_for_update(ctx, &mut new, old);
            if system::desired_state_differs(&new, old) {
                new.metadata_mut().insert("generation".into(), (old.generation() + 1).into());
            }
        }
        self.validate(ctx, &new, Some(old))?;
        self.admit(ctx, request, Some(&new)).await?;
        apiserver_fieldmanager::keep_times(old, &mut new);
        if new.is_terminating() && new.finalizers().is_empty() {
            return Ok(Next::Delete(new));
        }
        let guards = self.guards(ctx, request, &new, current.consistency).await?;
        Ok(Next::Put(new, guards))
    }
}

/// Whether an update writes managed fields.
pub(super) enum Tracking<'a> {
    /// It does, as an update.
    Update(&'a WriteOptions),
    /// It was done already (server-side apply).
    Done,
}

/// Restores the fields that the request may not change. Fields that may not even be attempted are left for validation to refuse.
fn restore(new: &mut Object, old: &Object, subresource: Subresource, has_status: bool) {
    if subresource == Subresource::Status {
        let status = new.0.remove("status");
        let managed = new.metadata_mut().remove("managedFields");
        *new = old.clone();
        replace(&mut new.0, "status", status);
        // What the client says of managed fields is the field manager's business.
        replace(new.metadata_mut(), "managedFields", managed);
        return;
    }
    if has_status {
        replace(&mut new.0, "status", old.0.get("status").cloned());
    }
    let metadata = new.metadata_mut();
    metadata.remove("selfLink");
    for field in ["creationTimestamp", "generation"] {
        replace(metadata, field, old.metadata().get(field).cloned());
    }
    if old.is_terminating() {
        replace(metadata, "deletionTimestamp", old.metadata().get("deletionTimestamp").cloned());
    }
    for field in ["deletionGracePeriodSeconds", "namespace", "uid"] {
        if !metadata.contains_key(field) {
            replace(metadata, field, old.metadata().get(field).cloned());
        }
    }
}

fn remove(map: &mut serde_json::Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [last] => _ = map.remove(*last),
        [first, rest @ ..] => {
            if let Some(Value::Object(inner)) = map.get_mut(*first) {
                remove(inner, rest);
            }
        }
    }
}

fn replace(map: &mut serde_json::Map<String, Value>, field: &str, value: Option<Value>) {
    match value {
        Some(value) => map.insert(field.into(), value),
        None => map.remove(field),
    };
}

struct Replace<'a> {
    registry: &'a Registry,
    key: &'a ObjectKey,
    subresource: Subresource,
    object: Object,
    options: &'a WriteOptions,
}

#[async_trait]
impl Change for Replace<'_> {
    fn operation(&self) -> &'static str {
        "update"
    }

    async fn next(&self, ctx: &RequestContext, current: &Current) -> Result<Next, WriteFailure> {
        let (given, live) = (self.object.uid(), current.object.uid());
        if !given.is_empty() && given != live {
            let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {live}");
            return Err(WriteFailure::Stale(ApiError::conflict(self.registry.descriptor().group_resource(), &self.key.name, why)));
        }
        self.registry.check_version(&self.key.name, self.object.resource_version(), current)?;
        self.registry
            .finish_update(ctx, current, self.object.clone(), self.subresource, Tracking::Update(self.options), self.options.dry_run)
            .await
    }
}
