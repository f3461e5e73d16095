//! Where a virtual cluster runs: chosen once, and written into `spec.clusterRef`, which never changes again.

use super::pass::{Pass, Stop};
use super::template::namespace_by_pattern;
use crate::api::{Cluster, Project};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::names::{host_namespace, is_release, release};
use apiserver_meta::validation::is_dns1123_label;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use vci_management::cluster::LOCAL_CLUSTER;

/// Namespaces of the host cluster that are nobody's.
const RESERVED: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Completes `spec.clusterRef`.
pub(super) async fn place(pass: &mut Pass<'_>) -> Result<(), Stop> {
    if pass.project.is_empty() {
        let prefix = &pass.context.config.project_namespace_prefix;
        let message = format!("namespace {} is no project's: those begin with {prefix:?}", pass.instance.namespace());
        return Err(Halt::error(Aspect::Scheduled, "NoProject", message).into());
    }
    let project = pass.read_project().await?;
    let clusters: Api<Cluster> = Api::all(pass.context.clients.management.clone());
    let clusters = clusters
        .list(&ListParams::default())
        .await
        .map_err(|error| Halt::of_api(Aspect::Scheduled, Whose::Management, "listing clusters", &error))?;
    let place = pass.instance.spec.cluster_ref.clone();
    let cluster = choose(&place.cluster, &project, &clusters.items)?;
    pass.cluster_annotations = cluster.metadata.annotations.clone().unwrap_or_default();
    let namespace = match place.namespace.as_str() {
        "" => {
            let by_pattern = namespace_by_pattern(pass, &project, cluster).await?;
            let prefix = &pass.context.config.project_namespace_prefix;
            by_pattern.unwrap_or_else(|| host_namespace(&pass.project, pass.instance.name(), prefix))
        }
        given => given.to_owned(),
    };
    let cluster = cluster.metadata.name.clone().unwrap_or_default();
    let name = if place.virtual_cluster.is_empty() { release(pass.instance.name()) } else { place.virtual_cluster.clone() };
    check_names(&namespace, &name, &pass.context.config.project_namespace_prefix)?;
    let chosen = (cluster.as_str(), namespace.as_str(), name.as_str());
    if chosen != (place.cluster.as_str(), place.namespace.as_str(), place.virtual_cluster.as_str()) {
        pass.patch(json!({"spec": {"clusterRef": {"cluster": cluster, "namespace": namespace, "virtualCluster": name}}})).await?;
        let note = format!("placed in namespace {namespace} of cluster {cluster}");
        pass.context.events.normal(&pass.instance, "Scheduled", &note).await;
    }
    pass.conditions.hold(Aspect::Scheduled);
    Ok(())
}

/// The cluster that was asked for, or else the first that the project allows and that takes new virtual clusters.
fn choose<'a>(wanted: &str, project: &Project, clusters: &'a [Cluster]) -> Result<&'a Cluster, Halt> {
    let name = |cluster: &Cluster| cluster.metadata.name.clone().unwrap_or_default();
    let allowed = |name: &str| project.spec.allows_cluster(name);
    if !wanted.is_empty() {
        let Some(cluster) = clusters.iter().find(|cluster| name(cluster) == wanted) else {
            return Err(Halt::error(
                Aspect::Scheduled,
                "ClusterNotFound",
                format!("spec.clusterRef.cluster: there is no cluster {wanted}"),
            ));
        };
        if !allowed(wanted) {
            let message = format!(
                "spec.clusterRef.cluster: the project does not allow {wanted}; an administrator can add it to its spec.allowedClusters"
            );
            return Err(Halt::error(Aspect::Scheduled, "ClusterNotAllowed", message));
        }
        connected(cluster)?;
        return Ok(cluster);
    }
    let mut usable = clusters.iter().filter(|cluster| allowed(&name(cluster)) && !cluster.spec.unusable && connected(cluster).is_ok());
    usable.next().ok_or_else(|| {
        let message = "the project allows no cluster that can be used; an administrator can add one to its spec.allowedClusters";
        Halt::error(Aspect::Scheduled, "NoClusterAvailable", message)
    })
}

