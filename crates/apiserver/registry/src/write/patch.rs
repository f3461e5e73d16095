//! `patch`: JSON patch, merge patch, strategic merge patch, and server-side apply.

use super::commit::{Change, Next};
use super::create::wipe;
use super::current::Current;
use super::failure::WriteFailure;
use super::outcome::{Outcome, Written};
use super::system;
use super::update::Tracking;
use crate::registry::Registry;
use apiserver_fieldmanager::{ApplyError, Conflict, Manager, ResetField};
use apiserver_meta::decode::{self, Parsed};
use apiserver_meta::options::{FieldValidation, PatchOptions};
use apiserver_meta::{ApiError, Cause, FieldError, FieldPath, Object, ObjectFilter, ObjectKey, Reason, RequestContext, Subresource};
use apiserver_patch::PatchError;
use async_trait::async_trait;
use bytes::Bytes;
use memchr::{memchr, memmem};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A patch as a client sent it.
#[derive(Clone, Debug)]
pub struct Patch {
    /// How to read it.
    pub kind: PatchKind,
    /// Its bytes: JSON, or for [`PatchKind::Apply`] YAML (of which JSON is a part).
    pub body: Bytes,
    /// Why the caller may not create objects, when that is so: an apply of a missing object creates it.
    pub create_denial: Option<String>,
    /// What the caller is not shown of objects. A JSON patch reads what it copies and tests, so it meets a status without that.
    pub mask: Option<Mask>,
}

/// Takes what a caller is not shown out of objects.
#[derive(Clone)]
pub struct Mask(Arc<dyn Fn(&mut Object) + Send + Sync>);

impl Mask {
    /// Takes out what this takes out.
    pub fn new(hide: impl Fn(&mut Object) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hide))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

/// The kinds of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/apply-patch+yaml`.
    Apply,
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

impl Registry {
    /// Patches an object, or its status. An apply of a missing object creates it.
    ///
    /// # Errors
    /// [`WriteFailure::Missing`]; [`WriteFailure::Stale`] for an old resourceVersion in the patch; refused are a malformed
    /// patch, one that does not fit, and an apply of fields that other managers own.
    pub async fn patch(
        self: &Arc<Self>,
        ctx: &RequestContext,
        key: &ObjectKey,
        subresource: Subresource,
        patch: Patch,
        options: &PatchOptions,
        view: &ObjectFilter,
    ) -> Result<Written, WriteFailure> {
        let (registry, ctx2, key, options, view) = (Arc::clone(self), ctx.clone(), key.clone(), options.clone(), view.clone());
        let bytes = patch.body.len() + self.stored_size(&key);
        self.detached(ctx, bytes, async move {
            if patch.kind == PatchKind::Apply {
                let applied = registry.apply(&ctx2, &key, subresource, &patch, &options, &view).await;
                return applied.map_err(|failure| registry.absent(&key, &view, failure));
            }
            let change = Patched { registry: &registry, key: &key, subresource, patch: &patch, options: &options };
            let outcome = registry.commit(&ctx2, &key, &view, options.write.dry_run, &change).await;
            let outcome = outcome.map_err(|failure| registry.absent(&key, &view, failure))?;
            Ok(Written { bytes: outcome.into_bytes(), created: false })
        })
        .await
    }

    async fn apply(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        subresource: Subresource,
        patch: &Patch,
        options: &PatchOptions,
        view: &ObjectFilter,
    ) -> Result<Written, WriteFailure> {
        let applied = self.applied_object(ctx, patch, options)?;
        let change = Applied { registry: self, key, subresource, applied: &applied, options };
        loop {
            let missing = match self.commit(ctx, key, view, options.write.dry_run, &change).await {
                Ok(Outcome::Stored(bytes) | Outcome::Deleted(bytes)) => return Ok(Written { bytes, created: false }),
                Err(WriteFailure::Missing(error)) if subresource == Subresource::Main => error,
                Err(failure) => return Err(failure),
            };
            if let Some(denial) = &patch.create_denial {
                // Where a missing object must look like a hidden one, the denial must not speak of its creation.
                let denial = view.denial_of_absent(&key.namespace).unwrap_or(denial);
                return Err(ApiError::forbidden(self.descriptor().group_resource(), &key.name, denial).into());
            }
            match self.apply_to_nothing(ctx, key, &applied, options, missing).await {
                // Somebody created it meanwhile: then it is there to be applied to.
                Err(WriteFailure::Exists(_)) if Instant::now() < ctx.deadline => {}
                result => return result,
            }
        }
    }

