//! `create`.

use super::encoded::Encoded;
use super::failure::WriteFailure;
use super::outcome::Written;
use super::system;
use crate::admission::{AdmissionRequest, Consistency, Memo};
use crate::keys::storage_key;
use crate::registry::Registry;
use crate::store_error::from_store;
use apiserver_fieldmanager::Manager;
use apiserver_meta::object::encoded_len;
use apiserver_meta::options::{DryRun, WriteOptions};
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectKey, RequestContext, Subresource, Verb};
use apiserver_store::{Entry, Expect, GuardedError, Key, Revision, WriteError};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// How often a generated name is drawn before giving up, as upstream does.
const NAME_DRAWS: usize = 8;

/// How many bytes most new objects have room in.
const SIZE: usize = 2048;

impl Registry {
    /// Creates an object from a decoded, canonical body. The namespace is the URL's.
    ///
    /// # Errors
    /// [`WriteFailure::Exists`]; refused are an object that is not valid, and one that admission is against.
    pub async fn create(
        self: &Arc<Self>,
        ctx: &RequestContext,
        namespace: &str,
        object: Object,
        options: &WriteOptions,
    ) -> Result<Written, WriteFailure> {
        let (registry, ctx2, namespace, options) = (Arc::clone(self), ctx.clone(), namespace.to_owned(), options.clone());
        self.detached(ctx, encoded_len(&object.0), async move {
            let object = registry.own(&namespace, object, &options);
            registry.create_owned(&ctx2, object, options.dry_run).await
        })
        .await
    }

    /// The part of a client's object that is the client's: no system fields, no status; with managed fields.
    fn own(&self, namespace: &str, mut object: Object, options: &WriteOptions) -> Object {
        let version = object.resource_version().to_owned();
        wipe(&mut object, namespace);
        if self.descriptor().has_status() {
            object.0.insert("status".into(), Value::Object(Map::new()));
        }
        let (time, api_version) = (system::now(), self.descriptor().api_version());
        let manager = Manager { name: &options.field_manager, api_version: &api_version, subresource: "", time: &time };
        apiserver_fieldmanager::update(self.schema(), None, &mut object, manager, &[]);
        object.set_meta_str("resourceVersion", &version);
        object
    }

    /// Creates an object whose managed fields are settled.
    pub(super) async fn create_owned(&self, ctx: &RequestContext, mut object: Object, dry_run: DryRun) -> Result<Written, WriteFailure> {
        let given = object.key();
        let request = AdmissionRequest {
            descriptor: self.descriptor(),
            verb: Verb::Create,
            subresource: Subresource::Main,
            key: &given,
            old: None,
            dry_run,
            schema: self.schema(),
            memo: &Memo::default(),
        };
        self.admit_mutation(ctx, request, &mut object).await?;
        object.set_meta_str("creationTimestamp", &system::now());
        object.metadata_mut().insert("generation".into(), 1.into());
        self.resource.prepare_for_create(ctx, &mut object);

        let base = object.meta_str("generateName").to_owned();
        let draws = if given.name.is_empty() && !base.is_empty() { NAME_DRAWS } else { 1 };
        for _ in 0..draws {
            if given.name.is_empty() && !base.is_empty() {
                object.set_meta_str("name", &system::generated_name(&base));
            }
            object.set_meta_str("uid", &system::uid());
            match self.insert(ctx, request, &object, dry_run).await? {
                Inserted::Done(written) => return Ok(written),
                Inserted::Taken(holder) if draws == 1 => return Err(WriteFailure::Exists(self.taken(object.name(), &holder))),
                Inserted::Taken(_) => {}
            }
        }
        Err(self.no_unique_name(object.name()).into())
    }

