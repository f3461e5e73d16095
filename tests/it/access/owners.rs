//! Owners stay, shares are seen, and a status is not theirs to write.

use super::{BLUE, BOOTSTRAP, names, object, of};
use crate::common::{JSON_PATCH, MERGE, every_store_with};
use serde_json::{Value, json};
use vci_testkit::client::Protocol;

const APPLY: &str = "application/apply-patch+yaml";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_from_a_file_without_an_owner_stays_its_owners() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let una = of(&stand.server, "una");
        let path = format!("{BLUE}/mine");
        let applied = |spec: Value| {
            let named = json!({"name": "mine"});
            json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": named, "spec": spec})
        };
        let apply = format!("{path}?fieldManager=file&force=true");
        let owned = applied(json!({"displayName": "one", "owner": {"user": "una"}}));
        una.patch(&apply, APPLY, &owned).await.expect(201);
        una.patch(&apply, APPLY, &applied(json!({"displayName": "two"}))).await.expect(200);
        let mut whole = una.get(&path).await.expect(200).json();
        assert_eq!((&whole["spec"]["displayName"], &whole["spec"]["owner"]), (&json!("two"), &json!({"user": "una"})));
        for owner in [Value::Null, json!({}), json!({"user": ""})] {
            whole["spec"]["owner"] = owner;
            whole = una.put(&path, &whole).await.expect(200).json();
            assert_eq!(whole["spec"]["owner"], json!({"user": "una"}), "on {}", stand.label);
        }
        whole["spec"] = json!({"displayName": "three"});
        whole = una.put(&path, &whole).await.expect(200).json();
        assert_eq!(whole["spec"]["owner"], json!({"user": "una"}), "on {}", stand.label);
        una.patch(&path, MERGE, &json!({"spec": {"owner": null}})).await.expect(200);
        una.patch(&path, JSON_PATCH, &json!([{"op": "remove", "path": "/spec/owner"}])).await.expect(200);
        assert_eq!(una.get(&path).await.expect(200).json()["spec"]["owner"], json!({"user": "una"}), "on {}", stand.label);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_is_seen_and_used_until_it_is_taken_back() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, victor) = (of(&stand.server, "una"), of(&stand.server, "victor"));
        let path = format!("{BLUE}/shared");
        let mut mine = una.post(BLUE, &object("shared", json!({}))).await.expect(201).json();
        victor.get(&path).await.expect(403);
        let mut watch = victor.watch(&format!("{BLUE}?watch=1&timeoutSeconds=60")).await;
        mine["spec"]["extraAccessRules"] = json!([{"users": ["victor"], "clusterRole": "loft-cluster-space-admin"}]);
        let mut mine = una.put(&path, &mine).await.expect(200).json();
        let seen = victor.get(&format!("{path}?extended=true")).await.expect(200).json();
        assert_eq!((&seen["status"]["canUse"], seen["status"].get("canUpdate")), (&json!(true), None), "on {}", stand.label);
        assert_eq!(names(&victor, BLUE).await, ["shared"]);
        victor.patch(&path, MERGE, &json!({"spec": {"displayName": "x"}})).await.expect(403);
        victor.delete(&path).await.expect(403);
        mine["spec"]["extraAccessRules"] = json!([{"users": ["tina"], "clusterRole": "view"}]);
        una.put(&path, &mine).await.expect(200);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            kinds.push(watch.next().await.expect("an event")["type"].clone());
        }
        assert_eq!(kinds, ["ADDED", "DELETED"], "on {}", stand.label);
        assert_eq!(names(&victor, BLUE).await, Vec::<String>::new());
        una.delete(&path).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_reads_the_status_and_does_not_write_it() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, adam, admin) = (of(&stand.server, "una"), of(&stand.server, "adam"), stand.server.admin(Protocol::Http2));
        let (path, status) = (format!("{BLUE}/one"), format!("{BLUE}/one/status"));
        let mut one = una.post(BLUE, &object("one", json!({}))).await.expect(201).json();
        let asleep = json!({"status": {"phase": "Sleeping"}});
        one["status"] = asleep["status"].clone();
        for client in [&una, &adam] {
            client.get(&status).await.expect(200);
            client.patch(&status, MERGE, &asleep).await.expect(403);
            client.put(&status, &one).await.expect(403);
            let named = json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": {"name": "one"}});
            client.patch(&format!("{status}?fieldManager=x&force=true"), APPLY, &named).await.expect(403);
        }
        assert_eq!(una.get(&path).await.expect(200).json()["status"], json!({}), "on {}", stand.label);
        admin.patch(&status, MERGE, &asleep).await.expect(200);
        assert_eq!(una.get(&status).await.expect(200).json()["status"]["phase"], "Sleeping");
    }
}
