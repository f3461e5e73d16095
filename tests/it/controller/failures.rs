//! What goes wrong is told on the instance, and nothing is tried without a pause.

use super::{Stand, collection, programs};
use crate::common::{GROUP, MERGE};
use serde_json::{Value, json};
use vci_testkit::{wait_for, yaml};

const TEMPLATES: &str = r#"
- metadata: {name: good}
  spec:
    versions:
    - version: 1.0.0
      parameters:
      - {variable: size, type: number, defaultValue: "1", min: 1, max: 3}
      template: {helmRelease: {values: "controlPlane: {statefulSet: {highAvailability: {replicas: {{ .Values.size }}}}}"}}
- metadata: {name: failing}
  spec: {template: {helmRelease: {values: '{{ fail "out of stock" }}'}}}
- metadata: {name: unscheduled}
  spec: {template: {helmRelease: {values: "sleep: {auto: {schedule: at night}}"}}}
"#;

/// An instance, and what is told of it: condition, reason, and words of the message.
const CASES: &str = r#"
- [no-such-template, {templateRef: {name: none}}, TemplateResolved, TemplateNotFound, 'template "none"']
- [no-such-version, {templateRef: {name: good, version: 2.x.x}}, TemplateResolved, VersionNotFound, 2.x.x]
- [bad-parameter, {templateRef: {name: good}, parameters: "size: 7"}, TemplateResolved, ErrorSyncingParameters, parameter size]
- [failing, {templateRef: {name: failing}}, TemplateResolved, ErrorRenderingTemplate, out of stock]
- [unscheduled, {templateRef: {name: unscheduled}}, TemplateResolved, ErrorModifyingTemplate, sleep.auto.schedule]
- [chart-not-allowed, {template: {helmRelease: {chart: {name: x, repo: "https://example.com"}}}}, VirtualClusterDeployed, ChartNotAllowed, --allowed-chart-repositories]
- [values-refused, {template: {helmRelease: {values: "controlPlan: {}"}}}, VirtualClusterDeployed, ChartValuesRefused, controlPlan]
- [taken, {template: {}, clusterRef: {namespace: taken}}, SpaceSynced, NamespaceNotManaged, loft.sh/vcluster-instance-name]
- [cluster-scoped, {template: {spaceTemplate: {objects: "{apiVersion: v1, kind: Namespace, metadata: {name: stolen}}"}}}, SpaceSynced, InvalidObjects, spaceTemplate.objects]
- [elsewhere, {template: {spaceTemplate: {objects: "{apiVersion: v1, kind: ConfigMap, metadata: {name: stolen, namespace: kube-system}}"}}}, SpaceSynced, InvalidObjects, kube-system]
- [starting, {templateRef: {name: good}}, VirtualClusterReady, VirtualClusterStarting, starting]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_where_people_look() {
    let Some((programs, helm, chart)) = programs() else { return };
    let stand = Stand::start(&programs, &helm, &chart).await;
    let (admin, host) = (stand.admin(), stand.host());
    stand.placeable().await;
    stand.project("blue", &["*"]).await;
    stand.project("red", &[]).await;
    host.post("/api/v1/namespaces", &json!({"metadata": {"name": "taken"}})).await.expect(201);
    for template in yaml(TEMPLATES).as_array().expect("a list") {
        admin.post(&format!("{GROUP}/virtualclustertemplates"), template).await.expect(201);
    }
    let cases = yaml(CASES);
    let cases = cases.as_array().expect("a list");
    for case in cases {
        let instance = json!({"metadata": {"name": case[0]}, "spec": case[1]});
        admin.post(&collection("blue"), &instance).await.expect(201);
    }
    let nowhere = json!({"metadata": {"name": "nowhere"}, "spec": {"template": {}}});
    admin.post(&collection("red"), &nowhere).await.expect(201);

    for case in cases {
        told(&stand, "blue", case).await;
    }
    told(&stand, "red", &json!(["nowhere", {}, "Scheduled", "NoClusterAvailable", "spec.allowedClusters"])).await;
    host.get("/api/v1/namespaces/stolen").await.expect(404);
    host.get("/api/v1/namespaces/kube-system/configmaps/stolen").await.expect(404);
    let taken = host.get("/api/v1/namespaces/taken").await.expect(200).json();
    assert!(taken["metadata"]["labels"].get("loft.sh/vcluster-instance-name").is_none(), "{taken}");
    nothing_is_written_without_a_cause(&stand).await;
    mended(&stand).await;
    gone(&stand, cases).await;
}

