//! What callers are told that they may is what they may.

use super::{BLUE, BOOTSTRAP, object, of};
use crate::common::every_store_with;
use serde_json::{Value, json};
use vci_testkit::client::Client;

const REVIEWS: [&str; 2] =
    ["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/management.loft.sh/v1/selfsubjectaccessreviews"];

async fn may(client: &Client, verb: &str, subresource: &str, name: &str) -> bool {
    let attributes = json!({"group": "management.loft.sh", "version": "v1", "resource": "virtualclusterinstances",
        "namespace": "loft-p-blue", "verb": verb, "subresource": subresource, "name": name});
    let mut answers = Vec::new();
    for path in REVIEWS {
        let review = client.post(path, &json!({"spec": {"resourceAttributes": attributes}})).await.expect(201).json();
        answers.push(review["status"]["allowed"] == Value::Bool(true));
    }
    assert_eq!(answers[0], answers[1], "{verb} {subresource} {name}");
    answers[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn using_and_giving_away_and_doing_without_a_template() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let server = &stands[0].server;
    let [adam, una, victor, olga] = ["adam", "una", "victor", "olga"].map(|user| of(server, user));
    una.post(BLUE, &object("mine", json!({"access": [{"verbs": ["get", "use"], "users": ["victor"]}]}))).await.expect(201);
    adam.post(BLUE, &object("other", json!({"owner": {"user": "adam"}}))).await.expect(201);
    // verb, subresource, name; for the project's admin, the owner of `mine`, whom it grants `use`, an outsider
    let table = [
        ("use", "", "mine", [true, true, true, false]),
        ("use", "", "other", [true, false, false, false]),
        ("use", "", "absent", [true, false, false, false]),
        ("use", "", "", [true, false, false, false]),
        ("makeowner", "", "mine", [true, true, false, false]),
        ("makeowner", "", "other", [true, false, false, false]),
        ("makeowner", "", "", [true, false, false, false]),
        ("create", "restricted", "", [true, false, false, false]),
        ("create", "", "", [true, true, false, false]),
        ("get", "", "mine", [true, true, true, false]),
        ("get", "", "other", [true, false, false, false]),
        ("update", "", "mine", [true, true, false, false]),
        ("list", "", "", [true, true, true, false]),
        ("watch", "", "", [true, true, true, false]),
    ];
    for (verb, subresource, name, want) in table {
        for (who, (client, want)) in ["adam", "una", "victor", "olga"].iter().zip([&adam, &una, &victor, &olga].into_iter().zip(want)) {
            assert_eq!(may(client, verb, subresource, name).await, want, "{who} {verb} {subresource} {name:?}");
        }
    }
}
