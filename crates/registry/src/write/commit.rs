//! The one read-modify-write loop: guess, compute the next state, compare and swap, begin again with what
//! is really there.
//!
//! The first guess comes from the cache and may be stale. So what a guess leads to is only believed when the
//! store has confirmed it: a write by its compare, an error or a write that changes nothing by a read of the
//! live object.

use super::{Fences, Knowledge, Registry, WriteFailure};
use crate::item::{splice, unreadable};
use crate::keys::storage_key;
use crate::store_error::from_store;
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Instant;
use vci_meta::options::DryRun;
use vci_meta::{ApiError, Object, ObjectKey, RequestContext, View};
use vci_store::{Entry, Expect, Fence, FencedError, Form, Revision, StoreError, WriteError};

/// The object that a change starts from.
pub(super) struct Current {
    /// As stored, with the resourceVersion that a client would see.
    pub(super) object: Object,
    /// The revision that wrote it.
    pub(super) revision: Revision,
    stored: Bytes,
    /// Not known of a guess, which the store has to confirm before it is believed that nothing changes.
    form: Form,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Guess,
    Live,
}

impl Current {
    /// How fresh everything else must be that decides about the change: as fresh as the object itself.
    pub(super) fn knowledge(&self) -> Knowledge {
        match self.origin {
            Origin::Guess => Knowledge::Cached,
            Origin::Live => Knowledge::Live,
        }
    }
}

/// What shall be.
pub(super) enum Next {
    /// This object, if the fences have not moved. Its resourceVersion is ignored.
    Put(Object, Fences),
    /// Nothing; the object is what the client is shown.
    Delete(Object),
}

/// What has come to be.
pub(super) enum Outcome {
    /// The object is stored like this.
    Stored(Bytes),
    /// The object is gone; this is what was shown last.
    Deleted(Bytes),
}

impl Outcome {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Stored(bytes) | Self::Deleted(bytes) => bytes,
        }
    }
}

