//! The group `system:masters`.

use crate::{Attributes, Authorizer, Decision};
use apiserver_meta::ObjectFilter;
use apiserver_meta::context::GROUP_MASTERS;
use async_trait::async_trait;

/// Allows every request of a caller in the group `system:masters`. The caller's name does not matter.
#[derive(Debug)]
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        if attributes.identity.user.in_group(GROUP_MASTERS) {
            Decision::Allow(ObjectFilter::All)
        } else {
            Decision::NoOpinion(String::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Target};
    use apiserver_meta::{Principal, User};
    use std::sync::Arc;

    #[tokio::test]
    async fn the_group_decides_and_not_the_name() {
        for (name, group, want) in [("ann", GROUP_MASTERS, true), (GROUP_MASTERS, "x", false), ("ann", "system:master", false)] {
            let user = Arc::new(User { name: name.into(), groups: vec![group.into()], ..User::default() });
            let identity = Identity { user, principal: Principal::default() };
            let attributes = Attributes { identity, verb: "delete".into(), target: Target::Path("/".into()) };
            let allowed = matches!(Masters.authorize(&attributes).await, Decision::Allow(ObjectFilter::All));
            assert_eq!(allowed, want, "{name} {group}");
        }
    }
}
