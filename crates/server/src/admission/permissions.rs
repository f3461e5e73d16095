//! Whether somebody may do something that is no request of its own, such as handing an object over: asked of the same
//! authorizers as requests, so that reviews tell clients beforehand what will be answered.

use std::sync::Arc;
use vci_auth::{Attributes, Authorizer, Decision, Identity, Target};
use vci_meta::{Descriptor, ObjectKey, RequestContext, View};

/// The authorizers, in their order.
#[derive(Debug)]
pub(crate) struct Permissions {
    authorizers: Vec<Arc<dyn Authorizer>>,
}

/// What somebody may do or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    /// With which kind.
    pub(crate) descriptor: &'a Descriptor,
    /// The verb, which may be one that no request has.
    pub(crate) verb: &'a str,
    /// The subresource, which may be one that no path has; or empty.
    pub(crate) subresource: &'a str,
    /// With which object; the name may be empty.
    pub(crate) key: &'a ObjectKey,
}

impl Permissions {
    /// Asks these authorizers: the first that is sure decides.
    pub(crate) fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Self { authorizers }
    }

    /// With which objects the caller may do this; `None`: with none.
    pub(crate) async fn view(&self, ctx: &RequestContext, act: Act<'_>) -> Option<View> {
        let target = Target::Resource {
            group: act.descriptor.group.into(),
            version: act.descriptor.version.into(),
            resource: act.descriptor.plural.into(),
            subresource: act.subresource.into(),
            namespace: act.key.namespace.clone(),
            name: act.key.name.clone(),
        };
        let identity = Identity { user: Arc::clone(&ctx.user), caller: Arc::clone(&ctx.caller) };
        let attributes = Attributes { identity, verb: act.verb.into(), target };
        for authorizer in &self.authorizers {
            match authorizer.authorize(&attributes).await {
                Decision::Allow(view) => return Some(view),
                Decision::Deny(_) | Decision::Failed(_) => return None,
                Decision::NoOpinion(_) => {}
            }
        }
        None
    }

    /// Whether the caller may do this whatever the object says.
    pub(crate) async fn allow(&self, ctx: &RequestContext, act: Act<'_>) -> bool {
        matches!(self.view(ctx, act).await, Some(View::All))
    }
}
