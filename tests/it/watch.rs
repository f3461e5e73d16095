//! Watches over HTTP, and a kube-rs reflector that ends with exactly the server's set.

use crate::common::{COLLECTION, MERGE, embedded, every_store, instance, path};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use vci_testkit::client::Protocol;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_every_change_in_order() {
    for stand in every_store().await {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = stand.server.admin(protocol);
            let start = client.get(COLLECTION).await.expect(200).json();
            let from = start["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
            client.post(COLLECTION, &instance("w")).await.expect(201);
            let mut watch = client.watch(&format!("{COLLECTION}?watch=true&resourceVersion={from}&timeoutSeconds=30")).await;
            client.patch(&path("w"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
            client.delete(&path("w")).await.expect(200);
            let mut told = Vec::new();
            for _ in 0..3 {
                let event = watch.next().await.expect("an event");
                told.push(event["type"].as_str().unwrap_or("").to_owned());
            }
            assert_eq!(told, ["ADDED", "MODIFIED", "DELETED"], "on {}", stand.label);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_list_ends_its_state_with_a_bookmark() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30";
    for count in [0, 3] {
        for i in 0..count {
            client.post(COLLECTION, &instance(&format!("s{i}"))).await.expect(201);
        }
        let mut watch = client.watch(&format!("{COLLECTION}?{query}")).await;
        for i in 0..count {
            let event = watch.next().await.expect("an event");
            assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(format!("s{i}"))));
        }
        let end = watch.next().await.expect("a bookmark");
        assert_eq!(end["type"], "BOOKMARK");
        assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_turn_changes_into_arrivals_and_departures() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http2);
    let mut watch = client.watch(&format!("{COLLECTION}?watch=1&labelSelector=tier%3Dgold&timeoutSeconds=30")).await;
    client.post(COLLECTION, &instance("sel")).await.expect(201);
    for tier in [json!("gold"), json!("lead")] {
        client.patch(&path("sel"), MERGE, &json!({"metadata": {"labels": {"tier": tier}}})).await.expect(200);
    }
    let current = client.get(&path("sel")).await.expect(200).json();
    let (arrives, leaves) = (watch.next().await.expect("an event"), watch.next().await.expect("an event"));
    assert_eq!((&arrives["type"], &leaves["type"]), (&json!("ADDED"), &json!("DELETED")));
    assert_eq!(leaves["object"]["metadata"]["labels"]["tier"], "gold", "a departure shows the object as it was");
    assert_eq!(leaves["object"]["metadata"]["resourceVersion"], current["metadata"]["resourceVersion"], "at the revision of the change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kube_reflector_ends_with_the_servers_set() {
    use futures::StreamExt;
    use kube::api::{ApiResource, DynamicObject};
    use kube::runtime::{WatchStreamExt, reflector, watcher};

    for streaming in [false, true] {
        let server = embedded().await;
        let text = std::fs::read_to_string(server.kubeconfig_path()).expect("a kubeconfig");
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&text).expect("a good kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await.expect("a config");
        let kind = kube::api::GroupVersionKind::gvk("management.loft.sh", "v1", "VirtualClusterInstance");
        let resource = ApiResource::from_gvk_with_plural(&kind, "virtualclusterinstances");
        let api: kube::Api<DynamicObject> =
            kube::Api::namespaced_with(kube::Client::try_from(config).expect("a client"), "loft-p-my-project", &resource);
        let writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
        let reader = writer.as_reader();
        let config = if streaming { watcher::Config::default().streaming_lists() } else { watcher::Config::default() };
        let task = tokio::spawn(reflector(writer, watcher(api, config)).default_backoff().touched_objects().for_each(|_| async {}));

        let client = server.admin(Protocol::Http2);
        for i in 0..300_u32 {
            let name = format!("o{}", i.wrapping_mul(7) % 40);
            if client.post(COLLECTION, &instance(&name)).await.status == 409 {
                if i % 3 == 0 {
                    client.delete(&path(&name)).await.expect(200);
                } else {
                    client.patch(&path(&name), MERGE, &json!({"spec": {"displayName": format!("d{i}")}})).await.expect(200);
                }
            }
        }
        let list = client.get(COLLECTION).await.expect(200).json();
        let want: BTreeMap<String, String> = list["items"].as_array().expect("items").iter().map(|o| named(&o["metadata"])).collect();
        let have = || -> BTreeMap<String, String> {
            reader.state().iter().map(|o| named(&serde_json::to_value(&o.metadata).unwrap_or_default())).collect()
        };
        let start = std::time::Instant::now();
        while have() != want {
            assert!(start.elapsed() < Duration::from_secs(20), "the reflector has {:?}, the server {want:?}", have());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        task.abort();
    }
}

fn named(metadata: &serde_json::Value) -> (String, String) {
    let text = |field: &str| metadata[field].as_str().unwrap_or("").to_owned();
    (text("name"), text("resourceVersion"))
}
