//! A warning about the objects that a user or a team owns which is being deleted.
//!
//! Owners are matched by name, as subjects are in RBAC. Objects of a deleted owner stay, and a later User or Team of the same name
//! owns them. The deletion is not refused; the answer to it warns of these objects.

use apiserver_meta::{ApiError, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest, Registries};
use async_trait::async_trait;
use vci_management::access::ObjectAccess;
use vci_management::plural;

/// Warns whoever deletes the owner of something.
#[derive(Debug)]
pub(crate) struct OwnedObjects {
    registries: Registries,
}

impl OwnedObjects {
    /// Looks at these kinds.
    pub(crate) fn new(registries: Registries) -> Self {
        Self { registries }
    }

    /// How many objects of which kinds belong to this user or team. Keys do not stay.
    fn owned(&self, plural: &str, name: &str) -> Vec<String> {
        let kinds = self.registries.iter().filter(|kind| kind.descriptor().plural != plural::ACCESS_KEYS);
        let counted = kinds.map(|kind| {
            let owners = kind.cache().items();
            let owners = owners.iter().map(|item| ObjectAccess::of(&item.facts));
            let owners = owners.map(|access| if plural == plural::TEAMS { &access.owner_team } else { &access.owner_user });
            (kind.descriptor().plural, owners.filter(|owner| *owner == name).count())
        });
        counted.filter(|(_, count)| *count > 0).map(|(plural, count)| format!("{plural} ({count})")).collect()
    }
}

#[async_trait]
impl Admission for OwnedObjects {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, _object: Option<&Object>) -> Result<(), ApiError> {
        if request.verb != Verb::Delete {
            return Ok(());
        }
        let name = request.key.name.as_str();
        let owned = self.owned(request.descriptor.plural, name);
        if !owned.is_empty() {
            let what = request.descriptor.group_resource();
            ctx.warn(format!("{what} {name:?} owns {}, which will belong to whoever is given this name again", owned.join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, context, instance};
    use apiserver_meta::options::DeleteOptions;
    use apiserver_meta::{ObjectFilter, ObjectKey};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_deletes_an_owner_is_told_what_is_left() {
        let rig = Rig::start().await;
        let owned = |owner| json!({ "owner": owner });
        rig.create("root", "projects", "blue", owned(json!({"user": "una"}))).await.unwrap();
        rig.create("root", "projects", "red", owned(json!({"team": "devs"}))).await.unwrap();
        for (name, owner) in [("a", json!({"user": "una"})), ("b", json!({"user": "una"})), ("c", json!({"team": "devs"}))] {
            let mut spec = instance();
            spec["owner"] = owner;
            rig.create("root", "virtualclusterinstances", &format!("loft-p-blue/{name}"), spec).await.unwrap();
        }
        rig.create("root", "ownedaccesskeys", "k", json!({"user": "zoe"})).await.unwrap();
        rig.wait_for(|| rig.registry("virtualclusterinstances").cache().items().len() == 3).await;
        let left = |what: &str| vec![format!("{what}, which will belong to whoever is given this name again")];
        for (plural, name, want) in [
            ("users", "una", left("users.management.loft.sh \"una\" owns projects (1), virtualclusterinstances (2)")),
            ("teams", "devs", left("teams.management.loft.sh \"devs\" owns projects (1), virtualclusterinstances (1)")),
            ("users", "zoe", Vec::new()),
        ] {
            let ctx = context("root");
            let registry = rig.registry(plural);
            registry.delete(&ctx, &ObjectKey::new("", name), &DeleteOptions::default(), &ObjectFilter::All).await.unwrap();
            assert_eq!(ctx.warnings(), want, "{name}");
        }
    }
}
