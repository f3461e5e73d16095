//! Who may do what: access keys, roles of a project, owners, access rules.

mod acting;
mod attacks;
mod keys;
mod owners;
mod reviews;

use crate::common::{GROUP, every_store_with};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::TestServer;

const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: adam}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: una}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: victor}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: olga}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: locked}
spec: {disabled: true}
---
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: devs}
spec: {users: [tina]}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: tina}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  requireTemplate: {disabled: true}
  members:
  - {kind: User, group: storage.loft.sh, name: adam, clusterRole: loft-management-project-admin}
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
  - {kind: Team, group: storage.loft.sh, name: devs, clusterRole: loft-management-project-user}
  - {kind: User, group: storage.loft.sh, name: victor, clusterRole: loft-management-project-viewer}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: red}
spec:
  members:
  - {kind: User, group: storage.loft.sh, name: olga, clusterRole: loft-management-project-admin}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: adam}
spec: {user: adam, key: key-of-adam}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: una}
spec: {user: una, key: key-of-una}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: victor}
spec: {user: victor, key: key-of-victor}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: tina}
spec: {user: tina, key: key-of-tina}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: olga}
spec: {user: olga, key: key-of-olga}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: locked}
spec: {user: locked, key: key-of-locked}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: off}
spec: {user: una, key: key-that-is-off, disabled: true}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: short}
spec: {user: una, key: key-that-expires, ttl: 1}
";

const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";

fn of(server: &TestServer, user: &str) -> Client {
    server.anonymous(Protocol::Http2).bearer(&format!("key-of-{user}"))
}

