//! Admission: rules that need I/O, or that know more than one object.

use crate::registry::Registry;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ApiError, Descriptor, Object, ObjectKey, RequestContext, Schema, Subresource, Verb};
use apiserver_store::Guard;
use async_trait::async_trait;
use std::fmt;
use tokio::sync::OwnedMutexGuard;

/// What admission sees of a write.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// The kind.
    pub descriptor: &'a Descriptor,
    /// Create, update or delete (a patch is one of these).
    pub verb: Verb,
    /// What is written.
    pub subresource: Subresource,
    /// Namespace and name; the name is empty when it is to be generated.
    pub key: &'a ObjectKey,
    /// What is there now.
    pub old: Option<&'a Object>,
    /// Whether the write is carried out in the end.
    pub dry_run: DryRun,
    /// The form that objects of the kind have. Who changes an object by what somebody else says brings it into that form.
    pub schema: &'a Schema,
}

/// Rules that need I/O, or to know more than one object: asked on every write, in order.
#[async_trait]
pub trait Admission: fmt::Debug + Send + Sync + 'static {
    /// What metrics call it: the name of its type, unless it has another.
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

    /// May refuse the write by what other objects are like, and names what of these must stay as it was found until the
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

/// How fresh that must be by which a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// What caches have will do, where a guard tells that it was too old. A refusal must not rest on it.
    Cached,
    /// What the store has now: caches were too old for an attempt before.
    Linearizable,
}

/// What a write waits for and depends on.
#[derive(Debug, Default)]
pub struct Guards {
    /// What must still hold when the write is carried out. When it does not, everything is decided again.
    pub guards: Vec<Guard>,
    /// Held until the write is done or refused: writers of one server who would only move the guard under each other's
    /// feet take turns.
    pub turns: Vec<OwnedMutexGuard<()>>,
}
