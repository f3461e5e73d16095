//! Whoever says what an object depends on says when it goes, and when its owner goes: a right to change one object must not
//! become one to delete it, nor one to hold up the deletion of another.

use super::owned_objects::Kinds;
use super::permissions::{Act, Permissions};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use vci_meta::context::GROUP_MASTERS;
use vci_meta::{ApiError, Object, ObjectKey, RequestContext, Resource, Scope, View};
use vci_registry::{Admission, AdmissionRequest, Registry};

/// As upstream's OwnerReferencesPermissionEnforcement: lets only those change an object's owner references who may delete it
/// (whoever creates an object may give it references), and only those set `blockOwnerDeletion` who may update the owner's
/// `finalizers`. That is asked about owners of the kinds that are served here.
#[derive(Debug)]
pub(crate) struct OwnerReferences {
    permissions: Arc<Permissions>,
    resources: Vec<Arc<dyn Resource>>,
    kinds: Kinds,
}

/// A reference that holds up the deletion of its owner.
#[derive(Clone, Copy)]
struct Blocking<'a> {
    group: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl OwnerReferences {
    /// Asks these permissions, and the objects of these kinds.
    pub(crate) fn new(permissions: Arc<Permissions>, resources: Vec<Arc<dyn Resource>>, kinds: Kinds) -> Self {
        Self { permissions, resources, kinds }
    }

    async fn may_delete(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, old: &Object) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        match self.permissions.view(ctx, Act { descriptor, verb: "delete", subresource: "", key }).await {
            Some(View::All) => true,
            Some(view @ View::Granted(_)) => {
                let kind = self.resources.iter().find(|kind| kind.descriptor().plural == descriptor.plural);
                kind.is_some_and(|kind| view.shows(&key.namespace, &kind.access(old)))
            }
            None => false,
        }
    }

    /// Whether the caller may hold up the deletion of the owner. The name decides who may, and the UID whose deletion is held
    /// up, so both have to be one object's.
    async fn may_block(&self, ctx: &RequestContext, namespace: &str, reference: Blocking<'_>) -> Result<bool, ApiError> {
        let mut kinds = self.kinds.get().into_iter().flatten().filter_map(Weak::upgrade);
        let is_named = |kind: &Arc<Registry>| (kind.descriptor().group, kind.descriptor().kind) == (reference.group, reference.kind);
        let Some(kind) = kinds.find(is_named) else { return Ok(true) };
        let descriptor = kind.descriptor();
        let namespace = if descriptor.scope == Scope::Cluster { "" } else { namespace };
        let key = ObjectKey::new(namespace, reference.name);
        let act = Act { descriptor, verb: "update", subresource: "finalizers", key: &key };
        let Some(view) = self.permissions.view(ctx, act).await else { return Ok(false) };
        // A UID never changes: what is at hand will do, if it is there.
        let owner = match kind.cache().guess(&key).filter(|owner| owner.uid() == reference.uid) {
            Some(owner) => Some(owner),
            None => kind.find(ctx, &key).await?.filter(|owner| owner.uid() == reference.uid),
        };
        Ok(owner.is_some_and(|owner| view.shows(namespace, &owner.access)))
    }

    async fn check_blocking(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object) -> Result<(), ApiError> {
        if ctx.user.in_group(GROUP_MASTERS) {
            return Ok(());
        }
        let old: HashSet<&str> = request.old.into_iter().flat_map(blocking).map(|reference| reference.uid).collect();
        for reference in blocking(new).filter(|reference| !old.contains(reference.uid)) {
            if !self.may_block(ctx, &request.key.namespace, reference).await? {
                let Blocking { kind, name, .. } = reference;
                let who = &ctx.user.name;
                let why = format!(
                    "User {who:?} cannot set blockOwnerDeletion on a reference to {kind} {name:?}, whose finalizers they cannot update"
                );
                return Err(ApiError::forbidden(request.descriptor.group_resource(), &request.key.name, why));
            }
        }
        Ok(())
    }
}

