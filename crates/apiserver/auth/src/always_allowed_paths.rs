//! Paths that anonymous callers may read: health, version and discovery.

use crate::{Attributes, Authorizer, Decision, Target};
use apiserver_meta::ObjectFilter;
use apiserver_meta::context::GROUP_AUTHENTICATED;
use async_trait::async_trait;

/// Allows reads of a few paths, as the cluster roles `system:public-info-viewer` and `system:discovery` do.
///
/// - Health, version and discovery: every caller, anonymous ones included. Load balancers and kubelets have no credentials.
/// - OpenAPI documents: every caller of the group `system:authenticated`.
///
/// Paths are compared without the prefix that the whole server is also served under.
#[derive(Debug)]
pub struct AlwaysAllowedPaths;

#[async_trait]
impl Authorizer for AlwaysAllowedPaths {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let Target::Path(path) = &attributes.target else { return Decision::NoOpinion(String::new()) };
        let reads = matches!(attributes.verb.as_str(), "get" | "head");
        let known = attributes.identity.user.in_group(GROUP_AUTHENTICATED);
        if reads && (is_public(path) || known && is_openapi(path)) {
            return Decision::Allow(ObjectFilter::All);
        }
        Decision::NoOpinion(String::new())
    }
}

fn is_public(path: &str) -> bool {
    let mut segments = path.trim_start_matches('/').trim_end_matches('/').split('/');
    match segments.next().unwrap_or("") {
        "" | "version" => segments.next().is_none(),
        "healthz" | "livez" | "readyz" => true,
        "api" => segments.count() <= 1,
        "apis" => segments.count() <= 2,
        _ => false,
    }
}

fn is_openapi(path: &str) -> bool {
    path == "/openapi/v2" || path == "/openapi/v3" || path.starts_with("/openapi/v3/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use apiserver_meta::User;

    #[tokio::test]
    async fn health_version_and_discovery_are_for_all_and_openapi_for_the_known() {
        // path, for anonymous, for authenticated
        let cases = [
            ("/", true, true),
            ("/healthz", true, true),
            ("/livez", true, true),
            ("/readyz", true, true),
            ("/readyz/etcd", true, true),
            ("/version", true, true),
            ("/version/", true, true),
            ("/api", true, true),
            ("/api/", true, true),
            ("/api/v1", true, true),
            ("/apis", true, true),
            ("/apis/widgets.example.com", true, true),
            ("/apis/widgets.example.com/v1", true, true),
            ("/apis/widgets.example.com/v1/", true, true),
            ("/apis/widgets.example.com/v1/factories", false, false),
            ("/apis/widgets.example.com/v1/namespaces/a/widgets", false, false),
            ("/api/v1/namespaces", false, false),
            ("/openapi/v2", false, true),
            ("/openapi/v3", false, true),
            ("/openapi/v3/apis/widgets.example.com/v1", false, true),
            ("/openapi", false, false),
            ("/metrics", false, false),
            ("/versions", false, false),
            ("/healthzz", false, false),
            ("/version/x", false, false),
        ];
        for (path, anonymous, authenticated) in cases {
            let known = User { name: "ann".into(), groups: vec![GROUP_AUTHENTICATED.into()], ..User::default() };
            for (user, want) in [(User::anonymous(), anonymous), (known, authenticated)] {
                for (verb, want) in [("get", want), ("head", want), ("post", false), ("delete", false)] {
                    let identity = Identity::of_user(user.clone());
                    let attributes = Attributes { identity, verb: verb.into(), target: Target::Path(path.into()) };
                    let allowed = matches!(AlwaysAllowedPaths.authorize(&attributes).await, Decision::Allow(ObjectFilter::All));
                    assert_eq!(allowed, want, "{verb} {path} by {}", user.name);
                }
            }
        }
    }
}
