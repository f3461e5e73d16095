//! `POST virtualclusterinstances/NAME/kubeconfig`: a kubeconfig for a virtual cluster. Its form; who makes one is not said here.

use crate::plural::INSTANCES;
use crate::{GROUP, VERSION};
use apiserver_meta::virtual_resource::{Audience, Method, Place};
use apiserver_meta::{Schema, VirtualDescriptor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A kubeconfig for a virtual cluster.
pub static INSTANCE_KUBECONFIG: VirtualDescriptor = VirtualDescriptor {
    group: GROUP,
    version: VERSION,
    kind: "VirtualClusterInstanceKubeConfig",
    place: Place::Subresource { of: INSTANCES, name: "kubeconfig", method: Method::Create },
    audience: Audience::Allowed,
};

/// What the kubeconfig is to be like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterInstanceKubeConfigSpec"))]
pub struct InstanceKubeConfigSpec {
    /// For how many seconds the client certificate is valid: at least 600, and a day when nothing is said. 0: as long as the virtual
    /// cluster gives certificates by itself.
    #[serde(rename = "certificateTTL", skip_serializing_if = "Option::is_none")]
    pub certificate_ttl: Option<i32>,
    /// The URL of the virtual cluster's API, in place of the one that it has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Whether there is to be a client certificate of the virtual cluster. Without one the kubeconfig leads through this server, and
    /// whoever uses it adds an access key.
    #[serde(skip_serializing_if = "crate::types::is_false")]
    pub client_cert: bool,
}

/// The kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterInstanceKubeConfigStatus"))]
pub struct InstanceKubeConfigStatus {
    /// Its text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_config: String,
}

/// The form of question and answer.
pub fn instance_kubeconfig_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        Schema::kind::<InstanceKubeConfigSpec, InstanceKubeConfigStatus>(
            "sh.loft.management.v1.VirtualClusterInstanceKubeConfig",
            "A kubeconfig for a virtual cluster.",
        )
    });
    &SCHEMA
}
