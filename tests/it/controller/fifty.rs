//! Many instances at once, with helm's installations replaced by a recorder, and the controller killed in the midst of it.

use super::{Stand, collection, programs};
use crate::common::GROUP;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vci_testkit::program::cached;

const MANY: usize = 50;
const KILLS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(240);

/// A helm that renders, and of charts installs a Service alone, and writes down what it was asked for.
fn recorder(folder: &Path, helm: &Path, kubectl: &Path) -> PathBuf {
    let path = folder.join("helm");
    let text = format!(
        r#"#!/bin/sh
case "$1" in upgrade|uninstall) ;; *) exec {helm} "$@" ;; esac
command=$1 release=$2
for argument in "$@"; do
  case "$argument" in
    --namespace=*) namespace=${{argument#*=}} ;;
    --kubeconfig=*) kubeconfig=${{argument#*=}} ;;
  esac
done
echo "$command $namespace/$release" >>{record}
[ $command = upgrade ] || exec {kubectl} --kubeconfig "$kubeconfig" --namespace "$namespace" delete service "$release" --ignore-not-found >/dev/null
echo "{{apiVersion: v1, kind: Service, metadata: {{name: $release, labels: {{app: vcluster}}}}, spec: {{ports: [{{port: 443}}]}}}}" |
  {kubectl} --kubeconfig "$kubeconfig" --namespace "$namespace" apply --server-side -f - >/dev/null
"#,
        helm = helm.display(),
        kubectl = kubectl.display(),
        record = folder.join("record").display(),
    );
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a program");
    path
}

/// How often each release was installed, or removed.
fn recorded(folder: &Path, command: &str) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(folder.join("record")).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for release in text.lines().filter_map(|line| line.strip_prefix(command)?.strip_prefix(' ')) {
        *counts.entry(release.to_owned()).or_default() += 1;
    }
    counts
}

fn names() -> impl Iterator<Item = String> {
    (0..MANY).map(|number| format!("vc-{number}"))
}

async fn stand(folder: &Path) -> Option<Stand> {
    let (programs, helm, chart) = programs()?;
    let recorder = recorder(folder, &helm, &cached("bin/kubectl-1.36")?);
    let stand = Stand::start(&programs, &recorder, &chart).await;
    stand.placeable().await;
    stand.project("blue", &["*"]).await;
    let template = json!({"metadata": {"name": "small"}, "spec": {"versions": [{
        "version": "1.0.0", "parameters": [{"variable": "size", "defaultValue": "s"}],
        "template": {"helmRelease": {"values": "size: {{ .Values.size }}-{{ .Values.loft.name }}"},
            "spaceTemplate": {"metadata": {"labels": {"team": "blue"}}, "objects": "{apiVersion: v1, kind: ConfigMap, metadata: {name: inside}}"}},
    }]}});
    stand.admin().post(&format!("{GROUP}/virtualclustertemplates"), &template).await.expect(201);
    Some(stand)
}

async fn create_all(stand: &Stand) {
    let admin = stand.admin();
    for name in names() {
        let instance = json!({"metadata": {"name": name}, "spec": {"templateRef": {"name": "small", "version": "x.x.x"}}});
        admin.post(&collection("blue"), &instance).await.expect(201);
    }
}

async fn instances(stand: &Stand) -> Vec<Value> {
    let found = stand.admin().get(&collection("blue")).await;
    if found.status == 200 { found.json()["items"].as_array().cloned().unwrap_or_default() } else { vec![Value::Null] }
}

fn is_deployed(instance: &Value) -> bool {
    let conditions = instance["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "VirtualClusterDeployed" && condition["status"] == "True")
}

/// Every instance has what it should have on the host, and nothing has what it should not.
async fn check(stand: &Stand) {
    for instance in instances(stand).await {
        let name = instance["metadata"]["name"].as_str().expect("a name").to_owned();
        let namespace = format!("loft-blue-v-{name}");
        let place = json!({"cluster": "loft-cluster", "namespace": namespace, "virtualCluster": name});
        assert_eq!(instance["spec"]["clusterRef"], place, "{instance}");
        assert_eq!(instance["metadata"]["finalizers"], json!(["loft.sh/cleanup"]));
        assert_eq!(instance["status"]["virtualCluster"]["helmRelease"]["values"], format!("size: s-{name}"));
        let host = stand.host();
        let labels = host.get(&format!("/api/v1/namespaces/{namespace}")).await.expect(200).json()["metadata"]["labels"].clone();
        assert_eq!((&labels["loft.sh/vcluster-instance-name"], &labels["team"]), (&json!(name), &json!("blue")), "{labels}");
        host.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).await.expect(200);
        host.get(&format!("/api/v1/namespaces/{namespace}/configmaps/inside")).await.expect(200);
    }
}

async fn delete_all(stand: &Stand) {
    let admin = stand.admin();
    for name in names() {
        let deleted = admin.delete(&format!("{}/{name}", collection("blue"))).await;
        assert!([200, 404].contains(&deleted.status.as_u16()), "{}", deleted.text());
    }
}

async fn nothing_left(stand: &Stand) {
    let host = stand.host();
    let namespaces = host.get("/api/v1/namespaces?labelSelector=loft.sh/project=blue").await.expect(200).json();
    assert_eq!(namespaces["items"].as_array().map(Vec::len), Some(0), "{namespaces}");
    assert!(instances(stand).await.is_empty());
}

/// Waits, also on a machine that has much else to do.
async fn patiently(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_instances_are_made_once_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(stand) = stand(folder.path()).await else { return };
    let begun = Instant::now();
    create_all(&stand).await;
    patiently("all of them to be deployed", async || instances(&stand).await.iter().all(is_deployed)).await;
    let _ = writeln!(std::io::stderr(), "{MANY} instances deployed in {:?}", begun.elapsed());
    check(&stand).await;
    let made = recorded(folder.path(), "upgrade");
    assert_eq!(made.len(), MANY);
    assert!(made.values().all(|count| *count == 1), "{made:?}");
    delete_all(&stand).await;
    patiently("all of them to be gone", async || instances(&stand).await.is_empty()).await;
    nothing_left(&stand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_controller_is_killed_it_comes_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut stand) = stand(folder.path()).await else { return };
    create_all(&stand).await;
    for kill in 0..KILLS / 2 {
        tokio::time::sleep(Duration::from_millis(100 + 137 * kill)).await;
        stand.server.kill();
        stand.server.restart().await;
    }
    patiently("all of them to be deployed", async || {
        let found = instances(&stand).await;
        found.len() == MANY && found.iter().all(is_deployed)
    })
    .await;
    check(&stand).await;
    delete_all(&stand).await;
    for kill in 0..KILLS / 2 {
        tokio::time::sleep(Duration::from_millis(100 + 137 * kill)).await;
        stand.server.kill();
        stand.server.restart().await;
    }
    patiently("all of them to be gone", async || instances(&stand).await.is_empty()).await;
    nothing_left(&stand).await;
}
