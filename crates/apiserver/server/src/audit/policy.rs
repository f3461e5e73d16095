//! `audit.k8s.io/v1` `Policy`: which requests are logged, and how much of them.
//!
//! The first rule that matches decides; what no rule matches is not logged. Unknown fields are refused: a rule with a
//! misspelt condition would match more than was meant.

use super::event::Stage;
use crate::StartError;
use apiserver_endpoints::{RequestInfo, ResourceInfo};
use apiserver_meta::validation::is_dns1123_subdomain;
use apiserver_meta::{FieldError, FieldPath, User, field};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// How much of a request is logged. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing.
    None,
    /// The caller, the target, the times and the status, without bodies.
    Metadata,
    /// And the object or patch that was sent.
    Request,
    /// And the object or list that was answered.
    RequestResponse,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Request, Self::RequestResponse];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// The configuration that a policy gives for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestAuditConfig {
    pub(crate) level: Level,
    /// No event is written when the request reaches one of these.
    pub(crate) omit_stages: Vec<Stage>,
    /// Whether logged objects lose their `metadata.managedFields`.
    pub(crate) managed_fields: ManagedFields,
}

/// Whether `metadata.managedFields` is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManagedFields {
    Kept,
    Omitted,
}

/// The rules, in order.
#[derive(Debug)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    omit_stages: Vec<Stage>,
    managed_fields: ManagedFields,
}

#[derive(Debug)]
struct Rule {
    config: RequestAuditConfig,
    users: Vec<String>,
    groups: Vec<String>,
    verbs: Vec<String>,
    namespaces: Vec<String>,
    resources: Vec<GroupResources>,
    paths: Vec<String>,
}

impl Policy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`StartError`], with the path of the field that is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, StartError> {
        let text = std::fs::read_to_string(path).map_err(|source| StartError::File { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|why| StartError::Configuration { path: path.to_owned(), why })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let written: WrittenPolicy = serde_yaml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
        let errors = written.errors();
        if !errors.is_empty() {
            return Err(field::aggregate(&errors));
        }
        let omit_stages = stages(&written.omit_stages);
        let managed_fields = managed_fields(written.omit_managed_fields);
        let rules = written.rules.into_iter().map(|rule| rule.build(&omit_stages, managed_fields)).collect();
        Ok(Self { rules, omit_stages, managed_fields })
    }

    /// Evaluates the rules for a request. `user` is the authenticated caller, not the impersonated user; `None` when authentication
    /// failed.
    pub(crate) fn config_for(&self, user: Option<&User>, request: &RequestInfo) -> RequestAuditConfig {
        let rule = self.rules.iter().find(|rule| rule.matches(user, request));
        rule.map_or_else(
            || RequestAuditConfig { level: Level::None, omit_stages: self.omit_stages.clone(), managed_fields: self.managed_fields },
            |rule| rule.config.clone(),
        )
    }
}

impl Rule {
    fn matches(&self, user: Option<&User>, request: &RequestInfo) -> bool {
        let user_is_meant = self.users.is_empty() || user.is_some_and(|user| self.users.contains(&user.name));
        let group_is_meant = self.groups.is_empty() || user.is_some_and(|user| self.groups.iter().any(|group| user.in_group(group)));
        let verb_is_meant = self.verbs.is_empty() || self.verbs.iter().any(|verb| *verb == request.verb);
        user_is_meant && group_is_meant && verb_is_meant && self.matches_target(request)
    }

    fn matches_target(&self, request: &RequestInfo) -> bool {
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return request.resource.as_ref().is_some_and(|resource| self.matches_resource(resource));
        }
        self.paths.is_empty() || (request.resource.is_none() && self.paths.iter().any(|pattern| path_matches(pattern, &request.path)))
    }

    fn matches_resource(&self, resource: &ResourceInfo) -> bool {
        let in_namespace = self.namespaces.is_empty() || self.namespaces.contains(&resource.namespace);
        in_namespace && (self.resources.is_empty() || self.resources.iter().any(|meant| meant.matches(resource)))
    }
}

/// A path, or the beginning of paths followed by `*`.
fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|beginning| path.starts_with(beginning))
}

/// A file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenPolicy {
    api_version: String,
    kind: String,
    /// Names and labels of the file, for its writer.
    #[allow(dead_code)]
    metadata: Value,
    rules: Vec<WrittenRule>,
    omit_stages: Vec<String>,
    omit_managed_fields: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenRule {
    level: String,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

/// Resources of one API group. Without any, all of the group are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct GroupResources {
    group: String,
    /// `pods`, `pods/log`, `pods/*` (every subresource, and pods), `*/log`, or `*` (everything).
    resources: Vec<String>,
    resource_names: Vec<String>,
}

impl GroupResources {
    fn matches(&self, request: &ResourceInfo) -> bool {
        let named = self.resource_names.is_empty() || self.resource_names.contains(&request.name);
        self.group == request.group
            && (self.resources.is_empty() || (named && self.resources.iter().any(|pattern| resource_matches(pattern, request))))
    }
}