/// A change of one object, computed anew for each state that it meets.
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
        view: &View,
        dry_run: DryRun,
        change: &dyn Change,
    ) -> Result<Outcome, WriteFailure> {
        let mut current = match self.guess(key) {
            Some(guess) => guess,
            None => self.live(key, change.operation()).await?,
        };
        loop {
            let next = match self.permitted(key, view, &current) {
                Ok(()) => change.next(ctx, &current).await,
                Err(denied) => Err(denied.into()),
            };
            current = match self.settle(key, &current, next, dry_run, change.operation()).await? {
                Settled::Done(outcome) => return Ok(outcome),
                Settled::Again(live) => live,
            };
            if Instant::now() >= ctx.deadline {
                return Err(ApiError::timeout("request did not complete within the allotted timeout").into());
            }
        }
    }

    async fn settle(
        &self,
        key: &ObjectKey,
        current: &Current,
        next: Result<Next, WriteFailure>,
        dry_run: DryRun,
        operation: &'static str,
    ) -> Result<Settled, WriteFailure> {
        let storage_key = storage_key(self.descriptor(), key);
        let written = match next {
            Err(error) => return self.believe(key, current, Err(error), operation).await,
            Ok(Next::Put(object, fences)) => {
                let bytes = stored_bytes(object);
                let changes_nothing = bytes == current.stored && current.form == Form::Current;
                if changes_nothing || dry_run == DryRun::All {
                    let shown = self.shown(&bytes, current.revision)?;
                    return self.believe(key, current, Ok(Outcome::Stored(shown)), operation).await;
                }
                match self.put_shrinking(&storage_key, bytes, Expect::Revision(current.revision), &fences.fences).await {
                    Ok((bytes, revision)) => Ok(self.shown(&bytes, revision).map(Outcome::Stored)),
                    Err(FencedError::Write(error)) => Err(error),
                    Err(FencedError::Moved) => return self.live(key, operation).await.map(Settled::Again),
                }
            }
            Ok(Next::Delete(object)) => {
                let bytes = stored_bytes(object);
                if dry_run == DryRun::All {
                    let shown = self.shown(&bytes, current.revision)?;
                    return self.believe(key, current, Ok(Outcome::Deleted(shown)), operation).await;
                }
                // With the revision it had: a watch from there tells of the deletion.
                self.store.delete(&storage_key, current.revision).await.map(|_| self.shown(&bytes, current.revision).map(Outcome::Deleted))
            }
        };
        match written {
            Ok(outcome) => Ok(Settled::Done(outcome?)),
            Err(WriteError::Conflict(Some(entry))) => Ok(Settled::Again(self.current(&entry, Origin::Live)?)),
            Err(WriteError::Conflict(None)) => Err(self.missing(key)),
            Err(WriteError::Store(error)) => Err(from_store(error, self.descriptor(), operation).into()),
        }
    }

    /// A result that no write confirms: true of live data, to be looked at again when it came of a guess.
    async fn believe(
        &self,
        key: &ObjectKey,
        current: &Current,
        result: Result<Outcome, WriteFailure>,
        operation: &'static str,
    ) -> Result<Settled, WriteFailure> {
        if current.origin == Origin::Live {
            return result.map(Settled::Done);
        }
        let live = self.live(key, operation).await?;
        // The bytes may differ at one revision: a guess has them in the form that this server writes.
        let is_true = live.revision == current.revision && live.stored == current.stored && live.form == current.form;
        if is_true { result.map(Settled::Done) } else { Ok(Settled::Again(live)) }
    }

    /// Writes; a value that the store finds too large is tried once more without managed fields, which help but
    /// can be done without.
    pub(super) async fn put_shrinking(
        &self,
        key: &vci_store::Key,
        bytes: Bytes,
        expect: Expect,
        fences: &[Fence],
    ) -> Result<(Bytes, Revision), FencedError> {
        let too_large = match self.store.put_fenced(key, bytes.clone(), expect, fences).await {
            Err(FencedError::Write(WriteError::Store(error @ StoreError::TooLarge { .. }))) => error,
            result => return result.map(|revision| (bytes, revision)),
        };
        let Ok(mut object) = parse(&bytes) else { return Err(too_large.into()) };
        if object.metadata_mut().remove("managedFields").is_none() {
            return Err(too_large.into());
        }
        let smaller = stored_bytes(object);
        self.store.put_fenced(key, smaller.clone(), expect, fences).await.map(|revision| (smaller, revision))
    }

    /// What a client is shown of stored bytes.
    pub(super) fn shown(&self, stored: &[u8], revision: Revision) -> Result<Bytes, ApiError> {
        splice(stored, revision).map_err(|error| from_store(error, self.descriptor(), "read"))
    }

    fn missing(&self, key: &ObjectKey) -> WriteFailure {
        WriteFailure::Missing(ApiError::not_found(self.descriptor().group_resource(), &key.name))
    }

    /// What a client is told whose object is not there: where that must not be told from one that they may not see, that they may
    /// not.
    pub(super) fn absent(&self, key: &ObjectKey, view: &View, failure: WriteFailure) -> WriteFailure {
        match (failure, view.denial_of_absent(&key.namespace)) {
            (WriteFailure::Missing(error), Some(denial)) => {
                let denied = ApiError::forbidden(self.descriptor().group_resource(), &key.name, denial);
                WriteFailure::Missing(denied.with_source(error))
            }
            (failure, _) => failure,
        }
    }

    fn permitted(&self, key: &ObjectKey, view: &View, current: &Current) -> Result<(), ApiError> {
        match view {
            View::All => Ok(()),
            View::Granted(_) if view.shows(&key.namespace, &self.resource.access(&current.object)) => Ok(()),
            View::Granted(grant) => Err(ApiError::forbidden(self.descriptor().group_resource(), &key.name, &grant.denial)),
        }
    }

    fn guess(&self, key: &ObjectKey) -> Option<Current> {
        let item = self.cache.guess(key)?;
        let mut object = parse(&item.bytes).ok()?;
        object.metadata_mut().remove("resourceVersion");
        let stored = Bytes::from(object.to_bytes());
        object.set_meta_str("resourceVersion", &item.revision.to_string());
        Some(Current { object, revision: item.revision, stored, form: Form::Current, origin: Origin::Guess })
    }

    async fn live(&self, key: &ObjectKey, operation: &'static str) -> Result<Current, WriteFailure> {
        let entry = self.store.get(&storage_key(self.descriptor(), key)).await;
        match entry.map_err(|error| from_store(error, self.descriptor(), operation))? {
            Some(entry) => Ok(self.current(&entry, Origin::Live)?),
            None => Err(self.missing(key)),
        }
    }

    fn current(&self, entry: &Entry, origin: Origin) -> Result<Current, ApiError> {
        let corrupt = |why: &dyn std::fmt::Display| from_store(unreadable(entry, why), self.descriptor(), "read");
        if let Form::Unreadable(why) = entry.form {
            return Err(corrupt(&why));
        }
        let mut object = parse(&entry.value).map_err(|error| corrupt(&error))?;
        object.set_meta_str("resourceVersion", &entry.revision.to_string());
        Ok(Current { object, revision: entry.revision, stored: entry.value.clone(), form: entry.form, origin })
    }
}

enum Settled {
    Done(Outcome),
    Again(Current),
}

/// The canonical bytes of an object as the store keeps it: without its resourceVersion, which is the store's to say.
pub(super) fn stored_bytes(mut object: Object) -> Bytes {
    object.metadata_mut().remove("resourceVersion");
    Bytes::from(object.to_bytes())
}

fn parse(bytes: &[u8]) -> Result<Object, serde_json::Error> {
    serde_json::from_slice(bytes).map(Object)
}
