//! `virtualclusterinstances/NAME/kubeconfig`: a kubeconfig for those who may use the virtual cluster.
//!
//! Without a client certificate it leads through this server, where access keys are known: whoever uses it adds one. With a certificate
//! it leads to the virtual cluster itself, whose authority signs a request for the caller: their name, and as organizations the groups
//! that the gateway sends for them. `system:masters` is never among them, which no Kubernetes API signs and nobody could take back; a
//! group for the role stands for it, bound inside ([`ADMIN_BINDING`]).

mod csr;
mod signed;

use crate::activity::unix_seconds;
use crate::instance::Instance;
use crate::path;
use apiserver_auth::Target;
use apiserver_endpoints::{VirtualRequest, VirtualResource};
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectFilter, ObjectKey, Resource as _, Schema, VirtualDescriptor};
use apiserver_registry::Registry;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use vci_management::access::{Caller, ObjectAccess};
use vci_management::cluster::{ANNOTATION_INGRESS_SUFFIX, LOCAL_CLUSTER, access_point_host};
use vci_management::virtualclusterinstance::VirtualClusterInstances;
use vci_management::virtualclusterinstance::kubeconfig::{
    INSTANCE_KUBECONFIG, InstanceKubeConfigSpec, InstanceKubeConfigStatus, instance_kubeconfig_schema,
};
use vci_management::virtualclusterinstance::roles::{
    CLUSTER_ADMIN, GROUP_MASTERS, ROLE_GROUP_PREFIX, Relation, cluster_roles, groups_inside, user_inside,
};
use vci_management::{GROUP, VERSION, plural};
use vci_virtualcluster::Connector;

/// The ClusterRoleBinding inside by which certificates of administrators have their rights.
pub(crate) const ADMIN_BINDING: &str = "loft-kubeconfig-cluster-admin";
/// Seconds that a certificate is valid when nothing is said.
const DAY: i32 = 24 * 60 * 60;
/// The shortest time that Kubernetes signs a certificate for.
const SHORTEST: i32 = 600;

/// The URL of this server, for clients on this machine, and the authority of its certificate: known once it has started.
pub(crate) type OwnUrl = Arc<OnceLock<(String, String)>>;

/// Makes kubeconfigs.
#[derive(Debug)]
pub(crate) struct KubeConfigs {
    pub(crate) connector: Option<Connector>,
    pub(crate) clusters: Option<Arc<Registry>>,
    pub(crate) namespace_prefix: String,
    pub(crate) own_url: OwnUrl,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Question {
    spec: InstanceKubeConfigSpec,
}

#[async_trait]
impl VirtualResource for KubeConfigs {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &INSTANCE_KUBECONFIG
    }

    fn schema(&self) -> &Schema {
        instance_kubeconfig_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let Question { spec } = asked.question()?;
        check(&spec, &asked.key.name)?;
        let groups = groups(&asked).await?;
        let instance: Instance = asked.parent()?;
        let text = if spec.client_cert {
            self.with_certificate(&asked, &instance, &spec, groups).await?
        } else {
            self.through_here(&asked.key, &spec)
        };
        let status = InstanceKubeConfigStatus { kube_config: text };
        Ok(json!({"metadata": {}, "spec": spec, "status": status}))
    }
}

fn check(spec: &InstanceKubeConfigSpec, name: &str) -> Result<(), ApiError> {
    let path = FieldPath::new("spec");
    let mut errors = Vec::new();
    if spec.certificate_ttl.is_some_and(|ttl| ttl != 0 && ttl < SHORTEST) {
        let detail = "must be 0 or at least 600 seconds";
        errors.push(FieldError::invalid(&path.child("certificateTTL"), spec.certificate_ttl, detail));
    }
    let is_url = |text: &str| text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.authority().is_some());
    if !spec.server.is_empty() && !is_url(&spec.server) {
        errors.push(FieldError::invalid(&path.child("server"), spec.server.as_str(), "must be a URL that begins with https://"));
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(GROUP, INSTANCE_KUBECONFIG.kind, name, &errors)) }
}

