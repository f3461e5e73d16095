//! Keys of one's own: who makes them, how long they are good, what they are narrowed to.

use super::{BLUE, BOOTSTRAP, object, of};
use crate::common::{BINARY, GROUP, MERGE, Stand, every_store_with};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

fn keys(name: &str) -> String {
    if name.is_empty() { format!("{GROUP}/ownedaccesskeys") } else { format!("{GROUP}/ownedaccesskeys/{name}") }
}

fn with(server: &TestServer, key: &str) -> Client {
    server.anonymous(Protocol::Http2).bearer(key)
}

async fn good(client: &Client) -> bool {
    client.get(BLUE).await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_their_own_keys_to_themselves() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, adam, admin) = (of(&stand.server, "una"), of(&stand.server, "adam"), stand.server.admin(Protocol::Http2));
        let made =
            una.post(&keys(""), &json!({"metadata": {"name": "spare"}, "spec": {"key": "una-spare-secret"}})).await.expect(201).json();
        assert_eq!(made["spec"]["user"], "una", "on {}", stand.label);
        let spare = with(&stand.server, "una-spare-secret");
        wait_for("the key", async || good(&spare).await).await;
        let names = super::names(&una, &keys("")).await;
        assert_eq!(names, ["off", "short", "spare", "una"], "on {}", stand.label);
        una.get(&keys("adam")).await.expect(403);
        una.patch(&keys("adam"), MERGE, &json!({"spec": {"disabled": true}})).await.expect(403);
        una.delete(&keys("adam")).await.expect(403);
        adam.get(&keys("spare")).await.expect(403);
        for spec in [json!({"user": "adam", "key": "x1"}), json!({"team": "devs", "key": "x2"})] {
            una.post(&keys(""), &json!({"metadata": {"name": "wrong"}, "spec": spec})).await.expect(403);
        }
        // What the server says of a key is not for its holder to say.
        for status in [json!({"keyHash": "0".repeat(64)}), json!({"lastActivity": "2099-01-01T00:00:00Z"})] {
            una.patch(&format!("{}/status", keys("spare")), MERGE, &json!({"status": status})).await.expect(403);
            let kept = una.patch(&keys("spare"), MERGE, &json!({"status": status})).await.expect(200).json();
            assert_ne!(kept["status"]["keyHash"], json!("0".repeat(64)));
            assert_ne!(kept["status"]["lastActivity"], json!("2099-01-01T00:00:00Z"));
        }
        una.patch(&keys("spare"), MERGE, &json!({"spec": {"disabled": true}})).await.expect(200);
        wait_for("the key to be off", async || !good(&spare).await).await;
        una.delete(&keys("spare")).await.expect(200);
        // Nobody but admins makes and sees the keys of teams: a key outlives that somebody is a member.
        admin.post(&keys(""), &json!({"metadata": {"name": "devs"}, "spec": {"team": "devs", "key": "key-of-devs"}})).await.expect(201);
        let devs = with(&stand.server, "key-of-devs");
        wait_for("the team's key", async || good(&devs).await).await;
        of(&stand.server, "tina").get(&keys("devs")).await.expect(403);
        devs.post(&keys(""), &json!({"metadata": {"name": "another"}, "spec": {"key": "x3"}})).await.expect(403);
        // All that is one's own can be deleted at once, and nothing else.
        una.delete(&keys("")).await.expect(200);
        wait_for("the key that was used to be gone as well", async || una.get("/version").await.status == 401).await;
        let left = super::names(&admin, &keys("")).await;
        assert!(["off", "short", "una"].iter().all(|gone| !left.contains(&(*gone).to_owned())), "{left:?} on {}", stand.label);
        assert!(left.contains(&"adam".to_owned()) && left.contains(&"devs".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_repeats_a_secret() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let una = of(&stands[0].server, "una");
    let (json, yaml) = (Some("application/json"), Some("application/yaml"));
    let (merge, strategic) = (Some(MERGE), Some("application/strategic-merge-patch+json"));
    let wrong_type = r#"{"spec":{"key":"s3cret-s3cret-s3cret","ttl":"x"}}"#;
    let selves = format!("{GROUP}/selves");
    for (method, path, media_type, body) in [
        (Method::POST, keys(""), json, r#"{"spec":{"key":"s3cret" x"#),
        (Method::POST, keys(""), yaml, "key: [s3cret}"),
        (Method::POST, keys(""), json, wrong_type),
        (Method::PATCH, keys("una"), merge, wrong_type),
        (Method::PATCH, keys("una"), strategic, wrong_type),
        (Method::POST, selves.clone(), json, r#"{"spec":{"accessKey":"s3cret" x"#),
        (Method::POST, selves, yaml, "key: [s3cret}"),
    ] {
        let answer = una.request(method.clone(), &path, media_type, body.to_owned()).await;
        let text = answer.text();
        assert!((400..500).contains(&answer.status.as_u16()), "{method} {path} {body}: {text}");
        let in_hex: String = b"s3cret".iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains("s3cret") && !text.contains(&in_hex), "{method} {path} {body}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_makes_one_that_gives_more() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let una = of(&stand.server, "una");
        let make = |name: &str, limits: Value| {
            let mut spec = json!({"key": format!("secret-{name}")});
            spec.as_object_mut().expect("a map").extend(limits.as_object().expect("a map").clone());
            json!({"metadata": {"name": name}, "spec": spec})
        };
        una.post(&keys(""), &make("brief", json!({"ttl": 600}))).await.expect(201);
        let rules = json!([{"resources": [{"group": "management.loft.sh", "resources": ["ownedaccesskeys"]}]}]);
        una.post(&keys(""), &make("narrow", json!({"scope": {"rules": rules}}))).await.expect(201);
        let (brief, narrow) = (with(&stand.server, "secret-brief"), with(&stand.server, "secret-narrow"));
        wait_for("the keys", async || narrow.get(&keys("")).await.status == 200 && good(&brief).await).await;
        brief.post(&keys(""), &make("longer", json!({}))).await.expect(403);
        brief.post(&keys(""), &make("longer", json!({"ttl": 6000}))).await.expect(403);
        brief.post(&keys(""), &make("shorter", json!({"ttl": 60}))).await.expect(201);
        for spec in [json!({"ttl": 0}), json!({"ttl": null}), json!({"ttl": 6000}), json!({"ttlAfterLastActivity": true})] {
            brief.patch(&keys("brief"), MERGE, &json!({"spec": spec})).await.expect(403);
        }
        // A key that lasts is not taken over by giving it another secret, nor brought back.
        brief.patch(&keys("una"), MERGE, &json!({"spec": {"key": "taken-over"}})).await.expect(403);
        brief.patch(&keys("off"), MERGE, &json!({"spec": {"disabled": false}})).await.expect(403);
        brief.patch(&keys("una"), MERGE, &json!({"spec": {"displayName": "mine"}})).await.expect(200);
        narrow.get(BLUE).await.expect(403);
        narrow.post(&keys(""), &make("broader", json!({}))).await.expect(403);
        narrow.patch(&keys("narrow"), MERGE, &json!({"spec": {"scope": null}})).await.expect(403);
        narrow.post(&keys(""), &make("same", json!({"scope": {"rules": rules}}))).await.expect(201);
    }
}

/// Somebody may be given the name of one who has left. The keys stay with the one who has left.
#[tokio::test(flavor = "multi_thread")]
async fn keys_go_with_their_holder_and_not_with_the_name() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (server, admin) = (&stand.server, stand.server.admin(Protocol::Http2));
        for (plural, name, holder) in [("users", "victor", "user"), ("teams", "devs", "team")] {
            let label = format!("{plural}/{name} on {}", stand.label);
            let secret = |which: &str| format!("{which}-secret-of-{name}");
            let key = |which: &str| json!({"metadata": {"name": format!("{which}-{name}")}, "spec": {holder: name, "key": secret(which)}});
            let made = admin.post(&keys(""), &key("old")).await.expect(201).json();
            let object = admin.get(&format!("{GROUP}/{plural}/{name}")).await.expect(200).json();
            assert_eq!(made["status"]["holderUID"], object["metadata"]["uid"], "{label}");
            let old = with(server, &secret("old"));
            wait_for("the key", async || good(&old).await).await;
            admin.delete(&format!("{GROUP}/{plural}/{name}")).await.expect(200);
            // At once, so that what cleans up comes too late.
            admin.post(&format!("{GROUP}/{plural}"), &json!({"metadata": {"name": name}})).await.expect(201);
            admin.post(&keys(""), &key("new")).await.expect(201);
            let new = with(server, &secret("new"));
            wait_for("the new one's key", async || good(&new).await).await;
            assert_eq!(old.get("/version").await.status, 401, "{label}");
            wait_for("the old one's keys to be gone", async || admin.get(&keys(&format!("old-{name}"))).await.status == 404).await;
            assert!(good(&new).await, "{label}");
        }
        wait_for("keys that were there from the start to be gone", async || admin.get(&keys("victor")).await.status == 404).await;
        for spec in [json!({"user": "nobody"}), json!({"team": "nobody"})] {
            admin.post(&keys(""), &json!({"metadata": {"name": "nobodys"}, "spec": spec})).await.expect(422);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_how_long_keys_last() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    options.flags = ["--access-key-max-ttl", "1h"].map(str::to_owned).to_vec();
    let server = TestServer::start(options).await;
    // The operator's own keys, of a file and of the administrator's kubeconfig, are good.
    let (una, admin) = (of(&server, "una"), server.admin(Protocol::Http2));
    let make = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    for client in [&una, &admin] {
        for spec in [json!({}), json!({"ttl": 3601}), json!({"ttl": 60, "ttlAfterLastActivity": true})] {
            let mut spec = spec;
            spec["user"] = "una".into();
            let refused = client.post(&keys(""), &make("long", spec.clone())).await.expect(422);
            assert!(refused.text().contains("spec.ttl") && refused.text().contains("3600"), "{spec}: {}", refused.text());
        }
    }
    una.post(&keys(""), &make("hourly", json!({"ttl": 3600}))).await.expect(201);
    una.patch(&keys("hourly"), MERGE, &json!({"spec": {"ttl": 7200}})).await.expect(422);
    una.patch(&keys("una"), MERGE, &json!({"spec": {"displayName": "older"}})).await.expect(200);
    una.patch(&keys("una"), MERGE, &json!({"spec": {"key": "another-secret-of-una"}})).await.expect(422);
}

/// Long enough that no machine is too slow to use the key in time.
const MAY_LIE_IDLE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_lie_idle_is_good_as_long_as_it_is_used() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    futures::future::join_all(stands.into_iter().map(is_good_as_long_as_it_is_used)).await;
}

async fn is_good_as_long_as_it_is_used(mut stand: Stand) {
    let admin = stand.server.admin(Protocol::Http2);
    let spec = json!({"user": "una", "key": "idle-secret", "ttl": MAY_LIE_IDLE.as_secs(), "ttlAfterLastActivity": true});
    admin.post(&keys(""), &json!({"metadata": {"name": "idle"}, "spec": spec})).await.expect(201);
    let idle = with(&stand.server, "idle-secret");
    wait_for("the key", async || good(&idle).await).await;
    let begin = Instant::now();
    while begin.elapsed() < MAY_LIE_IDLE + Duration::from_secs(2) {
        assert!(good(&idle).await, "in use after {:?} on {}", begin.elapsed(), stand.label);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let last_activity = async |admin: &Client| {
        admin.get(&keys("idle")).await.expect(200).json()["status"]["lastActivity"].as_str().unwrap_or("").to_owned()
    };
    let last = last_activity(&admin).await;
    assert!(last.ends_with('Z'), "stored while it is used: {last:?} on {}", stand.label);
    // What was not stored yet is stored at the end: the key is still good for the next server.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(good(&idle).await);
    assert!(stand.server.stop().await.success());
    stand.server.restart().await;
    let (idle, admin) = (with(&stand.server, "idle-secret"), stand.server.admin(Protocol::Http2));
    let after = last_activity(&admin).await;
    assert!(after > last, "{after} after {last} on {}", stand.label);
    wait_for("the key to be over, unused", async || {
        tokio::time::sleep(MAY_LIE_IDLE + Duration::from_secs(1)).await;
        !good(&idle).await
    })
    .await;
    let keys_of_all = admin.get(&keys("")).await.expect(200).text();
    assert!(!keys_of_all.contains("idle-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_what_its_scope_says() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let server = &stands[0].server;
    let admin = server.admin(Protocol::Http2);
    let adam = of(server, "adam");
    for name in ["x", "y"] {
        adam.post(BLUE, &object(name, json!({}))).await.expect(201);
    }
    let selves = format!("{GROUP}/selves");
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (x, y, project, user) = (format!("{BLUE}/x"), format!("{BLUE}/y"), format!("{GROUP}/projects/blue"), format!("{GROUP}/users/adam"));
    let rule = |verbs: Value, names: Value| {
        json!({"rules": [{"verbs": verbs, "namespaces": ["loft-p-blue"],
            "resources": [{"group": "management.loft.sh", "resources": ["virtualclusterinstances"], "resourceNames": names}]}]})
    };
    // scope; then GET of x, y, the collection, the project, the user, DELETE of y
    let table = [
        (json!({"projects": [{"project": "blue"}]}), [200, 200, 200, 200, 403, 200]),
        (json!({"projects": [{"project": "red"}]}), [403, 403, 403, 403, 403, 403]),
        (json!({"projects": [{"project": "*"}]}), [200, 200, 200, 200, 403, 200]),
        (json!({"virtualClusters": [{"project": "blue", "virtualCluster": "x"}]}), [200, 403, 403, 403, 403, 403]),
        (json!({"virtualClusters": [{"project": "blue", "virtualCluster": "*"}]}), [200, 200, 200, 200, 403, 200]),
        (json!({"roles": [{"role": "loft-cli"}]}), [200, 200, 200, 200, 200, 403]),
        (json!({"allowLoftCli": true}), [200, 200, 200, 200, 200, 403]),
        (json!({"roles": [{"role": "loft-cli", "projects": ["red"]}]}), [403, 403, 403, 403, 403, 403]),
        (json!({"roles": [{"role": "vcluster", "projects": ["blue"], "virtualClusters": ["x"]}]}), [200, 403, 403, 200, 403, 403]),
        (json!({"roles": [{"role": "agent"}]}), [403, 403, 403, 403, 403, 403]),
        (json!({"clusters": [{"cluster": "*"}]}), [403, 403, 403, 403, 403, 403]),
        (rule(json!(["get"]), json!(["x"])), [200, 403, 403, 403, 403, 403]),
        (rule(json!(["get", "list"]), json!([])), [200, 200, 200, 403, 403, 403]),
        (rule(json!([]), json!([])), [200, 200, 200, 403, 403, 200]),
        (json!({"rules": [{"requestTargets": ["Cluster"]}]}), [403, 403, 403, 403, 403, 403]),
        (json!({}), [403, 403, 403, 403, 403, 403]),
    ];
    for (index, (scope, want)) in table.into_iter().enumerate() {
        let (name, secret) = (format!("scoped-{index}"), format!("scoped-secret-{index}"));
        admin
            .post(&keys(""), &json!({"metadata": {"name": name}, "spec": {"user": "adam", "key": secret, "scope": scope}}))
            .await
            .expect(201);
        let scoped = with(server, &secret);
        wait_for("the key", async || scoped.get("/version").await.status == 200).await;
        let mut got = Vec::new();
        for path in [&x, &y, &BLUE.to_owned(), &project, &user] {
            got.push(scoped.get(path).await.status.as_u16());
        }
        got.push(scoped.delete(&format!("{y}?dryRun=All")).await.status.as_u16());
        assert_eq!(got, want, "{scope}");
        // Who they are and what they may do is known to everybody who is known.
        scoped.post(whoami, &json!({})).await.expect(201);
        if admin.post(&selves, &json!({})).await.status == 201 {
            scoped.post(&selves, &json!({})).await.expect(201);
        }
        scoped.header(http::HeaderName::from_static("impersonate-user"), "adam").get(&x).await.expect(403);
        admin.delete(&keys(&name)).await.expect(200);
        wait_for("the key to be gone", async || scoped.get("/version").await.status == 401).await;
    }
}

/// A virtual cluster calls with a key of its own, as long as its instance is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_cluster_has_keys_of_its_own() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, admin) = (of(&stand.server, "una"), stand.server.admin(Protocol::Http2));
        for name in ["one", "two"] {
            una.post(BLUE, &object(name, json!({}))).await.expect(201);
        }
        let ask = async || {
            let answer = una.get(&format!("{BLUE}/one/accesskey")).await.expect(200).json();
            assert_eq!((&answer["kind"], &answer["metadata"]["name"]), (&json!("VirtualClusterAccessKey"), &json!("one")));
            answer["accessKey"].as_str().expect("a key").to_owned()
        };
        of(&stand.server, "tina").get(&format!("{BLUE}/one/accesskey")).await.expect(403);
        let first = ask().await;
        let cluster = with(&stand.server, &first);

        let told = cluster.post(&format!("{GROUP}/selves"), &json!({})).await.expect(201).json()["status"].clone();
        assert_eq!(told["subject"], "loft:vcluster:loft-p-blue:one", "on {}", stand.label);
        assert_eq!((told.get("user"), told.get("team")), (None, None));
        let role = json!({"role": "vcluster", "projects": ["blue"], "virtualClusters": ["one"]});
        assert_eq!(told["accessKeyScope"], json!({"roles": [role]}));
        cluster.get(&format!("{BLUE}/one")).await.expect(200);
        cluster.get(&format!("{BLUE}?fieldSelector=metadata.name%3Done")).await.expect(200);
        for path in [&format!("{BLUE}/two"), &format!("{BLUE}/one/accesskey"), BLUE, &format!("{GROUP}/projects/blue"), &keys("")] {
            cluster.get(path).await.expect(403);
        }
        let change = json!({"metadata": {"annotations": {"a": "b"}}});
        cluster.patch(&format!("{BLUE}/one"), MERGE, &change).await.expect(403);
        cluster.patch(&format!("{BLUE}/one/status"), MERGE, &json!({"status": {"phase": "Ready"}})).await.expect(403);
        cluster.delete(&format!("{BLUE}/one")).await.expect(403);
        cluster.post(BLUE, &object("three", json!({}))).await.expect(403);
        cluster.post(&keys(""), &json!({"metadata": {"name": "more"}, "spec": {}})).await.expect(403);

        // Earlier keys stay good. There is an end to how many there are, and the one that is used is not the one that goes.
        let mut all = vec![first];
        for _ in 0..20 {
            all.push(ask().await);
            cluster.get(&format!("{BLUE}/one")).await.expect(200);
        }
        let uid = una.get(&format!("{BLUE}/one")).await.expect(200).json()["metadata"]["uid"].as_str().expect("a UID").to_owned();
        let held = admin.get(&format!("{}?labelSelector=loft.sh%2Fvcluster%3D{uid}", keys(""))).await.expect(200).json();
        assert_eq!(held["items"].as_array().map(Vec::len), Some(16), "on {}", stand.label);
        let text = held.to_string();
        assert!(all.iter().all(|secret| !text.contains(secret)), "they are nowhere but in the answers");
        with(&stand.server, all.last().expect("a key")).get(&format!("{BLUE}/one")).await.expect(200);
        // They are nobody's to read but administrators'.
        let last = held["items"][0]["metadata"]["name"].as_str().expect("a name").to_owned();
        una.get(&keys(&last)).await.expect(403);

        una.delete(&format!("{BLUE}/one")).await.expect(200);
        una.post(BLUE, &object("one", json!({}))).await.expect(201);
        wait_for("the keys to be void", async || cluster.get(&format!("{BLUE}/one")).await.status == 401).await;
        wait_for("the keys to be gone", async || {
            let left = admin.get(&format!("{}?labelSelector=loft.sh%2Fvcluster", keys(""))).await.expect(200).json();
            left["items"].as_array().is_some_and(Vec::is_empty)
        })
        .await;
    }
}
