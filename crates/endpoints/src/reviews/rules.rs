//! What may I: every verb of every kind put to the authorizers, because they decide and do not enumerate.

use super::Asked;
use super::types::{NonResourceRule, ResourceRule, SelfSubjectRulesReview, SubjectRulesReviewStatus};
use crate::layers::decide;
use vci_auth::{Attributes, Target};
use vci_meta::{ApiError, Descriptor, Scope, Subresource};

/// What is served outside of kinds: how a rule names it, and a path that stands for it.
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

impl Asked<'_> {
    /// The rules of the caller in a namespace. A rule may hold for the objects alone that grant it.
    pub(super) async fn what(&self, mut review: SelfSubjectRulesReview) -> Result<SelfSubjectRulesReview, ApiError> {
        let namespace = review.spec.namespace.as_str();
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let mut status = SubjectRulesReviewStatus::default();
        let (star, all) = (|| "*".to_owned(), || vec!["*".to_owned()]);
        let everything = Target::Resource {
            group: star(),
            version: star(),
            resource: star(),
            subresource: String::new(),
            namespace: namespace.into(),
            name: String::new(),
        };
        if self.allows("*", everything).await {
            status.resource_rules.push(ResourceRule { verbs: all(), api_groups: all(), resources: all() });
        } else {
            for kind in self.app.kinds() {
                self.rules_of(kind, namespace, &mut status.resource_rules).await;
            }
        }
        if self.allows("*", Target::Path(star())).await {
            status.non_resource_rules.push(NonResourceRule { verbs: all(), non_resource_urls: all() });
        } else {
            status.non_resource_rules.extend(self.paths().await);
        }
        (review.kind, review.api_version) = (self.kind.kind.into(), self.kind.api_version());
        review.status = status;
        Ok(review)
    }

    async fn rules_of(&self, kind: &Descriptor, namespace: &str, rules: &mut Vec<ResourceRule>) {
        let namespace = if kind.scope == Scope::Namespaced { namespace } else { "" };
        for subresource in std::iter::once(&Subresource::Main).chain(kind.subresources.iter().filter(|one| **one != Subresource::Main)) {
            let (resource, subresource, verbs) = match subresource {
                Subresource::Main => (kind.plural.to_owned(), "", kind.verbs.iter().map(|verb| verb.as_str()).collect()),
                Subresource::Status => (format!("{}/status", kind.plural), "status", vec!["get", "patch", "update"]),
            };
            let mut allowed = Vec::new();
            for verb in verbs {
                let target = Target::Resource {
                    group: kind.group.into(),
                    version: kind.version.into(),
                    resource: kind.plural.into(),
                    subresource: subresource.into(),
                    namespace: namespace.into(),
                    name: String::new(),
                };
                if super::is_group(kind.group) || self.allows(verb, target).await {
                    allowed.push(verb.to_owned());
                }
            }
            if !allowed.is_empty() {
                rules.push(ResourceRule { verbs: allowed, api_groups: vec![kind.group.into()], resources: vec![resource] });
            }
        }
    }

    async fn paths(&self) -> Option<NonResourceRule> {
        let mut urls = Vec::new();
        for (named, path) in PATHS {
            if self.allows("get", Target::Path(path.into())).await {
                urls.push(named.to_owned());
            }
        }
        (!urls.is_empty()).then(|| NonResourceRule { verbs: vec!["get".into()], non_resource_urls: urls })
    }

    async fn allows(&self, verb: &str, target: Target) -> bool {
        let attributes = Attributes { identity: self.identity.clone(), verb: verb.into(), target };
        decide(&self.app.config.authorizers, &attributes).await.is_ok()
    }
}