    /// An apply that creates its object.
    async fn apply_to_nothing(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        applied: &Object,
        options: &PatchOptions,
        missing: ApiError,
    ) -> Result<Written, WriteFailure> {
        if !applied.uid().is_empty() {
            let why = format!("uid mismatch: the provided object specified uid {}, and no existing object was found", applied.uid());
            let conflict = ApiError::conflict(self.descriptor().group_resource(), &key.name, why);
            return Err(WriteFailure::Stale(conflict.with_source(missing)));
        }
        let mut object = self.merge_applied(None, applied, Subresource::Main, options)?;
        check_place(key, &object)?;
        wipe(&mut object, &key.namespace);
        if self.descriptor().has_status() {
            object.0.insert("status".into(), Value::Object(Map::new()));
        }
        self.create_owned(ctx, object, options.write.dry_run).await
    }

    /// The object that an apply names, checked as far as that goes without the live one. Not in canonical form: what
    /// is not named is not applied, and a zero that is named is.
    fn applied_object(&self, ctx: &RequestContext, patch: &Patch, options: &PatchOptions) -> Result<Object, ApiError> {
        let parsed = decode::parse_yaml_as(&patch.body, self.schema())
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
        if !parsed.duplicates.is_empty() && options.write.field_validation == FieldValidation::Strict {
            let text = decode::strict_error(&[], &parsed.duplicates).unwrap_or_default();
            return Err(ApiError::bad_request(format!("error strict decoding YAML: {text}")));
        }
        let mut value = parsed.value.clone();
        let descriptor = self.descriptor();
        let given = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("");
        let (version, kind) = (given("apiVersion"), given("kind"));
        if (version, kind) != (descriptor.api_version().as_str(), descriptor.kind) {
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")));
        }
        if value.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        self.conformed(ctx, parsed, options, Source::Apply)?;
        decode::prune(&mut value, self.schema());
        Object::from_value(value).ok_or_else(|| ApiError::bad_request("an apply patch must be an object"))
    }

    fn merge_applied(
        &self,
        live: Option<&Object>,
        applied: &Object,
        subresource: Subresource,
        options: &PatchOptions,
    ) -> Result<Object, ApiError> {
        let (time, api_version) = (system::now(), self.descriptor().api_version());
        let manager =
            Manager { name: &options.write.field_manager, api_version: &api_version, subresource: subresource.as_str(), time: &time };
        let reset = self.reset_fields(subresource);
        apiserver_fieldmanager::apply(self.schema(), live, applied, manager, options.force.unwrap_or(false), &reset).map_err(|error| {
            match &error {
                ApplyError::Malformed(text) => ApiError::bad_request(text),
                ApplyError::Conflicts(conflicts, _) => apply_conflict(&error, conflicts),
            }
        })
    }

    /// Fields that an apply never owns, because the write path wipes them.
    fn reset_fields(&self, subresource: Subresource) -> Vec<ResetField> {
        match subresource {
            Subresource::Main if self.descriptor().has_status() => vec![&["status"]],
            Subresource::Main => Vec::new(),
            Subresource::Status => [&["metadata"] as ResetField, &["spec"]].into_iter().chain(self.computed_fields()).collect(),
        }
    }

