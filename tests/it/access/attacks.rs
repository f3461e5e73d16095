//! What callers try who want more than they have.

use super::{BLUE, BOOTSTRAP, object, of};
use crate::common::{BINARY, GROUP, MERGE, every_store_with};
use http::{HeaderName, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};

const APPLY: &str = "application/apply-patch+yaml";

/// Every way in which somebody may write `spec` to an object of this kind.
async fn attempts(client: &Client, kind: &str, plural: &str, name: &str, spec: &Value) -> Vec<(String, u16)> {
    let collection = format!("{GROUP}/{plural}");
    let path = format!("{collection}/{name}");
    let whole = json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let fresh = json!({"metadata": {"generateName": "attack-"}, "spec": spec});
    let read = client.get(&path).await;
    let mut seen = if read.status == 200 { read.json() } else { whole.clone() };
    seen["spec"] = spec.clone();
    let replace = json!([{"op": "add", "path": "/spec", "value": spec}]);
    let requests = [
        (Method::POST, collection.clone(), "application/json", fresh),
        (Method::PUT, path.clone(), "application/json", seen.clone()),
        (Method::PUT, path.clone(), "application/json", whole.clone()),
        (Method::PATCH, path.clone(), MERGE, json!({"spec": spec})),
        (Method::PATCH, path.clone(), "application/strategic-merge-patch+json", json!({"spec": spec})),
        (Method::PATCH, path.clone(), crate::common::JSON_PATCH, replace),
        (Method::PATCH, format!("{path}?fieldManager=attack&force=true"), APPLY, whole.clone()),
        (Method::PATCH, format!("{collection}/attack-new?fieldManager=attack&force=true"), APPLY, {
            let mut fresh = whole.clone();
            fresh["metadata"]["name"] = json!("attack-new");
            fresh
        }),
        (Method::PUT, format!("{path}/status"), "application/json", seen),
        (Method::PATCH, format!("{path}/status"), MERGE, json!({"spec": spec, "status": {}})),
        (Method::PATCH, format!("{path}/status?fieldManager=attack&force=true"), APPLY, whole),
    ];
    let mut got = Vec::new();
    for (method, path, media, body) in requests {
        let response = client.request(method.clone(), &path, Some(media), body.to_string()).await;
        got.push((format!("{method} {path} {media} {}", response.text()), response.status.as_u16()));
    }
    got.push((format!("DELETE {collection}"), client.delete(&format!("{collection}?dryRun=All")).await.status.as_u16()));
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_and_no_verb_makes_somebody_more() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, victor, admin) = (of(&stand.server, "una"), of(&stand.server, "victor"), stand.server.admin(Protocol::Http2));
        let project_admin = json!([{"kind": "User", "name": "una", "clusterRole": "loft-management-project-admin"}]);
        let cases = [
            ("User", "users", "una", json!({"groups": ["system:masters"]})),
            ("User", "users", "una", json!({"clusterRoles": [{"name": "loft-management-admin"}]})),
            ("Team", "teams", "devs", json!({"users": ["una"], "clusterRoles": [{"name": "loft-management-admin"}]})),
            ("Project", "projects", "blue", json!({"members": project_admin})),
            ("Project", "projects", "blue", json!({"owner": {"user": "una"}})),
            ("Project", "projects", "blue", json!({"access": [{"verbs": ["*"], "users": ["una"]}]})),
            ("OwnedAccessKey", "ownedaccesskeys", "adam", json!({"user": "adam", "key": "a-key-that-una-knows"})),
        ];
        for (kind, plural, name, spec) in cases {
            let before = admin.get(&format!("{GROUP}/{plural}/{name}")).await.expect(200).json()["spec"].clone();
            for (what, code) in attempts(&una, kind, plural, name, &spec).await {
                if what.starts_with("DELETE") && plural == "ownedaccesskeys" {
                    // That means her own, and is a dry run.
                    continue;
                }
                assert!((403..=405).contains(&code), "{code} on {}: {what}", stand.label);
            }
            let after = admin.get(&format!("{GROUP}/{plural}/{name}")).await.expect(200).json();
            assert_eq!(after["spec"], before, "{plural}/{name} on {}", stand.label);
        }
        // A right to change a project is no right to say who may do what in it.
        let share = json!({"spec": {"access": [{"verbs": ["get", "update", "patch"], "users": ["una"]}]}});
        admin.patch(&format!("{GROUP}/projects/blue"), MERGE, &share).await.expect(200);
        let blue = format!("{GROUP}/projects/blue");
        vci_testkit::wait_for("the grant", async || una.patch(&blue, MERGE, &json!({"spec": {"description": "d"}})).await.status == 200)
            .await;
        for spec in
            [json!({"members": project_admin}), json!({"owner": {"user": "una"}}), json!({"access": [{"verbs": ["*"], "users": ["una"]}]})]
        {
            let refused = una.patch(&blue, MERGE, &json!({"spec": spec})).await;
            assert_eq!(refused.status.as_u16(), 403, "{spec} on {}: {}", stand.label, refused.text());
        }
        // Neither is a right to read.
        admin
            .post(BLUE, &object("readable", json!({"access": [{"verbs": ["get", "list", "watch"], "users": ["victor"]}]})))
            .await
            .expect(201);
        let readable = format!("{BLUE}/readable");
        victor.get(&readable).await.expect(200);
        victor.patch(&readable, MERGE, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(403);
        victor.patch(&format!("{readable}/status"), MERGE, &json!({"status": {"phase": "Ready"}})).await.expect(403);
        victor.delete(BLUE).await.expect(200);
        admin.get(&readable).await.expect(200);
    }
}

