//! Match criteria: which requests a policy, a binding or a webhook is about.

use super::request::operation;
use apiserver_meta::{Object, Scope};
use apiserver_registry::AdmissionRequest;
use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;
use std::collections::BTreeMap;

/// A label selector that selects everything, or one to ask.
#[derive(Debug, Default)]
struct Labels(Option<Result<Selector, String>>);

/// Match criteria, with their selectors read.
#[derive(Debug, Default)]
pub(super) struct Criteria {
    rules: Vec<NamedRuleWithOperations>,
    excluded: Vec<NamedRuleWithOperations>,
    namespaces: Labels,
    objects: Labels,
}

/// The facts of a request that criteria speak of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) request: AdmissionRequest<'a>,
    pub(super) object: Option<&'a Object>,
}

impl Criteria {
    /// Reads them; absent ones are met by everything.
    pub(super) fn new(resources: Option<&MatchResources>) -> Self {
        let Some(it) = resources else { return Self::default() };
        Self {
            rules: it.resource_rules.clone().unwrap_or_default(),
            excluded: it.exclude_resource_rules.clone().unwrap_or_default(),
            namespaces: Labels::new(it.namespace_selector.as_ref()),
            objects: Labels::new(it.object_selector.as_ref()),
        }
    }

    /// Whether the labels of the request's namespace are asked for.
    pub(super) fn ask_for_namespace(&self) -> bool {
        self.namespaces.0.is_some()
    }

    /// Whether a request meets them. `namespace` is the namespace's object, or why there is none; it is looked at when asked for.
    ///
    /// # Errors
    /// A selector that cannot be read, or a namespace that is not known: only for requests that the rules are about.
    pub(super) fn met(&self, subject: Subject<'_>, namespace: &Result<Option<Value>, String>) -> Result<bool, String> {
        let namespaces = self.namespace_met(namespace);
        let objects = self.object_met(subject);
        if namespaces == Ok(false) || objects == Ok(false) {
            return Ok(false);
        }
        if self.excluded.iter().any(|rule| rule_met(rule, subject)) {
            return Ok(false);
        }
        if !self.rules.is_empty() && !self.rules.iter().any(|rule| rule_met(rule, subject)) {
            return Ok(false);
        }
        namespaces?;
        objects
    }

    fn namespace_met(&self, namespace: &Result<Option<Value>, String>) -> Result<bool, String> {
        if !self.ask_for_namespace() {
            return Ok(true);
        }
        match namespace {
            Ok(Some(namespace)) => self.namespaces.select(&labels(namespace.get("metadata"))),
            // What is in no namespace is met by every selector of namespaces.
            Ok(None) => Ok(true),
            Err(why) => Err(why.clone()),
        }
    }

    /// The object as it is to be, or as it was.
    fn object_met(&self, subject: Subject<'_>) -> Result<bool, String> {
        if self.objects.0.is_none() {
            return Ok(true);
        }
        let mut met = Ok(false);
        for object in [subject.object, subject.request.old].into_iter().flatten() {
            met = self.objects.select(&labels(object.0.get("metadata")));
            if met != Ok(false) {
                break;
            }
        }
        met
    }
}

impl Labels {
    fn new(selector: Option<&LabelSelector>) -> Self {
        let empty = |it: &&LabelSelector| {
            it.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && it.match_expressions.as_ref().is_none_or(Vec::is_empty)
        };
        Self(selector.filter(|it| !empty(it)).map(|it| Selector::try_from(it.clone()).map_err(|error| error.to_string())))
    }

    fn select(&self, labels: &BTreeMap<String, String>) -> Result<bool, String> {
        match &self.0 {
            None => Ok(true),
            Some(Ok(selector)) => Ok(selector.matches(labels)),
            Some(Err(why)) => Err(why.clone()),
        }
    }
}

fn labels(metadata: Option<&Value>) -> BTreeMap<String, String> {
    let labels = metadata.and_then(|it| it.get("labels")).and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn rule_met(rule: &NamedRuleWithOperations, subject: Subject<'_>) -> bool {
    let AdmissionRequest { descriptor, verb, subresource, key, .. } = subject.request;
    let scope = match rule.scope.as_deref() {
        Some("Cluster") => descriptor.scope == Scope::Cluster,
        Some("Namespaced") => descriptor.scope == Scope::Namespaced,
        _ => true,
    };
    let resource = |wanted: &String| {
        let (resource, part) = wanted.split_once('/').unwrap_or((wanted, ""));
        (resource == "*" || resource == descriptor.plural) && (part == "*" || part == subresource.as_str())
    };
    scope
        && one_of(rule.operations.as_ref(), operation(verb))
        && one_of(rule.api_groups.as_ref(), descriptor.group)
        && one_of(rule.api_versions.as_ref(), descriptor.version)
        && rule.resources.iter().flatten().any(resource)
        && rule.resource_names.as_ref().is_none_or(|names| names.is_empty() || names.contains(&key.name))
}

fn one_of(wanted: Option<&Vec<String>>, it: &str) -> bool {
    wanted.into_iter().flatten().any(|wanted| wanted == "*" || wanted == it)
}
