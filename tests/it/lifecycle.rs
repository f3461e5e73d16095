//! One object from its first write to its last, over HTTP, on every store.

use crate::common::{COLLECTION, JSON_PATCH, MERGE, every_store, instance, path};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::wait_for;

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a resourceVersion")
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_generations_and_conflicts() {
    for stand in every_store().await {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            life(&stand.server.admin(protocol)).await;
        }
    }
}

async fn life(client: &Client) {
    let created = client.post(COLLECTION, &instance("life")).await.expect(201).json();
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["status"], json!({}));
    client.post(COLLECTION, &instance("life")).await.expect(409);

    // A write that changes nothing is none.
    let mut same = created.clone();
    let again = client.put(&path("life"), &same).await.expect(200).json();
    assert_eq!(again, created);
    same["spec"]["displayName"] = json!("other");
    let updated = client.put(&path("life"), &same).await.expect(200).json();
    assert_eq!(updated["metadata"]["generation"], 2);
    assert!(version(&updated) > version(&created));
    let stale = client.put(&path("life"), &created).await.expect(409).json();
    assert_eq!(stale["reason"], "Conflict");

    // Status has a path of its own; neither touches the other.
    let mut forged = updated.clone();
    forged["status"] = json!({"phase": "Ready"});
    let main = client.put(&path("life"), &forged).await.expect(200).json();
    assert_eq!(main["status"], json!({}));
    let status = client.put(&path("life/status"), &forged).await.expect(200).json();
    assert_eq!((&status["status"], &status["metadata"]["generation"]), (&json!({"phase": "Ready"}), &json!(2)));

    let mut no_version = status.clone();
    no_version["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
    let invalid = client.put(&path("life"), &no_version).await.expect(422).json();
    assert!(
        invalid["message"]
            .as_str()
            .is_some_and(|m| m.ends_with("metadata.resourceVersion: Invalid value: 0: must be specified for an update")),
        "{invalid}"
    );

    // Finalizers hold; the last one off deletes in that request.
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    client.patch(&path("life"), MERGE, &hold).await.expect(200);
    let held = client.delete(&path("life")).await.expect(200).json();
    assert_eq!(held["kind"], "VirtualClusterInstance");
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    client.get(&path("life")).await.expect(200);
    let taken = client.post(COLLECTION, &instance("life")).await.expect(409).json();
    assert!(taken["message"].as_str().is_some_and(|m| m.starts_with("object is being deleted: ")), "{taken}");
    client.patch(&path("life"), JSON_PATCH, &json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    client.get(&path("life")).await.expect(404);
    client.delete(&path("life")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_all_land() {
    for stand in every_store().await {
        let client = stand.server.admin(Protocol::Http2);
        client.post(COLLECTION, &instance("many")).await.expect(201);
        let patches = (0..40).map(|i| {
            let client = client.clone();
            tokio::spawn(async move {
                let body = json!({"metadata": {"labels": {format!("l{i}"): "x"}}});
                client.patch(&path("many"), MERGE, &body).await.expect(200);
            })
        });
        for patch in patches.collect::<Vec<_>>() {
            patch.await.expect("a patch");
        }
        let labels = client.get(&path("many")).await.expect(200).json()["metadata"]["labels"].clone();
        assert_eq!(labels.as_object().map(|l| l.len()), Some(40), "on {}", stand.label);
        client.delete(&path("many")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_follow_their_owner_without_a_cluster() {
    let server = crate::common::embedded().await;
    let client = server.admin(Protocol::Http2);
    let owner = client.post(COLLECTION, &instance("owner")).await.expect(201).json();
    let mut dependent = instance("dependent");
    dependent["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "name": "owner",
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true,
    }]);
    client.post(COLLECTION, &dependent).await.expect(201);
    let waiting = client.delete(&format!("{}?propagationPolicy=Foreground", path("owner"))).await.expect(200).json();
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    wait_for("the owner to go after its dependent", async || client.get(&path("owner")).await.status == 404).await;
    client.get(&path("dependent")).await.expect(404);

    client.post(COLLECTION, &instance("parent")).await.expect(201);
    client.delete(&format!("{}?propagationPolicy=Orphan", path("parent"))).await.expect(200);
    wait_for("the orphan finalizer to be taken off", async || client.get(&path("parent")).await.status == 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletecollection_deletes_what_is_selected() {
    for stand in every_store().await {
        let client = stand.server.admin(Protocol::Http2);
        for i in 0..20 {
            let mut object = instance(&format!("c{i}"));
            object["metadata"]["labels"] = json!({"even": (i % 2 == 0).to_string()});
            client.post(COLLECTION, &object).await.expect(201);
        }
        let gone = client.delete(&format!("{COLLECTION}?labelSelector=even%3Dtrue")).await.expect(200).json();
        assert_eq!(gone["items"].as_array().map(Vec::len), Some(10));
        let left = client.get(COLLECTION).await.expect(200).json();
        assert_eq!(left["items"].as_array().map(Vec::len), Some(10), "on {}", stand.label);
        client.delete(COLLECTION).await.expect(200);
    }
}

/// What is noted of managers helps, but an object that is too large for the store with it is stored without.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_just_fits_is_stored_without_managed_fields() {
    for stand in every_store().await {
        let client = stand.server.admin(Protocol::Http2);
        let mut states = Vec::new();
        // Both stores take 1.5 MiB; the notes are some hundred bytes.
        for less in (0..3000).step_by(75) {
            let mut object = instance("large");
            object["spec"]["parameters"] = format!("a: {}", "x".repeat((3 << 19) - less)).into();
            let response = client.post(COLLECTION, &object).await;
            let state = match response.status.as_u16() {
                413 => "too large",
                201 if response.json()["metadata"].get("managedFields").is_none() => "bare",
                201 => "whole",
                other => panic!("{other}: {}", &response.text()[..200]),
            };
            if state != "too large" {
                client.delete(&path("large")).await.expect(200);
            }
            if states.last() != Some(&state) {
                states.push(state);
            }
            if state == "whole" {
                break;
            }
        }
        assert_eq!(states, ["too large", "bare", "whole"], "{}", stand.label);
    }
}
