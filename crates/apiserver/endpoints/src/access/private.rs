//! The private part of an object: what is not for everybody who may read it.
//!
//! The kind says what that is, and what one must be allowed to do with an object to be shown all of it ([`PrivatePart`]). The authorizers are
//! asked that once for a request, not for each object; what they answer are views, which are then held against what an object
//! says of itself. Where it cannot be found out what somebody may, they are shown as little as can be.

use super::authorization::{attributes, decide, target};
use crate::request_info::RequestInfo;
use apiserver_auth::{Authorizer, Identity, Target};
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::{Facts, Object, ObjectFilter, Principal, Resource};
use std::sync::Arc;

/// The part of objects that is hidden from one caller.
#[derive(Clone, Debug)]
pub(crate) struct Private {
    part: PrivatePart,
    principal: Principal,
    /// Objects that one of these filters lets through are shown whole.
    whole: Vec<ObjectFilter>,
    /// It cannot be found out now whether the caller may see more.
    pub(crate) is_doubtful: bool,
}

impl Private {
    /// `None`: whoever asks is shown everything of this kind that they may read.
    pub(crate) async fn of(
        authorizers: &[Arc<dyn Authorizer>],
        identity: &Identity,
        info: &RequestInfo,
        resource: &dyn Resource,
    ) -> Option<Self> {
        let part = resource.private_part()?;
        let mut private = Self { part, principal: identity.principal.clone(), whole: Vec::new(), is_doubtful: false };
        for verb in part.verbs {
            let mut target = target(info);
            if let Target::Resource { subresource, .. } = &mut target {
                subresource.clear();
            }
            match decide(authorizers, &attributes(identity.clone(), verb, target)).await {
                Ok(ObjectFilter::All) => return None,
                Ok(view) => private.whole.push(view),
                Err(refusal) => private.is_doubtful |= refusal.error.code() >= 500,
            }
        }
        Some(private)
    }

    /// Whether of an object of these facts something is hidden.
    pub(crate) fn hides(&self, namespace: &str, facts: &Facts) -> bool {
        !self.whole.iter().any(|view| view.allows(namespace, facts))
    }

    pub(crate) fn hide(&self, object: &mut Object) {
        (self.part.hide)(object, &self.principal);
    }

    /// Whether the authorizers have answered in the same way. What a view shows of each object may change all the same.
    pub(crate) fn is_like(one: Option<&Self>, other: Option<&Self>) -> bool {
        one.map(|private| private.whole.len()) == other.map(|private| private.whole.len())
    }
}
