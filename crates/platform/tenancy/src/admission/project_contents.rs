//! A project that still holds something is not deleted.
//!
//! The store itself is asked, so what was created before the deletion came is seen. A creation that had been let through before,
//! and reaches the store after that look, is deleted afterwards ([`crate::namespace_cleanup`]). What it is is told to those who may read all of
//! it: a project may let somebody delete it who sees nothing in it.

use super::stored::{Held, Stored};
use crate::namespace_prefix::NamespacePrefix;
use apiserver_meta::{ApiError, Cause, Object, ObjectKey, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::{Act, Permissions};
use async_trait::async_trait;
use std::sync::Arc;

/// How many objects a refusal names.
const NAMED: usize = 5;

/// Refuses to delete projects in whose namespaces there is something.
#[derive(Debug)]
pub(crate) struct ProjectContents {
    stored: Arc<Stored>,
    permissions: Arc<Permissions>,
    prefix: NamespacePrefix,
}

impl ProjectContents {
    pub(crate) fn new(stored: Arc<Stored>, permissions: Arc<Permissions>, prefix: NamespacePrefix) -> Self {
        Self { stored, permissions, prefix }
    }

    /// Whether the caller may read everything of this kind there.
    async fn sees_all(&self, ctx: &RequestContext, plural: &str, namespace: &str) -> bool {
        let Some(resource) = self.stored.resource(plural) else { return false };
        let key = ObjectKey::new(namespace, "");
        self.permissions.allow(ctx, Act { descriptor: resource.descriptor(), verb: "list", subresource: "", key: &key }).await
    }
}

#[async_trait]
impl Admission for ProjectContents {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        if request.verb != Verb::Delete {
            return Ok(());
        }
        let namespace = self.prefix.namespace_of(&request.key.name);
        let Some(Held { plural, names, more }) = self.stored.held_by(&namespace, NAMED).await? else { return Ok(()) };
        let resource = request.descriptor.group_resource();
        if !self.sees_all(ctx, plural, &namespace).await {
            return Err(ApiError::conflict(resource, &request.key.name, format!("the namespace {namespace:?} still holds {plural}")));
        }
        let others = if more { " and others" } else { "" };
        let why = format!("the namespace {namespace:?} still holds {plural}: {}{others}", names.join(", "));
        let causes = names.iter().map(|name| Cause {
            reason: "NamespaceNotEmpty".into(),
            message: format!("{plural} {name:?} in the namespace {namespace:?}"),
            field: String::new(),
        });
        Err(ApiError::conflict(resource, &request.key.name, why).with_causes(causes.collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, instance};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn projects_go_when_they_are_empty() {
        let rig = Rig::start().await;
        let vci = "virtualclusterinstances";
        for project in ["blue", "blue-2"] {
            rig.create("root", "projects", project, json!({})).await.unwrap();
        }
        for index in 0..6 {
            rig.create("root", vci, &format!("loft-p-blue/i{index}"), instance()).await.unwrap();
        }
        let error = rig.delete("root", "projects", "blue").await.unwrap_err();
        let text = "Operation cannot be fulfilled on projects.management.loft.sh \"blue\": the namespace \"loft-p-blue\" still holds virtualclusterinstances: i0, i1, i2, i3, i4 and others";
        assert_eq!((error.code(), error.message.as_str()), (409, text));
        let causes = error.details.unwrap().causes;
        assert_eq!(causes.len(), 5);
        assert_eq!(
            (causes[0].reason.as_str(), causes[0].message.as_str()),
            ("NamespaceNotEmpty", "virtualclusterinstances \"i0\" in the namespace \"loft-p-blue\"")
        );

        // What they may not read is not named to those who may delete the project.
        let una = rig.delete("una", "projects", "blue").await.unwrap_err();
        let text = "Operation cannot be fulfilled on projects.management.loft.sh \"blue\": the namespace \"loft-p-blue\" still holds virtualclusterinstances";
        assert_eq!((una.code(), una.message.as_str()), (409, text));
        assert!(una.details.is_none_or(|details| details.causes.is_empty()));

        rig.delete("root", "projects", "blue-2").await.unwrap();
        for index in 1..6 {
            rig.delete("root", vci, &format!("loft-p-blue/i{index}")).await.unwrap();
        }
        rig.patch("root", vci, "loft-p-blue/i0", &json!({"metadata": {"finalizers": ["example.com/f"]}})).await.unwrap();
        rig.delete("root", vci, "loft-p-blue/i0").await.unwrap();
        assert_eq!(rig.delete("root", "projects", "blue").await.unwrap_err().code(), 409, "it is there until its finalizers are gone");
        rig.patch("root", vci, "loft-p-blue/i0", &json!({"metadata": {"finalizers": null}})).await.unwrap();
        rig.delete("root", "projects", "blue").await.unwrap();
    }
}
