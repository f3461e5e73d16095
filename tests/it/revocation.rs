//! What is taken from a caller is taken from watches that are open, on every replica.

use crate::common::{BINARY, GROUP, MERGE, on_etcd};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vci_testkit::client::{Client, Protocol, Watch};
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::{ServerOptions, TestServer};

/// Within this time a change has its effect on the slowest machine, and long before anything else would end a watch.
const BOUND: Duration = vci_testkit::PATIENCE;
const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";

/// Servers on one store: changes are made through the first, watches are open on the last.
struct Cluster {
    label: String,
    servers: Vec<TestServer>,
    _etcd: Option<Etcd>,
}

impl Cluster {
    async fn on_every_store() -> Vec<Self> {
        let mut options = ServerOptions::new(BINARY);
        options.bootstrap = Some(bootstrap());
        let mut clusters = vec![Self { label: "embedded".into(), servers: vec![TestServer::start(options).await], _etcd: None }];
        for (label, binary) in etcd::available() {
            let etcd = Etcd::spawn(&binary).await;
            let mut options = on_etcd(&etcd);
            options.bootstrap = Some(bootstrap());
            let servers = vec![TestServer::start(options.clone()).await, TestServer::start(options).await];
            clusters.push(Self { label, servers, _etcd: Some(etcd) });
        }
        clusters
    }

    fn writer(&self) -> Client {
        self.servers[0].anonymous(Protocol::Http2).bearer("key-of-root")
    }

    fn reader(&self, key: &str) -> Client {
        self.servers[self.servers.len() - 1].anonymous(Protocol::Http2).bearer(key)
    }

    /// Every server answers so before the bound is over.
    async fn answers(&self, key: &str, path: &str, code: u16, since: Instant, what: &str) {
        for server in &self.servers {
            let client = server.anonymous(Protocol::Http2).bearer(key);
            while client.get(path).await.status != code {
                assert!(since.elapsed() < BOUND, "{what}: not yet {code} on {} of {}", server.base_url(), self.label);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// An open watch that has told its first `objects`.
    async fn watch(&self, key: &str, path: &str, objects: usize) -> Watch {
        let mut watch = self.reader(key).watch(&format!("{path}?watch=1&timeoutSeconds=120")).await;
        assert_eq!(watch.status.as_u16(), 200, "{key} on {}", self.label);
        for _ in 0..objects {
            assert_eq!(watch.next().await.expect("an object")["type"], "ADDED", "{key} on {}", self.label);
        }
        watch
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Instant {
        let (media, body) = if method == Method::PATCH { (Some(MERGE), body.to_string()) } else { (None, String::new()) };
        let response = self.writer().request(method.clone(), &format!("{GROUP}/{path}"), media, body).await;
        assert!(response.status.is_success(), "{method} {path}: {}", response.text());
        Instant::now()
    }
}

/// The holders of keys: `root` is the one who changes things, the others each lose something.
fn bootstrap() -> String {
    let user = |name: &str, spec: &str| {
        format!("{{apiVersion: management.loft.sh/v1, kind: User, metadata: {{name: {name}}}, spec: {spec}}}\n---\n")
    };
    let key = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {{name: {name}}}, spec: {{key: key-of-{name}, {spec}}}}}\n---\n"
        )
    };
    let mut text = String::new();
    for name in ["root", "boss", "disabled", "revoked", "narrowed"] {
        text += &user(name, "{groups: ['system:masters']}");
    }
    for name in ["proxy", "other-proxy"] {
        text += &user(name, "{groups: ['system:masters']}");
        text += &key(name, &format!("user: {name}"));
    }
    text += &user("acted", "{}");
    text += &user("chief", "{clusterRoles: [{name: loft-management-admin}]}");
    for name in ["locked", "forgotten", "leaver", "member", "demoted", "constant"] {
        text += &user(name, "{}");
    }
    for name in
        ["root", "boss", "disabled", "revoked", "narrowed", "chief", "locked", "forgotten", "leaver", "member", "demoted", "constant"]
    {
        text += &key(name, &format!("user: {name}"));
    }
    text += "{apiVersion: management.loft.sh/v1, kind: Team, metadata: {name: devs}, spec: {users: [leaver]}}\n---\n";
    text += &format!(
        "{{apiVersion: management.loft.sh/v1, kind: Project, metadata: {{name: blue}}, spec: {}}}\n",
        members(&["member"], "admin")
    );
    text
}