/// Names of keys, templates, users, teams and projects can be guessed: no answer says whether a guess was right.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_told_from_what_is_somebody_elses() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let (una, admin) = (of(&stand.server, "una"), stand.server.admin(Protocol::Http2));
        let template = json!({"metadata": {"name": "theirs"}, "spec": {"owner": {"user": "adam"}, "template": {}}});
        admin.post(&format!("{GROUP}/virtualclustertemplates"), &template).await.expect(201);
        let kinds = [
            ("OwnedAccessKey", "ownedaccesskeys", "adam"),
            ("VirtualClusterTemplate", "virtualclustertemplates", "theirs"),
            ("User", "users", "adam"),
            ("Team", "teams", "devs"),
            ("Project", "projects", "red"),
        ];
        for (kind, plural, theirs) in kinds {
            let (is_there, is_not) = (probes(&una, kind, plural, theirs).await, probes(&una, kind, plural, "guessed-name").await);
            for ((what, there), (_, not)) in is_there.into_iter().zip(is_not) {
                // To make a key is everybody's right: the one of a name that is taken is not.
                if kind == "OwnedAccessKey" && what.contains(APPLY) && !what.contains("/status") {
                    assert_eq!((there.0, not.0), (403, 201), "{what} on {}", stand.label);
                    continue;
                }
                assert_eq!(there, not, "{what} on {}", stand.label);
                assert_eq!(there.0, 403, "{what} on {}: {}", stand.label, there.1);
            }
        }
        // Admins are told.
        admin.get(&format!("{GROUP}/ownedaccesskeys/guessed-name")).await.expect(404);
        // In a project they are members of, everybody is.
        una.get(&format!("{BLUE}/guessed-name")).await.expect(404);
    }
}

/// What every request about one object is answered, with the name taken out.
async fn probes(client: &Client, kind: &str, plural: &str, name: &str) -> Vec<(String, (u16, String))> {
    let path = format!("{GROUP}/{plural}/{name}");
    let whole = json!({"apiVersion": "management.loft.sh/v1", "kind": kind,
        "metadata": {"name": name, "resourceVersion": "1", "uid": "u"}, "spec": {"displayName": "x"}});
    let applied = json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": {"displayName": "x"}});
    let dry = "dryRun=All";
    let mut requests = Vec::new();
    for path in [path.clone(), format!("{path}/status")] {
        requests.push((Method::GET, path.clone(), None, Value::Null));
        requests.push((Method::PUT, format!("{path}?{dry}"), Some("application/json"), whole.clone()));
        requests.push((Method::PATCH, format!("{path}?{dry}"), Some(MERGE), json!({"spec": {"displayName": "x"}})));
        requests.push((Method::PATCH, format!("{path}?{dry}&fieldManager=t&force=true"), Some(APPLY), applied.clone()));
    }
    requests.push((Method::DELETE, format!("{path}?{dry}"), None, Value::Null));
    if matches!(plural, "users" | "teams") {
        requests.push((Method::GET, format!("{path}/accesskeys"), None, Value::Null));
    }
    if plural == "projects" {
        for part in ["members", "templates", "clusters"] {
            requests.push((Method::GET, format!("{path}/{part}"), None, Value::Null));
        }
    }
    let mut answers = Vec::new();
    for (method, path, media, body) in requests {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client.request(method.clone(), &path, media, body).await;
        answers.push((format!("{method} {path} {media:?}"), (answer.status.as_u16(), answer.text().replace(name, "NAME"))));
    }
    answers
}

