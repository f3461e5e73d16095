//! Rules about several objects that hold though many write at once: admission decides by what it found, and names the
//! guards that tell whether that is still so when the write is carried out (see [`apiserver_store::Guard`]).

use crate::admission::{AdmissionRequest, Consistency, Guards};
use crate::registry::Registry;
use crate::store_error::{from_store, of_look_up};
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_store::{Expect, Guard, GuardMode, Key};

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
