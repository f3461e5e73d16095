//! The audit log, as whoever reads its file finds it.

use crate::common::{BINARY, COLLECTION, GROUP, JSON_PATCH, MERGE, instance, path};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vci_testkit::certs::Authority;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer, run};
use vci_testkit::wait_for;

const EVERYTHING: &str = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}";
const APPLY: &str = "application/apply-patch+yaml";

/// A server with an audit log.
struct Stand {
    server: TestServer,
    folder: TempDir,
}

impl Stand {
    async fn new(policy: &str, flags: &[&str]) -> Self {
        Self::on(TempDir::new().expect("a folder"), policy, flags).await
    }

    async fn on(folder: TempDir, policy: &str, flags: &[&str]) -> Self {
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, policy).expect("written");
        let (file, log) = (file.display().to_string(), folder.path().join("audit.log").display().to_string());
        let mut options = ServerOptions::new(BINARY);
        options.flags =
            ["--audit-policy-file", &file, "--audit-log-path", &log].into_iter().chain(flags.iter().copied()).map(str::to_owned).collect();
        Self { server: TestServer::start(options).await, folder }
    }

    fn admin(&self) -> Client {
        self.server.admin(Protocol::Http2)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.log()).expect("an audit log")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// The events of a request with this audit id. Requests wait for their events, so that there is nothing to wait for.
    fn events(&self, id: &str) -> Vec<Value> {
        self.text().lines().map(event).filter(|event| event["auditID"] == id).collect()
    }

    /// The last event of such a request.
    fn last(&self, id: &str) -> Value {
        self.events(id).pop().unwrap_or_else(|| panic!("no event of {id}"))
    }
}

