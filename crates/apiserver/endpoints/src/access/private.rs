//! The private parts of an object: what is not for everybody who may read it.
//!
//! The kind says what these are, and what one must be allowed to do with an object to be shown each ([`PrivatePart`]). The authorizers are
//! asked that once for a request, not for each object; what they answer are views, which are then held against what an object
//! says of itself. Where it cannot be found out what somebody may, they are shown as little as can be.

use super::authorization::{attributes, decide, target};
use crate::request_info::RequestInfo;
use apiserver_auth::{Authorizer, Identity, Target};
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::{Facts, Object, ObjectFilter, Principal, Resource, Subresource};
use apiserver_registry::Mask;
use std::sync::Arc;

/// The parts of objects that are hidden from one caller.
#[derive(Clone, Debug)]
pub(crate) struct Private {
    hidden: Vec<Hidden>,
    principal: Principal,
    /// It cannot be found out now whether the caller may see more.
    pub(crate) is_doubtful: bool,
}

#[derive(Clone, Debug)]
struct Hidden {
    part: PrivatePart,
    /// Objects that one of these filters lets through are shown with the part.
    whole: Vec<ObjectFilter>,
}

impl Private {
    /// `None`: whoever asks is shown everything of this kind that they may read.
    pub(crate) async fn of(
        authorizers: &[Arc<dyn Authorizer>],
        identity: &Identity,
        info: &RequestInfo,
        resource: &dyn Resource,
    ) -> Option<Self> {
        let mut asked = Asked { authorizers, identity, info, answers: Vec::new(), is_doubtful: false };
        let mut hidden = Vec::new();
        for part in resource.private_parts() {
            hidden.extend(asked.hidden(*part).await);
        }
        let is_doubtful = asked.is_doubtful;
        (!hidden.is_empty()).then(|| Self { hidden, principal: identity.principal.clone(), is_doubtful })
    }

    /// Whether of an object of these facts something is hidden.
    pub(crate) fn hides(&self, namespace: &str, facts: &Facts) -> bool {
        self.hidden.iter().any(|hidden| hidden.hides(namespace, facts))
    }

    /// Takes what is hidden out of an object of these facts.
    pub(crate) fn hide(&self, object: &mut Object, namespace: &str, facts: &Facts) {
        let hidden = self.hidden.iter().filter(|hidden| hidden.hides(namespace, facts));
        hidden.for_each(|hidden| (hidden.part.hide)(object, &self.principal));
    }

    /// Takes what is hidden out of objects of this kind.
    pub(crate) fn mask(self, resource: Arc<dyn Resource>) -> Mask {
        Mask::new(move |object| {
            let (namespace, facts) = (object.namespace().to_owned(), resource.facts(object));
            self.hide(object, &namespace, &facts);
        })
    }

    /// Whether the authorizers have answered in the same way. What a view shows of each object may change all the same.
    pub(crate) fn is_like(one: Option<&Self>, other: Option<&Self>) -> bool {
        let answers = |private: &Self| private.hidden.iter().map(Hidden::answer).collect::<Vec<_>>();
        one.map(answers) == other.map(answers)
    }
}

impl Hidden {
    fn hides(&self, namespace: &str, facts: &Facts) -> bool {
        !self.whole.iter().any(|view| view.allows(namespace, facts))
    }

    /// The part, and how many filters show it.
    fn answer(&self) -> (Subresource, &'static [&'static str], usize) {
        (self.part.subresource, self.part.verbs, self.whole.len())
    }
}

/// The authorizers, and what they have answered: parts that need the same right are asked about once.
struct Asked<'a> {
    authorizers: &'a [Arc<dyn Authorizer>],
    identity: &'a Identity,
    info: &'a RequestInfo,
    answers: Vec<((&'static str, Subresource), Option<ObjectFilter>)>,
    is_doubtful: bool,
}

impl Asked<'_> {
    /// `None`: the caller is shown the part of every object.
    async fn hidden(&mut self, part: PrivatePart) -> Option<Hidden> {
        let mut whole = Vec::new();
        for verb in part.verbs {
            match self.view(verb, part.subresource).await {
                Some(ObjectFilter::All) => return None,
                view => whole.extend(view),
            }
        }
        Some(Hidden { part, whole })
    }

    async fn view(&mut self, verb: &'static str, below: Subresource) -> Option<ObjectFilter> {
        if let Some((_, answer)) = self.answers.iter().find(|(question, _)| *question == (verb, below)) {
            return answer.clone();
        }
        let mut target = target(self.info);
        if let Target::Resource { subresource, .. } = &mut target {
            below.as_str().clone_into(subresource);
        }
        let answer = match decide(self.authorizers, &attributes(self.identity.clone(), verb, target)).await {
            Ok(view) => Some(view),
            Err(refusal) => {
                self.is_doubtful |= refusal.error.code() >= 500;
                None
            }
        };
        self.answers.push(((verb, below), answer.clone()));
        answer
    }
}
