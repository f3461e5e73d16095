//! Rules that look at more than one object: access keys and their secrets, templates of projects, what may not be deleted.

use crate::common::{GROUP, MERGE, every_store_with, instance};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::TestServer;
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
kind: VirtualClusterTemplate
metadata: {name: isolated}
spec:
  versions:
  - {version: 1.0.0, template: {helmRelease: {chart: {name: vcluster, version: 0.27.0}}}}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  allowedTemplates: [{kind: VirtualClusterTemplate, group: storage.loft.sh, name: isolated}]
  members:
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
";
const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";

fn of(server: &TestServer, user: &str) -> Client {
    server.anonymous(Protocol::Http2).bearer(&format!("{user}-key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_kept_nowhere() {
    let keys = format!("{GROUP}/ownedaccesskeys");
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (server, label) = (&stand.server, &stand.label);
        let (root, una) = (of(server, "root"), of(server, "una"));
        let mut watch = root.watch(&format!("{keys}?watch=1")).await;

        let made = una.post(&keys, &json!({"metadata": {"name": "ci"}, "spec": {"displayName": "CI"}})).await.expect(201);
        assert_eq!(made.header("warning"), "");
        let made = made.json();
        let secret = made["spec"]["key"].as_str().expect("the secret").to_owned();
        assert_eq!((secret.len(), &made["spec"]["user"]), (64, &json!("una")), "on {label}");
        let ci = server.anonymous(Protocol::Http2).bearer(&secret);
        wait_for("the key to open", async || ci.get(BLUE).await.status == 200).await;

        let told = "one-secret-that-una-has-made";
        let given = una.post(&keys, &json!({"metadata": {"name": "mine"}, "spec": {"key": told}})).await.expect(201).json();
        assert_eq!(given["spec"]["key"], told, "as the CLI prints it");
        let dry = una.post(&format!("{keys}?dryRun=All"), &json!({"metadata": {"name": "dry"}})).await.expect(201).json();
        assert_eq!(dry["spec"].get("key"), None, "it would open nothing");

        let next = "another-secret-of-una";
        let rotated = una.patch(&format!("{keys}/mine"), MERGE, &json!({"spec": {"key": next}})).await.expect(200).text();
        let mine = server.anonymous(Protocol::Http2).bearer(next);
        wait_for("the new secret to open", async || mine.get(BLUE).await.status == 200).await;
        server.anonymous(Protocol::Http2).bearer(told).get(BLUE).await.expect(401);

        let short = una.post(&keys, &json!({"metadata": {"name": "short"}, "spec": {"key": "short"}})).await.expect(201);
        assert!(short.header("warning").contains("fewer than 16 characters"), "{}", short.header("warning"));

        let mut seen = vec![rotated, una.get(&keys).await.expect(200).text(), root.get(&format!("{keys}/ci")).await.expect(200).text()];
        while seen.last().is_some_and(|event| !event.contains("\"name\":\"short\"")) {
            seen.push(watch.next().await.expect("an event").to_string());
        }
        for text in seen {
            assert!([secret.as_str(), told, next].iter().all(|secret| !text.contains(secret)), "on {label}: {text}");
        }
        una.post(&keys, &json!({"metadata": {"name": "foreign"}, "spec": {"user": "root"}})).await.expect(403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_says_which_templates() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let una = of(&stand.server, "una");
        let made = async |name: &str, spec: Value| una.post(BLUE, &json!({"metadata": {"name": name}, "spec": spec})).await;
        made("a", json!({"templateRef": {"name": "isolated", "version": "1.x.x"}})).await.expect(201);
        let refused = made("b", json!({})).await.expect(422).json();
        let cause =
            json!({"reason": "FieldValueRequired", "message": "Required value: must not be blank", "field": "spec.templateRef.name"});
        assert_eq!(refused["details"]["causes"], json!([cause]), "on {}", stand.label);
        let refused = made("b", json!({"templateRef": {"name": "t"}})).await.expect(422).json();
        assert_eq!(refused["details"]["causes"][0]["field"], "spec.templateRef.name");

        // Whoever asks beforehand is told the same.
        for (user, want) in [("una", false), ("root", true)] {
            let question = json!({"spec": {"resourceAttributes": {
                "verb": "create", "group": "management.loft.sh", "version": "v1", "resource": "virtualclusterinstances",
                "subresource": "restricted", "namespace": "loft-p-blue",
            }}});
            let review = of(&stand.server, user).post(&format!("{GROUP}/selfsubjectaccessreviews"), &question).await.expect(201).json();
            assert_eq!(review["status"]["allowed"], want, "{user}");
            let bare = of(&stand.server, user).post(BLUE, &json!({"metadata": {"name": "bare"}})).await;
            assert_eq!(bare.status == 201, want, "{user}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_are_thought_over() {
    let projects = format!("{GROUP}/projects");
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let root = of(&stand.server, "root");
        let mut body = instance("a");
        body["metadata"]["annotations"] = json!({"loft.sh/non-deletable": "true"});
        body["spec"]["templateRef"]["name"] = "isolated".into();
        root.post(BLUE, &body).await.expect(201);

        for query in ["", "?dryRun=All"] {
            let refused = root.delete(&format!("{BLUE}/a{query}")).await.expect(403).json();
            assert!(refused["message"].as_str().expect("a message").contains("loft.sh/non-deletable"), "{refused}");
        }
        root.delete(BLUE).await.expect(403);
        for query in ["", "?dryRun=All"] {
            let refused = root.delete(&format!("{projects}/blue{query}")).await.expect(409).json();
            let text = "the namespace \"loft-p-blue\" still holds virtualclusterinstances: a";
            assert!(refused["message"].as_str().expect("a message").ends_with(text), "{refused}");
        }

        let marks = json!({"metadata": {"annotations": {"loft.sh/non-deletable": null, "loft.sh/warn-deletion": "true"}}});
        root.patch(&format!("{BLUE}/a"), MERGE, &marks).await.expect(200);
        let gone = root.delete(&format!("{BLUE}/a")).await.expect(200);
        assert!(gone.header("warning").contains("loft.sh/warn-deletion"), "{}", gone.header("warning"));

        let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
        root.patch(&format!("{projects}/blue"), MERGE, &hold(json!(["example.com/f"]))).await.expect(200);
        root.delete(&format!("{projects}/blue")).await.expect(200);
        let refused = root.post(BLUE, &body).await.expect(403).json();
        assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating", "on {}", stand.label);
        root.patch(&format!("{projects}/blue"), MERGE, &hold(json!(null))).await.expect(200);
        wait_for("the namespace to be gone", async || root.post(BLUE, &body).await.status == 404).await;
    }
}
