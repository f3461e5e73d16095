//! The kinds of `management.loft.sh` as kube-rs knows kinds: the same Rust types that the server has, behind [`kube::Resource`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use vci_management::cluster::{ClusterSpec, ClusterStatus};
use vci_management::project::{ProjectSpec, ProjectStatus};
use vci_management::virtualclusterinstance::{VirtualClusterInstanceSpec, VirtualClusterInstanceStatus};
use vci_management::virtualclustertemplate::{VirtualClusterTemplateSpec, VirtualClusterTemplateStatus};
use vci_management::{GROUP, VERSION, plural};

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident: $kind:literal, $plural:expr, $scope:ty, $spec:ty, $status:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// Metadata that every object has.
            pub metadata: ObjectMeta,
            /// What is wanted.
            pub spec: $spec,
            /// What is known.
            pub status: $status,
        }

        impl kube::Resource for $name {
            type DynamicType = ();
            type Scope = $scope;

            fn kind(_: &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version(_: &()) -> Cow<'_, str> {
                VERSION.into()
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

kind! {
    /// A virtual cluster that is wanted.
    Instance: "VirtualClusterInstance", plural::INSTANCES, NamespaceResourceScope, VirtualClusterInstanceSpec, VirtualClusterInstanceStatus
}
kind! {
    /// What virtual clusters are made from.
    Template: "VirtualClusterTemplate", plural::TEMPLATES, ClusterResourceScope, VirtualClusterTemplateSpec, VirtualClusterTemplateStatus
}
kind! {
    /// Where instances live, and what they may use.
    Project: "Project", plural::PROJECTS, ClusterResourceScope, ProjectSpec, ProjectStatus
}
kind! {
    /// A host cluster.
    Cluster: "Cluster", plural::CLUSTERS, ClusterResourceScope, ClusterSpec, ClusterStatus
}

impl Instance {
    /// The name; every stored object has one.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The project's namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The UID.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }
}