/// Whoever may do everything here is not one of `system:masters`, and makes nobody one.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_by_role_gives_nobody_what_masters_have() {
    let more = "\n---\n\
        {apiVersion: management.loft.sh/v1, kind: User, metadata: {name: chief}, spec: {clusterRoles: [{name: loft-management-admin}]}}\n---\n\
        {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: chief}, spec: {user: chief, key: key-of-chief}}\n---\n\
        {apiVersion: management.loft.sh/v1, kind: User, metadata: {name: root}, spec: {groups: ['system:masters']}}\n---\n\
        {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: root}, spec: {user: root, key: key-of-root}}\n";
    for stand in every_store_with(Some(&format!("{BOOTSTRAP}{more}"))).await {
        let (chief, root) = (of(&stand.server, "chief"), of(&stand.server, "root"));
        let cases = [
            ("User", "users", "chief", json!({"clusterRoles": [{"name": "loft-management-admin"}], "groups": ["system:masters"]})),
            ("User", "users", "una", json!({"groups": ["x", "system:masters"]})),
            ("OwnedAccessKey", "ownedaccesskeys", "root", json!({"user": "root", "key": "a-key-that-chief-knows"})),
            ("OwnedAccessKey", "ownedaccesskeys", "root", json!({"user": "admin", "key": "a-key-that-chief-knows"})),
        ];
        for (kind, plural, name, spec) in cases {
            let path = format!("{GROUP}/{plural}/{name}");
            let before = root.get(&path).await.expect(200).json();
            for (what, code) in attempts(&chief, kind, plural, name, &spec).await {
                let is_status = what.contains("/status ") || what.contains("/status?");
                // The status has no such field, and dry runs of deletions take nothing away.
                assert!((403..=422).contains(&code) || is_status || what.starts_with("DELETE"), "{code} on {}: {what}", stand.label);
            }
            let after = root.get(&path).await.expect(200).json();
            assert_eq!((&after["spec"], &after["status"]["keyHash"]), (&before["spec"], &before["status"]["keyHash"]), "{path}");
        }
        let hash = json!({"status": {"keyHash": "0".repeat(64)}});
        chief.patch(&format!("{GROUP}/ownedaccesskeys/root/status"), MERGE, &hash).await.expect(403);
        stand.server.anonymous(Protocol::Http2).bearer("a-key-that-chief-knows").get("/version").await.expect(401);
        // What takes away is done: somebody may have to be locked out at once.
        chief.patch(&format!("{GROUP}/ownedaccesskeys/root"), MERGE, &json!({"spec": {"disabled": true}})).await.expect(200);
        chief.patch(&format!("{GROUP}/ownedaccesskeys/root"), MERGE, &json!({"spec": {"disabled": false}})).await.expect(403);
        chief.patch(&format!("{GROUP}/users/root"), MERGE, &json!({"spec": {"disabled": true}})).await.expect(200);
        chief.patch(&format!("{GROUP}/users/root"), MERGE, &json!({"spec": {"disabled": false}})).await.expect(403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_front_proxy_are_nothing_to_a_client() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let server = &stands[0].server;
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let headers = [
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
        ("x-remote-uid", "1"),
        ("x-remote-extra-scopes", "all"),
        ("x-forwarded-user", "admin"),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let dressed =
            |client: Client| headers.iter().fold(client, |client, (name, value)| client.header(HeaderName::from_static(name), value));
        dressed(server.anonymous(protocol)).get(BLUE).await.expect(401);
        let una = dressed(server.anonymous(protocol).bearer("key-of-una"));
        let who = una.post(whoami, &json!({})).await.expect(201).json()["status"]["userInfo"].clone();
        assert_eq!(who["username"], "una");
        assert!(!who.to_string().contains("system:masters"), "{who}");
        una.get(&format!("{GROUP}/users")).await.expect(403);
    }
}

/// The status line of the answer to a request that is sent as it stands.
async fn raw(server: &TestServer, head: &str) -> String {
    let address = server.base_url().trim_start_matches("https://").to_owned();
    let mut roots = rustls::RootCertStore::empty();
    let ca = server.ca_pem();
    for root in <rustls_pki_types::CertificateDer as rustls_pki_types::pem::PemObject>::pem_slice_iter(ca.as_bytes()) {
        roots.add(root.expect("PEM")).expect("an authority");
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let socket = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    let name = rustls_pki_types::ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, socket).await.expect("TLS");
    // The server may answer, and stop reading, before it has all.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.flush().await;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(vci_testkit::PATIENCE, stream.read(&mut answer)).await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or("").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_ambiguous_or_huge_are_refused() {
    let stands = every_store_with(Some(BOOTSTRAP)).await;
    let server = &stands[0].server;
    let request = |headers: &str| format!("GET {BLUE} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    let good = "Authorization: bearer key-of-una\r\n";
    for (what, headers, want) in [
        ("lower case", good.to_owned(), "200"),
        ("two keys", format!("{good}Authorization: Bearer key-of-adam\r\n"), "401"),
        ("the same twice", format!("{good}{good}"), "401"),
        ("two in one", "Authorization: Bearer key-of-una, Bearer key-of-adam\r\n".into(), "401"),
        ("folded", "Authorization: Bearer key-of-una\r\n key-of-adam\r\n".into(), "400"),
        ("a space before the colon", "Authorization : Bearer key-of-una\r\n".into(), "400"),
        ("many headers", (0..2000).map(|n| format!("X-{n}: x\r\n")).collect::<String>() + good, "200"),
        ("too many headers", (0..3000).map(|n| format!("X-{n}: x\r\n")).collect::<String>() + good, "431"),
        ("a huge key", format!("Authorization: Bearer {}\r\n", "x".repeat(2 << 20)), "431"),
        ("a long key", format!("Authorization: Bearer {}\r\n", "x".repeat(64 << 10)), "401"),
    ] {
        let line = raw(server, &request(&headers)).await;
        assert_eq!(line.split(' ').nth(1), Some(want), "{what}: {line}");
    }
    server.anonymous(Protocol::Http1).bearer("key-of-una").get(BLUE).await.expect(200);
}

/// Uses secrets in every place where one can be given, and looks for them in all that the server says.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_answers_hold_no_secret() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    options.flags = vec!["--log-level".into(), "trace".into()];
    let server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http2);
    let keys = format!("{GROUP}/ownedaccesskeys");
    let mut watch = admin.watch(&format!("{keys}?watch=1&timeoutSeconds=60")).await;
    let mut said = String::new();
    let secrets = ["sekret-made", "sekret-changed", "sekret-wrong", "sekret-unfit %%", "sekret-applied", "sekret-patched", "sekret-twice"];
    let made = json!({"metadata": {"name": "made", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "sekret-made"}},
        "spec": {"user": "una", "key": "sekret-made"}});
    // Whoever gives a secret may be shown it in the answer, and nobody else ever again.
    admin.post(&keys, &made).await.expect(201);
    said += &admin.post(&keys, &json!({"metadata": {"name": "twice"}, "spec": {"user": 1, "key": "sekret-twice"}})).await.text();
    said += &admin
        .post(&keys, &json!({"metadata": {"name": "unfit"}, "spec": {"user": "una", "key": "sekret-unfit %%"}}))
        .await
        .expect(422)
        .text();
    admin.patch(&format!("{keys}/made"), MERGE, &json!({"spec": {"key": "sekret-changed"}})).await.expect(200);
    let replace = json!([{"op": "test", "path": "/spec/key", "value": "sekret-patched"}]);
    said += &admin.patch(&format!("{keys}/made"), crate::common::JSON_PATCH, &replace).await.text();
    let applied = json!({"apiVersion": "management.loft.sh/v1", "kind": "OwnedAccessKey", "metadata": {"name": "applied"},
        "spec": {"user": "una", "key": "sekret-applied"}});
    admin.patch(&format!("{keys}/applied?fieldManager=x"), APPLY, &applied).await.expect(201);
    said += &admin.patch(&format!("{keys}/made"), MERGE, &json!({"spec": {"displayName": "x"}})).await.expect(200).text();
    for key in secrets {
        let client = server.anonymous(Protocol::Http1).bearer(key);
        for path in [BLUE, &keys, "/healthz", "/nowhere"] {
            said += &client.get(path).await.text();
        }
    }
    for path in ["ownedaccesskeys", "users", "teams", "projects", "ownedaccesskeys/made", "ownedaccesskeys?limit=1"] {
        said += &admin.get(&format!("{GROUP}/{path}")).await.expect(200).text();
    }
    let table = admin.header(http::header::ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    said += &table.get(&keys).await.expect(200).text();
    said += &admin.delete(&format!("{keys}/made")).await.expect(200).text();
    loop {
        let event = watch.next().await.expect("the watch goes on");
        said += &event.to_string();
        if event["type"] == "DELETED" {
            break;
        }
    }
    let mut server = server;
    assert!(server.stop().await.success());
    let log = server.logs();
    assert!(log.contains("DEBUG") && log.contains("credentials refused"), "the log is not as talkative as it can be");
    let of_bootstrap = ["key-of-adam", "key-of-una", "key-that-is-off", "key-that-expires"];
    for secret in secrets.iter().chain(&of_bootstrap).map(|secret| (*secret).to_owned()).chain([server.admin_token()]) {
        assert!(!log.contains(&secret), "the log holds {secret}: {:?}", log.lines().find(|line| line.contains(&secret)));
        assert!(!said.contains(&secret), "an answer holds {secret}");
    }
}