/// The project's members: some viewers, and one whose role is given.
fn members(viewers: &[&str], demoted: &str) -> Value {
    let entry = |name: &str, role: &str| json!({"kind": "User", "name": name, "clusterRole": format!("loft-management-project-{role}")});
    let always = ["locked", "forgotten", "leaver", "constant", "acted"];
    let mut list: Vec<Value> = always.iter().chain(viewers).map(|name| entry(name, "viewer")).collect();
    list.push(entry("demoted", demoted));
    json!({"members": list})
}

/// The watch ends with 410 before the bound is over, so that its client lists again.
async fn ends(watch: &mut Watch, since: Instant, bound: Duration, what: &str) {
    loop {
        let event = watch.next().await.unwrap_or_else(|| panic!("{what}: the watch ends without a word"));
        if event["type"] == "ERROR" {
            assert_eq!((&event["object"]["kind"], &event["object"]["code"]), (&json!("Status"), &json!(410)), "{what}: {event}");
            break;
        }
        assert_eq!(event["type"], "DELETED", "{what}: {event}");
    }
    assert_eq!(watch.next().await, None, "{what}: more after the error");
    assert!(since.elapsed() < bound, "{what}: took {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_its_caller_is_no_longer_who_it_was() {
    for cluster in Cluster::on_every_store().await {
        let share = json!({"metadata": {"name": "shared"}, "spec": {"access": [{"verbs": ["get"], "users": ["*"]}]}});
        cluster.writer().post(BLUE, &share).await.expect(201);
        let mut constant = cluster.watch("key-of-constant", BLUE, 1).await;
        let everywhere = format!("{GROUP}/virtualclusterinstances");
        let cases = [
            ("key disabled", "disabled", Method::PATCH, "ownedaccesskeys/disabled", json!({"spec": {"disabled": true}}), 401),
            ("key deleted", "revoked", Method::DELETE, "ownedaccesskeys/revoked", Value::Null, 401),
            (
                "key narrowed",
                "narrowed",
                Method::PATCH,
                "ownedaccesskeys/narrowed",
                json!({"spec": {"scope": {"projects": [{"project": "red"}]}}}),
                403,
            ),
            ("group taken away", "boss", Method::PATCH, "users/boss", json!({"spec": {"groups": null}}), 200),
            ("cluster role taken away", "chief", Method::PATCH, "users/chief", json!({"spec": {"clusterRoles": null}}), 200),
            ("user locked", "locked", Method::PATCH, "users/locked", json!({"spec": {"disabled": true}}), 401),
            ("user deleted", "forgotten", Method::DELETE, "users/forgotten", Value::Null, 401),
            ("left a team", "leaver", Method::PATCH, "teams/devs", json!({"spec": {"users": null}}), 200),
        ];
        for (what, who, method, path, body, after) in cases {
            let what = format!("{what} on {}", cluster.label);
            let key = format!("key-of-{who}");
            let mut watch = cluster.watch(&key, &everywhere, 1).await;
            let since = cluster.change(method, path, &body).await;
            ends(&mut watch, since, BOUND, &what).await;
            cluster.answers(&key, &everywhere, after, since, &what).await;
        }
        assert_eq!(constant.within(Duration::from_millis(10)).await, None, "somebody else's watch goes on");
        cluster
            .change(Method::PATCH, "namespaces/loft-p-blue/virtualclusterinstances/shared", &json!({"spec": {"displayName": "x"}}))
            .await;
        assert_eq!(constant.next().await.expect("an event")["type"], "MODIFIED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_its_key_expires() {
    let clusters = Cluster::on_every_store().await;
    let key = json!({"metadata": {"name": "short"}, "spec": {"user": "boss", "key": "key-of-short", "ttl": 3}});
    for cluster in &clusters {
        cluster.writer().post(&format!("{GROUP}/ownedaccesskeys"), &key).await.expect(201);
        vci_testkit::wait_for("the key", async || cluster.reader("key-of-short").get(BLUE).await.status == 200).await;
        let mut watch = cluster.watch("key-of-short", BLUE, 0).await;
        ends(&mut watch, Instant::now(), Duration::from_secs(3) + BOUND, &cluster.label).await;
        cluster.reader("key-of-short").get(BLUE).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_the_members_of_a_project() {
    for cluster in Cluster::on_every_store().await {
        let share = json!({"metadata": {"name": "shared"}, "spec": {"access": [{"verbs": ["get"], "users": ["*"]}]}});
        cluster.writer().post(BLUE, &share).await.expect(201);
        let everywhere = format!("{GROUP}/virtualclusterinstances");
        let mut all = cluster.watch("key-of-member", &everywhere, 1).await;
        let mut here = cluster.watch("key-of-member", BLUE, 1).await;
        let mut demoted = cluster.watch("key-of-demoted", BLUE, 1).await;

        let since = cluster.change(Method::PATCH, "projects/blue", &json!({"spec": members(&[], "viewer")})).await;
        let gone = all.next().await.expect("an event");
        assert!(since.elapsed() < BOUND, "on {}: took {:?}", cluster.label, since.elapsed());
        assert_eq!((&gone["type"], &gone["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("shared")), "on {}", cluster.label);
        assert_eq!(here.next().await.expect("an event")["type"], "DELETED", "on {}", cluster.label);
        ends(&mut here, since, BOUND, "a watch of the project alone").await;
        ends(&mut demoted, since, BOUND, "an admin's watch").await;

        let since = cluster.change(Method::PATCH, "projects/blue", &json!({"spec": members(&["member"], "viewer")})).await;
        let back = all.next().await.expect("an event");
        assert_eq!((&back["type"], &back["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("shared")), "on {}", cluster.label);
        assert!(since.elapsed() < BOUND, "on {}: took {:?}", cluster.label, since.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_for_somebody_else_ends_with_the_rights_of_either() {
    for cluster in Cluster::on_every_store().await {
        let share = json!({"metadata": {"name": "shared"}, "spec": {"access": [{"verbs": ["get"], "users": ["acted"]}]}});
        cluster.writer().post(BLUE, &share).await.expect(201);
        let acting = |key: &str| cluster.reader(key).header(http::HeaderName::from_static("impersonate-user"), "acted");
        let open = async |key: &str| {
            let mut watch = acting(key).watch(&format!("{BLUE}?watch=1&timeoutSeconds=120")).await;
            assert_eq!(watch.status.as_u16(), 200, "{key} on {}", cluster.label);
            assert_eq!(watch.next().await.expect("an object")["object"]["metadata"]["name"], "shared");
            watch
        };
        let (mut one, mut two) = (open("key-of-proxy").await, open("key-of-other-proxy").await);
        // What changes nothing for the two of them ends nothing.
        cluster.change(Method::PATCH, "users/constant", &json!({"spec": {"groups": ["new"]}})).await;
        let since = cluster.change(Method::PATCH, "users/proxy", &json!({"spec": {"groups": null}})).await;
        ends(&mut one, since, BOUND, "whoever acts may no longer").await;
        acting("key-of-proxy").get(BLUE).await.expect(403);
        assert_eq!(two.within(Duration::from_millis(10)).await, None, "another's watch goes on");
        let since = cluster.change(Method::PATCH, "users/acted", &json!({"spec": {"disabled": true}})).await;
        ends(&mut two, since, BOUND, "who is acted for is locked out").await;
        acting("key-of-other-proxy").get(BLUE).await.expect(403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_no_longer_grants_is_gone_on_every_server() {
    for cluster in Cluster::on_every_store().await {
        let share = json!({"metadata": {"name": "shared"}, "spec": {"access": [{"verbs": ["get"], "users": ["constant"]}]}});
        cluster.writer().post(BLUE, &share).await.expect(201);
        let path = format!("{BLUE}/shared");
        cluster.answers("key-of-constant", &path, 200, Instant::now(), "granted").await;
        let mut watch = cluster.watch("key-of-constant", BLUE, 1).await;
        let since = cluster
            .change(Method::PATCH, "namespaces/loft-p-blue/virtualclusterinstances/shared", &json!({"spec": {"access": null}}))
            .await;
        cluster.answers("key-of-constant", &path, 403, since, "taken back").await;
        assert_eq!(watch.next().await.expect("an event")["type"], "DELETED", "on {}", cluster.label);
        assert!(since.elapsed() < BOUND, "on {}: took {:?}", cluster.label, since.elapsed());
    }
}
