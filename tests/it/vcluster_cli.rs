//! The HTTP calls that the vcluster command line makes, in its order, with its bodies and headers; what it looks at in the
//! answers is looked at here. As a plain member of a project, and as somebody who may do everything.

use crate::common::{BINARY, MERGE};
use http::Method;
use http::header::{ACCEPT, USER_AGENT};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol, Response};
use vci_testkit::server::{ServerOptions, TestServer};

/// Below this the command line finds everything.
const API: &str = "/kubernetes/management/apis/management.loft.sh/v1";

const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ada}
spec: {displayName: Ada, clusterRoles: [{name: loft-management-admin}]}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: una}
spec: {displayName: Una, email: una@example.com}
---
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: devs}
spec: {displayName: Developers, users: [una]}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  members:
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
  allowedTemplates:
  - {kind: VirtualClusterTemplate, group: storage.loft.sh, name: isolated, isDefault: true}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: green}
spec:
  members:
  - {kind: Team, group: storage.loft.sh, name: devs, clusterRole: loft-management-project-user}
  requireTemplate: {disabled: true}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: secret}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ada}
spec: {user: ada, type: User, key: key-of-ada}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: una}
spec: {user: una, type: User, key: key-of-una}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: login-of-una}
spec: {user: una, type: Login, key: login-key-of-una}
";

async fn server() -> TestServer {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    let server = TestServer::start(options).await;
    let template = json!({
        "metadata": {"name": "isolated"},
        "spec": {"displayName": "Isolated", "versions": [{"version": "1.0.0", "template": {}, "parameters": [{"variable": "size"}]}]},
    });
    Cli::new(&server, "key-of-ada").http.post(&format!("{API}/virtualclustertemplates"), &template).await.expect(201);
    let other = json!({"metadata": {"name": "other"}});
    Cli::new(&server, "key-of-ada").http.post(&format!("{API}/virtualclustertemplates"), &other).await.expect(201);
    server
}

/// The command line, logged in with a key.
struct Cli {
    http: Client,
}

impl Cli {
    fn new(server: &TestServer, key: &str) -> Self {
        let http = server.anonymous(Protocol::Http1).bearer(key);
        Self { http: http.header(ACCEPT, "application/json, */*").header(USER_AGENT, "vcluster/v0.0.0 (linux/amd64) kubernetes/$Format") }
    }

    /// What every command begins with.
    async fn selves(&self) -> Response {
        let body = json!({
            "kind": "Self", "apiVersion": "management.loft.sh/v1",
            "metadata": {"creationTimestamp": null}, "spec": {}, "status": {},
        });
        self.http.post(&format!("{API}/selves"), &body).await
    }

    async fn who(&self) -> Value {
        self.selves().await.expect(201).json()["status"].clone()
    }

    /// The path of a project's instances, found as the command line finds it.
    async fn instances(&self, project: &str) -> String {
        let prefix = self.who().await["projectNamespacePrefix"].as_str().expect("a prefix").to_owned();
        format!("{API}/namespaces/{prefix}{project}/virtualclusterinstances")
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(path).await.expect(200).json()
    }

    async fn project(&self, name: &str) -> Value {
        self.get(&format!("{API}/projects/{name}")).await
    }

    /// An instance as `list`, `delete`, `connect` and `sleep` read it: one that cannot be used counts as missing.
    async fn usable(&self, project: &str, name: &str) -> Value {
        self.project(project).await;
        let instance = self.get(&format!("{}/{name}?extended=true", self.instances(project).await)).await;
        assert_eq!(instance["status"]["canUse"], true, "{instance}");
        instance
    }

    /// The names that `list vclusters` shows: those that can be used, in projects that can be seen.
    async fn list(&self) -> Vec<String> {
        let prefix = self.who().await["projectNamespacePrefix"].as_str().expect("a prefix").to_owned();
        let projects = self.get(&format!("{API}/projects")).await;
        let items = self.get(&format!("{API}/virtualclusterinstances?extended=true")).await;
        let in_project = |item: &&Value| {
            let project = item["metadata"]["namespace"].as_str().unwrap_or_default().trim_start_matches(prefix.as_str());
            projects["items"].as_array().expect("items").iter().any(|known| known["metadata"]["name"] == project)
        };
        let items = items["items"].as_array().expect("items").iter();
        items.filter(|item| item["status"]["canUse"] == true).filter(in_project).map(name).collect()
    }

