//! The host cluster's webhooks and policies say their word, through kube-apiserver and past it.

use super::stand::{self, Place};
use crate::common::instance;
use serde_json::{Value, json};
use vci_testkit::client::Client;
use vci_testkit::wait_for;
use vci_testkit::webhook::Webhook;

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

#[tokio::test(flavor = "multi_thread")]
async fn a_validating_webhook_refuses() {
    for stand in stand::of_each_version().await {
        let place = stand.project("webhook", &["ann"]).await;
        stand.bind(&place, "ann", "edit").await;
        let webhook = Webhook::serve(|request| match request["object"]["spec"]["displayName"].as_str() {
            Some("refused") => json!({"allowed": false, "status": {"code": 403, "message": "not with that name"}}),
            _ => json!({"allowed": true}),
        })
        .await;
        let configuration = json!({
            "metadata": {"name": "it-webhook"},
            "webhooks": [{
                "name": "it.webhook.test", "clientConfig": webhook.client_config(), "rules": rules(), "namespaceSelector": only(&place),
                "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
            }],
        });
        stand.admin().post(&format!("{REGISTRATION}/validatingwebhookconfigurations"), &configuration).await.expect(201);

        let denied = "admission webhook \"it.webhook.test\" denied the request: not with that name";
        both_refuse(&place, [&stand.cluster.client("ann", &[]), &stand.direct("ann")], denied, 403).await;
        let asked = webhook.asked();
        let users: Vec<&Value> = asked.iter().map(|request| &request["userInfo"]["username"]).collect();
        assert!(users.iter().all(|user| **user == "ann"), "it is told who asks: {users:?}");
        stand.admin().delete(&format!("{REGISTRATION}/validatingwebhookconfigurations/it-webhook")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validating_admission_policy_refuses() {
    for stand in stand::of_each_version().await {
        let place = stand.project("policy", &["ann"]).await;
        stand.bind(&place, "ann", "edit").await;
        let policy = json!({
            "metadata": {"name": "it-policy"},
            "spec": {
                "matchConstraints": {"resourceRules": rules(), "namespaceSelector": only(&place)},
                "validations": [{"expression": "object.spec.displayName != 'refused'", "message": "not with that name"}],
            },
        });
        let binding = json!({"metadata": {"name": "it-policy"}, "spec": {"policyName": "it-policy", "validationActions": ["Deny"]}});
        let admin = stand.admin();
        admin.post(&format!("{REGISTRATION}/validatingadmissionpolicies"), &policy).await.expect(201);
        admin.post(&format!("{REGISTRATION}/validatingadmissionpolicybindings"), &binding).await.expect(201);

        let denied = "ValidatingAdmissionPolicy 'it-policy' with binding 'it-policy' denied request: not with that name";
        both_refuse(&place, [&stand.cluster.client("ann", &[]), &stand.direct("ann")], denied, 422).await;
        for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
            admin.delete(&format!("{REGISTRATION}/{kind}/it-policy")).await.expect(200);
        }
    }
}

/// Whichever way: what is not to be is refused in these words, and anything else is created.
async fn both_refuse(place: &Place, ways: [&Client; 2], denied: &str, code: u16) {
    let bad = |name: &str| {
        let mut object = instance(name);
        object["spec"]["displayName"] = "refused".into();
        object
    };
    let dry = format!("{}?dryRun=All", place.path(""));
    // The server follows the cluster's configuration; it takes a moment until it has heard.
    wait_for("the refusal", async || ways[0].post(&dry, &bad("dry")).await.status == code).await;
    for (way, name) in ways.into_iter().zip(["through", "past"]) {
        let refused = way.post(&place.path(""), &bad(name)).await.expect(code).json();
        assert!(refused["message"].as_str().is_some_and(|message| message.contains(denied)), "{name}: {refused}");
        assert_eq!(way.get(&place.path(name)).await.status, 404, "{name}");
        way.post(&place.path(""), &instance(name)).await.expect(201);
    }
}

/// What the other tests do is none of its business.
fn only(place: &Place) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": place.namespace}})
}

fn rules() -> Value {
    json!([{"apiGroups": ["management.loft.sh"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["virtualclusterinstances"]}])
}
