//! What is answered and never stored: who is calling, may they, and what projects, users and teams tell of themselves.

use crate::common::{BINARY, GROUP};
use serde_json::{Value, json};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};

const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ada}
spec: {clusterRoles: [{name: loft-management-admin}]}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: una}
spec: {displayName: Una, icon: i, username: una.u, email: una@example.com, subject: una-subject}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: victor}
---
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: tina}
---
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: devs}
spec: {displayName: Developers, users: [tina, una], access: [{verbs: [get], subresources: [accesskeys], users: [victor]}]}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  members:
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
  - {kind: User, group: storage.loft.sh, name: nobody, clusterRole: loft-management-project-user}
  - {kind: Team, group: storage.loft.sh, name: devs, clusterRole: loft-management-project-viewer}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: open}
spec: {members: [{kind: User, group: storage.loft.sh, name: '*', clusterRole: loft-management-project-viewer}]}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ada}
spec: {user: ada, key: key-of-ada}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: una}
spec: {user: una, key: key-of-una}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: narrow}
spec: {user: una, key: narrow-key-of-una, scope: {projects: [{project: elsewhere}]}}
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
metadata: {name: devs}
spec: {team: devs, key: key-of-devs}
";

async fn server() -> TestServer {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    TestServer::start(options).await
}

