//! Quotas of projects: how many instances a project, a user and a team may have, whoever asks, however many at once.

use crate::common::{BINARY, GROUP, MERGE, every_store_with, on_etcd};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol, Response};
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

const BOOTSTRAP: &str = "\
{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: root}, spec: {groups: [\"system:masters\"]}}
---
{apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: root}, spec: {user: root, key: root-key}}
---
{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: una}}
---
{apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: una}, spec: {user: una, key: una-key}}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  quotas: {project: {virtualclusterinstances: \"5\"}}
  requireTemplate: {disabled: true}
  allowedTemplates: [{kind: VirtualClusterTemplate, group: storage.loft.sh, name: \"*\"}]
  members:
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
";

const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";
const FORCE: &str = "sleepmode.loft.sh/force";

fn of(server: &TestServer, user: &str) -> Client {
    server.anonymous(Protocol::Http2).bearer(&format!("{user}-key"))
}

fn instance(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"templateRef": {"name": "t"}}})
}

async fn set_quotas(client: &Client, quotas: Value) {
    let cleared = json!({"spec": {"quotas": null}});
    client.patch(&format!("{GROUP}/projects/blue"), MERGE, &cleared).await.expect(200);
    client.patch(&format!("{GROUP}/projects/blue"), MERGE, &json!({"spec": {"quotas": quotas}})).await.expect(200);
}

async fn clear(client: &Client) {
    let list = client.get(BLUE).await.expect(200).json();
    for item in list["items"].as_array().expect("items") {
        client.delete(&format!("{BLUE}/{}", item["metadata"]["name"].as_str().expect("a name"))).await.expect(200);
    }
}

#[track_caller]
fn refused(response: Response, name: &str, why: &str) {
    let status = response.expect(422).json();
    let detail = format!("Forbidden: {why}");
    assert_eq!(status["message"], format!("VirtualClusterInstance.management.loft.sh \"{name}\" is invalid: metadata.name: {detail}"));
    assert_eq!((&status["reason"], &status["details"]["name"]), (&json!("Invalid"), &json!(name)));
    assert_eq!(status["details"]["causes"], json!([{"reason": "FieldValueForbidden", "message": detail, "field": "metadata.name"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refuse_and_the_status_tells() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (root, una) = (of(&stand.server, "root"), of(&stand.server, "una"));
        for number in 0..5 {
            una.post(BLUE, &instance(&format!("i-{number}"))).await.expect(201);
        }
        let full = "cannot create virtualclusterinstance, because project virtualclusterinstances limit of 5 would be exceeded";
        for client in [&root, &una] {
            refused(client.post(BLUE, &instance("sixth")).await, "sixth", full);
            refused(client.post(&format!("{BLUE}?dryRun=All"), &instance("sixth")).await, "sixth", full);
        }
        let apply = json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": {"name": "sixth"}});
        let applied = una.patch(&format!("{BLUE}/sixth?fieldManager=x"), "application/apply-patch+yaml", &apply).await;
        refused(applied, "sixth", full);
        let drawn =
            una.post(BLUE, &json!({"metadata": {"generateName": "drawn-"}, "spec": {"templateRef": {"name": "t"}}})).await.expect(422);
        assert!(drawn.text().contains(full), "{}", drawn.text());
        una.patch(&format!("{BLUE}/i-0"), MERGE, &json!({"spec": {"displayName": "x"}})).await.expect(200);

        // Raised and lowered: at once, and nothing goes.
        set_quotas(&root, json!({"project": {"virtualclusterinstances": "6"}})).await;
        una.post(BLUE, &instance("sixth")).await.expect(201);
        set_quotas(&root, json!({"project": {"virtualclusterinstances.active": "6"}, "user": {"virtualclusterinstances": "1"}})).await;
        let own = "cannot create virtualclusterinstance, because per-user virtualclusterinstances limit of 1 would be exceeded";
        set_quotas(&root, json!({"user": {"virtualclusterinstances": "1"}})).await;
        refused(una.post(BLUE, &instance("more")).await, "more", own);
        root.post(BLUE, &instance("of-root")).await.expect(201);
        let handed = json!({"spec": {"owner": {"user": "root"}}});
        let own = own.replace("create", "update");
        refused(root.patch(&format!("{BLUE}/i-1"), MERGE, &handed).await, "i-1", &own);

        // Who sleeps does not count, and is not woken when there is no room.
        set_quotas(&root, json!({"project": {"virtualclusterinstances.active": "7"}})).await;
        let asleep = |force: Value| json!({"metadata": {"annotations": {FORCE: force}}});
        let active = "because project virtualclusterinstances.active limit of 7 would be exceeded";
        refused(una.post(BLUE, &instance("more")).await, "more", &format!("cannot create virtualclusterinstance, {active}"));
        let mut whole = una.get(&format!("{BLUE}/i-2")).await.expect(200).json();
        whole["metadata"]["annotations"] = json!({FORCE: "true"});
        una.put(&format!("{BLUE}/i-2"), &whole).await.expect(200);
        una.post(BLUE, &instance("more")).await.expect(201);
        let woken = una.patch(&format!("{BLUE}/i-2"), MERGE, &asleep(Value::Null)).await;
        refused(woken, "i-2", &format!("cannot update virtualclusterinstance, {active}"));

        let used = json!({"virtualclusterinstances.active": "7"});
        wait_for("the status to tell what is used", async || {
            let project = root.get(&format!("{GROUP}/projects/blue")).await.expect(200).json();
            project["status"]["quotas"] == json!({"project": {"limit": used, "used": used}})
        })
        .await;
        una.delete(&format!("{BLUE}/more")).await.expect(200);
        una.patch(&format!("{BLUE}/i-2"), MERGE, &asleep(Value::Null)).await.expect(200);
    }
}

/// 32 at once over these servers, again and again: five are created, the others are told why not.
async fn race(servers: &[&TestServer], label: &str) {
    let clients: Vec<Client> = servers.iter().map(|server| of(server, "root")).collect();
    for round in 0..5 {
        let creators = (0..32).map(|number| {
            let client = clients[number % clients.len()].clone();
            tokio::spawn(async move { client.post(BLUE, &instance(&format!("i-{number}"))).await })
        });
        let mut created = 0;
        for creator in creators.collect::<Vec<_>>() {
            let answer = creator.await.expect("an answer");
            match answer.status.as_u16() {
                201 => created += 1,
                _ => assert!(answer.expect(422).text().contains("project virtualclusterinstances limit of 5 would be exceeded")),
            }
        }
        assert_eq!(created, 5, "round {round} on {label}");
        assert_eq!(clients[0].get(BLUE).await.expect(200).json()["items"].as_array().map(Vec::len), Some(5));
        clear(&clients[0]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_in_a_race() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.into());
    race(&[&TestServer::start(options).await], "embedded").await;
    for (label, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        options.bootstrap = Some(BOOTSTRAP.into());
        let (one, two) = (TestServer::start(options.clone()).await, TestServer::start(options).await);
        race(&[&one, &two], &label).await;
    }
}
