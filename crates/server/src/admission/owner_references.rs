//! Whoever says what an object depends on says when it goes: a right to change it must not become one to delete it.

use super::permissions::{Act, Permissions};
use async_trait::async_trait;
use std::sync::Arc;
use vci_meta::{ApiError, Object, RequestContext, Resource, View};
use vci_registry::{Admission, AdmissionRequest};

/// Lets only those change an object's owner references who may delete it, as upstream's
/// OwnerReferencesPermissionEnforcement does. Whoever creates an object may give it references.
#[derive(Debug)]
pub(crate) struct OwnerReferences {
    permissions: Arc<Permissions>,
    resources: Vec<Arc<dyn Resource>>,
}

impl OwnerReferences {
    /// Asks these permissions, and the objects of these kinds.
    pub(crate) fn new(permissions: Arc<Permissions>, resources: Vec<Arc<dyn Resource>>) -> Self {
        Self { permissions, resources }
    }

    async fn may_delete(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, old: &Object) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        match self.permissions.view(ctx, Act { descriptor, verb: "delete", subresource: "", key }).await {
            Some(View::All) => true,
            Some(View::Granted(_)) => {
                let kind = self.resources.iter().find(|kind| kind.descriptor().plural == descriptor.plural);
                kind.is_some_and(|kind| kind.access(old).grants(&ctx.caller, "delete", ""))
            }
            None => false,
        }
    }
}

#[async_trait]
impl Admission for OwnerReferences {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let (Some(new), Some(old)) = (object, request.old) else { return Ok(()) };
        let references = |object: &Object| object.at(&["metadata", "ownerReferences"]).cloned();
        if references(new) == references(old) || self.may_delete(ctx, request, old).await {
            return Ok(());
        }
        let why = format!("User {:?} cannot change metadata.ownerReferences of what they cannot delete", ctx.user.name);
        Err(ApiError::forbidden(request.descriptor.group_resource(), &request.key.name, why))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, member};
    use serde_json::json;

    const VCI: &str = "virtualclusterinstances";

    #[tokio::test(flavor = "multi_thread")]
    async fn who_may_not_delete_ties_an_object_to_nothing() {
        let rig = Rig::start().await;
        let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user"), member("zoe", "user")]);
        rig.create("root", "projects", "blue", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
        rig.knows("zoe", "loft-p-blue").await;
        let rules = json!([{"verbs": ["patch"], "users": ["tina"]}, {"verbs": ["patch", "delete"], "users": ["zoe"]}]);
        let references = json!([{"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "name": "x", "uid": "u"}]);
        for (index, (who, want)) in [("tina", false), ("zoe", true), ("una", true), ("adam", true), ("root", true)].into_iter().enumerate()
        {
            let at = format!("loft-p-blue/i{index}");
            rig.create("una", VCI, &at, json!({ "access": rules })).await.unwrap();
            let tied = rig.patch(who, VCI, &at, &json!({"metadata": {"ownerReferences": references}})).await;
            assert_eq!(tied.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
            rig.patch("root", VCI, &at, &json!({"metadata": {"ownerReferences": references}})).await.unwrap();
            let untied = rig.patch(who, VCI, &at, &json!({"metadata": {"ownerReferences": null}})).await;
            assert_eq!(untied.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
            let same = json!({"metadata": {"labels": {"a": "b"}}});
            rig.patch(who, VCI, &at, &same).await.unwrap();
        }
    }
}
