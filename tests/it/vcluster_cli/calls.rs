//! The answers to the command line's own calls, field by field: its output shows too little of them.

use super::{ADA, API, BOOTSTRAP, UNA};
use crate::common::BINARY;
use http::Method;
use http::header::{ACCEPT, USER_AGENT};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol, Response};
use vci_testkit::server::{ServerOptions, TestServer};

async fn server() -> TestServer {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    TestServer::start(options).await
}

/// A client with the command line's headers.
struct Calls {
    http: Client,
}

impl Calls {
    fn new(server: &TestServer, key: &str) -> Self {
        let http = server.anonymous(Protocol::Http1).bearer(key);
        Self { http: http.header(ACCEPT, "application/json, */*").header(USER_AGENT, "vcluster/v0.0.0 (linux/amd64) kubernetes/$Format") }
    }

    /// The call that every command begins with.
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

    async fn get(&self, path: &str) -> Value {
        self.http.get(path).await.expect(200).json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_learns_who_it_is() {
    let server = server().await;
    let una = Calls::new(&server, UNA);
    let who = una.who().await;
    let team = json!({"name": "devs", "displayName": "Developers", "username": "devs"});
    let user = json!({
        "name": "una", "displayName": "Una", "email": "una@example.com", "username": "una", "subject": "una", "teams": [team],
    });
    assert_eq!(who["user"], user);
    assert_eq!((&who["subject"], &who["accessKey"], &who["accessKeyType"]), (&json!("una"), &json!("una"), &json!("User")));
    assert_eq!((&who["projectNamespacePrefix"], who.get("team"), who.get("accessKeyScope")), (&json!("loft-p-"), None, None));
    assert!(who["groups"].as_array().expect("groups").contains(&json!("loft:team:devs")), "{who}");
    assert_eq!(Calls::new(&server, "login-key-of-una-for-tests").who().await["accessKeyType"], "Login");
    assert_eq!(Calls::new(&server, "key-of-nobody").selves().await.status, 401);
    // The credentials for image registries are looked for at the user and at the user's teams.
    assert_eq!(una.get(&format!("{API}/users/una")).await["metadata"]["name"], "una");
    assert_eq!(una.get(&format!("{API}/teams/devs")).await["metadata"]["name"], "devs");
    // The address is checked by this before a cluster is connected.
    assert!(una.get("/version").await["version"].as_str().is_some_and(|version| version.starts_with('v')));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_go_without_a_template_is_told_as_it_is() {
    let server = server().await;
    let (una, ada) = (Calls::new(&server, UNA), Calls::new(&server, ADA));
    for (who, project, may) in [(&una, "blue", false), (&ada, "blue", true), (&una, "green", false)] {
        let namespace = format!("loft-p-{project}");
        let question = json!({
            "kind": "SelfSubjectAccessReview", "apiVersion": "management.loft.sh/v1", "metadata": {"creationTimestamp": null},
            "spec": {"resourceAttributes": {
                "verb": "create", "group": "management.loft.sh", "version": "v1", "resource": "virtualclusterinstances",
                "subresource": "restricted", "namespace": namespace,
            }},
            "status": {"allowed": false},
        });
        let answer = who.http.post(&format!("{API}/selfsubjectaccessreviews"), &question).await.expect(201).json();
        assert_eq!((&answer["status"]["allowed"], answer["status"].get("denied")), (&json!(may), None), "{project}");
        let disabled = who.get(&format!("{API}/projects/{project}")).await["spec"]["requireTemplate"]["disabled"] == true;
        let of_chart = json!({"metadata": {"name": format!("c-{may}")}, "spec": {"template": {}, "clusterRef": {}}});
        let created = who.http.post(&format!("{API}/namespaces/{namespace}/virtualclusterinstances"), &of_chart).await;
        assert_eq!(created.status.as_u16(), if may || disabled { 201 } else { 422 }, "{project}: {}", created.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_seen_is_not_what_may_be_used() {
    let server = server().await;
    let (una, ada) = (Calls::new(&server, UNA), Calls::new(&server, ADA));
    let collection = format!("{API}/namespaces/loft-p-blue/virtualclusterinstances");
    let access = json!([{"name": "look", "verbs": ["get"], "users": ["una"]}]);
    for (name, spec) in [("seen-only", json!({"templateRef": {"name": "isolated"}, "access": access})), ("hidden", json!({"template": {}}))]
    {
        ada.http.post(&collection, &json!({"metadata": {"name": name}, "spec": spec})).await.expect(201);
    }
    let seen = una.get(&format!("{collection}/seen-only?extended=true")).await;
    assert_eq!((seen["status"].get("canUse"), seen["status"].get("canUpdate")), (None, None), "to see is not to use");
    una.http.get(&format!("{collection}/hidden?extended=true")).await.expect(403);
    let own = ada.get(&format!("{collection}/hidden?extended=true")).await;
    assert_eq!((&own["status"]["canUse"], &own["status"]["canUpdate"]), (&json!(true), &json!(true)));
    una.http.get(&format!("{API}/projects/secret")).await.expect(403);
    una.http.get(&format!("{API}/projects/secret/templates")).await.expect(403);
    assert_eq!(una.get(&format!("{API}/projects/blue/clusters")).await["clusters"], json!([]));
    let templates = una.get(&format!("{API}/projects/blue/templates")).await;
    assert_eq!(templates["defaultVirtualClusterTemplate"], "isolated");
    assert_eq!(templates["virtualClusterTemplates"].as_array().map(Vec::len), Some(1), "those that the project does not allow are absent");
    assert_eq!(templates["virtualClusterTemplates"][0]["spec"]["versions"][0]["version"], "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once() {
    let server = server().await;
    for (key, user) in [(UNA, "una"), (ADA, "ada")] {
        let own = Calls::new(&server, key);
        let body = json!({
            "kind": "OwnedAccessKey", "apiVersion": "management.loft.sh/v1",
            "metadata": {"name": format!("ci-of-{user}"), "creationTimestamp": null},
            "spec": {"displayName": "ci", "user": user, "ttl": 3600, "type": "User", "scope": {"roles": [{"role": "vcluster"}]}},
            "status": {},
        });
        let created = own.http.post(&format!("{API}/ownedaccesskeys"), &body).await.expect(201).json();
        let secret = created["spec"]["key"].as_str().expect("the secret, shown once").to_owned();
        assert!(secret.len() >= 32, "{} characters", secret.len());
        let of_key = Calls::new(&server, &secret);
        vci_testkit::wait_for("the new key to be known", async || of_key.selves().await.status == 201).await;
        let who = of_key.who().await;
        assert_eq!((&who["accessKey"], &who["user"]["name"]), (&json!(format!("ci-of-{user}")), &json!(user)));
        assert_eq!(who["accessKeyScope"], json!({"roles": [{"role": "vcluster"}]}));
        let text = own.get(&format!("{API}/users/{user}/accesskeys")).await.to_string();
        assert!(text.contains(&format!("ci-of-{user}")) && !text.contains(&secret) && !text.contains("keyHash"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_what_is_not_stored() {
    let server = server().await;
    let una = Calls::new(&server, UNA);
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
    let paths = una.get(&format!("{prefix}/openapi/v3")).await;
    let url = paths["paths"]["apis/management.loft.sh/v1"]["serverRelativeURL"].as_str().expect("a URL").to_owned();
    let document = una.get(&format!("{prefix}{url}")).await;
    for path in ["selves", "projects/{name}/members", "users/{name}/accesskeys"] {
        assert!(document["paths"].get(format!("/apis/management.loft.sh/v1/{path}")).is_some(), "{path}");
    }
    let wrong = una.http.request(Method::DELETE, &format!("{API}/selves"), None, "").await;
    assert!(matches!(wrong.status.as_u16(), 403 | 405), "{}", wrong.text());
}

/// What `vcluster platform add vcluster` asks for a virtual cluster that somebody else deploys.
#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_cluster_is_added_with_a_key_of_its_own() {
    let server = server().await;
    let una = Calls::new(&server, UNA);
    let collection = format!("{API}/namespaces/loft-p-green/virtualclusterinstances");
    let body = json!({
        "kind": "VirtualClusterInstance", "apiVersion": "management.loft.sh/v1",
        "metadata": {"name": "mine", "namespace": "loft-p-green", "creationTimestamp": null, "labels": {"vcluster.loft.sh/created-by-cli": "true"}},
        "spec": {
            "template": {
                "metadata": {}, "instanceTemplate": {"metadata": {}}, "pro": {}, "accessPoint": {"ingress": {}},
                "helmRelease": {"chart": {"version": "0.36.1"}}, "spaceTemplate": {"metadata": {}},
            },
            "clusterRef": {}, "external": true, "networkPeer": true,
        },
        "status": {},
    });
    una.http.post(&collection, &body).await.expect(201);
    let told = una.get(&format!("{collection}/mine/accesskey")).await;
    assert_eq!((&told["kind"], &told["apiVersion"]), (&json!("VirtualClusterAccessKey"), &json!("management.loft.sh/v1")));
    let who = Calls::new(&server, told["accessKey"].as_str().expect("a key")).who().await;
    assert_eq!(who["subject"], "loft:vcluster:loft-p-green:mine");
    Calls::new(&server, super::BOB).http.get(&format!("{collection}/mine/accesskey")).await.expect(403);
}
