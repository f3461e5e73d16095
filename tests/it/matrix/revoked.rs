//! Every sort of write, held in the middle of its body, by callers from whom something is taken before the rest is sent.
//!
//! What counts is what they are and may do when the body is there: whoever is not known any more is told 401, whoever may no
//! longer 403, and nothing of it is carried out.

use crate::common::{GROUP, MERGE, Stand, every_store_with};
use http::Method;
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::held::HeldRequest;
use vci_testkit::wait_for;

const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";
const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

/// What is taken from a caller.
struct Revocation {
    label: &'static str,
    /// The caller's User.
    user: Value,
    /// What the caller's key is beside being theirs.
    key: Value,
    /// The one request that takes it away, or more.
    taken: Vec<(Method, &'static str, Value)>,
    /// What the caller is told from then on.
    after: u16,
}

fn revocation(label: &'static str, user: Value, key: Value, taken: Vec<(Method, &'static str, Value)>, after: u16) -> Revocation {
    Revocation { label, user, key, taken, after }
}

/// Each of them has an administrator to be taken from. `USER` and `KEY` stand for the names.
fn revocations() -> Vec<Revocation> {
    let masters = || json!({"groups": ["system:masters"]});
    let patch = |path, spec: Value| vec![(Method::PATCH, path, json!({ "spec": spec }))];
    let delete = |path| vec![(Method::DELETE, path, Value::Null)];
    let (user, key) = ("users/USER", "ownedaccesskeys/KEY");
    vec![
        revocation("key deleted", masters(), json!({}), delete(key), 401),
        revocation("key of limited time deleted", masters(), json!({"ttl": 6000}), delete(key), 401),
        revocation("key disabled", masters(), json!({}), patch(key, json!({"disabled": true})), 401),
        revocation("key given another secret", masters(), json!({}), patch(key, json!({"key": "another-secret-of-KEY"})), 401),
        revocation("key at its end", masters(), json!({}), patch(key, json!({"ttl": 1})), 401),
        revocation("key narrowed", masters(), json!({}), patch(key, json!({"scope": {"projects": [{"project": "red"}]}})), 403),
        revocation("user disabled", masters(), json!({}), patch(user, json!({"disabled": true})), 401),
        revocation("user deleted", masters(), json!({}), delete(user), 401),
        revocation(
            "user deleted, and another of that name",
            masters(),
            json!({}),
            vec![
                (Method::DELETE, user, Value::Null),
                (Method::POST, "users", json!({"metadata": {"name": "USER"}, "spec": {"groups": ["system:masters"]}})),
            ],
            401,
        ),
        revocation("group taken away", masters(), json!({}), patch(user, json!({"groups": null})), 403),
        revocation(
            "role taken away",
            json!({"clusterRoles": [{"name": "loft-management-admin"}]}),
            json!({}),
            patch(user, json!({"clusterRoles": null})),
            403,
        ),
    ]
}

/// Every sort of write: method, path, media type, body; and whether everybody who is known may do it. `USER` is the caller.
fn writes() -> Vec<(&'static str, String, &'static str, Value, bool)> {
    let one = format!("{BLUE}/one");
    let object = |name: &str| {
        json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance",
        "metadata": {"name": name}, "spec": {"displayName": "changed", "templateRef": {"name": "t"}}})
    };
    let new = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let masters = json!({"groups": ["system:masters"]});
    let review = json!({"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
    let (users, keys) = (format!("{GROUP}/users"), format!("{GROUP}/ownedaccesskeys"));
    vec![
        ("POST", BLUE.into(), JSON, object("new"), false),
        ("PUT", one.clone(), JSON, object("one"), false),
        ("PATCH", one.clone(), MERGE, json!({"spec": {"displayName": "changed"}}), false),
        ("PATCH", format!("{one}/status"), MERGE, json!({"status": {"phase": "Changed"}}), false),
        ("PATCH", format!("{BLUE}/new?fieldManager=t"), APPLY, object("new"), false),
        ("DELETE", one, JSON, json!({"propagationPolicy": "Background"}), false),
        ("DELETE", BLUE.into(), JSON, json!({"propagationPolicy": "Background"}), false),
        ("POST", users.clone(), JSON, new("new", masters.clone()), false),
        ("PATCH", format!("{users}/USER"), MERGE, json!({"spec": masters}), false),
        ("POST", keys.clone(), JSON, new("new", json!({"user": "other"})), false),
        ("PATCH", format!("{keys}/other"), MERGE, json!({"spec": {"key": "a-secret-that-is-known"}}), false),
        ("POST", format!("{GROUP}/projects"), JSON, new("new", json!({})), false),
        ("POST", format!("{GROUP}/selves"), JSON, json!({"spec": {}}), true),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".into(), JSON, review.clone(), true),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews".into(), JSON, review, false),
    ]
}