    /// A patch's result as an object of this kind; what is odd about it and about the patch, as `fieldValidation` says.
    fn conformed(&self, ctx: &RequestContext, parsed: Parsed, options: &PatchOptions, source: Source) -> Result<Object, ApiError> {
        let Parsed { mut value, duplicates } = parsed;
        let is_patch = matches!(source, Source::Patch { .. });
        let refuse = |text: String| match is_patch {
            // Upstream names the patch as the field and shows the whole object, in which there may be secrets of others: errors
            // are read by whoever may patch, and written to the audit log.
            true => ApiError::invalid("", "", "", &[FieldError::invalid_unshown(&FieldPath::new("patch"), text)]),
            false => ApiError::bad_request(text),
        };
        self.identify(&mut value).map_err(refuse)?;
        let conformed = decode::conform(value, self.schema()).map_err(|error| refuse(error.to_string()))?;
        let mut odd = match source {
            Source::Patch { odd } => odd,
            Source::Apply => Vec::new(),
        };
        odd.extend(decode::strict_warnings(&conformed.unknown, &duplicates));
        match options.write.field_validation {
            FieldValidation::Warn => odd.into_iter().for_each(|text| ctx.warn(text)),
            FieldValidation::Strict if !odd.is_empty() => return Err(refuse(format!("strict decoding error: {}", odd.join(", ")))),
            FieldValidation::Strict | FieldValidation::Ignore => {}
        }
        Object::from_value(conformed.value).ok_or_else(|| refuse("not an object".into()))
    }

    /// A kind and an apiVersion that a patch took away are the endpoint's; others would make it another object.
    fn identify(&self, value: &mut Value) -> Result<(), String> {
        let Value::Object(members) = value else { return Ok(()) };
        let own = [("apiVersion", self.descriptor().api_version()), ("kind", self.descriptor().kind.to_owned())];
        for (field, own) in &own {
            if members.get(*field).is_none_or(|given| given.is_null() || given.as_str() == Some("")) {
                members.insert((*field).into(), own.as_str().into());
            }
        }
        let given = |field: &str| members.get(field).and_then(Value::as_str).unwrap_or("");
        if own.iter().all(|(field, own)| given(field) == own) {
            return Ok(());
        }
        Err(format!("no kind {:?} is registered for version {:?}", given("kind"), given("apiVersion")))
    }
}

/// The patched object must still be the one that the URL names.
fn check_place(key: &ObjectKey, object: &Object) -> Result<(), ApiError> {
    if !object.namespace().is_empty() && object.namespace() != key.namespace {
        return Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    }
    let (given, name) = (object.name(), key.name.as_str());
    if given.is_empty() {
        let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(ApiError::bad_request(why));
    }
    if given != name {
        return Err(ApiError::bad_request(format!("the name of the object ({given}) does not match the name on the URL ({name})")));
    }
    Ok(())
}

/// The origin of an object.
enum Source {
    Apply,
    Patch {
        /// Oddities of the patch itself.
        odd: Vec<String>,
    },
}

/// How many members that no operation has are warned of.
const MOST_ODD: usize = 100;

struct Patched<'a> {
    registry: &'a Registry,
    key: &'a ObjectKey,
    subresource: Subresource,
    patch: &'a Patch,
    options: &'a PatchOptions,
}

#[async_trait]
impl Change for Patched<'_> {
    fn operation(&self) -> &'static str {
        "patch"
    }

    async fn next(&self, ctx: &RequestContext, current: &Current) -> Result<Next, WriteFailure> {
        let before = self.before(&current.object);
        let body = &self.patch.body;
        let after = match self.patch.kind {
            PatchKind::Json => apiserver_patch::json_patch(before, body),
            PatchKind::Strategic => apiserver_patch::strategic_merge_patch(before, body, self.registry.schema()),
            PatchKind::Merge | PatchKind::Apply => apiserver_patch::merge_patch(before, body),
        };
        let parsed = Parsed { value: after.map_err(refused)?, duplicates: Vec::new() };
        let object = self.registry.conformed(ctx, parsed, self.options, Source::Patch { odd: self.odd() })?;
        check_place(self.key, &object)?;
        // A resourceVersion that the patch itself sets is a lock; one that it leaves alone is the current one.
        self.registry.check_version(&self.key.name, object.resource_version(), current)?;
        self.registry
            .finish_update(ctx, current, object, self.subresource, Tracking::Update(&self.options.write), self.options.write.dry_run)
            .await
    }
}

