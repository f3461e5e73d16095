//! The real vcluster command line, as a plain member of a project and as somebody who may do everything. The test plays the
//! controllers: what the command line waits for is written to `/status` by an administrator.

use crate::common::{BINARY, MERGE};
use crate::kubectl::Kubectl;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::program::cached;
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

mod calls;

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
kind: User
metadata: {name: bob}
---
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: devs}
spec: {displayName: Developers, users: [una]}
---
apiVersion: management.loft.sh/v1
kind: VirtualClusterTemplate
metadata: {name: isolated}
spec:
  displayName: Isolated
  versions:
  - version: 1.0.0
    template: {}
    parameters: [{variable: size, defaultValue: small}]
---
apiVersion: management.loft.sh/v1
kind: VirtualClusterTemplate
metadata: {name: other}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  members:
  - {kind: User, group: storage.loft.sh, name: una, clusterRole: loft-management-project-user}
  - {kind: User, group: storage.loft.sh, name: bob, clusterRole: loft-management-project-viewer}
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
spec: {user: ada, type: User, key: key-of-ada-for-tests}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: una}
spec: {user: una, type: User, key: key-of-una-for-tests}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: bob}
spec: {user: bob, type: User, key: key-of-bob-for-tests}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: login-of-una}
spec: {user: una, type: Login, key: login-key-of-una-for-tests}
";

const ADA: &str = "key-of-ada-for-tests";
const UNA: &str = "key-of-una-for-tests";
const BOB: &str = "key-of-bob-for-tests";

/// A server, and the command line if this machine has it.
async fn stand() -> Option<(TestServer, PathBuf)> {
    let binary = cached("bin/vcluster")?;
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    Some((TestServer::start(options).await, binary))
}

/// What a command said.
struct Said {
    good: bool,
    stdout: String,
    all: String,
}

/// The command line of one person, with a home of its own.
struct Cli {
    binary: PathBuf,
    server: String,
    home: tempfile::TempDir,
}

impl Cli {
    /// Not logged in yet. It trusts the server's authority.
    fn new(server: &TestServer, binary: &Path) -> Self {
        let home = tempfile::tempdir().expect("a home");
        std::fs::write(home.path().join("ca.crt"), server.ca_pem()).expect("written");
        let config = json!({"telemetryDisabled": true, "driver": {"type": "helm"}});
        std::fs::write(home.path().join("config.json"), config.to_string()).expect("written");
        Self { binary: binary.to_owned(), server: server.base_url().to_owned(), home }
    }

