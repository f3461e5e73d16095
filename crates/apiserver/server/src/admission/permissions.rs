//! Whether somebody may do something that is no request of its own, such as handing an object over: asked of the same
//! authorizers as requests, so that reviews tell clients beforehand what will be answered.

use apiserver_auth::{Attributes, Authorizer, Decision, Identity, Target};
use apiserver_meta::{Descriptor, ObjectFilter, ObjectKey, RequestContext};
use std::sync::Arc;

/// The authorizers, in their order.
#[derive(Debug)]
pub struct Permissions {
    authorizers: Vec<Arc<dyn Authorizer>>,
}

/// A permission of a caller.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// With which kind.
    pub descriptor: &'a Descriptor,
    /// The verb, which may be one that no request has.
    pub verb: &'a str,
    /// The subresource, which may be one that no path has; or empty.
    pub subresource: &'a str,
    /// With which object; the name may be empty.
    pub key: &'a ObjectKey,
}

impl Permissions {
    /// Asks these authorizers: the first that is sure decides.
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Self { authorizers }
    }

    /// With which objects the caller may do this; `None`: with none.
    pub async fn filter(&self, ctx: &RequestContext, act: Act<'_>) -> Option<ObjectFilter> {
        let target = Target::Resource {
            group: act.descriptor.group.into(),
            version: act.descriptor.version.into(),
            resource: act.descriptor.plural.into(),
            subresource: act.subresource.into(),
            namespace: act.key.namespace.clone(),
            name: act.key.name.clone(),
        };
        let identity = Identity { user: Arc::clone(&ctx.user), principal: ctx.principal.clone() };
        let attributes = Attributes { identity, verb: act.verb.into(), target };
        for authorizer in &self.authorizers {
            match authorizer.authorize(&attributes).await {
                Decision::Allow(filter) => return Some(filter),
                Decision::Deny(_) | Decision::Failed(_) => return None,
                Decision::NoOpinion(_) => {}
            }
        }
        None
    }

    /// Whether the caller may do this whatever the object says.
    pub async fn allow(&self, ctx: &RequestContext, act: Act<'_>) -> bool {
        matches!(self.filter(ctx, act).await, Some(ObjectFilter::All))
    }
}
