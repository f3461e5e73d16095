//! Namespaces are the projects': nothing is created in others, nor in one whose project is being deleted. As
//! upstream's NamespaceLifecycle, and in its words.

use crate::project::Projects;
use apiserver_meta::error::GroupResource;
use apiserver_meta::{ApiError, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;

/// As errors name namespaces.
pub(crate) const NAMESPACES: GroupResource<'_> = GroupResource { group: "", resource: "namespaces" };

/// Refuses to create objects where there is no project, or soon none.
#[derive(Debug)]
pub(crate) struct ProjectNamespaces {
    projects: Projects,
}

impl ProjectNamespaces {
    /// Asks these projects.
    pub(crate) fn new(projects: Projects) -> Self {
        Self { projects }
    }
}

#[async_trait]
impl Admission for ProjectNamespaces {
    async fn mutate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        let namespace = request.key.namespace.as_str();
        if request.verb != Verb::Create || self.projects.known(request.memo, namespace).is_some_and(|project| !project.is_terminating) {
            return Ok(());
        }
        match self.projects.current(ctx, request.memo, namespace).await? {
            None => Err(ApiError::not_found(NAMESPACES, namespace)),
            Some(project) if project.is_terminating => {
                Err(ApiError::namespace_terminating(request.descriptor.group_resource(), object.name(), namespace))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, instance};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn secrets_need_a_project_too_and_no_template() {
        let rig = Rig::start().await;
        let secret = || json!({"data": {"a": "czNjcmV0"}});
        rig.create("root", "projects", "blue", json!({"members": [crate::admission::tests::member("una", "user")]})).await.unwrap();
        rig.knows("una", "loft-p-blue").await;
        let made = rig.create("una", "projectsecrets", "loft-p-blue/a", secret()).await.unwrap();
        assert_eq!(made["spec"]["owner"], json!({"user": "una"}));
        let error = rig.create("root", "projectsecrets", "loft-p-red/a", secret()).await.unwrap_err();
        assert_eq!((error.code(), error.message.as_str()), (404, "namespaces \"loft-p-red\" not found"));
        let error = rig.delete("root", "projects", "blue").await.unwrap_err();
        assert!(error.message.ends_with("the namespace \"loft-p-blue\" still holds projectsecrets: a"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn instances_need_a_project_that_stays() {
        let rig = Rig::start().await;
        rig.create("root", "projects", "blue", json!({})).await.unwrap();
        rig.create("root", "virtualclusterinstances", "loft-p-blue/a", instance()).await.unwrap();
        for namespace in ["loft-p-red", "blue", "loft-p-", "default"] {
            let error = rig.create("root", "virtualclusterinstances", &format!("{namespace}/a"), instance()).await.unwrap_err();
            assert_eq!((error.code(), error.message.as_str()), (404, format!("namespaces {namespace:?} not found").as_str()));
        }

        let held = json!({"metadata": {"finalizers": ["example.com/f"]}});
        rig.create("root", "projects", "grey", json!({})).await.unwrap();
        rig.patch("root", "projects", "grey", &held).await.unwrap();
        rig.delete("root", "projects", "grey").await.unwrap();
        let error = rig.create("root", "virtualclusterinstances", "loft-p-grey/a", instance()).await.unwrap_err();
        let text = "virtualclusterinstances.management.loft.sh \"a\" is forbidden: unable to create new content in namespace loft-p-grey because it is being terminated";
        assert_eq!((error.code(), error.message.as_str()), (403, text));
        let cause = &error.details.unwrap().causes[0];
        assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("NamespaceTerminating", "metadata.namespace"));
        assert_eq!(cause.message, "namespace loft-p-grey is being terminated");
    }
}