fn resource_matches(pattern: &str, request: &ResourceInfo) -> bool {
    match pattern.split_once('/') {
        None => pattern == "*" || (request.subresource.is_empty() && pattern == request.resource),
        Some(("*", subresource)) => subresource == request.subresource && !subresource.is_empty(),
        Some((resource, "*")) => resource == request.resource,
        Some((resource, subresource)) => resource == request.resource && subresource == request.subresource,
    }
}

impl WrittenPolicy {
    fn errors(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (name, given, wanted) in [("apiVersion", &self.api_version, "audit.k8s.io/v1"), ("kind", &self.kind, "Policy")] {
            if given != wanted {
                errors.push(FieldError::not_supported(&FieldPath::new(name), given.as_str(), &[wanted]));
            }
        }
        if self.rules.is_empty() {
            errors.push(FieldError::required(&FieldPath::new("rules"), "a policy without rules logs nothing"));
        }
        let rules = FieldPath::new("rules");
        errors.extend(stage_errors(&FieldPath::new("omitStages"), &self.omit_stages));
        errors.extend(self.rules.iter().enumerate().flat_map(|(index, rule)| rule.errors(&rules.index(index))));
        errors
    }
}

impl WrittenRule {
    fn errors(&self, path: &FieldPath) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let levels = Level::ALL.map(Level::as_str);
        match self.level.as_str() {
            "" => errors.push(FieldError::required(&path.child("level"), "")),
            level if !levels.contains(&level) => errors.push(FieldError::not_supported(&path.child("level"), level, &levels)),
            _ => {}
        }
        let urls = path.child("nonResourceURLs");
        errors.extend(self.non_resource_urls.iter().enumerate().filter_map(|(index, url)| url_error(&urls.index(index), url)));
        let is_for_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if is_for_resources && !self.non_resource_urls.is_empty() {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&urls, self.non_resource_urls.join(","), detail));
        }
        let resources = path.child("resources");
        errors.extend(self.resources.iter().enumerate().flat_map(|(index, given)| given.errors(&resources.index(index))));
        errors.extend(stage_errors(&path.child("omitStages"), &self.omit_stages));
        errors
    }

    fn build(self, omitted_by_all: &[Stage], standard: ManagedFields) -> Rule {
        let level = Level::ALL.into_iter().find(|level| level.as_str() == self.level).unwrap_or(Level::None);
        let mut omit_stages = omitted_by_all.to_vec();
        omit_stages.extend(stages(&self.omit_stages));
        let config = RequestAuditConfig { level, omit_stages, managed_fields: self.omit_managed_fields.map_or(standard, managed_fields) };
        Rule {
            config,
            users: self.users,
            groups: self.user_groups,
            verbs: self.verbs,
            namespaces: self.namespaces,
            resources: self.resources,
            paths: self.non_resource_urls,
        }
    }
}

impl GroupResources {
    fn errors(&self, path: &FieldPath) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !self.group.is_empty() {
            let wrong = is_dns1123_subdomain(&self.group).join(",");
            if !wrong.is_empty() {
                errors.push(FieldError::invalid(&path.child("group"), self.group.as_str(), wrong));
            }
        }
        if !self.resource_names.is_empty() && self.resources.is_empty() {
            let detail = "using resourceNames requires at least one resource";
            errors.push(FieldError::invalid(&path.child("resourceNames"), self.resource_names.join(","), detail));
        }
        errors
    }
}

fn url_error(path: &FieldPath, url: &str) -> Option<FieldError> {
    if url == "*" {
        return None;
    }
    if !url.starts_with('/') {
        return Some(FieldError::invalid(path, url, "non-resource URL rules must begin with a '/' character"));
    }
    let early = url.trim_end_matches('*').contains('*') || url.ends_with("**");
    early.then(|| FieldError::invalid(path, url, "non-resource URL wildcards '*' must be the final character of the rule"))
}

fn stage_errors(path: &FieldPath, given: &[String]) -> Vec<FieldError> {
    let allowed = Stage::ALL.map(Stage::as_str);
    let wrong = given.iter().enumerate().filter(|(_, stage)| !allowed.contains(&stage.as_str()));
    let detail = || format!("allowed stages are {}", allowed.join(","));
    wrong.map(|(index, stage)| FieldError::invalid(&path.index(index), stage.as_str(), detail())).collect()
}

fn stages(names: &[String]) -> Vec<Stage> {
    Stage::ALL.into_iter().filter(|stage| names.iter().any(|name| name == stage.as_str())).collect()
}

fn managed_fields(omit: bool) -> ManagedFields {
    if omit { ManagedFields::Omitted } else { ManagedFields::Kept }
}

/// Returns the first line of an error of the YAML parser, which has line and column. The lines after it quote the file.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
