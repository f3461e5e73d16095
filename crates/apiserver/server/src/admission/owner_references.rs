//! Owner references need rights beyond the update of the object (OwnerReferencesPermissionEnforcement).
//!
//! An owner reference makes the garbage collector delete the object with its owner, and `blockOwnerDeletion` delays the deletion
//! of the owner. So a right to update an object must be neither a right to delete it, nor one to delay the deletion of another.

use super::permissions::{Act, Permissions};
use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, RequestContext, Resource, Scope};
use apiserver_registry::{Admission, AdmissionRequest, Registries, Registry};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// As upstream's OwnerReferencesPermissionEnforcement: lets only those change an object's owner references who may delete it
/// (whoever creates an object may give it references), and only those set `blockOwnerDeletion` who may update the owner's
/// `finalizers`. That is asked about owners of the kinds that are served here.
#[derive(Debug)]
pub(crate) struct OwnerReferences {
    permissions: Arc<Permissions>,
    resources: Vec<Arc<dyn Resource>>,
    registries: Registries,
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
    pub(crate) fn new(permissions: Arc<Permissions>, resources: Vec<Arc<dyn Resource>>, registries: Registries) -> Self {
        Self { permissions, resources, registries }
    }

    async fn may_delete(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, old: &Object) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        match self.permissions.filter(ctx, Act { descriptor, verb: "delete", subresource: "", key }).await {
            Some(ObjectFilter::All) => true,
            Some(filter @ ObjectFilter::Access(_)) => {
                let kind = self.resources.iter().find(|kind| kind.descriptor().plural == descriptor.plural);
                kind.is_some_and(|kind| filter.allows(&key.namespace, &kind.facts(old)))
            }
            None => false,
        }
    }

    /// Whether the caller may hold up the deletion of the owner. The name decides who may, and the UID whose deletion is held
    /// up, so both have to be one object's.
    async fn may_block(&self, ctx: &RequestContext, namespace: &str, reference: Blocking<'_>) -> Result<bool, ApiError> {
        let mut kinds = self.registries.iter();
        let is_named = |kind: &Arc<Registry>| (kind.descriptor().group, kind.descriptor().kind) == (reference.group, reference.kind);
        let Some(kind) = kinds.find(is_named) else { return Ok(true) };
        let descriptor = kind.descriptor();
        let namespace = if descriptor.scope == Scope::Cluster { "" } else { namespace };
        let key = ObjectKey::new(namespace, reference.name);
        let act = Act { descriptor, verb: "update", subresource: "finalizers", key: &key };
        let Some(filter) = self.permissions.filter(ctx, act).await else { return Ok(false) };
        // A UID never changes: what is at hand will do, if it is there.
        let owner = match kind.cache().cached_existing(&key).filter(|owner| owner.uid() == reference.uid) {
            Some(owner) => Some(owner),
            None => kind.find(ctx, &key).await?.filter(|owner| owner.uid() == reference.uid),
        };
        Ok(owner.is_some_and(|owner| filter.allows(namespace, &owner.facts)))
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
