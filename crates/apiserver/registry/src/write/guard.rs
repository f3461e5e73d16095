//! Rules about several objects that hold though many write at once: admission decides by what it found, and names the
//! guards that tell whether that is still so when the write is carried out (see [`apiserver_store::Guard`]).

use super::{AdmissionRequest, Registry};
use crate::store_error::{from_store, of_look_up};
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_store::{Expect, Guard, GuardMode, Key};
use tokio::sync::OwnedMutexGuard;

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

impl Registry {
    /// The exclusive guard under a key, as the store has it now. The key lies outside of every kind's collection.
    ///
    /// # Errors
    /// What the store fails with.
    pub async fn exclusive_guard(&self, key: Key) -> Result<Guard, ApiError> {
        let found = self.store.get(&key).await.map_err(|error| from_store(error, self.descriptor(), "read"))?;
        let expect = found.map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
        Ok(Guard { key, expect, mode: GuardMode::Exclusive })
    }

    /// All that admission wants to depend on.
    pub(super) async fn guards(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &Object,
        consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        let mut all = Guards::default();
        for admission in &self.admission {
            let found = admission.guards(ctx, self, request, object, consistency).await;
            let Guards { guards, turns } = found.map_err(|error| of_look_up(error, request.descriptor, request.verb))?;
            all.guards.extend(guards);
            all.turns.extend(turns);
        }
        Ok(all)
    }
}
