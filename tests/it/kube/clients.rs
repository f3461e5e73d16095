//! Informers of client-go through kube-apiserver, of whole objects and of metadata (which ask for protobuf first), with streamed
//! lists and plain ones.

use super::stand;
use crate::clients::end_with;
use crate::common::{MERGE, instance};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;
use vci_testkit::program::{Program, cached};

#[tokio::test(flavor = "multi_thread")]
async fn informers_sync() {
    let Some(binary) = cached("bin/client-go") else { return };
    for stand in stand::of_each_version().await {
        let place = stand.project("informers", &["ann"]).await;
        stand.bind(&place, "ann", "edit").await;
        let ann = stand.cluster.client("ann", &[]);
        ann.post(&place.path(""), &instance("before")).await.expect(201);
        let mut informers: Vec<(&str, Program)> = ["true", "false"]
            .map(|streaming| {
                let mut command = Command::new(&binary);
                command.arg(stand.cluster.kubeconfig("ann", &[])).arg(&place.namespace).env("KUBE_FEATURE_WatchListClient", streaming);
                (streaming, Program::spawn(&mut command))
            })
            .into();
        for (streaming, informer) in &mut informers {
            assert_eq!(informer.line().await, "ready", "streaming lists: {streaming}");
        }
        for name in ["a", "b", "c"] {
            ann.post(&place.path(""), &instance(name)).await.expect(201);
        }
        ann.patch(&place.path("a"), MERGE, &json!({"spec": {"displayName": "changed"}})).await.expect(200);
        ann.delete(&place.path("b")).await.expect(200);

        let list = ann.get(&place.path("")).await.expect(200).json();
        let named = |item: &serde_json::Value| {
            let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
            (text("name"), text("resourceVersion"))
        };
        let want: BTreeMap<String, String> = list["items"].as_array().expect("items").iter().map(named).collect();
        assert_eq!(want.keys().collect::<Vec<_>>(), ["a", "before", "c"]);
        for (streaming, informer) in &mut informers {
            end_with(&format!("streaming lists: {streaming}"), informer, &want).await;
        }
    }
}