/// The groups that the caller has inside, who must be allowed to use the instance.
async fn groups(asked: &VirtualRequest<'_>) -> Result<Vec<String>, ApiError> {
    let object = asked.parent::<Value>().ok().and_then(Object::from_value);
    let object = object.ok_or_else(|| ApiError::internal("a stored object cannot be read"))?;
    let facts = VirtualClusterInstances.facts(&object);
    let ObjectKey { namespace, name } = &asked.key;
    let target = Target::Resource {
        group: GROUP.into(),
        version: VERSION.into(),
        resource: plural::INSTANCES.into(),
        subresource: String::new(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    let filter = asked.view("use", &target).await.filter(|filter| filter.allows(namespace, &facts));
    let refused = || ApiError::forbidden(VirtualClusterInstances.descriptor().group_resource(), name, "it may not be used");
    let filter = filter.ok_or_else(refused)?;
    let caller = Caller::of(&asked.identity.principal);
    let relation = match filter {
        ObjectFilter::All => Relation::Administrator,
        ObjectFilter::Access(_) if ObjectAccess::of(&facts).owned_by(caller) => Relation::Owner,
        ObjectFilter::Access(_) => Relation::User,
    };
    let instance: Instance = asked.parent()?;
    let (access, extra) = instance.access();
    Ok(groups_inside(&asked.identity.user.groups, &cluster_roles(access, extra, caller, relation)))
}

/// The organizations of a certificate: everybody who has one is authenticated, and nobody gets the group that nothing can be taken from.
fn organizations(groups: Vec<String>) -> Vec<String> {
    let of_role = |group: String| if group == GROUP_MASTERS { format!("{ROLE_GROUP_PREFIX}{CLUSTER_ADMIN}") } else { group };
    groups.into_iter().map(of_role).filter(|group| !group.starts_with("system:")).collect()
}

impl KubeConfigs {
    /// A kubeconfig without credentials that leads through this server.
    fn through_here(&self, key: &ObjectKey, spec: &InstanceKubeConfigSpec) -> String {
        let project = key.namespace.strip_prefix(&self.namespace_prefix).unwrap_or(&key.namespace);
        let (url, authority) = self.own_url.get().cloned().unwrap_or_default();
        let (server, authority) = match spec.server.as_str() {
            "" => (format!("{url}{}", path::of(project, &key.name)), authority),
            server => (server.to_owned(), String::new()),
        };
        text(&key.name, &server, authority.as_bytes(), None)
    }

    async fn with_certificate(
        &self,
        asked: &VirtualRequest<'_>,
        instance: &Instance,
        spec: &InstanceKubeConfigSpec,
        groups: Vec<String>,
    ) -> Result<String, ApiError> {
        let server = self.server(&asked.key, instance, spec)?;
        let unavailable =
            || ApiError::unavailable("virtual clusters cannot be reached: this server runs without a host cluster (--kubeconfig)", 0);
        let connector = self.connector.as_ref().ok_or_else(unavailable)?;
        let address = instance.address()?;
        let ttl = match spec.certificate_ttl {
            None => Some(DAY),
            Some(0) => None,
            Some(ttl) => Some(ttl),
        };
        let is_admin = groups.iter().any(|group| group == GROUP_MASTERS);
        let subject = csr::Subject { user: user_inside(&asked.identity.user.name), groups: organizations(groups) };
        let signed = signed::certificate(connector, &address, &subject, ttl, is_admin).await;
        let signed = signed.map_err(|error| error.told(&asked.key.name))?;
        tracing::info!(instance = %asked.key, user = %asked.identity.user.name, at = unix_seconds(), "a certificate of a virtual cluster was made");
        Ok(text(&asked.key.name, &server, &signed.authority, Some((&signed.certificate, &signed.key))))
    }

    /// Where the virtual cluster itself is found.
    fn server(&self, key: &ObjectKey, instance: &Instance, spec: &InstanceKubeConfigSpec) -> Result<String, ApiError> {
        if !spec.server.is_empty() {
            return Ok(spec.server.clone());
        }
        let project = key.namespace.strip_prefix(&self.namespace_prefix).unwrap_or(&key.namespace);
        let suffix = instance.has_ingress().then(|| self.ingress_suffix()).flatten();
        suffix.map(|suffix| format!("https://{}", access_point_host(&key.name, project, &suffix))).ok_or_else(|| {
            let detail = "the virtual cluster has no access point of its own, and through this server no client certificate is known";
            let errors = [FieldError::required(&FieldPath::new("spec").child("server"), detail)];
            ApiError::invalid(GROUP, INSTANCE_KUBECONFIG.kind, &key.name, &errors)
        })
    }

    fn ingress_suffix(&self) -> Option<String> {
        let item = self.clusters.as_ref()?.cache().cached_existing(&ObjectKey::new("", LOCAL_CLUSTER))?;
        let cluster: Value = serde_json::from_slice(&item.bytes).ok()?;
        let suffix = cluster["metadata"]["annotations"][ANNOTATION_INGRESS_SUFFIX].as_str()?;
        (!suffix.is_empty()).then(|| suffix.to_owned())
    }
}

/// The text, which is JSON and so YAML too.
fn text(name: &str, server: &str, authority: &[u8], certificate: Option<(&str, &str)>) -> String {
    let mut cluster = json!({"server": server});
    if !authority.is_empty() {
        cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
    }
    let user = match certificate {
        Some((certificate, key)) => {
            json!({"client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key)})
        }
        None => json!({}),
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    serde_yaml::to_string(&config).unwrap_or_else(|_| config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_never_hold_a_group_that_nothing_can_be_taken_from() {
        let groups = ["system:authenticated", "dev", "system:masters", "loft:clusterrole:view"].map(str::to_owned).into();
        assert_eq!(organizations(groups), ["dev", "loft:clusterrole:cluster-admin", "loft:clusterrole:view"]);
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        for (ttl, server, is_good) in [
            (None, "", true),
            (Some(0), "", true),
            (Some(600), "https://a.example:8443/x", true),
            (Some(599), "", false),
            (Some(-1), "", false),
            (None, "http://a.example", false),
            (None, "a.example", false),
        ] {
            let spec = InstanceKubeConfigSpec { certificate_ttl: ttl, server: server.into(), client_cert: true };
            assert_eq!(check(&spec, "vc").is_ok(), is_good, "{spec:?}");
        }
    }
}