impl Patched<'_> {
    /// The object that the patch is applied to. Of an object whose status has a path of its own the status is restored afterwards, so
    /// that what is hidden in it is not lost; all else is as it is.
    fn before(&self, object: &Object) -> Value {
        let mut before = if self.leaves_managed_fields() { without_managed_fields(object) } else { object.0.clone() };
        let has_own_path = self.subresource == Subresource::Main && self.registry.descriptor().has_status();
        if let Some(Mask(hide)) = self.patch.mask.as_ref().filter(|_| self.patch.kind == PatchKind::Json && has_own_path) {
            let mut seen = object.clone();
            hide(&mut seen);
            before.insert("status".into(), seen.0.remove("status").unwrap_or_else(|| Value::Object(Map::new())));
        }
        Value::Object(before)
    }

    /// Whether the patch can neither change nor read managed fields. What it leaves alone need not be copied: an update that brings
    /// none keeps those of the live object.
    fn leaves_managed_fields(&self) -> bool {
        let is_merge = matches!(self.patch.kind, PatchKind::Merge | PatchKind::Strategic);
        // A name can also be written with escapes.
        is_merge && memmem::find(&self.patch.body, b"managedFields").is_none() && memchr(b'\\', &self.patch.body).is_none()
    }

    /// Duplicate keys of the patch itself, and members of a JSON patch that no operation has.
    fn odd(&self) -> Vec<String> {
        if self.options.write.field_validation == FieldValidation::Ignore {
            return Vec::new();
        }
        let Ok(Parsed { value, duplicates }) = decode::parse_json(&self.patch.body) else { return Vec::new() };
        if self.patch.kind != PatchKind::Json {
            return decode::strict_warnings(&[], &duplicates);
        }
        let texts = decode::strict_warnings(&unknown_members(&value), &duplicates);
        texts.into_iter().map(|text| format!("json patch {text}")).collect()
    }
}

fn without_managed_fields(object: &Object) -> Map<String, Value> {
    let copy = |(name, value): (&String, &Value)| match value {
        Value::Object(metadata) if name == "metadata" => {
            let others = metadata.iter().filter(|(name, _)| *name != "managedFields");
            (name.clone(), others.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        value => (name.clone(), value.clone()),
    };
    object.0.iter().map(copy).collect()
}

fn unknown_members(operations: &Value) -> Vec<String> {
    let operations = operations.as_array().into_iter().flatten().enumerate();
    let members = operations.flat_map(|(index, operation)| operation.as_object().into_iter().flatten().map(move |(name, _)| (index, name)));
    let unknown = members.filter(|(_, name)| !["op", "path", "from", "value"].contains(&name.as_str()));
    unknown.take(MOST_ODD).map(|(index, name)| format!("[{index}].{name}")).collect()
}

struct Applied<'a> {
    registry: &'a Registry,
    key: &'a ObjectKey,
    subresource: Subresource,
    applied: &'a Object,
    options: &'a PatchOptions,
}

#[async_trait]
impl Change for Applied<'_> {
    fn operation(&self) -> &'static str {
        "patch"
    }

    async fn next(&self, ctx: &RequestContext, current: &Current) -> Result<Next, WriteFailure> {
        let merged = self.registry.merge_applied(Some(&current.object), self.applied, self.subresource, self.options)?;
        check_place(self.key, &merged)?;
        // Absent, it is the current one; said, it is a lock even when it is empty.
        if let Some(version) = self.applied.metadata().get("resourceVersion").and_then(Value::as_str) {
            self.registry.check_version(&self.key.name, version, current)?;
        }
        self.registry.finish_update(ctx, current, merged, self.subresource, Tracking::Done, self.options.write.dry_run).await
    }
}

fn refused(error: PatchError) -> ApiError {
    match error {
        PatchError::Malformed(text) => ApiError::bad_request(text),
        PatchError::TooManyOperations(_) => ApiError::new(Reason::RequestEntityTooLarge, error.to_string()),
        PatchError::Unprocessable { message, causes } => {
            let mut error = ApiError::new(Reason::Invalid, message);
            // Upstream answers without causes and clients compare; what failed is said in the message.
            for cause in causes {
                error.message.push_str(&format!(": {}", cause.message));
            }
            error.details = Some(Box::default());
            error
        }
    }
}

fn apply_conflict(error: &ApplyError, conflicts: &[Conflict]) -> ApiError {
    let cause =
        |conflict: &Conflict| Cause { reason: "FieldManagerConflict".into(), message: conflict.to_string(), field: conflict.field.clone() };
    ApiError::new(Reason::Conflict, error.to_string()).with_causes(conflicts.iter().map(cause).collect())
}
