//! `SelfSubjectRulesReview`: every verb of every kind is put to the authorizers, because they decide and do not enumerate.

use super::types::{AUTHORIZATION, NonResourceRule, ResourceRule, SelfSubjectRulesReview, SubjectRulesReviewStatus, json, review};
use crate::virtual_resource::{VirtualRequest, VirtualResource};
use apiserver_auth::Target;
use apiserver_meta::virtual_resource::{Audience, Place};
use apiserver_meta::{ApiError, Descriptor, Schema, Scope, Subresource, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::Value;

/// Paths outside of kinds: the name in a rule, and a path that stands for it.
const PATHS: [(&str, &str); 14] = [
    ("/", "/"),
    ("/api", "/api"),
    ("/api/*", "/api/v1"),
    ("/apis", "/apis"),
    ("/apis/*", "/apis/g"),
    ("/healthz", "/healthz"),
    ("/healthz/*", "/healthz/ping"),
    ("/livez", "/livez"),
    ("/livez/*", "/livez/ping"),
    ("/metrics", "/metrics"),
    ("/openapi/*", "/openapi/v3/version"),
    ("/readyz", "/readyz"),
    ("/readyz/*", "/readyz/ping"),
    ("/version", "/version"),
];

static WHAT: VirtualDescriptor =
    review(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview", Audience::Known);

/// The rules of the caller in a namespace.
#[derive(Debug)]
pub(super) struct WhatMayI(Schema);

impl WhatMayI {
    pub(super) fn new() -> Self {
        Self(Schema::of::<SelfSubjectRulesReview>())
    }
}

#[async_trait]
impl VirtualResource for WhatMayI {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &WHAT
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    /// The rules of the caller in a namespace. A rule may hold for the objects alone that grant it.
    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let mut review: SelfSubjectRulesReview = asked.question()?;
        if review.spec.namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let rules = Rules { asked: &asked, namespace: &review.spec.namespace };
        review.status = SubjectRulesReviewStatus {
            resource_rules: rules.on_resources().await,
            non_resource_rules: rules.on_paths().await,
            incomplete: false,
        };
        json(&review)
    }
}

struct Rules<'a> {
    asked: &'a VirtualRequest<'a>,
    namespace: &'a str,
}

impl Rules<'_> {
    async fn on_resources(&self) -> Vec<ResourceRule> {
        let star = || "*".to_owned();
        let (group, version, resource, namespace) = (star(), star(), star(), self.namespace.to_owned());
        let everything = Target::Resource { group, version, resource, subresource: String::new(), namespace, name: String::new() };
        if self.allows("*", &everything).await {
            return vec![ResourceRule { verbs: vec![star()], api_groups: vec![star()], resources: vec![star()] }];
        }
        let mut rules = Vec::new();
        for kind in self.asked.kinds() {
            rules.extend(self.of_stored(kind).await);
        }
        for kind in self.asked.computed() {
            rules.extend(self.of_computed(kind).await);
        }
        rules
    }

    async fn of_stored(&self, kind: &Descriptor) -> Vec<ResourceRule> {
        let mut rules = Vec::new();
        for subresource in std::iter::once(&Subresource::Main).chain(kind.subresources.iter().filter(|one| **one != Subresource::Main)) {
            let verbs = match subresource {
                Subresource::Main => kind.verbs.iter().map(|verb| verb.as_str()).collect(),
                Subresource::Status => vec!["get", "patch", "update"],
            };
            let what = What { group: kind.group, version: kind.version, resource: kind.plural, subresource: subresource.as_str() };
            rules.extend(self.rule(what, kind.scope, &verbs).await);
        }
        rules
    }

    async fn of_computed(&self, kind: &VirtualDescriptor) -> Option<ResourceRule> {
        let scope = match kind.place {
            Place::Collection { scope, .. } => scope,
            Place::Subresource { of, .. } => {
                let stored = self.asked.kinds().iter().find(|stored| stored.plural == of && stored.group == kind.group);
                stored.map_or(Scope::Cluster, |stored| stored.scope)
            }
        };
        let what = What { group: kind.group, version: kind.version, resource: kind.resource(), subresource: kind.subresource() };
        self.rule(what, scope, &[kind.verb().as_str()]).await
    }

    async fn rule(&self, what: What<'_>, scope: Scope, verbs: &[&str]) -> Option<ResourceRule> {
        let namespace = if scope == Scope::Namespaced { self.namespace } else { "" };
        let target = Target::Resource {
            group: what.group.into(),
            version: what.version.into(),
            resource: what.resource.into(),
            subresource: what.subresource.into(),
            namespace: namespace.into(),
            name: String::new(),
        };
        let mut allowed = Vec::new();
        for verb in verbs {
            if self.allows(verb, &target).await {
                allowed.push((*verb).to_owned());
            }
        }
        let slash = if what.subresource.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{}", what.resource, what.subresource);
        (!allowed.is_empty()).then(|| ResourceRule { verbs: allowed, api_groups: vec![what.group.into()], resources: vec![resource] })
    }

    async fn on_paths(&self) -> Vec<NonResourceRule> {
        let star = || "*".to_owned();
        if self.allows("*", &Target::Path(star())).await {
            return vec![NonResourceRule { verbs: vec![star()], non_resource_urls: vec![star()] }];
        }
        let mut urls = Vec::new();
        for (named, path) in PATHS {
            if self.allows("get", &Target::Path(path.into())).await {
                urls.push(named.to_owned());
            }
        }
        if urls.is_empty() { Vec::new() } else { vec![NonResourceRule { verbs: vec!["get".into()], non_resource_urls: urls }] }
    }

    async fn allows(&self, verb: &str, target: &Target) -> bool {
        self.asked.may(self.asked.identity, verb, target).await.allowed
    }
}

/// The resource of a rule.
struct What<'a> {
    group: &'a str,
    version: &'a str,
    resource: &'a str,
    subresource: &'a str,
}