fn with(server: &TestServer, key: &str) -> Client {
    server.anonymous(Protocol::Http2).bearer(key)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|entry| entry["info"]["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_known_may_ask_who_they_are() {
    let server = server().await;
    let selves = format!("{GROUP}/selves");
    let who = async |key: &str, body: Value| with(&server, key).post(&selves, &body).await;
    let narrow = who("narrow-key-of-una", json!({})).await.expect(201).json()["status"].clone();
    assert_eq!(narrow["accessKeyScope"], json!({"projects": [{"project": "elsewhere"}]}), "a scope does not narrow this");
    assert_eq!((&narrow["user"]["name"], &narrow["user"]["username"]), (&json!("una"), &json!("una.u")));
    let team = who("key-of-devs", json!({})).await.expect(201).json()["status"].clone();
    assert_eq!((team.get("user"), &team["team"]["name"], &team["accessKey"]), (None, &json!("devs"), &json!("devs")));

    // About another key only to those who have its secret, which no answer repeats.
    let other = who("key-of-victor", json!({"spec": {"accessKey": "key-of-una"}})).await.expect(201);
    assert_eq!((&other.json()["status"]["accessKey"], other.text().contains("key-of-una")), (&json!("una"), false));
    let unknown = who("key-of-ada", json!({"spec": {"accessKey": "key-of-nobody"}})).await.expect(422);
    assert!(!unknown.text().contains("key-of-nobody"), "{}", unknown.text());
    server.anonymous(Protocol::Http2).post(&selves, &json!({})).await.expect(401);
    assert!(!server.logs().contains("key-of-una"), "secrets stay out of the logs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_tells_its_members() {
    let server = server().await;
    let members = with(&server, "key-of-una").get(&format!("{GROUP}/projects/blue/members")).await.expect(200).json();
    assert_eq!((&members["kind"], &members["metadata"]["name"]), (&json!("ProjectMembers"), &json!("blue")));
    let una = json!({
        "name": "una", "displayName": "Una", "icon": "i", "username": "una.u", "email": "una@example.com", "subject": "una-subject",
    });
    assert_eq!(members["users"], json!([{"info": una}]), "whoever is not there is left out");
    assert_eq!(names(&members["teams"]), ["devs"]);
    // How somebody is reached and logs in is for themselves to see, and for those who may change the project.
    let others = json!({"name": "una", "displayName": "Una", "icon": "i", "username": "una", "subject": "una"});
    for (key, want) in [("key-of-ada", &una), ("key-of-tina", &others), ("key-of-devs", &others)] {
        let members = with(&server, key).get(&format!("{GROUP}/projects/blue/members")).await.expect(200).json();
        assert_eq!(members["users"], json!([{"info": want}]), "{key}");
    }
    let everybody = with(&server, "key-of-victor").get(&format!("{GROUP}/projects/open/members")).await.expect(200).json();
    assert!(["ada", "tina", "una", "victor"].iter().all(|name| names(&everybody["users"]).contains(name)), "{everybody}");
    let templates = with(&server, "key-of-victor").get(&format!("{GROUP}/projects/open/templates")).await.expect(200).json();
    assert_eq!((&templates["virtualClusterTemplates"], templates.get("defaultVirtualClusterTemplate")), (&json!([]), None));
    for view in ["members", "templates", "clusters"] {
        with(&server, "key-of-victor").get(&format!("{GROUP}/projects/blue/{view}")).await.expect(403);
        with(&server, "key-of-ada").get(&format!("{GROUP}/projects/none/{view}")).await.expect(404);
        with(&server, "key-of-una").post(&format!("{GROUP}/projects/blue/{view}"), &json!({})).await.expect(403);
        with(&server, "key-of-ada").post(&format!("{GROUP}/projects/blue/{view}"), &json!({})).await.expect(405);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_keys_are_told_to_their_holders_without_what_opens_anything() {
    let server = server().await;
    let keys = |holder: &str| format!("{GROUP}/{holder}/accesskeys");
    for (key, holder, code) in [
        ("key-of-una", "users/una", 200),
        ("key-of-ada", "users/una", 200),
        ("key-of-victor", "users/una", 403),
        ("narrow-key-of-una", "users/una", 403),
        ("key-of-ada", "teams/devs", 200),
        ("key-of-victor", "teams/devs", 200),
        ("key-of-tina", "teams/devs", 403),
        ("key-of-ada", "users/none", 404),
    ] {
        let answer = with(&server, key).get(&keys(holder)).await;
        assert_eq!(answer.status.as_u16(), code, "{holder} to {key}: {}", answer.text());
        if code == 200 {
            let told = answer.json()["accessKeys"].clone();
            let names: Vec<_> = told.as_array().expect("keys").iter().map(|key| key["metadata"]["name"].clone()).collect();
            assert_eq!(names, if holder == "users/una" { vec![json!("narrow"), json!("una")] } else { vec![json!("devs")] });
            assert!(!answer.text().contains("key-of-") && !answer.text().contains("keyHash"), "{}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_say_what_requests_get() {
    let server = server().await;
    let instances = format!("{GROUP}/namespaces/loft-p-blue/virtualclusterinstances");
    let access = json!([{"verbs": ["use", "get"], "users": ["tina"]}]);
    let spec = json!({"templateRef": {"name": "t"}, "access": access});
    with(&server, "key-of-una").post(&instances, &json!({"metadata": {"name": "x"}, "spec": spec})).await.expect(201);
    let attributes = |verb: &str, subresource: &str, name: &str| {
        json!({"group": "management.loft.sh", "version": "v1", "resource": "virtualclusterinstances", "namespace": "loft-p-blue",
               "verb": verb, "subresource": subresource, "name": name})
    };
    for (user, verb, subresource, name, want) in [
        ("una", "use", "", "x", true),
        ("una", "update", "", "x", true),
        ("una", "use", "", "none", false),
        ("una", "*", "", "", false),
        ("una", "list", "", "", true),
        ("una", "create", "", "", true),
        ("una", "create", "restricted", "", false),
        ("tina", "use", "", "x", true),
        ("tina", "get", "", "x", true),
        ("tina", "update", "", "x", false),
        ("tina", "update", "", "", false),
        ("tina", "create", "", "", false),
        ("victor", "use", "", "x", false),
        ("victor", "list", "", "", false),
        ("ada", "*", "*", "", true),
        ("ada", "create", "restricted", "", true),
    ] {
        let of_self = json!({"spec": {"resourceAttributes": attributes(verb, subresource, name)}});
        let mut of_other = of_self.clone();
        of_other["spec"]["user"] = user.into();
        let own = with(&server, &format!("key-of-{user}"));
        for group in [GROUP, "/apis/authorization.k8s.io/v1"] {
            let asked = format!("{user} {verb} {subresource} {name} of {group}");
            let answer = own.post(&format!("{group}/selfsubjectaccessreviews"), &of_self).await.expect(201).json();
            assert_eq!(answer["status"]["allowed"], want, "{asked}: {answer}");
            let path = format!("{group}/subjectaccessreviews");
            let answer = with(&server, "key-of-ada").post(&path, &of_other).await.expect(201).json();
            assert_eq!(answer["status"]["allowed"], want, "about {asked}: {answer}");
            if user != "ada" {
                own.post(&path, &of_other).await.expect(403);
            }
        }
    }
}
