//! Those who may do everything.

use crate::{Attributes, Authorizer, Decision};
use async_trait::async_trait;
use vci_meta::View;
use vci_meta::context::GROUP_MASTERS;

/// Allows everything to the group `system:masters`.
#[derive(Debug)]
pub struct Masters;

#[async_trait]
impl Authorizer for Masters {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        if attributes.identity.user.in_group(GROUP_MASTERS) { Decision::Allow(View::All) } else { Decision::NoOpinion(String::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Target};
    use std::sync::Arc;
    use vci_meta::User;

    #[tokio::test]
    async fn the_group_decides_and_not_the_name() {
        for (name, group, want) in [("ann", GROUP_MASTERS, true), (GROUP_MASTERS, "x", false), ("ann", "system:master", false)] {
            let user = Arc::new(User { name: name.into(), groups: vec![group.into()], ..User::default() });
            let identity = Identity { user, caller: Arc::default() };
            let attributes = Attributes { identity, verb: "delete".into(), target: Target::Path("/".into()) };
            let allowed = matches!(Masters.authorize(&attributes).await, Decision::Allow(View::All));
            assert_eq!(allowed, want, "{name} {group}");
        }
    }
}
