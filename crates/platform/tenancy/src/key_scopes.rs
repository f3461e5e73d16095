//! Access keys that may do less than their holders.

use crate::directory::scope::{RuleTarget, names};
use crate::directory::{Directory, KeyRole, KeyScope, RoleInScope, ScopeParts};
use apiserver_auth::{Attributes, Authorizer, Decision, Target};
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::plural;

/// Denies what lies outside the scope of the access key that a request came with; has no opinion on the rest. Stands
/// before every authorizer that allows, [`crate::AlwaysAllowedPaths`] excepted.
///
/// A key with a scope never acts for others: what it would do then is not narrowed.
#[derive(Debug)]
pub struct KeyScopes {
    directory: Arc<Directory>,
}

impl KeyScopes {
    /// Reads scopes from this directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }
}

#[async_trait]
impl Authorizer for KeyScopes {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        match self.directory.scope(&attributes.identity) {
            Some(scope) if attributes.verb == "impersonate" || !self.covers(&scope, attributes) => {
                Decision::Deny("the scope of the access key does not cover this".into())
            }
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

/// The project, and the part of it, that a request is about.
#[derive(Clone, Copy)]
struct Inside<'a> {
    project: &'a str,
    /// `virtualclusterinstances`, if it is one of them or all of a namespace.
    instances: bool,
    /// The instance; empty when no single one is meant.
    instance: &'a str,
}

impl KeyScopes {
    fn covers(&self, scope: &KeyScope, attributes: &Attributes) -> bool {
        if scope.parts.is_none() && scope.rules.is_none() {
            return false;
        }
        let verb = attributes.verb.as_str();
        let parts = scope.parts.as_ref().is_none_or(|parts| self.parts_cover(parts, verb, &attributes.target));
        parts && scope.rules.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule_target(rule, verb, &attributes.target)))
    }

    fn parts_cover(&self, parts: &ScopeParts, verb: &str, target: &Target) -> bool {
        let Target::Resource { group, resource, subresource, namespace, name, .. } = target else {
            return parts.roles.iter().any(|role| role.role == KeyRole::MetricsReader) && is_metrics(verb, target);
        };
        let instances = resource == plural::INSTANCES;
        let project = match (group.as_str(), resource.as_str()) {
            ("", "namespaces") => self.directory.project_of(name),
            (_, plural::PROJECTS) => Some(name.clone()).filter(|name| !name.is_empty()),
            _ => self.directory.project_of(namespace),
        };
        let inside = project.as_deref().map(|project| Inside { project, instances, instance: if instances { name } else { "" } });
        let is = |allowed: &str, name: &str| allowed == "*" || allowed == name;
        inside.is_some_and(|inside| {
            names(&parts.projects, inside.project)
                || resource != plural::PROJECT_SECRETS
                    && parts.instances.iter().any(|(project, instance)| {
                        is(project, inside.project) && (instance == "*" || !inside.instance.is_empty() && instance == inside.instance)
                    })
        }) || parts.roles.iter().any(|role| role_covers(role, verb, resource, subresource, inside))
    }
}

/// Whether a role of a key's scope covers a request.
fn role_covers(role: &RoleInScope, verb: &str, resource: &str, subresource: &str, inside: Option<Inside<'_>>) -> bool {
    let reads = matches!(verb, "get" | "list" | "watch");
    let served = match role.role {
        KeyRole::CommandLine => {
            let read = match resource {
                plural::CLUSTERS | plural::INSTANCES | plural::TEMPLATES | plural::USERS | plural::TEAMS | "namespaces" => {
                    subresource.is_empty()
                }
                plural::PROJECTS => matches!(subresource, "" | "clusters" | "members" | "templates"),
                _ => false,
            };
            reads && read || verb == "use" && resource == plural::INSTANCES
        }
        KeyRole::VirtualCluster => match resource {
            plural::INSTANCES => {
                subresource.is_empty() && (reads || matches!(verb, "create" | "update" | "patch"))
                    || subresource == "status" && matches!(verb, "get" | "update" | "patch")
            }
            plural::PROJECTS | "namespaces" => verb == "get" && subresource.is_empty(),
            _ => false,
        },
        KeyRole::MetricsReader => false,
    };
    let project = role.projects.is_empty() || inside.is_some_and(|inside| names(&role.projects, inside.project));
    let instance = role.instances.is_empty()
        || inside.is_some_and(|inside| {
            let named = !inside.instance.is_empty() && names(&role.instances, inside.instance);
            // The project around the instance is read with it.
            if inside.instances { named || names(&role.instances, "*") } else { reads && !role.projects.is_empty() }
        });
    served && project && instance
}

fn is_metrics(verb: &str, target: &Target) -> bool {
    matches!(target, Target::Path(path) if path == "/metrics") && verb == "get"
}

fn rule_target(rule: &crate::directory::ScopeRule, verb: &str, target: &Target) -> bool {
    match target {
        Target::Path(path) => rule.covers_path(verb, path),
        Target::Resource { group, resource, subresource, namespace, name, .. } => {
            // What lives in namespaces and is asked for without one is asked for in all of them.
            let everywhere = namespace.is_empty() && [plural::INSTANCES, plural::PROJECT_SECRETS].contains(&resource.as_str());
            let namespace = (!everywhere).then_some(namespace.as_str());
            rule.covers(verb, RuleTarget { group, resource, subresource, namespace, name })
        }
    }
}

#[cfg(test)]
mod tests;
