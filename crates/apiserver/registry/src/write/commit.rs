//! The one read-modify-write loop, as upstream's GuaranteedUpdate: start from the cached object, compute the next state, compare
//! and swap, and begin again with the live object where they differ.
//!
//! The cached object may be stale. So a result that it leads to counts only when the store has confirmed it: a write by its
//! compare, an error or a write that changes nothing by a read of the live object.

use super::current::Current;
use super::encoded::Encoded;
use super::failure::WriteFailure;
use super::outcome::Outcome;
use crate::admission::{Consistency, Guards};
use crate::item::unreadable;
use crate::keys::storage_key;
use crate::registry::Registry;
use crate::store_error::from_store;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, RequestContext};
use apiserver_store::{Entry, Expect, Form, Guard, GuardedError, Revision, StoreError, WriteError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Instant;

/// How much longer the next state of an object mostly is at most: a field that is new, with who owns it.
const GROWTH: usize = 512;

/// The next state of an object.
pub(super) enum Next {
    /// This object, if the guards have not moved. Its resourceVersion is ignored.
    Put(Object, Guards),
    /// Nothing; the object is what the client is shown.
    Delete(Object),
}

/// A change of one object, computed anew for each state that the object is found in.
#[async_trait]
pub(super) trait Change: Send + Sync {
    /// The word in errors: `update`, `delete`.
    fn operation(&self) -> &'static str;
    /// The next state.
    async fn next(&self, ctx: &RequestContext, current: &Current) -> Result<Next, WriteFailure>;
}

impl Registry {
    /// Carries a change out. `Forbidden` when the view does not show the object.
    pub(super) async fn commit(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        view: &ObjectFilter,
        dry_run: DryRun,
        change: &dyn Change,
    ) -> Result<Outcome, WriteFailure> {
        let mut current = match self.cached_existing(key) {
            Some(cached) => cached,
            None => self.live(key, change.operation()).await?,
        };
        loop {
            let next = match self.permitted(key, view, &current) {
                Ok(()) => change.next(ctx, &current).await,
                Err(denied) => Err(denied.into()),
            };
            current = match self.confirm_or_write(key, &current, next, dry_run, change.operation()).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Again(live) => live,
            };
            if Instant::now() >= ctx.deadline {
                return Err(ApiError::timeout("request did not complete within the allotted timeout").into());
            }
        }
    }

    async fn confirm_or_write(
        &self,
        key: &ObjectKey,
        current: &Current,
        next: Result<Next, WriteFailure>,
        dry_run: DryRun,
        operation: &'static str,
    ) -> Result<Attempt, WriteFailure> {
        let storage_key = storage_key(self.descriptor(), key);
        let written = match next {
            Err(error) => return self.confirm(key, current, Err(error), operation).await,
            Ok(Next::Put(object, guards)) => {
                let encoded = Encoded::of(&object, current.size() + GROWTH);
                if current.is(&encoded) || dry_run == DryRun::All {
                    let shown = self.shown(&encoded, current.revision)?;
                    return self.confirm(key, current, Ok(Outcome::Stored(shown)), operation).await;
                }
                match self.put_shrinking(&storage_key, encoded, Expect::Revision(current.revision), &guards.guards).await {
                    Ok((encoded, revision)) => Ok(self.shown(&encoded, revision).map(Outcome::Stored)),
                    Err(GuardedError::Write(error)) => Err(error),
                    Err(GuardedError::GuardFailed) => return self.live(key, operation).await.map(Attempt::Again),
                }
            }
            Ok(Next::Delete(object)) => {
                let encoded = Encoded::of(&object, current.size() + GROWTH);
                if dry_run == DryRun::All {
                    let shown = self.shown(&encoded, current.revision)?;
                    return self.confirm(key, current, Ok(Outcome::Deleted(shown)), operation).await;
                }
                // With the revision it had: a watch from there tells of the deletion.
                let deleted = self.store.delete(&storage_key, current.revision).await;
                deleted.map(|_| self.shown(&encoded, current.revision).map(Outcome::Deleted))
            }
        };
        match written {
            Ok(outcome) => Ok(Attempt::Done(outcome?)),
            Err(WriteError::Conflict(Some(entry))) => Ok(Attempt::Again(self.live_from(&entry)?)),
            Err(WriteError::Conflict(None)) => Err(self.missing(key)),
            Err(WriteError::Store(error)) => Err(from_store(error, self.descriptor(), operation).into()),
        }
    }

    /// A result that no write confirms: final for a live object, to be computed again for a cached one that is stale.
    async fn confirm(
        &self,
        key: &ObjectKey,
        current: &Current,
        result: Result<Outcome, WriteFailure>,
        operation: &'static str,
    ) -> Result<Attempt, WriteFailure> {
        if current.consistency == Consistency::Linearizable {
            return result.map(Attempt::Done);
        }
        let live = self.live(key, operation).await?;
        if current.is_still(&live) { result.map(Attempt::Done) } else { Ok(Attempt::Again(live)) }
    }

    /// Writes; a value that the store finds too large is tried once more without managed fields, which help but
    /// can be done without.
    pub(super) async fn put_shrinking(
        &self,
        key: &apiserver_store::Key,
        encoded: Encoded,
        expect: Expect,
        guards: &[Guard],
    ) -> Result<(Encoded, Revision), GuardedError> {
        let too_large = match self.store.put_guarded(key, encoded.stored().clone(), expect, guards).await {
            Err(GuardedError::Write(WriteError::Store(error @ StoreError::TooLarge { .. }))) => error,
            result => return result.map(|revision| (encoded, revision)),
        };
        let Ok(mut object) = parse(encoded.stored()) else { return Err(too_large.into()) };
        if object.metadata_mut().remove("managedFields").is_none() {
            return Err(too_large.into());
        }
        let smaller = Encoded::of(&object, encoded.stored().len());
        self.store.put_guarded(key, smaller.stored().clone(), expect, guards).await.map(|revision| (smaller, revision))
    }

    /// An object as a client gets it.
    pub(super) fn shown(&self, encoded: &Encoded, revision: Revision) -> Result<Bytes, ApiError> {
        encoded.shown(revision).map_err(|error| from_store(error, self.descriptor(), "read"))
    }

    fn missing(&self, key: &ObjectKey) -> WriteFailure {
        WriteFailure::Missing(ApiError::not_found(self.descriptor().group_resource(), &key.name))
    }

    /// The failure of a write whose object is missing, as the client gets it: `Forbidden` where a missing object must look like one
    /// that the client may not see.
    pub(super) fn absent(&self, key: &ObjectKey, view: &ObjectFilter, failure: WriteFailure) -> WriteFailure {
        match (failure, view.denial_of_absent(&key.namespace)) {
            (WriteFailure::Missing(error), Some(denial)) => {
                let denied = ApiError::forbidden(self.descriptor().group_resource(), &key.name, denial);
                WriteFailure::Missing(denied.with_source(error))
            }
            (failure, _) => failure,
        }
    }

    fn permitted(&self, key: &ObjectKey, view: &ObjectFilter, current: &Current) -> Result<(), ApiError> {
        match view {
            ObjectFilter::All => Ok(()),
            ObjectFilter::Access(_) if view.allows(&key.namespace, &self.resource.facts(&current.object)) => Ok(()),
            ObjectFilter::Access(grant) => Err(ApiError::forbidden(self.descriptor().group_resource(), &key.name, grant.denial())),
        }
    }

    fn cached_existing(&self, key: &ObjectKey) -> Option<Current> {
        let item = self.cache.cached_existing(key)?;
        // It has the resourceVersion that it is shown with.
        parse(&item.bytes).ok().map(|object| Current::cached(object, &item))
    }

    async fn live(&self, key: &ObjectKey, operation: &'static str) -> Result<Current, WriteFailure> {
        let entry = self.store.get(&storage_key(self.descriptor(), key)).await;
        match entry.map_err(|error| from_store(error, self.descriptor(), operation))? {
            Some(entry) => Ok(self.live_from(&entry)?),
            None => Err(self.missing(key)),
        }
    }

    fn live_from(&self, entry: &Entry) -> Result<Current, ApiError> {
        let corrupt = |why: &dyn std::fmt::Display| from_store(unreadable(entry, why), self.descriptor(), "read");
        if let Form::Unreadable(why) = entry.form {
            return Err(corrupt(&why));
        }
        let mut object = parse(&entry.value).map_err(|error| corrupt(&error))?;
        object.set_meta_str("resourceVersion", &entry.revision.to_string());
        Ok(Current::live(object, entry))
    }
}

/// The end of one attempt.
enum Attempt {
    Done(Outcome),
    Again(Current),
}

fn parse(bytes: &[u8]) -> Result<Object, serde_json::Error> {
    serde_json::from_slice(bytes).map(Object)
}