/// Only the cluster that the platform itself runs on is connected.
fn connected(cluster: &Cluster) -> Result<(), Halt> {
    match cluster.metadata.name.as_deref() {
        Some(LOCAL_CLUSTER) => Ok(()),
        name => {
            let message = format!("cluster {} is not connected to this controller", name.unwrap_or_default());
            Err(Halt::error(Aspect::Scheduled, "ClusterNotReady", message))
        }
    }
}

/// Whatever was chosen by whomever, it is a name that an object can have, and no namespace of the cluster's own.
fn check_names(namespace: &str, release: &str, project_prefix: &str) -> Result<(), Halt> {
    let reserved = RESERVED.contains(&namespace) || namespace.starts_with("kube-") || namespace.starts_with(project_prefix);
    if !is_dns1123_label(namespace).is_empty() || reserved {
        let message = format!("spec.clusterRef.namespace: {namespace:?} cannot host a virtual cluster");
        return Err(Halt::error(Aspect::Scheduled, "InvalidNamespace", message));
    }
    if !is_release(release) {
        let message = format!("spec.clusterRef.virtualCluster: {release:?} cannot be the name of a release");
        return Err(Halt::error(Aspect::Scheduled, "InvalidName", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use vci_management::project::NameRef;

    fn project(allowed: &[&str]) -> Project {
        let mut project = Project::default();
        project.spec.allowed_clusters = allowed.iter().map(|name| NameRef { name: (*name).into() }).collect();
        project
    }

    fn cluster(name: &str, unusable: bool) -> Cluster {
        let mut cluster = Cluster::default();
        cluster.metadata.name = Some(name.into());
        cluster.spec.unusable = unusable;
        cluster
    }

    #[test]
    fn a_cluster_is_chosen_among_those_that_the_project_allows() {
        let clusters = [cluster("other", false), cluster(LOCAL_CLUSTER, false)];
        let full = [cluster("other", false), cluster(LOCAL_CLUSTER, true)];
        let cases = [
            ("", &["*"][..], &clusters, Ok(LOCAL_CLUSTER)),
            ("", &[LOCAL_CLUSTER], &clusters, Ok(LOCAL_CLUSTER)),
            ("", &["other"], &clusters, Err("NoClusterAvailable")),
            ("", &[], &clusters, Err("NoClusterAvailable")),
            ("", &["*"], &full, Err("NoClusterAvailable")),
            (LOCAL_CLUSTER, &["*"], &full, Ok(LOCAL_CLUSTER)),
            (LOCAL_CLUSTER, &["other"], &clusters, Err("ClusterNotAllowed")),
            ("other", &["*"], &clusters, Err("ClusterNotReady")),
            ("none", &["*"], &clusters, Err("ClusterNotFound")),
        ];
        for (wanted, allowed, clusters, want) in cases {
            let got = choose(wanted, &project(allowed), clusters);
            let got = got.map(|cluster| cluster.metadata.name.as_deref().unwrap()).map_err(|halt| halt.cause.reason.into_owned());
            assert_eq!(got, want.map_err(str::to_owned), "{wanted} {allowed:?}");
        }
    }

    #[test]
    fn no_name_reaches_a_namespace_of_the_cluster_itself() {
        for (namespace, release, want) in [
            ("loft-blue-v-a", "a", true),
            ("kube-system", "a", false),
            ("kube-anything", "a", false),
            ("default", "a", false),
            ("loft-p-blue", "a", false),
            ("a/b", "a", false),
            ("../kube-system", "a", false),
            ("", "a", false),
            ("ns", "-a", false),
            ("ns", "a b", false),
            ("ns", "a,b", false),
            ("ns", "", false),
        ] {
            assert_eq!(check_names(namespace, release, "loft-p-").is_ok(), want, "{namespace} {release}");
        }
    }
}
