#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::json_cluster;
use apiserver_meta::options::DryRun;
use apiserver_meta::{ObjectKey, Principal, Subresource};
use apiserver_registry::Memo;
use serde_json::json;
use std::time::{Duration, Instant};

/// Namespaces that a list tells, one that is only found when it is asked for, and one that cannot be read.
fn namespaces(stop: &CancellationToken) -> ClusterNamespaces {
    let cluster = json_cluster(|asked| {
        let failure = |code: u16, reason: &str| {
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code});
            (code, status)
        };
        let namespace = |name: &str, phase: &str| json!({"metadata": {"name": name, "resourceVersion": "1"}, "status": {"phase": phase}});
        match asked.path.split('?').next().unwrap_or_default() {
            "/api/v1/namespaces" if asked.path.contains("watch=true") => failure(503, "ServiceUnavailable"),
            "/api/v1/namespaces" => {
                let ending = json!({"metadata": {"name": "ending", "resourceVersion": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
                let items = [namespace("there", "Active"), namespace("going", "Terminating"), ending];
                (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}))
            }
            "/api/v1/namespaces/there" => (200, namespace("there", "Active")),
            "/api/v1/namespaces/new" => (200, namespace("new", "Active")),
            "/api/v1/namespaces/going" => (200, namespace("going", "Terminating")),
            "/api/v1/namespaces/unreadable" => failure(403, "Forbidden"),
            _ => failure(404, "NotFound"),
        }
    });
    ClusterNamespaces::follow(&cluster, stop)
}

#[tokio::test]
async fn only_what_comes_needs_a_namespace_that_stays() {
    let stop = CancellationToken::new();
    let lifecycle = NamespaceLifecycle(namespaces(&stop));
    lifecycle.0.known.wait_until_ready().await.unwrap();
    let going = |namespace: &str| {
        let what = format!("books.library.example.com \"a-\" is forbidden: unable to create new content in namespace {namespace}");
        Err((403, format!("{what} because it is being terminated")))
    };
    let kinds = apiserver_meta::testing::resources();
    let instances = kinds.iter().find(|kind| kind.descriptor().plural == "books").unwrap();
    for (verb, namespace, want) in [
        (Verb::Create, "there", Ok(())),
        (Verb::Create, "new", Ok(())),
        (Verb::Create, "", Ok(())),
        (Verb::Create, "missing", Err((404, "namespaces \"missing\" not found".to_owned()))),
        (Verb::Create, "going", going("going")),
        (Verb::Create, "ending", going("ending")),
        (Verb::Update, "going", Ok(())),
        (Verb::Update, "missing", Ok(())),
        (Verb::Create, "unreadable", Err((500, "Internal error occurred: the host cluster does not tell of the namespace".to_owned()))),
    ] {
        let key = ObjectKey::new(namespace, "");
        let (descriptor, schema) = (instances.descriptor(), instances.schema());
        let (subresource, dry_run, memo) = (Subresource::Main, DryRun::No, &Memo::default());
        let request = AdmissionRequest { descriptor, verb, subresource, key: &key, old: None, dry_run, schema, memo };
        let ctx = RequestContext::new(Arc::default(), Principal::default(), Instant::now() + Duration::from_secs(60), "audit".into());
        let mut object = Object::from_value(json!({"metadata": {"generateName": "a-"}})).unwrap();
        let got = lifecycle.mutate(&ctx, request, &mut object).await;
        if let (Err(error), "going" | "ending") = (&got, namespace) {
            let causes = &error.details.as_ref().unwrap().causes;
            assert_eq!((causes[0].reason.as_str(), causes[0].field.as_str()), ("NamespaceTerminating", "metadata.namespace"));
        }
        assert_eq!(got.map_err(|error| (error.code(), error.message)), want, "{verb:?} in {namespace:?}");
    }
}
