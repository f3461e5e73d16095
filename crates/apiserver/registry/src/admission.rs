//! Admission: rules that need I/O, or that know more than one object.

use crate::registry::Registry;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Descriptor, Object, ObjectKey, RequestContext, Schema, Subresource, Verb};
use apiserver_store::Guard;
use async_trait::async_trait;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// A write as admission sees it.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// The kind.
    pub descriptor: &'a Descriptor,
    /// Create, update or delete (a patch is one of these).
    pub verb: Verb,
    /// The subresource that is written.
    pub subresource: Subresource,
    /// Namespace and name; the name is empty when it is to be generated.
    pub key: &'a ObjectKey,
    /// The object that is there now.
    pub old: Option<&'a Object>,
    /// Whether the write is carried out in the end.
    pub dry_run: DryRun,
    /// The schema of the kind. A rule that changes an object by what a webhook says brings it into this form.
    pub schema: &'a Schema,
    /// Values that rules have looked up for this attempt.
    pub memo: &'a Memo,
}

/// Values that rules look up for one attempt of a write and share with the rules asked after them, by type. Each attempt begins
/// with an empty one, so nothing here is older than the attempt.
#[derive(Debug, Default)]
pub struct Memo(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Memo {
    /// The value of this type that was put last.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.values().iter().rev().find_map(|value| Arc::clone(value).downcast().ok())
    }

    /// Shares a value.
    pub fn put<T: Any + Send + Sync>(&self, value: Arc<T>) {
        self.values().push(value);
    }

    fn values(&self) -> MutexGuard<'_, Vec<Arc<dyn Any + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rules that need I/O, or to know more than one object: asked on every write, in order.
#[async_trait]
pub trait Admission: fmt::Debug + Send + Sync + 'static {
    /// The name in metrics: that of its type, unless it has another.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.rsplit("::").next().unwrap_or(path)
    }

    /// May change the object, before validation. Not called for deletes.
    async fn mutate(&self, _ctx: &RequestContext, _request: AdmissionRequest<'_>, _object: &mut Object) -> Result<(), ApiError> {
        Ok(())
    }

    /// May refuse the write, after validation. `object` is `None` for deletes.
    async fn validate(&self, _ctx: &RequestContext, _request: AdmissionRequest<'_>, _object: Option<&Object>) -> Result<(), ApiError> {
        Ok(())
    }

    /// May refuse the write by the state of other objects, and names the guards that fail when that state has changed before the
    /// write is carried out. Asked last, for creates and updates, and again for every attempt; `registry` is the one that
    /// asks. Nothing is to be changed here: the write may never come, and never does for a dry run.
    async fn guards(
        &self,
        _ctx: &RequestContext,
        _registry: &Registry,
        _request: AdmissionRequest<'_>,
        _object: &Object,
        _consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        Ok(Guards::default())
    }
}

/// How fresh the state must be that a decision goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// The caches' state will do, because a guard fails when it was too old. A refusal must not rest on it.
    Cached,
    /// The store's state at this moment: caches were too old for an attempt before.
    Linearizable,
}

/// The guards and turns of a write.
#[derive(Debug, Default)]
pub struct Guards {
    /// Compared by the transaction of the write. When one fails, the rule is evaluated again.
    pub guards: Vec<Guard>,
    /// Held until the write is done or refused: writers of one server take turns, because each would only make the guard of the
    /// others fail.
    pub turns: Vec<OwnedMutexGuard<()>>,
}
