#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::json_cluster;
use apiserver_auth::Identity;
use apiserver_meta::testing::GROUP;
use serde_json::{Value, json};
use std::sync::Mutex;

type Log = Arc<Mutex<Vec<Value>>>;

/// A cluster that gives everybody this answer, and what it was asked.
fn reviews(code: u16, status: Value) -> (Arc<AccessReviews>, Log) {
    let log = Log::default();
    let asked = Arc::clone(&log);
    let cluster = json_cluster(move |question| {
        assert_eq!(question.path.trim_end_matches('?'), "/apis/authorization.k8s.io/v1/subjectaccessreviews");
        asked.lock().unwrap().push(question.body["spec"].clone());
        (code, json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}, "status": status}))
    });
    (AccessReviews::new(&cluster), log)
}

fn bypass(reviews: &Arc<AccessReviews>) -> Bypass {
    Bypass { reviews: Arc::clone(reviews), resource: GroupResource { group: GROUP, resource: "shelves" } }
}

fn attributes(verb: &str, target: Target) -> Attributes {
    let user = User { name: "ann".into(), groups: vec!["ops".into()], extra: [("k".into(), vec!["v".into()])].into(), ..User::default() };
    Attributes { identity: Identity::of_user(user), verb: verb.into(), target }
}

fn instance(name: &str) -> Target {
    Target::Resource {
        group: GROUP.into(),
        version: "v1".into(),
        resource: "books".into(),
        subresource: "status".into(),
        namespace: "room-blue".into(),
        name: name.into(),
    }
}

#[tokio::test]
async fn what_is_asked_is_what_is_about_to_be_done() {
    let (reviews, log) = reviews(201, json!({"allowed": true}));
    let authorizer = ClusterAccess { reviews: Arc::clone(&reviews), allowed: AllowedObjects::Undecided };
    for target in [instance("x"), instance("x"), Target::Path("/metrics".into())] {
        let is_path = matches!(target, Target::Path(_));
        let decision = authorizer.authorize(&attributes("get", target)).await;
        assert!(matches!(decision, Decision::Allow(ObjectFilter::All)) == is_path, "the cluster alone allows no object: {decision:?}");
    }
    let spec = |what: &str, attributes: Value| json!({"user": "ann", "groups": ["ops"], "extra": {"k": ["v"]}, what: attributes});
    let instance = json!({
        "group": GROUP, "version": "v1", "resource": "books", "subresource": "status",
        "namespace": "room-blue", "name": "x", "verb": "get",
    });
    let asked = [spec("resourceAttributes", instance), spec("nonResourceAttributes", json!({"path": "/metrics", "verb": "get"}))];
    assert_eq!(*log.lock().unwrap(), asked, "and once");
}

#[tokio::test(start_paused = true)]
async fn only_a_clear_yes_is_one() {
    // What the cluster says; of a request, and of those who may do everything.
    for (code, status, request, for_all) in [
        (201, json!({"allowed": true}), "no opinion", "allow"),
        (201, json!({"allowed": true, "denied": true}), "deny ", "no opinion"),
        (201, json!({"allowed": false, "reason": "no rule", "evaluationError": "x"}), "deny no rule, x", "no opinion"),
        (201, Value::Null, "deny ", "no opinion"),
        (403, json!({}), "failed", "failed"),
        (500, json!({}), "failed", "failed"),
    ] {
        let (reviews, _) = reviews(code, status.clone());
        let attributes = attributes("delete", instance("x"));
        let words = |decision| match decision {
            Decision::Allow(_) => "allow".to_owned(),
            Decision::Deny(why) => format!("deny {why}"),
            Decision::NoOpinion(_) => "no opinion".into(),
            Decision::Failed(_) => "failed".into(),
        };
        let access =
            words(ClusterAccess { reviews: Arc::clone(&reviews), allowed: AllowedObjects::Undecided }.authorize(&attributes).await);
        let everything = words(bypass(&reviews).authorize(&attributes).await);
        assert_eq!((access.as_str(), everything.as_str()), (request, for_all), "{code} {status}");
    }
}

#[tokio::test]
async fn who_may_do_everything_is_asked_about_one_resource_everywhere() {
    let (reviews, log) = reviews(201, json!({"allowed": true}));
    let bypass = bypass(&reviews);
    for name in ["x", "y"] {
        assert!(matches!(bypass.authorize(&attributes("get", instance(name))).await, Decision::Allow(ObjectFilter::All)));
    }
    let asked: Vec<_> = log.lock().unwrap().iter().map(|spec| spec["resourceAttributes"].clone()).collect();
    assert_eq!(asked, [json!({"group": GROUP, "version": "v1", "resource": "shelves", "verb": "bypass"})]);
}

#[tokio::test]
async fn the_cluster_decides_about_objects_where_nobody_else_does() {
    for (allowed, want) in [(true, "Allow"), (false, "Deny")] {
        let (reviews, _) = reviews(201, json!({"allowed": allowed}));
        let authorizer = ClusterAccess { reviews, allowed: AllowedObjects::Allowed };
        let decision = format!("{:?}", authorizer.authorize(&attributes("get", instance("x"))).await);
        assert!(decision.starts_with(want), "{decision}");
    }
}
