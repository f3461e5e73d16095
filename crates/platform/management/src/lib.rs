//! The kinds of `management.loft.sh/v1`: their types, rules and columns.
//!
//! One file per kind. Each has its Rust types, from which the schema is derived; a [`Resource`] with the kind's
//! descriptor and rules; and [`types::Typed`] objects for code that reads many fields. To serve another kind, write its file
//! and add it to the list of [`resources`]. Refused: I/O, and rules that need more than one object; those are admission and
//! live elsewhere.
#![warn(missing_docs)]

use apiserver_meta::{Descriptor, Resource, Scope, Subresource, Verb};
use std::sync::Arc;

pub mod access;
pub mod cluster;
mod columns;
pub mod computed;
pub mod key_hash;
mod kind;
pub mod ownedaccesskey;
pub mod plural;
pub mod project;
pub mod projectsecret;
mod rules;
pub mod sleep;
pub mod team;
pub mod types;
pub mod user;
pub mod virtualclusterinstance;
pub mod virtualclustertemplate;

#[cfg(test)]
mod tests;

/// The API group.
pub const GROUP: &str = "management.loft.sh";
/// The version of the API.
pub const VERSION: &str = "v1";
/// The release of the platform whose management API this is. Its command line refuses to work with older ones.
pub const PLATFORM_VERSION: &str = "v4.12.0";

/// What the kinds' descriptors have in common: every verb, on an object of the whole cluster and on its status.
const STORED: Descriptor = Descriptor {
    group: GROUP,
    version: VERSION,
    kind: "",
    list_kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    scope: Scope::Cluster,
    verbs: &Verb::ALL,
    subresources: &[Subresource::Main, Subresource::Status],
    columns: &[],
    selectable_fields: &[],
    extended: &[],
};

/// A function for each resource, and one for all of them.
macro_rules! resources {
    ($($plural:literal $function:ident: $resource:expr;)+) => {
        $(
            #[doc = concat!("The resource `", $plural, "`.")]
            pub fn $function() -> Arc<dyn Resource> {
                Arc::new($resource)
            }
        )+

        /// All kinds, in the order of discovery documents.
        pub fn resources() -> Vec<Arc<dyn Resource>> {
            vec![$($function()),+]
        }
    };
}

resources! {
    "clusters" clusters: cluster::Clusters;
    "ownedaccesskeys" owned_access_keys: ownedaccesskey::OwnedAccessKeys;
    "projects" projects: project::Projects;
    "projectsecrets" project_secrets: projectsecret::ProjectSecrets;
    "teams" teams: team::Teams;
    "users" users: user::Users;
    "virtualclusterinstances" virtual_cluster_instances: virtualclusterinstance::VirtualClusterInstances;
    "virtualclustertemplates" virtual_cluster_templates: virtualclustertemplate::VirtualClusterTemplates;
}