fn references(object: &Object) -> Option<&Value> {
    object.at(&["metadata", "ownerReferences"])
}

fn blocking(object: &Object) -> impl Iterator<Item = Blocking<'_>> {
    let all = references(object).and_then(Value::as_array).into_iter().flatten();
    all.filter(|reference| reference["blockOwnerDeletion"] == true).map(|reference| {
        let text = |field: &str| reference[field].as_str().unwrap_or("");
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        Blocking { group, kind: text("kind"), name: text("name"), uid: text("uid") }
    })
}

#[async_trait]
impl Admission for OwnerReferences {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(new) = object.filter(|new| references(new) != request.old.and_then(references)) else { return Ok(()) };
        if let Some(old) = request.old
            && !self.may_delete(ctx, request, old).await
        {
            let why = format!("User {:?} cannot change metadata.ownerReferences of what they cannot delete", ctx.user.name);
            return Err(ApiError::forbidden(request.descriptor.group_resource(), &request.key.name, why));
        }
        self.check_blocking(ctx, request, new).await
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
    #[tokio::test(flavor = "multi_thread")]
    async fn only_who_may_update_its_finalizers_holds_up_the_deletion_of_an_owner() {
        let rig = Rig::start().await;
        let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user"), member("zoe", "user")]);
        rig.create("root", "projects", "blue", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
        rig.knows("zoe", "loft-p-blue").await;
        let rules = json!([
            {"verbs": ["get", "update", "delete"], "users": ["tina"]}, {"verbs": ["update"], "subresources": ["finalizers"], "users": ["zoe"]},
        ]);
        let spec = json!({ "access": rules });
        let made = rig.create("una", VCI, "loft-p-blue/owner", spec).await.unwrap();
        let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
        let reference = |kind: &str, name: &str, uid: &str, blocks: bool| json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": blocks});
        let refers = |reference: &serde_json::Value| json!({"metadata": {"ownerReferences": [reference]}});
        let blocks = refers(&reference("VirtualClusterInstance", "owner", &uid, true));
        for (who, want) in [("una", true), ("tina", false), ("zoe", true), ("adam", true), ("root", true)] {
            let at = format!("loft-p-blue/of-{who}");
            rig.create(who, VCI, &at, json!({})).await.unwrap();
            let follows = refers(&reference("VirtualClusterInstance", "owner", &uid, false));
            rig.patch(who, VCI, &at, &follows).await.unwrap();
            let held = rig.patch(who, VCI, &at, &blocks).await;
            assert_eq!(held.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
            // What is so already is nobody's doing.
            rig.patch("root", VCI, &at, &blocks).await.unwrap();
            rig.patch(who, VCI, &at, &json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
        }
        // By the name of something of one's own, the UID of somebody else's, and of nothing at all.
        rig.create("tina", VCI, "loft-p-blue/own", json!({})).await.unwrap();
        let own = rig.get("root", VCI, "loft-p-blue/own").await["metadata"]["uid"].as_str().unwrap().to_owned();
        for (name, uid, want) in [("own", own.as_str(), true), ("own", uid.as_str(), false), ("nothing", "u", false)] {
            rig.patch("tina", VCI, "loft-p-blue/of-tina", &json!({"metadata": {"ownerReferences": null}})).await.unwrap();
            let held = rig.patch("tina", VCI, "loft-p-blue/of-tina", &refers(&reference("VirtualClusterInstance", name, uid, true))).await;
            assert_eq!(held.map_err(|error| error.code()).err(), (!want).then_some(403), "{name} {uid}");
        }
        // A kind that is not served here cannot be held up here.
        let elsewhere = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d", "blockOwnerDeletion": true});
        rig.patch("tina", VCI, "loft-p-blue/of-tina", &refers(&elsewhere)).await.unwrap();
    }
}