fn event(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn as_id(client: &Client, id: &str) -> Client {
    with(client, "audit-id", id)
}

fn with(client: &Client, header: &'static str, value: &str) -> Client {
    client.header(HeaderName::from_static(header), value)
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_and_stages_are_those_of_the_policy() {
    let policy = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- {level: None, nonResourceURLs: ['/readyz*', '/livez*']}
- {level: Metadata, verbs: [get], omitStages: [RequestReceived]}
- {level: Request, verbs: [create]}
- {level: RequestResponse, verbs: [patch, list, watch, delete, deletecollection]}
";
    let stand = Stand::new(policy, &[]).await;
    let admin = stand.admin();
    as_id(&admin, "health").get("/readyz").await.expect(200);
    let created = as_id(&admin, "create").post(&format!("{COLLECTION}?fieldManager=me"), &instance("one")).await.expect(201);
    assert_eq!(created.header("audit-id"), "create");
    as_id(&admin, "get").get(&path("one")).await.expect(200);
    as_id(&admin, "patch").patch(&path("one"), MERGE, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    let json_patch = json!([{"op": "add", "path": "/metadata/labels/c", "value": "d"}]);
    as_id(&admin, "json").patch(&path("one"), JSON_PATCH, &json_patch).await.expect(200);
    let table = with(&admin, "accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    as_id(&table, "list").get(COLLECTION).await.expect(200);
    let mut watch = as_id(&admin, "watch").watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=1")).await;
    while watch.next().await.is_some() {}
    as_id(&admin, "delete").delete_with(&path("one"), &json!({"propagationPolicy": "Background"})).await.expect(200);
    as_id(&admin, "gone").delete(COLLECTION).await.expect(200);
    as_id(&admin, "version").get("/version").await.expect(200);

    let of = |id: &str| -> Vec<(String, String, bool, bool)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let has = |event: &Value, field: &str| event.get(field).is_some();
        let events = stand.events(id);
        events.iter().map(|e| (text(e, "level"), text(e, "stage"), has(e, "requestObject"), has(e, "responseObject"))).collect()
    };
    let row = |level: &str, stage: &str, request, response| (level.to_owned(), stage.to_owned(), request, response);
    let both = |level: &str, request, response| {
        vec![row(level, "RequestReceived", false, false), row(level, "ResponseComplete", request, response)]
    };
    assert_eq!(of("health"), vec![]);
    assert_eq!(of("create"), both("Request", true, false));
    assert_eq!(of("get"), vec![row("Metadata", "ResponseComplete", false, false)]);
    assert_eq!(of("version"), vec![row("Metadata", "ResponseComplete", false, false)]);
    for id in ["patch", "json", "delete"] {
        assert_eq!(of(id), both("RequestResponse", true, true), "{id}");
    }
    for id in ["list", "gone"] {
        assert_eq!(of(id), both("RequestResponse", false, true), "{id}");
    }
    let mut watched = both("RequestResponse", false, false);
    watched.insert(1, row("RequestResponse", "ResponseStarted", false, false));
    wait_for("the end of the watch", async || of("watch").len() == 3).await;
    assert_eq!(of("watch"), watched);

    assert_eq!(stand.last("json")["requestObject"], json_patch);
    assert_eq!(stand.last("list")["responseObject"]["kind"], "Table");
    assert_eq!(stand.last("gone")["responseObject"]["kind"], "VirtualClusterInstanceList");
    assert_eq!(stand.last("delete")["requestObject"], json!({"propagationPolicy": "Background"}));
    assert_eq!(stand.last("patch")["responseObject"]["metadata"]["labels"], json!({"a": "b"}));
    assert!(!stand.text().contains("managedFields"), "the policy omits them");
    let create = stand.last("create");
    let annotations = json!({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""});
    assert_eq!((&create["verb"], &create["annotations"]), (&json!("create"), &annotations));
    assert_eq!(create["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(create["objectRef"]["name"], "one", "the body's name, for the path has none");
    assert_eq!(create["requestURI"], format!("{COLLECTION}?fieldManager=me"));
    assert_eq!(create["requestObject"]["spec"]["displayName"], "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_be_somebody_is_told() {
    let [clients, proxies] = ["clients", "proxies"].map(Authority::new);
    let (client_ca, proxy_ca) = (clients.file().display().to_string(), proxies.file().display().to_string());
    let stand = Stand::new(EVERYTHING, &["--client-ca-file", &client_ca, "--requestheader-client-ca-file", &proxy_ca]).await;
    let certified = |issued| Client::with_certificate(stand.server.base_url(), &stand.server.ca_pem(), Protocol::Http2, &issued);
    let proxy = certified(proxies.client("front-proxy", &[]));
    let jane = with(&with(&with(&proxy, "x-remote-user", "jane"), "x-remote-group", "devs"), "x-remote-extra-scopes", "view");
    let jane = with(&with(&jane, "x-forwarded-for", "192.0.2.7"), "user-agent", "kubectl/v1.33");
    as_id(&jane, "proxied").get(&path("none")).await.expect(403);
    let root = certified(clients.client("root", &["system:masters"]));
    as_id(&with(&root, "impersonate-user", "bob"), "acting").get(&path("none")).await.expect(403);
    let nobody = stand.server.anonymous(Protocol::Http2);
    as_id(&nobody, "anonymous").get(COLLECTION).await.expect(401);
    let wrong = nobody.bearer("this-key-is-wrong");
    as_id(&wrong, "wrong").get(&format!("{COLLECTION}?access_token=query-secret")).await.expect(401);
    as_id(&root, "odd").get(&format!("{COLLECTION}?timeout=abc")).await.expect(400);
    let long = "u".repeat(2000);
    as_id(&with(&root, "user-agent", &long), "agent").get("/version").await.expect(200);

    let proxied = stand.last("proxied");
    assert_eq!((&proxied["user"]["username"], &proxied["user"]["extra"]), (&json!("jane"), &json!({"scopes": ["view"]})));
    assert!(proxied["user"]["groups"].as_array().is_some_and(|groups| groups.contains(&json!("devs"))), "{proxied}");
    assert_eq!((&proxied["sourceIPs"], &proxied["userAgent"]), (&json!(["192.0.2.7", "127.0.0.1"]), &json!("kubectl/v1.33")));
    assert_eq!(proxied["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!((&proxied["responseStatus"]["reason"], &proxied["responseStatus"]["code"]), (&json!("Forbidden"), &json!(403)));
    assert_eq!(proxied["responseObject"]["kind"], "Status");
    let acting = stand.last("acting");
    assert_eq!((&acting["user"]["username"], &acting["impersonatedUser"]["username"]), (&json!("root"), &json!("bob")));
    let anonymous = stand.last("anonymous");
    assert_eq!((&anonymous["user"]["username"], &anonymous["stage"]), (&json!("system:anonymous"), &json!("ResponseComplete")));
    let failed = stand.events("wrong");
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["user"], &failed[0]["stage"]), (&json!({}), &json!("ResponseStarted")));
    let status = json!({"metadata": {}, "status": "Failure", "message": "Authentication failed, attempted: bearer, access_token",
        "reason": "Unauthorized", "code": 401});
    assert_eq!(failed[0]["responseStatus"], status);
    assert_eq!(stand.last("odd")["responseStatus"]["code"], 400);
    assert_eq!(stand.last("agent")["userAgent"], format!("{}...TRUNCATED", "u".repeat(1024)));
    for secret in ["this-key-is-wrong", "query-secret", "Bearer"] {
        assert!(!stand.text().contains(secret), "{secret} is in the log");
    }
}

/// The values of a project's secret, in all ways in which they come and go, and a key that is shown in an answer.
#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_project_s_secret_is_in_the_log() {
    let stand = Stand::new(EVERYTHING, &[]).await;
    let admin = stand.admin();
    let secrets = format!("{GROUP}/namespaces/loft-p-my-project/projectsecrets");
    let one = format!("{secrets}/s");
    let value = |what: &str| STANDARD.encode(format!("value-of-the-audit-test-{what}"));
    let secret = |name: &str, what: &str| json!({"apiVersion": "management.loft.sh/v1", "kind": "ProjectSecret", "metadata": {"name": name}, "spec": {"data": {"k": value(what)}}});
    let values = ["post", "put", "merge", "operation", "apply", "broken", "misplaced", "misread"].map(value);
    admin.post(&secrets, &secret("s", "post")).await.expect(201);
    let mut whole = admin.get(&one).await.expect(200).json();
    whole["spec"]["data"]["k"] = json!(values[1]);
    admin.put(&one, &whole).await.expect(200);
    admin.patch(&one, MERGE, &json!({"spec": {"data": {"k": values[2]}}})).await.expect(200);
    admin.patch(&one, JSON_PATCH, &json!([{"op": "replace", "path": "/spec/data/k", "value": values[3]}])).await.expect(200);
    let apply = format!("{secrets}/t?fieldManager=me");
    admin.request(Method::PATCH, &apply, Some(APPLY), secret("t", "apply").to_string()).await.expect(201);
    let broken = format!("{{\"spec\": {{\"data\": \"{}", values[5]);
    admin.request(Method::POST, &secrets, Some("application/json"), broken).await.expect(400);
    admin.post(COLLECTION, &secret("u", "misplaced")).await.expect(400);
    let misread = admin.patch(&one, MERGE, &json!({"spec": {"data": {"k": format!("{}!", values[7])}}})).await.expect(422);
    assert!(!misread.text().contains(&values[7]), "{}", misread.text());
    admin.get(&secrets).await.expect(200);
    let mut watch = admin.watch(&format!("{secrets}?watch=1&timeoutSeconds=1")).await;
    while watch.next().await.is_some() {}
    admin.delete(&one).await.expect(200);
    admin.post(COLLECTION, &instance("one")).await.expect(201);
    let key = admin.get(&format!("{}/accesskey", path("one"))).await.expect(200).json()["accessKey"].as_str().expect("a key").to_owned();

    let text = stand.text();
    for leaked in values.iter().map(String::as_str).chain(["value-of-the-audit-test", &key]) {
        let found = text.lines().find(|line| line.contains(leaked));
        assert!(found.is_none(), "{leaked} is in the log: {found:?}");
    }
    let about = |resource: &str| text.lines().map(event).filter(|event| event["objectRef"]["resource"] == resource).count();
    assert!(about("projectsecrets") > 10 && about("virtualclusterinstances") > 2, "who did it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_at_any_level() {
    let stand = Stand::new(EVERYTHING, &[]).await;
    let admin = stand.admin();
    let keys = format!("{GROUP}/ownedaccesskeys");
    let one = format!("{keys}/k1");
    let key = |name: &str, secret: &str| {
        json!({"apiVersion": "management.loft.sh/v1", "kind": "OwnedAccessKey", "metadata": {"name": name},
            "spec": {"user": "admin", "key": secret}})
    };
    let secret = |what: &str| format!("secret-of-the-audit-test-{what}");
    // Every way in which a secret comes in.
    admin.post(&keys, &key("k1", &secret("json"))).await.expect(201);
    let yaml = format!("kind: OwnedAccessKey\nmetadata: {{name: k2}}\nspec: {{user: admin, key: {}}}\n", secret("yaml"));
    admin.request(Method::POST, &keys, Some("application/yaml"), yaml).await.expect(201);
    let mut applied = key("k3", &secret("annotation"));
    let last = applied.to_string();
    applied["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    admin.post(&keys, &applied).await.expect(201);
    admin.patch(&one, MERGE, &json!({"spec": {"key": secret("merge")}})).await.expect(200);
    admin.patch(&one, "application/strategic-merge-patch+json", &json!({"spec": {"key": secret("strategic")}})).await.expect(200);
    admin.patch(&one, JSON_PATCH, &json!([{"op": "add", "path": "/spec/key", "value": secret("operation")}])).await.expect(200);
    let apply = format!("{keys}/k4?fieldManager=me");
    admin.request(Method::PATCH, &apply, Some(APPLY), key("k4", &secret("apply")).to_string()).await.expect(201);
    let mut whole = admin.get(&one).await.expect(200).json();
    whole["spec"]["key"] = json!(secret("put"));
    admin.put(&one, &whole).await.expect(200);
    admin.post(&format!("{GROUP}/selves"), &json!({"spec": {"accessKey": secret("json")}})).await;
    // And is refused: as no object, of a wrong type, under unknown names, in the wrong place, in a query.
    admin
        .request(Method::POST, &keys, Some("application/json"), format!("{{\"spec\": {{\"key\": \"{}", secret("broken")))
        .await
        .expect(400);
    admin.post(&keys, &json!({"metadata": {"name": "k5"}, "spec": {"key": {secret("name"): secret("value")}}})).await.expect(400);
    let strict = format!("{keys}?fieldValidation=Strict");
    admin.post(&strict, &json!({"metadata": {"name": "k5"}, "spec": {secret("unknown"): secret("unknown-value")}})).await.expect(400);
    admin.post(COLLECTION, &key("k6", &secret("misplaced"))).await.expect(400);
    admin.request(Method::PATCH, &path("k6?fieldManager=me"), Some(APPLY), key("k6", &secret("misapplied")).to_string()).await;
    admin.get(&format!("{keys}?access_token={}&token={}", secret("query"), secret("token"))).await.expect(200);
    let hash = admin.get(&one).await.expect(200).json()["status"]["keyHash"].as_str().expect("a hash").to_owned();
    // Every way in which one goes out.
    admin.get(&keys).await.expect(200);
    with(&admin, "accept", "application/yaml").get(&keys).await.expect(200);
    admin.get(&format!("{GROUP}/users/admin/accesskeys")).await.expect(200);
    let mut watch = admin.watch(&format!("{keys}?watch=1&timeoutSeconds=1")).await;
    while watch.next().await.is_some() {}
    admin.delete(&one).await.expect(200);
    admin.delete(&keys).await;

    let text = stand.text();
    for leaked in ["secret-of-the-audit-test", &hash, &stand.server.admin_token(), "keyHash"] {
        let found = text.lines().find(|line| line.contains(leaked));
        assert!(found.is_none(), "{leaked} is in the log: {found:?}");
    }
    let about_keys = text.lines().map(event).filter(|event| event["objectRef"]["resource"] == "ownedaccesskeys").count();
    assert!(about_keys > 20, "who did it is there: {about_keys}");
}

/// What somebody else has set is in no answer to a patch that does not fit, and not in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_does_not_fit_tells_nothing_of_the_object() {
    let stand = Stand::new(EVERYTHING, &[]).await;
    let admin = stand.admin();
    let mut made = instance("private");
    made["spec"] = json!({"template": {"helmRelease": {"chart": {"name": "c", "password": "chart-s3cret"}, "values": "a: values-s3cret"}}});
    as_id(&admin, "create").post(&format!("{COLLECTION}?dryRun=All"), &made).await.expect(201);
    admin.post(COLLECTION, &made).await.expect(201);
    let answer = as_id(&admin, "wrong").patch(&path("private"), MERGE, &json!({"spec": {"displayName": {}}})).await.expect(422);
    let unknown = path("private?fieldValidation=Strict");
    let strict = as_id(&admin, "strict").patch(&unknown, MERGE, &json!({"spec": {"bogus": 1}})).await.expect(422);
    for (id, answer, want) in [("wrong", answer, "cannot unmarshal object into field spec.displayName"), ("strict", strict, "spec.bogus")] {
        let (answer, event) = (answer.text(), stand.last(id).to_string());
        assert!(answer.contains(want) && event.contains(want), "{id}: {answer} {event}");
        assert!(!answer.contains("s3cret") && !event.contains("s3cret"), "{id}: {answer} {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_breaks_nothing() {
    let stand = Stand::new(EVERYTHING, &["--audit-log-truncate-max-event-size", "4000"]).await;
    let admin = stand.admin();
    let generated = json!({"metadata": {"generateName": "made-"}, "spec": {"templateRef": {"name": "t"}}});
    let name = as_id(&admin, "generated").post(COLLECTION, &generated).await.expect(201).json()["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let made = stand.last("generated");
    assert_eq!(made["responseObject"]["metadata"]["name"], name.as_str());
    assert!(made["objectRef"].get("name").is_none(), "not known when it was asked");

    let bodies: [(&str, &str, &[u8]); 5] = [
        ("broken", "application/json", b"{oops"),
        ("binary", "application/json", b"\xff\xfe\x00"),
        ("deep", "application/json", &[b'['; 20_000]),
        ("type", "text/plain", b"hello"),
        ("empty", "application/json", b""),
    ];
    for (id, content_type, body) in bodies {
        as_id(&admin, id).request(Method::POST, COLLECTION, Some(content_type), body.to_vec()).await;
        as_id(&admin, &format!("patch-{id}")).request(Method::PATCH, &path(&name), Some(MERGE), body.to_vec()).await;
        for id in [id.to_owned(), format!("patch-{id}")] {
            assert_eq!(stand.events(&id).len(), 2, "{id}");
            assert!(stand.last(&id)["responseStatus"]["code"].as_u64().is_some_and(|code| code >= 400), "{id}");
        }
    }
    // kube-apiserver loses the event of an apply in YAML, which is no JSON.
    let yaml = "apiVersion: management.loft.sh/v1\nkind: VirtualClusterInstance\nmetadata:\n  labels: {x: y}\n";
    as_id(&admin, "yaml").request(Method::PATCH, &path(&format!("{name}?fieldManager=me")), Some(APPLY), yaml).await.expect(200);
    assert_eq!(stand.last("yaml")["requestObject"]["metadata"], json!({"labels": {"x": "y"}}));
    let pretty = format!("{COLLECTION}?pretty=true");
    for (id, path, accept) in [("pretty", pretty.as_str(), "application/json"), ("yaml-list", COLLECTION, "application/yaml")] {
        with(&as_id(&admin, id), "accept", accept).get(path).await.expect(200);
        assert_eq!(stand.last(id)["responseObject"]["items"][0]["metadata"]["name"], name.as_str(), "{id}");
    }
    let long = json!({"metadata": {"annotations": {"long": "l".repeat(10_000)}}});
    as_id(&admin, "long").patch(&path(&name), MERGE, &long).await.expect(200);
    let cut = stand.last("long");
    assert_eq!((cut.get("requestObject"), cut.get("responseObject")), (None, None));
    assert_eq!(cut["annotations"]["audit.k8s.io/truncated"], "true");
    assert!(stand.text().lines().all(|line| event(line)["kind"] == "Event"), "one event a line");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_is_written_before_the_server_ends() {
    for mode in ["batch", "blocking"] {
        let mut stand = Stand::new(EVERYTHING, &["--audit-log-mode", mode]).await;
        let admin = stand.admin();
        let mut watch = as_id(&admin, "watch").watch(&format!("{COLLECTION}?watch=1")).await;
        for number in 0..50 {
            as_id(&admin, &format!("get-{number}")).get(COLLECTION).await.expect(200);
        }
        let (ended, _) = tokio::join!(stand.server.stop(), async { while let Ok(Some(_)) = watch.line().await {} });
        assert!(ended.success());
        assert_eq!(stand.events("get-49").len(), 2, "{mode}");
        assert_eq!(stand.events("watch").len(), 3, "{mode}");
        assert_eq!(
            stand.text().lines().map(event).filter(|e| e["stage"] == "ResponseComplete" && e["verb"] == "list").count(),
            50,
            "{mode}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_is_put_aside() {
    let stand = Stand::new(EVERYTHING, &["--audit-log-maxsize", "1", "--audit-log-maxbackup", "2"]).await;
    let admin = stand.admin();
    let body = json!({"metadata": {"annotations": {"long": "l".repeat(40_000)}}});
    admin.post(COLLECTION, &instance("one")).await.expect(201);
    let backups = || {
        let names =
            std::fs::read_dir(stand.folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name().into_string());
        names.flatten().filter(|name| name.starts_with("audit-") && name.ends_with(".log")).count()
    };
    for _ in 0..60 {
        admin.patch(&path("one"), MERGE, &body).await.expect(200);
    }
    assert_eq!(backups(), 2, "60 events of 80 KB");
    assert!(std::fs::metadata(stand.log()).expect("the file").len() <= 1024 * 1024);
    for entry in std::fs::read_dir(stand.folder.path()).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.starts_with("audit") {
            let text = std::fs::read_to_string(entry.path()).expect("text");
            assert!(text.lines().all(|line| event(line)["kind"] == "Event"), "{name} has whole lines");
        }
    }
}

#[test]
fn a_bad_policy_is_one_line_that_names_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let (policy, data) = (folder.path().join("policy"), folder.path().join("data"));
    let (policy_text, data_text) = (policy.display().to_string(), data.display().to_string());
    std::fs::write(&policy, "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Loud}]}").expect("written");
    let cases: &[(&[&str], &str)] = &[
        (&["--audit-policy-file", &policy_text, "--audit-log-path", "-"], "rules[0].level: Unsupported value: \"Loud\""),
        (&["--audit-policy-file", "/does/not/exist", "--audit-log-path", "-"], "/does/not/exist"),
        (&["--audit-log-path", "-"], "--audit-policy-file"),
        (&["--audit-policy-file", &policy_text], "--audit-log-path"),
    ];
    for (flags, named) in cases {
        let arguments = [&["serve", "--data-dir", &data_text, "--secure-port", "0"], *flags].concat();
        let (status, _, stderr) = run(Path::new(BINARY), &arguments);
        assert_eq!(status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(stderr.trim_end().lines().count() == 1 && stderr.contains(named), "{flags:?}: {stderr}");
        assert!(!data.exists());
    }
}
