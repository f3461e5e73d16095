//! Where an instance runs, as far as a caller says it: `spec.clusterRef`.
//!
//! - The host cluster must be one that the project allows.
//! - The namespace and the name in it become names of objects of the host cluster, where other rules may trust a namespace by its name.
//!   The platform chooses them. Callers who need no template choose them too: they say all that is deployed there.
//! - Namespaces of the host cluster itself and of projects are no place for virtual clusters, whoever names them.
//!
//! Asked is what a request changes. Refused: asking whether the cluster exists, and whose a namespace of it is; the controller knows, and
//! reports it in the instance's status.

use super::templates;
use crate::directory::Directory;
use crate::project::Projects;
use apiserver_meta::validation::is_dns1123_label;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, RequestContext, Subresource};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::Permissions;
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::project::ProjectSpec;

/// Refuses host clusters that the project does not allow, and namespaces that are not the caller's to choose.
#[derive(Debug)]
pub(crate) struct ClusterRefs {
    projects: Projects,
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
}

impl ClusterRefs {
    /// Asks these projects.
    pub(crate) fn new(projects: Projects, directory: Arc<Directory>, permissions: Arc<Permissions>) -> Self {
        Self { projects, directory, permissions }
    }

    async fn errors(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object) -> Result<Vec<FieldError>, ApiError> {
        let mut errors = Vec::new();
        let path = FieldPath::new("spec").child("clusterRef");
        let changed = |name: &'static str| {
            let at = ["spec", "clusterRef", name];
            Some(new.str_at(&at)).filter(|now| !now.is_empty() && request.old.is_none_or(|old| old.str_at(&at) != *now))
        };
        if let Some(cluster) = changed("cluster")
            && !self.projects.agrees(ctx, request, |project: &ProjectSpec| project.allows_cluster(cluster)).await?
        {
            let why = format!("the project does not allow the cluster {cluster:?}");
            errors.push(FieldError::forbidden(&path.child("cluster"), why));
        }
        let names = ["namespace", "virtualCluster"].into_iter().filter_map(|name| Some((name, changed(name)?)));
        // The instance's own name is what the platform would choose. Clients are shown it and write it back.
        let names: Vec<_> = names.filter(|(name, value)| *name == "namespace" || *value != new.name()).collect();
        if names.is_empty() {
            return Ok(errors);
        }
        let may_choose = templates::needs_none(&self.projects, &self.permissions, ctx, request).await?;
        for (name, value) in names {
            let at = path.child(name);
            if !may_choose {
                errors.push(FieldError::forbidden(&at, "is chosen by the platform: leave it out"));
                continue;
            }
            errors.extend(is_dns1123_label(value).into_iter().map(|why| FieldError::invalid(&at, value, why)));
            if name == "namespace" && self.is_taken(value) {
                errors.push(FieldError::forbidden(&at, "is no namespace for virtual clusters"));
            }
        }
        Ok(errors)
    }

    /// Whether the namespace is one of the host cluster itself or of a project.
    fn is_taken(&self, namespace: &str) -> bool {
        namespace == "default" || namespace.starts_with("kube-") || self.directory.project_of(namespace).is_some()
    }
}

