//! Cross-object rules under optimistic concurrency: admission decides by the state that it read, and names guards. The transaction
//! compares them as well, and when one has moved, the rule is evaluated again (see [`apiserver_store::Guard`]).

use crate::admission::{AdmissionRequest, Consistency, Guards};
use crate::registry::Registry;
use crate::store_error::{from_store, of_look_up};
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_store::{Expect, Guard, GuardMode, Key};

impl Registry {
    /// The exclusive guard under a key, as the store has it now. The key lies outside of every kind's collection.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn exclusive_guard(&self, key: Key) -> Result<Guard, ApiError> {
        let found = self.store.get(&key).await.map_err(|error| from_store(error, self.descriptor(), "read"))?;
        let expect = found.map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
        Ok(Guard { key, expect, mode: GuardMode::Exclusive })
    }

    /// The guards of all admission.
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