#[allow(clippy::needless_pass_by_value, reason = "it is called with json! literals")]
fn object(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

async fn names(client: &Client, path: &str) -> Vec<String> {
    let list = client.get(path).await.expect(200).json();
    list["items"].as_array().expect("items").iter().map(|i| i["metadata"]["name"].as_str().unwrap_or("").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_or_do_not() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let server = &stand.server;
        let plain = server.anonymous(Protocol::Http1);
        for key in ["nobody", "key-that-is-off", "key-of-locked", "", "key-of-una extra"] {
            let response = plain.bearer(key).get(BLUE).await;
            assert_eq!(response.status.as_u16(), 401, "{key:?} on {}", stand.label);
            assert_eq!(response.json()["reason"], "Unauthorized");
        }
        plain.get(BLUE).await.expect(401);
        plain.get("/healthz").await.expect(200);
        plain.get("/version").await.expect(200);
        plain.bearer("nobody").get("/version").await.expect(401);
        for scheme in ["Bearer", "bearer", "BEARER"] {
            plain.header(http::header::AUTHORIZATION, &format!("{scheme} key-of-una")).get(BLUE).await.expect(200);
        }
        plain.header(http::header::AUTHORIZATION, "Basic a2V5LW9mLXVuYQ==").get(BLUE).await.expect(401);
        vci_testkit::wait_for("the key to expire", async || plain.bearer("key-that-expires").get(BLUE).await.status == 401).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_owners_and_rules_decide() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let server = &stand.server;
        let (adam, una, victor, tina, olga) =
            (of(server, "adam"), of(server, "una"), of(server, "victor"), of(server, "tina"), of(server, "olga"));

        // The creator owns what names no owner.
        let created = una.post(BLUE, &object("mine", json!({}))).await.expect(201).json();
        assert_eq!(created["spec"]["owner"], json!({"user": "una"}));
        tina.post(BLUE, &object("team", json!({"owner": {"team": "devs"}}))).await.expect(201);
        adam.post(
            BLUE,
            &object(
                "shared",
                json!({"access": [{"verbs": ["get", "update", "patch"], "users": ["victor"]}, {"verbs": ["get"], "teams": ["devs"]}]}),
            ),
        )
        .await
        .expect(201);
        victor.post(BLUE, &object("never", json!({}))).await.expect(403);
        olga.post(BLUE, &object("never", json!({}))).await.expect(403);

        assert_eq!(names(&adam, BLUE).await, ["mine", "shared", "team"]);
        assert_eq!(names(&una, BLUE).await, ["mine"]);
        assert_eq!(names(&tina, BLUE).await, ["shared", "team"]);
        assert_eq!(names(&victor, BLUE).await, ["shared"]);
        assert_eq!(names(&victor, &format!("{GROUP}/virtualclusterinstances")).await, ["shared"]);

        // Outside the project nothing can be told apart.
        for name in ["mine", "absent"] {
            let denied = olga.get(&format!("{BLUE}/{name}")).await.expect(403).json();
            let text = denied["message"].as_str().unwrap_or("").to_owned();
            let want = format!(
                "virtualclusterinstances.management.loft.sh \"{name}\" is forbidden: User \"olga\" cannot get resource \"virtualclusterinstances\" in API group \"management.loft.sh\" in the namespace \"loft-p-blue\""
            );
            assert!(text.starts_with(&want), "{text}");
        }
        olga.get(BLUE).await.expect(403);
        assert_eq!(olga.watch(&format!("{BLUE}?watch=1")).await.status.as_u16(), 403);

        // Inside, a member is told what is missing and what is not theirs.
        una.get(&format!("{BLUE}/absent")).await.expect(404);
        una.get(&format!("{BLUE}/shared")).await.expect(403);
        let rename = json!({"spec": {"displayName": "renamed"}});
        let merge = crate::common::MERGE;
        victor.patch(&format!("{BLUE}/shared"), merge, &rename).await.expect(200);
        tina.patch(&format!("{BLUE}/shared"), merge, &rename).await.expect(403);
        victor.delete(&format!("{BLUE}/shared")).await.expect(403);
        una.delete(&format!("{BLUE}/team")).await.expect(403);
        tina.delete(&format!("{BLUE}/team")).await.expect(200);
        una.delete(&format!("{BLUE}/mine")).await.expect(200);
        adam.delete(&format!("{BLUE}/shared")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_what_is_granted_and_takes_back_what_no_longer_is() {
    let mut stands = every_store_with(Some(BOOTSTRAP)).await;
    let stand = stands.remove(0);
    let (adam, victor) = (of(&stand.server, "adam"), of(&stand.server, "victor"));
    let mut watch = victor.watch(&format!("{BLUE}?watch=1&timeoutSeconds=60")).await;
    adam.post(BLUE, &object("w", json!({}))).await.expect(201);
    let share = |users: Value| json!({"spec": {"access": [{"verbs": ["get"], "users": users}]}});
    let merge = crate::common::MERGE;
    adam.patch(&format!("{BLUE}/w"), merge, &share(json!(["victor"]))).await.expect(200);
    adam.patch(&format!("{BLUE}/w"), merge, &share(json!(["una"]))).await.expect(200);
    let kinds: Vec<String> = [watch.next().await, watch.next().await]
        .into_iter()
        .map(|event| event.map(|e| e["type"].as_str().unwrap_or("").to_owned()).unwrap_or_default())
        .collect();
    assert_eq!(kinds, ["ADDED", "DELETED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere_to_be_read() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let stand = &stands[0];
    let server = &stand.server;
    let admin = server.admin(Protocol::Http2);
    of(server, "una").get(BLUE).await.expect(200);
    for path in ["users", "teams", "projects", "ownedaccesskeys", "ownedaccesskeys/una"] {
        let response = admin.get(&format!("{GROUP}/{path}")).await;
        assert!(!response.text().contains("key-of-una"), "{path} shows a key");
    }
    let logs = server.logs();
    let admin_key = server.admin_token();
    assert!(!logs.contains("key-of-") && !logs.contains(&admin_key), "the log shows a key");
    for entry in std::fs::read_dir(server.data_dir()).expect("the data folder") {
        let file = entry.expect("an entry").path();
        if file.is_file() && file.file_name().is_some_and(|name| name != "admin.kubeconfig") {
            let bytes = std::fs::read(&file).expect("a readable file");
            let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds("key-of-una") && !holds(&admin_key), "{} holds a key", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_needs_a_project() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let admin = stands[0].server.admin(Protocol::Http2);
    let nowhere = format!("{GROUP}/namespaces/loft-p-nowhere/virtualclusterinstances");
    let missing = admin.post(&nowhere, &object("a", json!({}))).await.expect(404).json();
    assert_eq!(missing["message"], "namespaces \"loft-p-nowhere\" not found");
    assert_eq!(names(&admin, &nowhere).await, Vec::<String>::new());
    let namespaces = names(&of(&stands[0].server, "olga"), "/api/v1/namespaces").await;
    assert_eq!(namespaces, ["loft-p-red"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_raises_their_own_rights() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let server = &stand.server;
        let (adam, una, victor, tina) = (of(server, "adam"), of(server, "una"), of(server, "victor"), of(server, "tina"));
        let merge = crate::common::MERGE;
        let apply = "application/apply-patch+yaml";

        // Who creates names themselves or their team as the owner; a project's admin names anybody.
        for owner in
            [json!({"user": "adam"}), json!({"user": "nobody-yet"}), json!({"team": "devs"}), json!({"user": "una", "team": "devs"})]
        {
            let denied = una.post(BLUE, &object("not-mine", json!({"owner": owner}))).await;
            assert_eq!(denied.status.as_u16(), 403, "{owner} on {}: {}", stand.label, denied.text());
            assert!(denied.text().contains("spec.owner"), "{}", denied.text());
            let named = json!({"name": "not-mine"});
            let whole = json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": named, "spec": {"owner": owner}});
            una.patch(&format!("{BLUE}/not-mine?fieldManager=x"), apply, &whole).await.expect(403);
        }
        una.post(BLUE, &object("mine", json!({"owner": {"user": "una"}}))).await.expect(201);
        tina.post(BLUE, &object("ours", json!({"owner": {"team": "devs"}}))).await.expect(201);
        let rules = json!([{"verbs": ["*"], "subresources": ["*"], "users": ["victor"]}]);
        let handed = object("handed", json!({"owner": {"user": "una"}, "access": rules}));
        let handed = adam.post(BLUE, &handed).await.expect(201).json();

        // A grantee of everything changes everything but who owns the object and who may do what with it.
        let path = format!("{BLUE}/handed");
        victor.patch(&path, merge, &json!({"spec": {"displayName": "x"}})).await.expect(200);
        let attempts = [
            json!({"owner": {"user": "victor"}}),
            json!({"owner": {"user": "una", "team": "devs"}}),
            json!({"access": [{"verbs": ["*"], "users": ["victor", "olga"]}]}),
            json!({"extraAccessRules": [{"users": ["victor"], "clusterRole": "cluster-admin"}]}),
            json!({"template": {"access": {"defaultClusterRole": "cluster-admin"}}}),
            json!({"access": null}),
        ];
        for spec in attempts {
            let denied = victor.patch(&path, merge, &json!({"spec": spec})).await;
            assert_eq!(denied.status.as_u16(), 403, "{spec} on {}: {}", stand.label, denied.text());
            assert_eq!(denied.json()["reason"], "Forbidden");
            let mut whole = victor.get(&path).await.expect(200).json();
            for (field, value) in spec.as_object().expect("a map") {
                whole["spec"][field] = value.clone();
            }
            victor.put(&path, &whole).await.expect(403);
            whole["metadata"] = json!({"name": "handed"});
            whole.as_object_mut().expect("a map").remove("status");
            let forced = victor.patch(&format!("{path}?fieldManager=x&force=true"), apply, &whole).await;
            assert!(forced.status == 403 || spec.as_object().is_some_and(|map| map.values().all(Value::is_null)), "{}", forced.text());
            let test = json!([{"op": "replace", "path": "/spec/owner", "value": {"user": "victor"}}]);
            victor.patch(&path, crate::common::JSON_PATCH, &test).await.expect(403);
        }
        let kept = adam.get(&path).await.expect(200).json();
        for field in ["owner", "access"] {
            assert_eq!(kept["spec"][field], handed["spec"][field], "on {}", stand.label);
        }

        // The owner, and a project's admin, do.
        una.patch(&path, merge, &json!({"spec": {"access": [{"verbs": ["get"], "users": ["victor"]}]}})).await.expect(200);
        una.patch(&path, merge, &json!({"spec": {"owner": {"user": "tina"}}})).await.expect(403);
        let consent = json!({"spec": {"access": [{"verbs": ["makeowner"], "users": ["una"]}]}});
        server.admin(Protocol::Http2).patch(&format!("{GROUP}/users/tina"), merge, &consent).await.expect(200);
        una.patch(&path, merge, &json!({"spec": {"owner": {"user": "tina"}}})).await.expect(200);
        una.patch(&path, merge, &json!({"spec": {"owner": {"user": "una"}}})).await.expect(403);
        adam.patch(&path, merge, &json!({"spec": {"owner": {"user": "una"}}})).await.expect(200);
        for name in ["handed", "mine", "ours"] {
            adam.delete(&format!("{BLUE}/{name}")).await.expect(200);
        }
    }
}
