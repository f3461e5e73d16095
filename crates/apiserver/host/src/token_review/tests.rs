#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::json_cluster;
use apiserver_auth::Identity;
use http::HeaderValue;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// Knows ann, and a key that is no longer good.
#[derive(Debug)]
struct Known;

impl IdentityMapper for Known {
    fn identity_of(&self, mut user: User) -> Identity {
        if user.name == "ann" {
            user.groups.push("known:ann".into());
        }
        Identity::of_user(user)
    }

    fn owns_token(&self, token: &str) -> bool {
        token == "0ld-key"
    }
}

type Asked = Arc<Mutex<Vec<Value>>>;

/// The authenticator, and what the cluster was asked. The cluster gives these answers, the last for ever.
fn reviews(answers: &[(u16, Value)]) -> (TokenReviews, Asked) {
    let asked = Asked::default();
    let (answers, log) = (answers.to_vec(), Arc::clone(&asked));
    let cluster = json_cluster(move |question| {
        let mut log = log.lock().unwrap();
        assert_eq!(question.path.trim_end_matches('?'), "/apis/authentication.k8s.io/v1/tokenreviews");
        let answer = answers[log.len().min(answers.len() - 1)].clone();
        log.push(question.body["spec"]["token"].clone());
        answer
    });
    (TokenReviews::new(&cluster, Arc::new(Known)), asked)
}

fn status(status: &Value) -> Value {
    json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {"token": ""}, "status": status})
}

async fn ask(reviews: &TokenReviews, header: &str) -> Authentication {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
    reviews.authenticate(Credentials { headers: &headers, certificates: &[] }).await
}

#[tokio::test]
async fn the_cluster_says_who_it_is() {
    let user = json!({"username": "ann", "uid": "7", "groups": ["ops"], "extra": {"k": ["v"]}});
    let (reviews, asked) = reviews(&[(201, status(&json!({"authenticated": true, "user": user})))]);
    let Authentication::Authenticated(identity) = ask(&reviews, "Bearer t0ken").await else { panic!("not known") };
    assert_eq!((identity.user.name.as_str(), identity.user.uid.as_str()), ("ann", "7"));
    assert!(["ops", "system:authenticated", "known:ann"].iter().all(|group| identity.user.in_group(group)));
    assert_eq!(identity.user.extra["k"], ["v"]);
    for header in ["Basic YTpi", "Bearer a b", "Bearer ", "Bearer 0ld-key"] {
        assert_eq!(ask(&reviews, header).await, Authentication::NotRequested, "{header}");
    }
    assert_eq!(*asked.lock().unwrap(), ["t0ken"]);
}

#[tokio::test]
async fn who_is_anonymous_to_the_cluster_is_so_here() {
    let user = json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]});
    let (reviews, _) = reviews(&[(201, status(&json!({"authenticated": true, "user": user})))]);
    let Authentication::Authenticated(identity) = ask(&reviews, "Bearer t0ken").await else { panic!("not known") };
    assert!(identity.user.is_anonymous() && !identity.user.in_group("system:authenticated"), "{:?}", identity.user);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_fails_and_answers_are_remembered() {
    for bad in [json!({"authenticated": false, "error": "expired"}), json!({}), json!({"authenticated": true, "user": {"username": ""}})] {
        let (reviews, asked) = reviews(&[(201, status(&bad))]);
        for _ in 0..3 {
            let Authentication::Failed(why) = ask(&reviews, "Bearer t0ken").await else { panic!("{bad}") };
            assert!(!why.contains("t0ken"), "{why}");
        }
        assert_eq!(asked.lock().unwrap().len(), 1);
        assert!(matches!(ask(&reviews, "Bearer other").await, Authentication::Failed(_)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(matches!(ask(&reviews, "Bearer t0ken").await, Authentication::Failed(_)));
        assert_eq!(asked.lock().unwrap().len(), 3);
        assert_eq!(reviews.stats(), ReviewStats { ok: 3, failed: 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_in_trouble_is_asked_again_and_believed_in_nothing() {
    let failure = |code: u16| (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no"}));
    let good = (201, status(&json!({"authenticated": true, "user": {"username": "ann"}})));
    // What the cluster answers, how often it is asked by one caller, whether the caller is known then.
    for (answers, times, known) in [
        (vec![failure(500), failure(429), good.clone()], 3, true),
        (vec![failure(503)], 5, false),
        (vec![failure(403), good.clone()], 1, false),
    ] {
        let (reviews, asked) = reviews(&answers);
        let answer = ask(&reviews, "Bearer t0ken").await;
        assert_eq!(matches!(answer, Authentication::Authenticated(_)), known, "{answer:?}");
        assert_eq!(asked.lock().unwrap().len(), times);
        assert_eq!(reviews.stats().failed, u64::from(!known));
    }
}
