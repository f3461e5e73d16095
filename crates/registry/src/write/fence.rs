//! Rules about several objects that hold though many write at once: admission decides by what it found, and names the
//! fences that tell whether that is still so when the write is carried out (see [`vci_store::Fence`]).

use super::{AdmissionRequest, Registry};
use crate::store_error::{from_store, of_look_up};
use tokio::sync::OwnedMutexGuard;
use vci_meta::{ApiError, Object, RequestContext};
use vci_store::{Expect, Fence, Hold, Key};

/// How fresh the knowledge must be that a decision is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// What caches have will do, where a fence tells that it was too old. A refusal must not rest on it.
    Cached,
    /// What the store has now: caches were too old for an attempt before.
    Live,
}

/// What a write waits for and depends on.
#[derive(Debug, Default)]
pub struct Fences {
    /// What must still hold when the write is carried out. When it does not, everything is decided again.
    pub fences: Vec<Fence>,
    /// Held until the write is done or refused: writers of one server who would only move the fence under each other's
    /// feet take turns.
    pub turns: Vec<OwnedMutexGuard<()>>,
}

impl Registry {
    /// The exclusive fence under a key, as the store has it now. The key lies outside of every kind's collection.
    ///
    /// # Errors
    /// What the store fails with.
    pub async fn exclusive_fence(&self, key: Key) -> Result<Fence, ApiError> {
        let found = self.store.get(&key).await.map_err(|error| from_store(error, self.descriptor(), "read"))?;
        let expect = found.map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
        Ok(Fence { key, expect, hold: Hold::Exclusive })
    }

    /// All that admission wants to depend on.
    pub(super) async fn fences(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &Object,
        knowledge: Knowledge,
    ) -> Result<Fences, ApiError> {
        let mut all = Fences::default();
        for admission in &self.admission {
            let found = admission.fences(ctx, self, request, object, knowledge).await;
            let Fences { fences, turns } = found.map_err(|error| of_look_up(error, request.descriptor, request.verb))?;
            all.fences.extend(fences);
            all.turns.extend(turns);
        }
        Ok(all)
    }
}
