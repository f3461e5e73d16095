//! A request for something computed: the question, its caller, and what of the server an answer may need.

use crate::access::authorization::{Opinion, decide};
use crate::access::private::Private;
use crate::kinds::Kinds;
use crate::request_info::{RequestInfo, ResourceInfo};
use apiserver_auth::{Attributes, Authorizer, Identity, Target};
use apiserver_meta::options::GetOptions;
use apiserver_meta::{ApiError, Descriptor, ObjectFilter, ObjectKey, RequestContext, VirtualDescriptor};
use apiserver_registry::{Item, Registry};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// A question, or a wish to see something of an object. Has no `Debug`, because a question may hold a secret.
pub struct VirtualRequest<'a> {
    /// The context: the deadline and the audit id.
    pub ctx: &'a RequestContext,
    /// The caller.
    pub identity: &'a Identity,
    /// Namespace and name in the path.
    pub key: ObjectKey,
    /// The object that a subresource belongs to, which the caller may see.
    pub(super) parent: Option<Arc<Item>>,
    /// The registry of that object.
    pub(super) registry: Option<&'a Arc<Registry>>,
    pub(super) info: &'a RequestInfo,
    pub(super) kind: &'static VirtualDescriptor,
    pub(super) question: Value,
    pub(super) services: Services<'a>,
}

/// The parts of the server that an answer may need.
#[derive(Clone, Copy)]
pub(crate) struct Services<'a> {
    pub(crate) authorizers: &'a [Arc<dyn Authorizer>],
    pub(crate) registries: &'a [Arc<Registry>],
    pub(crate) kinds: &'a Kinds,
}

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// They may.
    pub allowed: bool,
    /// A rule forbids it, in place of none allowing it.
    pub denied: bool,
    /// Why; often empty.
    pub reason: String,
}

impl Verdict {
    fn new(allowed: bool, reason: impl Into<String>) -> Self {
        Self { allowed, denied: false, reason: reason.into() }
    }
}

impl VirtualRequest<'_> {
    /// The kind that is asked.
    pub fn kind(&self) -> &'static VirtualDescriptor {
        self.kind
    }

    /// The question, in canonical form and without `status`.
    ///
    /// # Errors
    /// 400 when it is no such thing.
    pub fn question<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(&self.question).map_err(|error| ApiError::bad_request(format!("cannot be handled as a {}: {error}", self.kind.kind)))
    }

    /// The object that a subresource belongs to, decoded.
    ///
    /// # Errors
    /// 500 when the stored object is not of this form.
    pub fn parent<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let bytes = self.parent.as_ref().map_or(&b"null"[..], |item| &item.bytes);
        serde_json::from_slice(bytes).map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))
    }

    /// Whether somebody may do something: what a request of theirs would meet, from the same authorizers.
    ///
    /// Without a name, "all" is meant: where only some objects grant the verb, the answer is yes for what shows just these
    /// (reads and `deletecollection`), and no for the rest.
    pub async fn may(&self, identity: &Identity, verb: &str, target: &Target) -> Verdict {
        if self.is_for_all_known(identity, verb, target) {
            return Verdict::new(true, "");
        }
        let attributes = Attributes { identity: identity.clone(), verb: verb.into(), target: target.clone() };
        match decide(self.services.authorizers, &attributes).await {
            Ok(ObjectFilter::All) => Verdict::new(true, ""),
            Ok(view) => self.within(&view, verb, target).await,
            Err(refusal) => {
                Verdict { denied: matches!(refusal.opinion, Opinion::Denied | Opinion::Failed), ..Verdict::new(false, refusal.reason) }
            }
        }
    }

    /// With which objects whoever asks may do something; `None`: with none.
    pub async fn view(&self, verb: &str, target: &Target) -> Option<ObjectFilter> {
        let attributes = Attributes { identity: self.identity.clone(), verb: verb.into(), target: target.clone() };
        decide(self.services.authorizers, &attributes).await.ok()
    }

    /// Whether whoever asks is shown all of the object that a subresource belongs to ([`apiserver_meta::Resource::private_part`]).
    pub async fn sees_all_of_parent(&self) -> bool {
        let (Some(item), Some(registry)) = (&self.parent, self.registry) else { return false };
        let private = Private::of(self.services.authorizers, self.identity, self.info, &**registry.resource()).await;
        private.is_none_or(|private| !private.hides(item.namespace(), &item.facts))
    }

    /// All that is stored and served, in the order of discovery.
    pub(crate) fn kinds(&self) -> &[&'static Descriptor] {
        &self.services.kinds.stored
    }

    /// All that is computed, in the order of discovery.
    pub(crate) fn computed(&self) -> impl Iterator<Item = &'static VirtualDescriptor> {
        self.services.kinds.computed.iter().copied()
    }

    fn is_for_all_known(&self, identity: &Identity, verb: &str, target: &Target) -> bool {
        let Target::Resource { group, version, resource, subresource, .. } = target else { return false };
        let version = match version.as_str() {
            "" | "*" => self.computed().find(|kind| kind.group == group).map_or("", |kind| kind.version),
            version => version,
        };
        let named = ResourceInfo {
            group: group.clone(),
            version: version.into(),
            resource: resource.clone(),
            subresource: subresource.clone(),
            ..ResourceInfo::default()
        };
        identity.user.in_group(apiserver_meta::context::GROUP_AUTHENTICATED) && self.services.kinds.is_for_all_known(verb, &named)
    }

    /// The verdict where some objects grant the verb. One that is not there grants nothing: the answer does not say which
    /// it is.
    async fn within(&self, view: &ObjectFilter, verb: &str, target: &Target) -> Verdict {
        let Target::Resource { group, version, resource, namespace, name, .. } = target else { return Verdict::new(true, "") };
        if name.is_empty() {
            let shows_some = matches!(verb, "get" | "list" | "watch" | "deletecollection");
            return Verdict::new(shows_some, "on the objects that grant it");
        }
        let registry = self.services.registries.iter().find(|registry| {
            let kind = registry.descriptor();
            kind.plural == resource && kind.group == group && (matches!(version.as_str(), "" | "*") || kind.version == version)
        });
        let Some(registry) = registry else { return Verdict::new(false, "the object does not grant it") };
        let key = ObjectKey::new(namespace.as_str(), name.as_str());
        match registry.get(self.ctx, &key, &GetOptions::default(), view).await {
            Ok(_) => Verdict::new(true, ""),
            Err(_) => Verdict::new(false, "the object does not grant it"),
        }
    }
}