#[async_trait]
impl Admission for ClusterRefs {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.subresource == Subresource::Main) else { return Ok(()) };
        let errors = self.errors(ctx, request, object).await?;
        if errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &errors))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, member};
    use serde_json::{Value, json};

    const VCI: &str = "virtualclusterinstances";

    /// The projects blue, of which una is a user and adam an admin, with the cluster eu; any, with all clusters; none, with no cluster;
    /// and free, where nobody needs a template.
    async fn rig() -> Rig {
        let rig = Rig::start().await;
        for (name, more) in [
            ("blue", json!({"allowedClusters": [{"name": "eu"}]})),
            ("any", json!({"allowedClusters": [{"name": "us"}, {"name": "*"}]})),
            ("none", json!({})),
            ("free", json!({"requireTemplate": {"disabled": true}})),
        ] {
            let mut spec = json!({"members": [member("adam", "admin"), member("una", "user")]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rig.create("root", "projects", name, spec).await.unwrap();
            rig.knows("una", &format!("loft-p-{name}")).await;
        }
        rig
    }

    fn at(cluster_ref: &Value) -> Value {
        json!({"templateRef": {"name": "t"}, "clusterRef": cluster_ref})
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_instance_runs_where_its_project_allows() {
        let rig = rig().await;
        let table = [
            ("una", "blue", json!({"cluster": "eu"}), true),
            ("una", "blue", json!({}), true),
            ("una", "blue", json!({"cluster": "us"}), false),
            ("una", "blue", json!({"cluster": "*"}), false),
            ("root", "blue", json!({"cluster": "us"}), false),
            ("una", "any", json!({"cluster": "anywhere"}), true),
            ("adam", "none", json!({"cluster": "eu"}), false),
            ("root", "none", json!({}), true),
        ];
        for (index, (who, project, place, want)) in table.into_iter().enumerate() {
            let made = rig.create(who, VCI, &format!("loft-p-{project}/i{index}"), at(&place)).await;
            let refused = made.err().map(|error| (error.code(), error.message));
            let cluster = &place["cluster"];
            let text = format!(
                "VirtualClusterInstance.management.loft.sh \"i{index}\" is invalid: spec.clusterRef.cluster: Forbidden: the project does not allow the cluster {cluster}"
            );
            assert_eq!(refused, (!want).then_some((422, text)), "{who} in {project}: {place}");
        }
        // What is set later is asked about as well; what was set stays good when the project changes.
        rig.create("una", VCI, "loft-p-blue/later", at(&json!({}))).await.unwrap();
        let set = |cluster: &str| json!({"spec": {"clusterRef": {"cluster": cluster}}});
        assert_eq!(rig.patch("una", VCI, "loft-p-blue/later", &set("us")).await.unwrap_err().code(), 422);
        rig.patch("una", VCI, "loft-p-blue/later", &set("eu")).await.unwrap();
        rig.patch("root", "projects", "blue", &json!({"spec": {"allowedClusters": null}})).await.unwrap();
        rig.patch("una", VCI, "loft-p-blue/later", &json!({"spec": {"displayName": "d"}})).await.unwrap();
        assert_eq!(rig.create("una", VCI, "loft-p-blue/last", at(&json!({"cluster": "eu"}))).await.unwrap_err().code(), 422);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_platform_chooses_the_names_on_the_host_cluster() {
        let rig = rig().await;
        let chosen = "Forbidden: is chosen by the platform: leave it out";
        let taken = "Forbidden: is no namespace for virtual clusters";
        // who, where, what is named, the refusal
        let table = [
            ("una", "blue", json!({"namespace": "mine"}), Some(chosen)),
            ("una", "blue", json!({"namespace": "kube-system"}), Some(chosen)),
            ("una", "blue", json!({"virtualCluster": "v"}), Some(chosen)),
            ("una", "blue", json!({"virtualCluster": "i3"}), None),
            ("una", "free", json!({"namespace": "mine", "virtualCluster": "v"}), None),
            ("una", "free", json!({"namespace": "kube-system"}), Some(taken)),
            ("una", "free", json!({"namespace": "default"}), Some(taken)),
            ("una", "free", json!({"namespace": "loft-p-blue"}), Some(taken)),
            ("una", "free", json!({"namespace": "loft-p-missing"}), None),
            ("una", "free", json!({"namespace": "a/b"}), Some("Invalid value: \"a/b\"")),
            ("una", "free", json!({"virtualCluster": "x".repeat(64)}), Some("must be no more than 63")),
            ("adam", "blue", json!({"namespace": "team-a"}), None),
            ("adam", "blue", json!({"namespace": "kube-public"}), Some(taken)),
            ("root", "blue", json!({"namespace": "loft-blue-v-one", "virtualCluster": "one"}), None),
            ("root", "blue", json!({"namespace": "kube-system"}), Some(taken)),
        ];
        for (index, (who, project, place, want)) in table.into_iter().enumerate() {
            let made = rig.create(who, VCI, &format!("loft-p-{project}/i{index}"), at(&place)).await;
            match (made, want) {
                (Ok(_), None) => {}
                (Err(error), Some(why)) if error.code() == 422 && error.message.contains(why) => {}
                (made, want) => panic!("{who} in {project}: {place}: want {want:?}, got {made:?}"),
            }
        }
        // The platform fills them in, and users write back what they read.
        rig.create("una", VCI, "loft-p-blue/one", at(&json!({}))).await.unwrap();
        let place = json!({"spec": {"clusterRef": {"namespace": "loft-blue-v-one", "virtualCluster": "one"}}});
        assert_eq!(rig.patch("una", VCI, "loft-p-blue/one", &place).await.unwrap_err().code(), 422);
        rig.patch("root", VCI, "loft-p-blue/one", &place).await.unwrap();
        rig.patch("una", VCI, "loft-p-blue/one", &json!({"spec": {"displayName": "d", "clusterRef": place["spec"]["clusterRef"]}}))
            .await
            .unwrap();
    }
}