/// Waits until an instance tells of this, in its conditions, its phase and an event.
async fn told(stand: &Stand, project: &str, case: &Value) {
    let text = |index: usize| case[index].as_str().expect("a text").to_owned();
    let (name, condition, reason, words) = (text(0), text(2), text(3), text(4));
    let (admin, path) = (stand.admin(), format!("{}/{name}", collection(project)));
    wait_for(&format!("{name} to tell of {reason}"), async || {
        let status = admin.get(&path).await.json()["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|found| found["type"] == condition && found["reason"] == reason)
    })
    .await;
    let instance = admin.get(&path).await.expect(200).json();
    let phase = if reason == "VirtualClusterStarting" { "Pending" } else { "Failed" };
    assert_eq!((&instance["status"]["phase"], &instance["status"]["reason"]), (&json!(phase), &json!(reason)), "{instance}");
    assert!(instance["status"]["message"].as_str().is_some_and(|message| message.contains(&words)), "{instance}");
    let (host, of) =
        (stand.host(), format!("/apis/events.k8s.io/v1/namespaces/loft-p-{project}/events?fieldSelector=regarding.name={name}"));
    wait_for(&format!("an event about {name}"), async || {
        let events = host.get(&of).await.json();
        events["items"].as_array().is_some_and(|events| events.iter().any(|event| event["reason"] == reason))
    })
    .await;
}

/// Whatever fails is tried again; what is told of it does not change with that.
async fn nothing_is_written_without_a_cause(stand: &Stand) {
    let admin = stand.admin();
    let before = versions(&admin.get(&collection("blue")).await.expect(200).json());
    // Long enough for several attempts of each.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let after = versions(&admin.get(&collection("blue")).await.expect(200).json());
    assert_eq!(before, after);
}

fn versions(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| (text(&item["metadata"]["name"]), text(&item["metadata"]["resourceVersion"]))).collect()
}

/// What was told of is gone when it is mended, at once.
async fn mended(stand: &Stand) {
    let admin = stand.admin();
    let path = format!("{}/bad-parameter", collection("blue"));
    admin.patch(&path, MERGE, &json!({"spec": {"parameters": "size: 2"}})).await.expect(200);
    wait_for("the release", async || {
        let status = admin.get(&path).await.json()["status"].clone();
        status["phase"] == "Pending" && status["reason"] == "VirtualClusterStarting"
    })
    .await;
    let instance = admin.get(&path).await.expect(200).json();
    let values = instance["status"]["virtualCluster"]["helmRelease"]["values"].as_str().expect("values").to_owned();
    assert!(values.contains("replicas: 2"), "{values}");
    let place = &instance["spec"]["clusterRef"];
    assert_eq!(place, &json!({"cluster": "loft-cluster", "namespace": "loft-blue-v-bad-parameter", "virtualCluster": "bad-parameter"}));
    let set = stand.host().get("/apis/apps/v1/namespaces/loft-blue-v-bad-parameter/statefulsets/bad-parameter").await.expect(200).json();
    assert_eq!(set["spec"]["replicas"], 2, "{set}");
}

/// All of them can be deleted, whatever was wrong with them, and nothing is left but what was there before.
async fn gone(stand: &Stand, cases: &[Value]) {
    let (admin, host) = (stand.admin(), stand.host());
    for case in cases {
        let name = case[0].as_str().expect("a name");
        admin.delete(&format!("{}/{name}", collection("blue"))).await.expect(200);
    }
    wait_for("all instances to be gone", async || {
        admin.get(&collection("blue")).await.json()["items"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    let namespaces = host.get("/api/v1/namespaces").await.expect(200).json();
    let names: Vec<_> = namespaces["items"].as_array().expect("a list").iter().map(|item| item["metadata"]["name"].clone()).collect();
    assert!(!names.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with("loft-blue-v-"))), "{names:?}");
    assert!(names.contains(&json!("taken")), "{names:?}");
}