    async fn insert(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &Object,
        dry_run: DryRun,
    ) -> Result<Inserted, ApiError> {
        self.validate(ctx, object, None)?;
        self.admit(ctx, request, Some(object)).await?;
        self.refuse_version(object)?;
        let key = storage_key(self.descriptor(), &ObjectKey::new(object.namespace(), object.name()));
        let encoded = Encoded::of(object, SIZE);
        let stored = self.resource.conceal().map(|conceal| concealed(object.clone(), conceal));
        let store_failed = |error| from_store(error, self.descriptor(), "create");
        if dry_run == DryRun::All {
            self.guards(ctx, request, object, Consistency::Cached).await?;
            return match self.store.get(&key).await.map_err(store_failed)? {
                Some(holder) => Ok(Inserted::Taken(Some(holder))),
                // An object that was never stored has no resourceVersion to show, and a secret that opens nothing is none.
                None => Ok(Inserted::Done(Written { bytes: stored.unwrap_or(encoded).stored().clone(), created: true })),
            };
        }
        match self.put_new(ctx, request, object, &key, stored.as_ref().unwrap_or(&encoded)).await? {
            Ok((written, revision)) => {
                // The secret is in the creator's copy alone.
                let shown = if stored.is_some() { encoded } else { written };
                Ok(Inserted::Done(Written { bytes: self.shown(&shown, revision)?, created: true }))
            }
            Err(WriteError::Conflict(holder)) => Ok(Inserted::Taken(holder)),
            Err(WriteError::Store(error)) => Err(store_failed(error)),
        }
    }

    /// Writes an object that is not there yet, and evaluates the guards again as long as they fail.
    async fn put_new(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &Object,
        key: &Key,
        encoded: &Encoded,
    ) -> Result<Result<(Encoded, Revision), WriteError>, ApiError> {
        let mut consistency = Consistency::Cached;
        loop {
            let guards = self.guards(ctx, request, object, consistency).await?;
            match self.put_shrinking(key, encoded.clone(), Expect::Absent, &guards.guards).await {
                Ok(written) => return Ok(Ok(written)),
                Err(GuardedError::Write(error)) => return Ok(Err(error)),
                Err(GuardedError::GuardFailed) if Instant::now() >= ctx.deadline => {
                    return Err(ApiError::timeout("request did not complete within the allotted timeout"));
                }
                Err(GuardedError::GuardFailed) => consistency = Consistency::Linearizable,
            }
        }
    }

    /// Refuses a resourceVersion: an object that is not there yet has none.
    fn refuse_version(&self, object: &Object) -> Result<(), ApiError> {
        let version = object.resource_version();
        if version.parse::<u64>().is_ok_and(|version| version != 0) {
            let path = FieldPath::new("metadata").child("resourceVersion");
            let error = FieldError::invalid(&path, version, "resourceVersion should not be set on objects to be created");
            return Err(self.invalid(object.name(), &[error]));
        }
        Ok(())
    }

    fn taken(&self, name: &str, holder: &Option<Entry>) -> ApiError {
        let mut error = ApiError::already_exists(self.descriptor().group_resource(), name);
        let terminating =
            holder.as_ref().and_then(|entry| serde_json::from_slice(&entry.value).ok()).is_some_and(|map| Object(map).is_terminating());
        if terminating {
            error.message = format!("object is being deleted: {}", error.message);
        }
        error
    }

    fn no_unique_name(&self, name: &str) -> ApiError {
        let mut error = ApiError::already_exists(self.descriptor().group_resource(), name);
        error.message.push_str(", the server was not able to generate a unique name for the object");
        error.details.get_or_insert_default().retry_after_seconds = 1;
        error
    }
}

enum Inserted {
    Done(Written),
    Taken(Option<Entry>),
}

/// An object without what only its creator is told.
fn concealed(mut object: Object, conceal: fn(&mut Object)) -> Encoded {
    conceal(&mut object);
    Encoded::of(&object, SIZE)
}

/// Takes out what only the server may say and puts the namespace in. The resourceVersion is taken out as well.
pub(super) fn wipe(object: &mut Object, namespace: &str) {
    let metadata = object.metadata_mut();
    for field in system::SYSTEM_FIELDS {
        metadata.remove(field);
    }
    metadata.remove("generation");
    metadata.remove("resourceVersion");
    object.set_meta_str("namespace", namespace);
}