    /// Logged in with a key, and set to talk to the platform.
    fn logged_in(server: &TestServer, binary: &Path, key: &str) -> Self {
        let cli = Self::new(server, binary);
        cli.run(&["platform", "login", &cli.server, "--access-key", key, "--use-driver", "platform"]);
        cli
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let home = self.home.path();
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--config").arg(home.join("config.json"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).env("KUBECONFIG", home.join("kubeconfig"));
        command.env("SSL_CERT_FILE", home.join("ca.crt")).env("VCLUSTER_SKIP_VERSION_CHECK", "true").env("LOFT_TIMEOUT", "2m");
        command.current_dir(home).stdin(Stdio::null());
        command
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().expect("vcluster runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Said { good: output.status.success(), all: format!("{stdout}{stderr}"), stdout }
    }

    /// Runs and must succeed; returns standard output.
    fn run(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert!(said.good, "vcluster {arguments:?}: {}", said.all);
        said.stdout
    }

    /// Runs and must fail; returns all it said.
    fn fails(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert!(!said.good, "vcluster {arguments:?} succeeded: {}", said.all);
        said.all
    }

    /// Runs a command that waits, while `controller` does what it waits for.
    async fn waits(&self, arguments: &[&str], controller: impl Future<Output = ()>) -> String {
        let mut command = self.command(arguments);
        let (output, ()) = tokio::join!(tokio::task::spawn_blocking(move || command.output().expect("vcluster runs")), controller);
        let output = output.expect("no panic");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "vcluster {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The virtual clusters of a list, as name, project and status; `null` is how the command line writes none.
    fn list(&self, more: &[&str]) -> Vec<(String, String, String)> {
        let said = self.run(&[&["platform", "list", "vclusters", "--output", "json"], more].concat());
        let found: Option<Vec<Value>> = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let found = found.unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> = found.iter().map(|entry| (text(entry, "Name"), text(entry, "Project"), text(entry, "Status"))).collect();
        found.sort();
        found
    }
}

/// The platform's controllers, as far as the command line waits for them.
struct Controller {
    http: Client,
}

impl Controller {
    fn new(server: &TestServer) -> Self {
        Self { http: server.admin(Protocol::Http2) }
    }

    fn path(project: &str, name: &str) -> String {
        format!("{API}/namespaces/loft-p-{project}/virtualclusterinstances/{name}")
    }

    async fn get(&self, project: &str, name: &str) -> Value {
        self.http.get(&Self::path(project, name)).await.expect(200).json()
    }

    /// Waits for the instance to be as wanted, then says its phase.
    async fn once(&self, project: &str, name: &str, wanted: impl Fn(&Value) -> bool, phase: &str) {
        let path = Self::path(project, name);
        wait_for("the instance to be as wanted", async || {
            let found = self.http.get(&path).await;
            found.status == 200 && wanted(&found.json())
        })
        .await;
        // Since when it sleeps is told by an annotation, for the command line too.
        let since = if phase == "Sleeping" { json!("1790000000") } else { Value::Null };
        let sleeping = json!({"metadata": {"annotations": {"sleepmode.loft.sh/sleeping-since": since}}});
        self.http.patch(&path, MERGE, &sleeping).await.expect(200);
        let chart = json!({"chart": {"name": "vcluster", "version": "0.36.1"}, "values": "sync: {}\n"});
        let status = json!({"status": {"phase": phase, "virtualCluster": {"helmRelease": chart}}});
        self.http.patch(&format!("{path}/status"), MERGE, &status).await.expect(200);
    }

    async fn ready(&self, project: &str, name: &str) {
        self.once(project, name, |_| true, "Ready").await;
    }
}

fn row(name: &str, project: &str, status: &str) -> (String, String, String) {
    (name.into(), project.into(), status.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn login_and_logout() {
    let Some((server, binary)) = stand().await else { return };
    let una = Cli::new(&server, &binary);
    assert!(una.fails(&["platform", "login", &una.server, "--access-key", "nobodys-key"]).contains("access key"), "said why");
    una.run(&["platform", "login", &una.server, "--access-key", UNA]);
    assert!(una.run(&["platform", "login"]).contains("as user: Una"));
    una.run(&["use", "driver", "platform"]);
    assert_eq!(una.list(&[]), []);
    assert!(una.run(&["platform", "list", "projects"]).contains("green"));
    assert!(!una.run(&["platform", "list", "projects"]).contains("secret"));
    una.run(&["logout"]);
    una.fails(&["platform", "list", "projects"]);
    // A key that was made by a login goes with it, others stay.
    let known = server.anonymous(Protocol::Http1);
    let who = async |key: &str| known.clone().bearer(key).post(&format!("{API}/selves"), &json!({})).await.status.as_u16();
    assert_eq!(who(UNA).await, 201);
    let login = Cli::logged_in(&server, &binary, "login-key-of-una-for-tests");
    login.run(&["logout"]);
    wait_for("the key to be void", async || who("login-key-of-una-for-tests").await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn create_with_a_template() {
    let Some((server, binary)) = stand().await else { return };
    let controller = Controller::new(&server);
    for (key, user) in [(UNA, "una"), (ADA, "ada")] {
        let (cli, name) = (Cli::logged_in(&server, &binary, key), format!("of-{user}"));
        let create = ["create", &name, "--project", "blue", "--template", "isolated", "--connect=false"];
        cli.waits(&create, controller.ready("blue", &name)).await;
        let made = controller.get("blue", &name).await;
        assert_eq!((&made["spec"]["owner"], &made["spec"]["templateRef"]["name"]), (&json!({"user": user}), &json!("isolated")));
        assert_eq!(made["spec"]["parameters"], "size: small\n");
        assert_eq!(cli.list(&["--project", "blue"]).iter().filter(|found| **found == row(&name, "blue", "Ready")).count(), 1);

        assert!(cli.fails(&create).contains("already exists"));
        cli.run(&[&create[..], &["--use"]].concat());
        cli.run(&[&create[..], &["--upgrade", "--template-version", "1.0.0"]].concat());
        assert_eq!(controller.get("blue", &name).await["spec"]["templateRef"]["version"], "1.0.0");
        cli.fails(&["create", "another", "--project", "blue", "--template", "other", "--connect=false"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_without_a_template() {
    let Some((server, binary)) = stand().await else { return };
    let controller = Controller::new(&server);
    let (una, ada) = (Cli::logged_in(&server, &binary, UNA), Cli::logged_in(&server, &binary, ADA));
    una.waits(&["create", "of-una", "--project", "green", "--connect=false"], controller.ready("green", "of-una")).await;
    let made = controller.get("green", "of-una").await;
    assert_eq!(made["spec"]["template"]["helmRelease"]["chart"]["name"], "vcluster", "{made}");
    una.run(&["create", "of-una", "--project", "green", "--connect=false", "--upgrade", "--description", "Changed"]);
    assert_eq!(controller.get("green", "of-una").await["spec"]["description"], "Changed");
    ada.run(&["create", "of-team", "--project", "green", "--connect=false", "--skip-wait", "--team", "devs"]);
    assert_eq!(controller.get("green", "of-team").await["spec"]["owner"], json!({"team": "devs"}));
    assert_eq!(una.list(&["--project", "green"]), [row("of-team", "green", "Pending"), row("of-una", "green", "Ready")]);
    una.fails(&["create", "mine", "--project", "secret", "--connect=false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_describe_and_connect() {
    let Some((server, binary)) = stand().await else { return };
    let controller = Controller::new(&server);
    let (una, ada) = (Cli::logged_in(&server, &binary, UNA), Cli::logged_in(&server, &binary, ADA));
    una.waits(&["create", "one", "--project", "blue", "--connect=false"], controller.ready("blue", "one")).await;
    ada.run(&["create", "two", "--project", "blue", "--template", "isolated", "--connect=false", "--skip-wait"]);
    una.run(&["create", "three", "--project", "green", "--connect=false", "--skip-wait"]);

    assert_eq!(una.list(&[]), [row("one", "blue", "Ready"), row("three", "green", "Pending")]);
    let owned: Vec<Value> =
        serde_json::from_str(&ada.run(&["platform", "list", "vclusters", "--owner", "--output", "json"])).expect("JSON");
    assert_eq!((owned.len(), &owned[0]["Name"]), (1, &json!("two")));
    assert_eq!(ada.list(&[]).len(), 3);

    let said = una.run(&["describe", "one", "--project", "blue"]);
    assert!(said.contains("0.36.1") && said.contains("Ready"), "{said}");
    una.fails(&["describe", "two", "--project", "blue"]);

    let kubeconfig = una.run(&["connect", "one", "--project", "blue", "--print"]);
    let way = format!("{}/kubernetes/project/blue/virtualcluster/one", server.base_url());
    assert!(kubeconfig.contains(&way), "{kubeconfig}");
    una.fails(&["connect", "two", "--project", "blue", "--print"]);
    una.fails(&["connect", "one", "--project", "secret", "--print"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_to_where_it_runs() {
    let Some((server, binary)) = stand().await else { return };
    let controller = Controller::new(&server);
    let (una, bob) = (Cli::logged_in(&server, &binary, UNA), Cli::logged_in(&server, &binary, BOB));
    for name in ["loft-cluster", "elsewhere"] {
        controller.http.post(&format!("{API}/clusters"), &json!({"metadata": {"name": name}, "spec": {"local": true}})).await.expect(201);
    }
    una.waits(&["create", "one", "--project", "blue", "--connect=false"], controller.ready("blue", "one")).await;
    assert!(!una.run(&["platform", "list", "clusters"]).contains("loft-cluster"), "no project allows it yet");
    una.fails(&["create", "there", "--project", "blue", "--cluster", "loft-cluster", "--connect=false", "--skip-wait"]);

    let allowed = json!({"spec": {"allowedClusters": [{"name": "loft-cluster"}]}});
    controller.http.patch(&format!("{API}/projects/blue"), MERGE, &allowed).await.expect(200);
    let place = json!({"spec": {"clusterRef": {"cluster": "loft-cluster", "namespace": "loft-blue-v-one", "virtualCluster": "one"}}});
    controller.http.patch(&Controller::path("blue", "one"), MERGE, &place).await.expect(200);
    for cli in [&una, &bob] {
        wait_for("the cluster to be seen", async || cli.run(&["platform", "list", "clusters"]).contains("loft-cluster")).await;
        assert!(!cli.run(&["platform", "list", "clusters"]).contains("elsewhere"));
    }
    assert!(una.run(&["connect", "one", "--project", "blue", "--print"]).contains("/kubernetes/project/blue/virtualcluster/one"));
    una.run(&["create", "there", "--project", "blue", "--cluster", "loft-cluster", "--connect=false", "--skip-wait"]);
    assert_eq!(controller.get("blue", "there").await["spec"]["clusterRef"]["cluster"], "loft-cluster");
    let said = una.fails(&["create", "x", "--project", "blue", "--namespace", "kube-system", "--connect=false", "--skip-wait"]);
    assert!(said.contains("is chosen by the platform"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn share_sleep_wake_up_and_delete() {
    let Some((server, binary)) = stand().await else { return };
    let controller = Controller::new(&server);
    let bob = Cli::logged_in(&server, &binary, BOB);
    for (key, user) in [(UNA, "una"), (ADA, "ada")] {
        let (cli, name) = (Cli::logged_in(&server, &binary, key), format!("of-{user}"));
        cli.waits(&["create", &name, "--project", "blue", "--connect=false"], controller.ready("blue", &name)).await;

        assert_eq!(bob.list(&[]), []);
        cli.run(&["platform", "share", "vcluster", &name, "--project", "blue", "--user", "bob"]);
        let shared = controller.get("blue", &name).await;
        assert_eq!(shared["spec"]["extraAccessRules"], json!([{"users": ["bob"], "clusterRole": "loft-cluster-space-admin"}]));
        assert_eq!(bob.list(&[]), [row(&name, "blue", "Ready")]);

        let forced = |value: &Value| value["metadata"]["annotations"]["sleepmode.loft.sh/force"] == "true";
        let sleep = ["platform", "sleep", "vcluster", &name, "--project", "blue", "--prevent-wakeup", "3600"];
        cli.waits(&sleep, controller.once("blue", &name, forced, "Sleeping")).await;
        assert_eq!(controller.get("blue", &name).await["metadata"]["annotations"]["sleepmode.loft.sh/force-duration"], "3600");
        assert_eq!(cli.list(&["--project", "blue"]), [row(&name, "blue", "Sleeping")]);
        let wake_up = ["platform", "wakeup", "vcluster", &name, "--project", "blue"];
        cli.waits(&wake_up, controller.once("blue", &name, |value| !forced(value), "Ready")).await;

        cli.run(&["delete", &name, "--project", "blue"]);
        assert_eq!(controller.http.get(&Controller::path("blue", &name)).await.status, 404);
        assert!(cli.fails(&["delete", &name, "--project", "blue"]).contains(&name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_project() {
    let Some((server, binary)) = stand().await else { return };
    let (una, ada, bob) =
        (Cli::logged_in(&server, &binary, UNA), Cli::logged_in(&server, &binary, ADA), Cli::logged_in(&server, &binary, BOB));
    una.run(&["platform", "set", "secret", "registry.user", "ann", "--project", "blue"]);
    una.run(&["platform", "set", "secret", "registry.password", "swordfish", "--project", "blue"]);
    ada.run(&["platform", "set", "secret", "hidden.key", "trout", "--project", "blue"]);
    for cli in [&una, &ada] {
        assert_eq!(cli.run(&["platform", "get", "secret", "registry.password", "--project", "blue"]), "swordfish");
        let all = cli.run(&["platform", "get", "secret", "registry", "--all", "--output", "json", "--project", "blue"]);
        assert_eq!(serde_json::from_str::<Value>(&all).expect("JSON"), json!({"user": "ann", "password": "swordfish"}));
        let listed = cli.run(&["platform", "list", "secrets", "--project", "blue"]);
        assert!(listed.contains("registry") && listed.contains("password"), "{listed}");
    }
    una.run(&["platform", "set", "secret", "registry.password", "herring", "--project", "blue"]);
    assert_eq!(ada.run(&["platform", "get", "secret", "registry.password", "--project", "blue"]), "herring");
    assert!(ada.run(&["platform", "list", "secrets", "--all-projects"]).contains("hidden"));
    assert!(!una.run(&["platform", "list", "secrets", "--project", "blue"]).contains("hidden"));
    una.fails(&["platform", "get", "secret", "hidden.key", "--project", "blue"]);
    una.fails(&["platform", "set", "secret", "hidden.key", "mine", "--project", "blue"]);
    una.fails(&["platform", "set", "secret", "mine.key", "value", "--project", "secret"]);

    // A viewer makes none, and sees of those that are shown no value.
    bob.fails(&["platform", "set", "secret", "of-bob.key", "value", "--project", "blue"]);
    let secrets = format!("{API}/namespaces/loft-p-blue/projectsecrets");
    let rules = |verbs: Value| json!({"spec": {"access": [{"verbs": verbs, "users": ["bob"]}]}});
    let http = server.anonymous(Protocol::Http2).bearer(UNA);
    http.patch(&format!("{secrets}/registry"), MERGE, &rules(json!(["get"]))).await.expect(200);
    let shown = server.anonymous(Protocol::Http2).bearer(BOB).get(&format!("{secrets}/registry")).await.expect(200).json();
    assert_eq!(shown["spec"].get("data"), None, "{shown}");
    // The command line lists those that one may use.
    assert!(!bob.run(&["platform", "list", "secrets", "--project", "blue"]).contains("registry"));
    bob.fails(&["platform", "get", "secret", "registry.password", "--project", "blue"]);
    http.patch(&format!("{secrets}/registry"), MERGE, &rules(json!(["get", "use"]))).await.expect(200);
    assert!(bob.run(&["platform", "list", "secrets", "--project", "blue"]).contains("registry"));
    assert_eq!(bob.run(&["platform", "get", "secret", "registry.password", "--project", "blue"]), "herring");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_an_access_key() {
    let Some((server, binary)) = stand().await else { return };
    for key in [UNA, ADA] {
        let cli = Cli::logged_in(&server, &binary, key);
        let name = format!("ci-{}", &key[..10]);
        let said = cli.run(&["platform", "create", "accesskey", &name, "--expire-after", "1h"]);
        let secret = said.lines().last().expect("the key").trim().to_owned();
        let login = Cli::new(&server, &binary);
        let address = login.server.clone();
        wait_for("the key to be known", async || login.say(&["platform", "login", &address, "--access-key", &secret]).good).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_management() {
    let Some((server, binary)) = stand().await else { return };
    let Some(program) = cached("bin/kubectl-1.37") else { return };
    let una = Cli::logged_in(&server, &binary, UNA);
    una.run(&["platform", "connect", "management"]);
    let kubectl = Kubectl::with(&program, una.home.path().join("kubeconfig"));
    // The credentials come from the command line itself, which finds its configuration by the path it wrote down.
    let authority = una.home.path().join("ca.crt").display().to_string();
    let run = |arguments: &[&str]| {
        let (good, stdout, stderr) = kubectl.output(arguments, &[("SSL_CERT_FILE", &authority), ("VCLUSTER_SKIP_VERSION_CHECK", "true")]);
        assert!(good, "kubectl {arguments:?}: {stdout}{stderr}");
        stdout
    };
    assert!(run(&["auth", "whoami"]).contains("una"));
    let object = kubectl.file(
        "object.yaml",
        "apiVersion: management.loft.sh/v1\nkind: VirtualClusterInstance\nmetadata: {name: mine, namespace: loft-p-green}\n",
    );
    run(&["apply", "-f", &object]);
    assert!(run(&["get", "virtualclusterinstances", "-n", "loft-p-green"]).contains("mine"));
    assert!(run(&["api-resources", "--api-group", "management.loft.sh"]).contains("virtualclusterinstances"));
    run(&["delete", "-f", &object]);
}