    /// Those of `list vclusters --owner`: it reads spec.owner without asking whether there is one.
    async fn list_owned(&self) -> Vec<String> {
        let items = self.get(&format!("{API}/virtualclusterinstances?extended=true")).await;
        let mut owned = Vec::new();
        for item in items["items"].as_array().expect("items") {
            let owner = item["spec"]["owner"].as_object().expect("an owner, or the command line would break off");
            let who = self.who().await;
            let by_user = owner.get("user").is_some_and(|user| *user == who["user"]["username"]);
            let teams = who["user"]["teams"].as_array().cloned().unwrap_or_default();
            let by_team = owner.get("team").is_some_and(|team| teams.iter().any(|own| own["name"] == *team));
            if by_user || by_team {
                owned.push(name(item));
            }
        }
        owned
    }

    async fn create(&self, project: &str, body: &Value) -> Response {
        self.http.post(&self.instances(project).await, body).await
    }
}

fn name(item: &Value) -> String {
    item["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// What `create vcluster` sends, with a template.
fn of_template(project: &str, name: &str) -> Value {
    json!({
        "kind": "VirtualClusterInstance", "apiVersion": "management.loft.sh/v1",
        "metadata": {
            "name": name, "namespace": format!("loft-p-{project}"), "creationTimestamp": null,
            "annotations": {"sleepmode.loft.sh/timezone": "Europe/Berlin#3600"},
        },
        "spec": {"templateRef": {"name": "isolated"}, "clusterRef": {}, "parameters": "size: small\n"},
        "status": {},
    })
}

/// What it sends without one.
fn of_chart(project: &str, name: &str) -> Value {
    let mut body = of_template(project, name);
    body["spec"] = json!({
        "template": {
            "metadata": {}, "instanceTemplate": {"metadata": {}}, "pro": {"enabled": true},
            "helmRelease": {"chart": {"name": "vcluster", "repo": "https://charts.loft.sh", "version": "0.27.0"}, "values": "a: b\n"},
            "accessPoint": {"ingress": {}}, "forwardToken": true, "spaceTemplate": {"metadata": {}},
        },
        "clusterRef": {},
    });
    body
}

/// The platform's controllers say that it runs.
async fn ready(server: &TestServer, path: &str) {
    let status = json!({"status": {"phase": "Ready", "virtualCluster": {"helmRelease": {"chart": {"version": "0.27.0"}}}}});
    Cli::new(server, "key-of-ada").http.patch(&format!("{path}/status"), MERGE, &status).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_and_logout() {
    let server = server().await;
    let una = Cli::new(&server, "key-of-una");
    let who = una.who().await;
    let team = json!({"name": "devs", "displayName": "Developers", "username": "devs"});
    let user = json!({
        "name": "una", "displayName": "Una", "email": "una@example.com", "username": "una", "subject": "una", "teams": [team],
    });
    assert_eq!(who["user"], user);
    assert_eq!((&who["subject"], &who["accessKey"], &who["accessKeyType"]), (&json!("una"), &json!("una"), &json!("User")));
    assert_eq!((&who["projectNamespacePrefix"], who.get("team"), who.get("accessKeyScope")), (&json!("loft-p-"), None, None));
    assert!(who["groups"].as_array().expect("groups").contains(&json!("loft:team:devs")), "{who}");
    // The credentials for image registries are looked for at the user and at the user's teams.
    assert_eq!(name(&una.get(&format!("{API}/users/una")).await), "una");
    assert_eq!(name(&una.get(&format!("{API}/teams/devs")).await), "devs");
    assert_eq!(Cli::new(&server, "key-of-nobody").selves().await.status, 401);

    // Another key is at hand from before: it is given up first if it was made by a login.
    let old = Cli::new(&server, "login-key-of-una");
    let who = old.who().await;
    assert_eq!(who["accessKeyType"], "Login");
    let key = format!("{API}/ownedaccesskeys/{}", who["accessKey"].as_str().expect("the key's name"));
    old.http.delete_with(&key, &json!({"kind": "DeleteOptions", "apiVersion": "management.loft.sh/v1"})).await.expect(200);
    vci_testkit::wait_for("the key to be void", async || old.selves().await.status == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_with_a_template() {
    let server = server().await;
    for key in ["key-of-una", "key-of-ada"] {
        let cli = Cli::new(&server, key);
        let instance = format!("{}/of-{key}", cli.instances("blue").await);
        let missing = cli.http.get(&instance).await.expect(404).json();
        assert_eq!((&missing["kind"], &missing["reason"]), (&json!("Status"), &json!("NotFound")));
        let project = cli.project("blue").await;
        assert_eq!(project["spec"]["allowedTemplates"][0]["isDefault"], true);
        let templates = cli.get(&format!("{API}/projects/blue/templates")).await;
        assert_eq!(templates["defaultVirtualClusterTemplate"], "isolated");
        let names: Vec<String> = templates["virtualClusterTemplates"].as_array().expect("templates").iter().map(name).collect();
        assert_eq!(names, ["isolated"], "what the project does not allow is not offered");
        assert_eq!(templates["virtualClusterTemplates"][0]["spec"]["versions"][0]["version"], "1.0.0");

        let created = cli.create("blue", &of_template("blue", &format!("of-{key}"))).await.expect(201).json();
        assert_eq!(created["spec"]["owner"]["user"], key.trim_start_matches("key-of-"));
        assert_eq!(created["status"], json!({}), "nothing is known of it, and nothing is computed unasked");
        ready(&server, &instance).await;
        assert_eq!(cli.get(&instance).await["status"]["phase"], "Ready");

        // --use finds it; --upgrade sends what has changed.
        assert_eq!(cli.get(&instance).await["metadata"].get("deletionTimestamp"), None);
        let change = json!({"spec": {"templateRef": {"version": "1.x.x"}}});
        assert_eq!(cli.http.patch(&instance, MERGE, &change).await.expect(200).json()["spec"]["templateRef"]["version"], "1.x.x");
        cli.create("blue", &of_template("blue", &format!("of-{key}"))).await.expect(409);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_without_a_template() {
    let server = server().await;
    let (una, ada) = (Cli::new(&server, "key-of-una"), Cli::new(&server, "key-of-ada"));
    for (cli, project, may) in [(&una, "blue", false), (&ada, "blue", true), (&una, "green", false)] {
        let question = json!({
            "kind": "SelfSubjectAccessReview", "apiVersion": "management.loft.sh/v1", "metadata": {"creationTimestamp": null},
            "spec": {"resourceAttributes": {
                "verb": "create", "group": "management.loft.sh", "version": "v1", "resource": "virtualclusterinstances",
                "subresource": "restricted", "namespace": format!("loft-p-{project}"),
            }},
            "status": {"allowed": false},
        });
        let answer = cli.http.post(&format!("{API}/selfsubjectaccessreviews"), &question).await.expect(201).json();
        assert_eq!((&answer["status"]["allowed"], answer["status"].get("denied")), (&json!(may), None), "{project}");
        let disabled = cli.project(project).await["spec"]["requireTemplate"]["disabled"] == true;
        let created = cli.create(project, &of_chart(project, &format!("c-{may}"))).await;
        // What the command line was told is what it gets.
        assert_eq!(created.status.as_u16(), if may || disabled { 201 } else { 422 }, "{project}: {}", created.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_connect() {
    let server = server().await;
    let (una, ada) = (Cli::new(&server, "key-of-una"), Cli::new(&server, "key-of-ada"));
    una.create("blue", &of_template("blue", "of-una")).await.expect(201);
    ada.create("blue", &of_template("blue", "of-ada")).await.expect(201);
    let mut of_team = of_chart("green", "of-devs");
    of_team["spec"]["owner"] = json!({"team": "devs"});
    una.create("green", &of_team).await.expect(201);
    let mut seen_only = of_template("blue", "seen-only");
    seen_only["spec"]["access"] = json!([{"name": "look", "verbs": ["get"], "users": ["una"]}]);
    ada.create("blue", &seen_only).await.expect(201);

    assert_eq!(una.list().await, ["of-una", "of-devs"]);
    assert_eq!(una.list_owned().await, ["of-una", "of-devs"]);
    assert_eq!(ada.list().await, ["of-ada", "of-una", "seen-only", "of-devs"]);
    assert_eq!(ada.list_owned().await, ["of-ada", "seen-only"]);

    let seen = una.get(&format!("{}/seen-only?extended=true", una.instances("blue").await)).await;
    assert_eq!((seen["status"].get("canUse"), seen["status"].get("canUpdate")), (None, None), "to see is not to use");
    let own = una.usable("blue", "of-una").await;
    assert_eq!(own["status"]["canUpdate"], true);
    una.http.get(&format!("{}/of-ada?extended=true", una.instances("blue").await)).await.expect(403);
    let projects: Vec<String> = una.get(&format!("{API}/projects")).await["items"].as_array().expect("items").iter().map(name).collect();
    assert_eq!(projects, ["blue", "green"]);
    una.http.get(&format!("{API}/projects/secret")).await.expect(403);
    una.http.get(&format!("{API}/projects/secret/templates")).await.expect(403);
    assert_eq!(una.get(&format!("{API}/projects/blue/clusters")).await["clusters"], json!([]));
    let name_alone = json!({"virtualCluster": "of-una"});
    assert_eq!(own["spec"]["clusterRef"], name_alone, "the name that it shows, and no host cluster that it would look for");
    let stored = una.get(&format!("{}/of-una", una.instances("blue").await)).await;
    assert_eq!(stored["spec"]["clusterRef"], json!({}), "nothing is chosen yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn sleep_wake_up_share_delete() {
    let server = server().await;
    for key in ["key-of-una", "key-of-ada"] {
        let cli = Cli::new(&server, key);
        let name = format!("of-{key}");
        cli.create("blue", &of_template("blue", &name)).await.expect(201);
        let path = format!("{}/{name}", cli.instances("blue").await);
        ready(&server, &path).await;

        // sleep: the whole object goes back, with all that was computed for the reader.
        let mut instance = cli.usable("blue", &name).await;
        instance["metadata"]["annotations"]["sleepmode.loft.sh/force"] = "true".into();
        instance["metadata"]["annotations"]["sleepmode.loft.sh/force-duration"] = "3600".into();
        instance["status"]["phase"] = "Sleeping".into();
        let put = cli.http.put(&path, &instance).await.expect(200).json();
        assert_eq!(put["metadata"]["annotations"]["sleepmode.loft.sh/force"], "true");
        assert_eq!((&put["status"]["phase"], put["status"].get("canUse")), (&json!("Ready"), None), "the status is the platform's");
        assert_eq!(cli.get(&path).await, put);

        // wakeup
        let awake = json!({"metadata": {"annotations": {
            "sleepmode.loft.sh/force": null, "sleepmode.loft.sh/force-duration": null, "sleepmode.loft.sh/last-activity": "1790000000",
        }}});
        let annotations = cli.http.patch(&path, MERGE, &awake).await.expect(200).json()["metadata"]["annotations"].clone();
        assert_eq!(
            (annotations.get("sleepmode.loft.sh/force"), &annotations["sleepmode.loft.sh/last-activity"]),
            (None, &json!("1790000000"))
        );

        // share
        let mut instance = cli.get(&path).await;
        instance["spec"]["extraAccessRules"] = json!([{"users": ["ada"], "clusterRole": "cluster-admin"}]);
        instance["spec"]["templateRef"]["syncOnce"] = true.into();
        let shared = cli.http.put(&path, &instance).await.expect(200).json();
        assert_eq!(shared["spec"]["extraAccessRules"][0]["clusterRole"], "cluster-admin");

        // delete
        assert_ne!(cli.usable("blue", &name).await["spec"]["external"], true);
        cli.http.delete_with(&path, &json!({"kind": "DeleteOptions", "apiVersion": "management.loft.sh/v1"})).await.expect(200);
        assert_eq!(cli.http.get(&path).await.expect(404).json()["reason"], "NotFound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_an_access_key() {
    let server = server().await;
    for (key, user) in [("key-of-una", "una"), ("key-of-ada", "ada")] {
        let cli = Cli::new(&server, key);
        let user_name = cli.who().await["user"]["name"].clone();
        assert_eq!(user_name, user);
        let body = json!({
            "kind": "OwnedAccessKey", "apiVersion": "management.loft.sh/v1",
            "metadata": {"name": format!("ci-of-{user}"), "creationTimestamp": null},
            "spec": {
                "displayName": "ci", "user": user_name, "ttl": 3600, "type": "User", "scope": {"roles": [{"role": "vcluster"}]},
            },
            "status": {},
        });
        let created = cli.http.post(&format!("{API}/ownedaccesskeys"), &body).await.expect(201).json();
        let secret = created["spec"]["key"].as_str().expect("the secret, shown once").to_owned();
        assert!(secret.len() >= 32, "{} characters", secret.len());
        let of_key = Cli::new(&server, &secret);
        vci_testkit::wait_for("the new key to be known", async || of_key.selves().await.status == 201).await;
        let who = of_key.who().await;
        assert_eq!((&who["accessKey"], &who["user"]["name"]), (&json!(format!("ci-of-{user}")), &json!(user)));
        assert_eq!(who["accessKeyScope"], json!({"roles": [{"role": "vcluster"}]}));

        let keys = cli.get(&format!("{API}/users/{user}/accesskeys")).await;
        let text = keys.to_string();
        assert!(text.contains(&format!("ci-of-{user}")) && !text.contains(&secret) && !text.contains("keyHash"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_management() {
    let server = server().await;
    let una = Cli::new(&server, "key-of-una");
    una.who().await;
    // kubectl goes on below the same prefix.
    let prefix = "/kubernetes/management";
    let aggregated = una.http.header(ACCEPT, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let groups = aggregated.get(&format!("{prefix}/apis")).await.expect(200).json();
    let resources = groups["items"][0]["versions"][0]["resources"].as_array().expect("resources").clone();
    let find =
        |plural: &str| resources.iter().find(|resource| resource["resource"] == plural).unwrap_or_else(|| panic!("{plural} in {groups}"));
    assert_eq!((&find("selves")["verbs"], &find("selves")["responseKind"]["kind"]), (&json!(["create"]), &json!("Self")));
    let subresources = find("projects")["subresources"].as_array().expect("subresources").clone();
    for (name, kind) in [("members", "ProjectMembers"), ("templates", "ProjectTemplates"), ("clusters", "ProjectClusters")] {
        let response_kind = json!({"group": "management.loft.sh", "version": "v1", "kind": kind});
        assert!(subresources.contains(&json!({"subresource": name, "responseKind": response_kind, "verbs": ["get"]})), "{subresources:?}");
    }
    let plain = una.get(API).await;
    let names: Vec<&str> = plain["resources"].as_array().expect("resources").iter().filter_map(|entry| entry["name"].as_str()).collect();
    for entry in ["selves", "selfsubjectaccessreviews", "subjectaccessreviews", "projects/members", "users/accesskeys", "teams/accesskeys"]
    {
        assert!(names.contains(&entry), "{entry} in {names:?}");
    }
    una.get(&format!("{prefix}/api")).await;
    let paths = una.get(&format!("{prefix}/openapi/v3")).await;
    let url = paths["paths"]["apis/management.loft.sh/v1"]["serverRelativeURL"].as_str().expect("a URL").to_owned();
    let document = una.get(&format!("{prefix}{url}")).await;
    for path in ["selves", "projects/{name}/members", "users/{name}/accesskeys"] {
        assert!(document["paths"].get(format!("/apis/management.loft.sh/v1/{path}")).is_some(), "{path}");
    }
    let wrong = una.http.request(Method::DELETE, &format!("{API}/selves"), None, "").await;
    assert!(matches!(wrong.status.as_u16(), 403 | 405), "{}", wrong.text());
}