const BOOTSTRAP: &str = "\
{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: other}}
---
{apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: other}, spec: {user: other, key: key-of-the-other}}
---
{apiVersion: management.loft.sh/v1, kind: Project, metadata: {name: blue}, spec: {requireTemplate: {disabled: true}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_while_a_body_is_held_counts_for_every_write() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let root = stand.server.admin(Protocol::Http2);
        root.post(BLUE, &json!({"metadata": {"name": "one"}, "spec": {}})).await.expect(201);
        let before = state(&root).await;
        for (number, revocation) in revocations().into_iter().enumerate() {
            let (user, key) = (format!("user-{number}"), format!("key-{number}"));
            let secret = format!("secret-of-caller-{number}");
            let caller = add(&stand, &root, &revocation, &user, &key, &secret).await;
            let mut held = Vec::new();
            for (method, path, media, body, for_all) in writes() {
                let (path, body) = (path.replace("USER", &user), body.to_string());
                let request = HeldRequest::begin(&stand.server, &secret, method, &path, media, &body).await;
                held.push((format!("{method} {path} {media}"), request, for_all));
            }
            for (method, path, body) in &revocation.taken {
                let named = |text: &str| text.replace("USER", &user).replace("KEY", &key);
                let media = if *method == Method::POST { JSON } else { MERGE };
                let (media, body) = if body.is_null() { (None, String::new()) } else { (Some(media), named(&body.to_string())) };
                let answer = root.request(method.clone(), &format!("{GROUP}/{}", named(path)), media, body).await;
                assert!(answer.status.is_success(), "{}: {}", revocation.label, answer.text());
            }
            wait_for(revocation.label, async || caller.get(&format!("{GROUP}/users")).await.status == revocation.after).await;
            for (what, request, for_all) in held {
                let (status, said) = request.finish().await;
                let want = if for_all && revocation.after == 403 { 201 } else { revocation.after };
                assert_eq!(status, want, "{}, on {}: {what}: {said}", revocation.label, stand.label);
            }
            root.request(Method::DELETE, &format!("{GROUP}/users/{user}"), None, "").await;
            root.request(Method::DELETE, &format!("{GROUP}/ownedaccesskeys/{key}"), None, "").await;
            assert_eq!(state(&root).await, before, "{}, on {}", revocation.label, stand.label);
        }
    }
}

/// Makes a caller, and waits until they are let in.
async fn add(stand: &Stand, root: &Client, revocation: &Revocation, user: &str, key: &str, secret: &str) -> Client {
    root.post(&format!("{GROUP}/users"), &json!({"metadata": {"name": user}, "spec": revocation.user})).await.expect(201);
    let mut spec = revocation.key.clone();
    spec["user"] = user.into();
    spec["key"] = secret.into();
    root.post(&format!("{GROUP}/ownedaccesskeys"), &json!({"metadata": {"name": key}, "spec": spec})).await.expect(201);
    let caller = stand.server.anonymous(Protocol::Http2).bearer(secret);
    wait_for("the caller to be let in", async || caller.get(&format!("{GROUP}/users")).await.status == 200).await;
    caller
}

/// All that the writes are about, without what reads change.
async fn state(root: &Client) -> Vec<Value> {
    let mut state = Vec::new();
    for path in [BLUE, &format!("{GROUP}/users"), &format!("{GROUP}/ownedaccesskeys"), &format!("{GROUP}/projects")] {
        let list = root.get(path).await.expect(200).json();
        for item in list["items"].as_array().expect("items") {
            state.push(json!([path, item["metadata"]["name"], item["spec"], item["status"]["phase"], item["status"]["keyHash"]]));
        }
    }
    state
}

/// Nothing is written to end a key's time: it goes on alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_while_a_body_is_held_makes_no_other() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let root = stand.server.admin(Protocol::Http2);
        root.post(&format!("{GROUP}/users"), &json!({"metadata": {"name": "brief"}})).await.expect(201);
        let spec = json!({"user": "brief", "key": "secret-for-a-short-time", "ttl": 8});
        root.post(&format!("{GROUP}/ownedaccesskeys"), &json!({"metadata": {"name": "brief"}, "spec": spec})).await.expect(201);
        let caller = stand.server.anonymous(Protocol::Http2).bearer("secret-for-a-short-time");
        wait_for("the key", async || caller.get("/version").await.status == 200).await;
        let endless = json!({"metadata": {"name": "endless"}, "spec": {"ttl": 1}}).to_string();
        let keys = format!("{GROUP}/ownedaccesskeys");
        let held = HeldRequest::begin(&stand.server, "secret-for-a-short-time", "POST", &keys, JSON, &endless).await;
        wait_for("the key's time to be over", async || caller.get("/version").await.status == 401).await;
        let (status, said) = held.finish().await;
        assert_eq!(status, 401, "on {}: {said}", stand.label);
        root.get(&format!("{keys}/endless")).await.expect(404);
    }
}
