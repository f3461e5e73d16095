//! The plural names of the kinds, as paths, rules and storage keys have them.

/// Host clusters.
pub const CLUSTERS: &str = "clusters";
/// Access keys.
pub const ACCESS_KEYS: &str = "ownedaccesskeys";
/// Projects.
pub const PROJECTS: &str = "projects";
/// Secrets of projects.
pub const PROJECT_SECRETS: &str = "projectsecrets";
/// Teams.
pub const TEAMS: &str = "teams";
/// Users.
pub const USERS: &str = "users";
/// Virtual clusters.
pub const INSTANCES: &str = "virtualclusterinstances";
/// Templates of virtual clusters.
pub const TEMPLATES: &str = "virtualclustertemplates";
