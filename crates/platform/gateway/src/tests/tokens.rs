//! Tokens that virtual clusters have issued.

use super::cluster::INNER;
use super::rig::{OBJECT, PROXY, Rig};
use serde_json::json;

async fn with_mode(mode: &str) -> Rig {
    let rig = Rig::start().await;
    rig.set_status(&json!({"virtualCluster": {"forwardTokenMode": mode}})).await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_refused_where_the_template_does_not_say_otherwise() {
    for mode in ["", "Off", "passthrough"] {
        let rig = with_mode(mode).await;
        rig.anonymous().bearer(INNER).get(&format!("{PROXY}/version")).await.expect(401);
        assert!(rig.cluster.arrived().is_empty(), "{mode}");
        // What a user writes changes nothing.
        rig.patch(OBJECT, &json!({"spec": {"templateRef": null, "template": {"forwardTokenMode": "Passthrough"}}})).await;
        rig.anonymous().bearer(INNER).get(&format!("{PROXY}/version")).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_reviewed_by_the_virtual_cluster_and_acts_as_its_user() {
    let rig = with_mode("TokenReview").await;
    for _ in 0..2 {
        rig.anonymous().bearer(INNER).get(&format!("{PROXY}/version")).await.expect(200);
    }
    let (user, groups) = rig.cluster.last().impersonated();
    assert_eq!(user, "system:serviceaccount:default:deployer");
    assert_eq!(groups, ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
    let reviews = rig.cluster.arrived().iter().filter(|arrived| arrived.uri.path().ends_with("/tokenreviews")).count();
    assert_eq!(reviews, 1, "one for both requests");
    rig.anonymous().bearer("a.b.c").get(&format!("{PROXY}/version")).await.expect(401);
    // Outside of the virtual cluster it is nobody's.
    rig.anonymous().bearer(INNER).get(OBJECT).await.expect(401);
    rig.anonymous().bearer(INNER).get(&format!("{PROXY}x/version")).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_passed_on_goes_without_the_certificate() {
    let rig = with_mode("Passthrough").await;
    rig.anonymous().bearer(INNER).get(&format!("{PROXY}/version")).await.expect(200);
    let arrived = rig.cluster.last();
    assert_eq!((arrived.headers["authorization"].to_str().unwrap(), arrived.by_certificate), (format!("Bearer {INNER}").as_str(), false));
    assert_eq!(arrived.impersonated(), (String::new(), Vec::new()));
    let before = rig.cluster.arrived().len();
    rig.anonymous().bearer("not-a-jwt").get(&format!("{PROXY}/version")).await.expect(401);
    assert_eq!(rig.cluster.arrived().len(), before, "it could be a key that is not known here yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_keys_of_this_server_are_never_passed_on() {
    for mode in ["Passthrough", "TokenReview"] {
        let rig = with_mode(mode).await;
        rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
        let arrived = rig.cluster.last();
        assert_eq!((arrived.impersonated().0.as_str(), arrived.headers.get("authorization")), ("owner", None), "{mode}");
        rig.client("guest").get(&format!("{PROXY}/version")).await.expect(403);
        rig.patch("/apis/management.loft.sh/v1/ownedaccesskeys/owner", &json!({"spec": {"disabled": true}})).await;
        let before = rig.cluster.arrived().len();
        rig.client("owner").get(&format!("{PROXY}/version")).await.expect(401);
        assert_eq!(rig.cluster.arrived().len(), before, "a key that is not good any more is still a key: {mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_and_impersonation_do_not_go_together() {
    let rig = with_mode("TokenReview").await;
    let client = rig.anonymous().bearer(INNER).header(http::HeaderName::from_static("impersonate-user"), "owner");
    client.get(&format!("{PROXY}/version")).await.expect(401);
}
