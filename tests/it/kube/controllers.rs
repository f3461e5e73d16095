//! The cluster's own controllers find their way: what is in a namespace goes with it, and what has lost its owner goes too.

use super::stand;
use crate::common::instance;
use serde_json::json;
use vci_testkit::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_its_instances() {
    let Some(stand) = stand::shared().await else { return };
    let place = stand.project("leaves", &["ann"]).await;
    stand.bind(&place, "ann", "edit").await;
    let (admin, ann) = (stand.admin(), stand.cluster.client("ann", &[]));
    for name in ["a", "b", "c"] {
        ann.post(&place.path(""), &instance(name)).await.expect(201);
    }
    let held = json!({"metadata": {"finalizers": ["test/hold"]}});
    ann.patch(&place.path("c"), crate::common::MERGE, &held).await.expect(200);
    let namespace = format!("/api/v1/namespaces/{}", place.namespace);
    admin.delete(&namespace).await.expect(200);

    wait_for("all but the one that is held to be gone", async || {
        let left = admin.get(&place.path("")).await.expect(200).json();
        left["items"].as_array().is_some_and(|items| items.len() == 1 && items[0]["metadata"]["name"] == "c")
    })
    .await;
    let refused = admin.post(&place.path(""), &instance("late")).await.expect(403).json();
    assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating", "{refused}");
    let free = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    admin.patch(&place.path("c"), crate::common::JSON_PATCH, &free).await.expect(200);
    wait_for("the namespace to be gone", async || admin.get(&namespace).await.status == 404).await;
    assert_eq!(admin.get(&place.path("c")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_lost_its_owner_is_collected() {
    let Some(stand) = stand::shared().await else { return };
    let place = stand.project("collected", &["ann"]).await;
    let admin = stand.admin();
    let maps = format!("/api/v1/namespaces/{}/configmaps", place.namespace);
    let owner = admin.post(&maps, &json!({"metadata": {"name": "owner"}})).await.expect(201).json();
    let mut dependent = instance("dependent");
    dependent["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    admin.post(&place.path(""), &dependent).await.expect(201);
    admin.post(&place.path(""), &instance("free")).await.expect(201);
    // The collector looks for new kinds twice a minute, and only then follows them.
    admin.delete(&format!("{maps}/owner")).await.expect(200);
    wait_for("the dependent to be collected", async || admin.get(&place.path("dependent")).await.status == 404).await;
    admin.get(&place.path("free")).await.expect(200);
}
