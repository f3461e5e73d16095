//! Authentication, authorization and admission for `management.loft.sh`: users, teams, access keys, projects and their members,
//! owners, quotas.
//!
//! [`Tenancy`] plugs all of it into a server as an [`Extension`]. Decisions are made from the [`directory`], a picture in memory
//! that follows the stored objects. Refused: rules about one object alone, which are the kind's own (`vci-management`).
#![warn(missing_docs)]

mod access_keys;
mod admission;
mod bootstrap;
mod clock;
pub mod directory;
mod extension;
mod fresh_secret;
mod identity_informer;
mod key_activity;
mod key_scopes;
mod kubeconfig;
mod namespace_cleanup;
mod namespace_prefix;
mod namespaces;
mod orphaned_keys;
mod project;
mod project_rules;
mod quota;
mod server_writes;
mod virtual_cluster_keys;
mod virtual_resources;

pub use access_keys::AccessKeys;
pub use extension::{Config, Tenancy};
pub use key_scopes::KeyScopes;
pub use project_rules::ProjectRules;

#[cfg(doc)]
use apiserver_server::Extension;
